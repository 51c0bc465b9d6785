"""Artistic mode against the classic algorithm of Gatys et al. (2016): time, loss and memory for the same objective.

python scripts/benchmark_artistic.py [--sizes 256,512] [--pairs CONTENT+STYLE,…] [--classic-start noise,content]
                                     [--out out/artistic] [--device cuda] [--set NAME=VALUE] [--largest]

The classic algorithm makes 500 steps of L-BFGS at one size (scripts/classic_algorithm.py), ours what a user gets by
default. Both are judged by one function (scripts/artistic_race.py). Its loss is the lowest of the classic's run; the
time at which ours is as low is looked for in the default run, else in runs with twice the iterations, and so on, until
one takes as long as the classic. --largest looks for the largest square whose memory a GPU has, instead.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from artistic_race import Job, Run, describe, fits, run_classic, run_ours

from photostyle.errors import PhotostyleError
from photostyle.images import read_picture, write_atomically, write_picture
from photostyle.report.sheet import Tile, contact_sheet

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
PAIRS = (
    "schwerinPalace.webp+starry_night_cropped.jpg,"
    "neuschwansteinCastle.webp+VincentVanGogh0019.webp,"
    "brandenburgGate.webp+VincentVanGoghBridge.webp"
)
COLUMNS = (
    "pair", "size", "classic from", "classic s", "its loss", "ours s", "its loss", "as low as classic after s",
    "iterations", "times faster", "loss ÷ classic's at our end", "classic MB", "our MB",
)  # fmt: skip
GROWTH, PRECISION = 1.25, 0.04  # of squares

T = TypeVar("T")


def in_process(function: Callable[..., T], *values: object) -> T:
    """Call a function in a process of its own, so that its memory is its own too."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *values).result()


def race(job: Job, starts: Sequence[str], iterations: int, every: int, out: Path) -> dict[str, Any]:
    """Run the classic algorithm from each start, then ours, with ever more iterations where it must be."""
    name = f"{Path(job.content).stem}-{Path(job.style).stem}-{job.size}"
    tell(f"{name}: classic, {iterations} iterations")
    classics: dict[str, Run] = {}
    for start in starts:
        picture = str(out / f"{name}-classic-{start}.png")
        classics[start] = in_process(run_classic, job, start, iterations, every, picture)
        tell(f"{name}: classic from {start}: {summary(classics[start])}")
    limit = max(run.seconds for run in classics.values())
    ours = [in_process(run_ours, job, None, None, str(out / f"{name}-ours.png"))]
    tell(f"{name}: ours: {summary(ours[0])}")
    while (
        ours[-1].seconds < limit
        and (len(ours) == 1 or ours[-1].iterations == ours[-1].asked)  # else it found no lower loss any more
        and any(reached(ours, run) is None for run in classics.values())
    ):
        more = 2 * ours[-1].iterations
        ours.append(in_process(run_ours, job, more, limit, str(out / f"{name}-ours-{more}.png")))
        tell(f"{name}: ours with {more} iterations: {summary(ours[-1])}")
    write_picture(out / f"{name}.png", beside(out, name, job, classics, ours[0]), overwrite=True)
    write_picture(out / f"{name}-curves.png", curves(name, classics, ours), overwrite=True)
    return {
        "pair": name.rpartition("-")[0],
        "size": job.size,
        "classic": {start: asdict(run) for start, run in classics.items()},
        "ours": [asdict(run) for run in ours],
        "rows": [compared(start, run, ours) for start, run in classics.items()],
    }


def reached(ours: Sequence[Run], classic: Run) -> tuple[float, int] | None:
    """Return after how many seconds ours is as low as the classic ever gets, within its time, and in which run."""
    for run in ours:
        for seconds, loss in run.curve:
            if loss <= classic.lowest and seconds <= classic.seconds:
                return seconds, run.iterations
    return None


def compared(start: str, classic: Run, ours: Sequence[Run]) -> dict[str, Any]:
    """Return the numbers of one row of the table; those of what isn't reached are None."""
    found = reached(ours, classic)
    first = ours[0]
    times, losses = zip(*classic.curve, strict=True)
    return {
        "classic_start": start,
        "classic_seconds": classic.seconds,
        "classic_loss": classic.lowest,
        "our_seconds": first.seconds,
        "our_loss": first.loss,
        "reached_seconds": found[0] if found else None,
        "reached_with_iterations": found[1] if found else None,
        "times_faster": classic.seconds / found[0] if found else None,
        "loss_ratio_at_our_end": first.loss / float(np.interp(first.seconds, times, losses)),
        "classic_bytes": classic.peak_bytes,
        "our_bytes": first.peak_bytes,
    }


def cells(pair: str, size: object, row: Mapping[str, Any]) -> str:
    """Return a row of the table in Markdown."""
    unreached = row["reached_seconds"] is None
    return "| " + " | ".join((
        pair, str(size), row["classic_start"], f"{row['classic_seconds']:.1f}", f"{row['classic_loss']:.5f}",
        f"{row['our_seconds']:.1f}", f"{row['our_loss']:.5f}",
        f"> {row['classic_seconds']:.1f}" if unreached else f"{row['reached_seconds']:.1f}",
        "–" if unreached else f"{row['reached_with_iterations']:.0f}",
        "< 1" if unreached else f"{row['times_faster']:.1f}",
        f"{row['loss_ratio_at_our_end']:.3f}", f"{row['classic_bytes'] / 1e6:.0f}", f"{row['our_bytes'] / 1e6:.0f}",
    )) + " |"  # fmt: skip


def medians(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a row of medians over the pairs for each size and start; what isn't reached counts as longest."""
    lines = []
    keys = dict.fromkeys((each["size"], row["classic_start"]) for each in results for row in each["rows"])
    for size, start in keys:
        rows = [r for each in results if each["size"] == size for r in each["rows"] if r["classic_start"] == start]
        middle: dict[str, Any] = {"classic_start": start}
        for name in rows[0]:
            if name != "classic_start":
                worst = 0.0 if name == "times_faster" else float("inf")
                value = statistics.median(worst if row[name] is None else row[name] for row in rows)
                middle[name] = None if value in (0.0, float("inf")) else value
        lines.append(cells(f"median of {len(rows)}", size, middle))
    return lines


def beside(out: Path, name: str, job: Job, classics: Mapping[str, Run], ours: Run) -> Any:
    """Return a sheet of content, style, the classic results and ours."""
    tiles = [Tile(read_picture(path).rgb, (Path(path).name,)) for path in (job.content, job.style)]
    results = [(f"classic from {start}", run, out / f"{name}-classic-{start}.png") for start, run in classics.items()]
    results.append(("ours", ours, out / f"{name}-ours.png"))
    found = [
        Tile(read_picture(path).rgb, (title, f"{run.seconds:.1f} s, loss {run.loss:.5f}"))
        for title, run, path in results
    ]
    return contact_sheet([tiles, found], width=max(800, len(found) * (job.size + 12) + 12))


def curves(name: str, classics: Mapping[str, Run], ours: Sequence[Run]) -> Any:
    """Return a plot of the loss over time, both on logarithmic axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5), dpi=110, layout="constrained")
    panel = figure.subplots()
    lines = [(f"classic from {start}, {run.iterations} iterations", run, "o") for start, run in classics.items()]
    lines += [(f"ours, {run.iterations} iterations", run, ".") for run in ours]
    for label, run, marker in lines:
        seconds, losses = zip(*run.curve, strict=True)
        panel.plot(seconds, losses, marker=marker, markersize=3, linewidth=1, label=label)
    panel.axhline(min(run.lowest for run in classics.values()), color="0.7", linewidth=0.8)
    panel.set(xscale="log", yscale="log", xlabel="seconds", ylabel="loss of the full size", title=name)
    panel.legend()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba(), dtype=np.float32)  # type: ignore[no-untyped-call]
    return pixels[..., :3] / np.float32(255)


def largest(job: Job, first: int, classic: bool) -> list[dict[str, Any]]:
    """Try growing squares until one doesn't fit, then halve the gap; return the tries."""
    low, high, side = 0, 0, first
    tries = []
    while not high or high - low > PRECISION * high:
        tries.append(in_process(fits, job, side, classic))
        tell(f"{'classic' if classic else 'ours'}: {json.dumps(tries[-1])}")
        low, high = (side, high) if tries[-1]["fits"] else (low, side)
        side = (low + high) // 2 if high else round(low * GROWTH)
        side -= side % 16
        if side in (low, high) or side < 64:
            break
    return tries


def summary(run: Run) -> str:
    """Return a line on a run."""
    text = f"{run.seconds:.1f} s ({run.cpu_seconds:.1f} s of CPU), loss {run.loss:.5f}, {run.peak_bytes / 1e6:.0f} MB"
    return text + (f", lowest {run.lowest:.5f}" if run.lowest < run.loss else "") + (f"; {run.note}" * bool(run.note))


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def sample(name: str) -> str:
    """Return the path of a picture: a file, or a sample by its name."""
    return name if Path(name).exists() else str(SAMPLES / name)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="256,512", help="longest sides, by comma (default: 256,512)")
    parser.add_argument("--pairs", default=PAIRS, help="CONTENT+STYLE by comma, files or samples (default: three)")
    parser.add_argument("--classic-start", default="noise", help="noise, content or both by comma (default: noise)")
    parser.add_argument("--classic-iterations", type=int, default=500, help="of the classic algorithm (default: 500)")
    parser.add_argument("--every", type=int, default=10, help="iterations between its pictures (default: 10)")
    parser.add_argument("--out", type=Path, default=Path("out/artistic"), help="folder for tables and pictures")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="where to compute (default: cpu)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an option of every run")
    parser.add_argument("--largest", action="store_true", help="the largest square that a GPU's memory holds, instead")
    parser.add_argument("--largest-from", type=int, default=2048, help="side of the first try (default: 2048)")
    arguments = parser.parse_args()
    arguments.starts = arguments.classic_start.split(",")
    if not set(arguments.starts) <= {"noise", "content"}:
        parser.error(f"--classic-start is {arguments.classic_start}, but must be noise, content or noise,content")
    arguments.pairs = [pair.split("+") for pair in arguments.pairs.split(",")]
    if not all(len(pair) == 2 for pair in arguments.pairs):
        parser.error("--pairs must be CONTENT+STYLE, by comma")
    if arguments.largest and arguments.device != "cuda":
        parser.error("--largest needs --device cuda: without a GPU the system ends what takes too much memory")
    return arguments


def main() -> None:
    arguments = options()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    pairs = [(sample(content), sample(style)) for content, style in arguments.pairs]
    sizes = [int(size) for size in arguments.sizes.split(",")]
    first = Job(pairs[0][0], pairs[0][1], sizes[0], arguments.device, tuple(arguments.set))
    report: dict[str, Any] = {"began": time.strftime("%Y-%m-%d %H:%M"), "machine": in_process(describe, first)}
    machine = report["machine"]
    print(f"{machine['cpu']}, {machine['cores']} cores, {machine['threads']} threads, {machine['device']}, "
          f"torch {machine['torch']}", flush=True)  # fmt: skip
    if arguments.largest:
        for who in ("classic", "ours"):
            report[who] = largest(first, arguments.largest_from, who == "classic")
            best = max((each for each in report[who] if each["fits"]), key=lambda each: each["side"], default=None)
            print(f"{who}: {json.dumps(best)}", flush=True)
        write_atomically(out / "largest.json", json.dumps(report, indent=1).encode())
        return
    report["results"] = []
    print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|", flush=True)
    for size in sizes:
        for content, style in pairs:
            job = replace(first, content=content, style=style, size=size)
            result = race(job, arguments.starts, arguments.classic_iterations, arguments.every, out)
            report["results"].append(result)
            for row in result["rows"]:
                print(cells(result["pair"], size, row), flush=True)
            write_atomically(out / "artistic.json", json.dumps(report, indent=1).encode())
    print("\n".join(medians(report["results"])))
    tell(f"numbers, pictures and curves are in {out}")


if __name__ == "__main__":
    try:
        main()
    except PhotostyleError as error:
        sys.exit(str(error))
    except BrokenProcessPool:
        sys.exit("a run was ended by the system, which it does where memory runs out: name smaller --sizes")
    except KeyboardInterrupt:
        sys.exit(130)

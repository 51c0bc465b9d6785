"""Artistic mode against the classic algorithm of Gatys et al. (2016): how soon its result is as good.

python scripts/benchmark_artistic.py [--sizes 256,512] [--pairs CONTENT+STYLE,…] [--classic-iterations 500]
                                     [--out out/artistic] [--device cuda] [--set NAME=VALUE] [--largest]

The classic algorithm makes 500 steps of L-BFGS from noise at one size (scripts/classic_algorithm.py), ours what a user
gets by default. Both are judged by AlexNet, which neither has in its loss (scripts/artistic_race.py). Ours is as good
when a picture of the full size is no farther from the style than the classic's last one (AlexNet's Gram matrices), and
no farther from the content (LPIPS). That moment is looked for in the default run, else in runs with twice the
iterations, and so on, until one takes as long as the classic; "–" is not within its time. --largest looks for the
largest square whose memory a GPU has, instead.
"""

from __future__ import annotations

import argparse
import json
import math
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
COLUMNS = {
    "classic_seconds": ("classic s", ".1f"),
    "classic_style": ("its style distance", ".3f"),
    "classic_lpips": ("its LPIPS", ".3f"),
    "our_seconds": ("ours s", ".1f"),
    "our_style": ("its style distance", ".3f"),
    "our_lpips": ("its LPIPS", ".3f"),
    "reached_seconds": ("as good as classic after s", ".1f"),
    "reached_with_iterations": ("in a run of iterations", ".0f"),
    "share_of_time": ("share of classic's time", ".1%"),
}
GROWTH, PRECISION = 1.25, 0.04  # of squares

T = TypeVar("T")


def in_process(function: Callable[..., T], *values: object) -> T:
    """Call a function in a process of its own, so that its memory is its own too."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *values).result()


def race(job: Job, iterations: int, out: Path) -> dict[str, Any]:
    """Run the classic algorithm, then ours, with ever more iterations where it must be."""
    name = f"{Path(job.content).stem}-{Path(job.style).stem}-{job.size}"
    tell(f"{name}: classic, {iterations} iterations")
    classic = in_process(run_classic, job, iterations, str(out / f"{name}-classic.png"))
    tell(f"{name}: classic: {summary(classic)}")
    ours = [in_process(run_ours, job, math.inf, str(out / f"{name}-ours.png"))]
    tell(f"{name}: ours: {summary(ours[0])}")
    more = 0
    while (
        ours[-1].end.seconds < classic.end.seconds
        and ours[-1].iterations >= more  # else it found no lower loss any more
        and reached(ours, classic) is None
    ):
        more = 2 * ours[-1].iterations
        longer = replace(job, options=(*job.options, f"iterations={more}"))
        ours.append(in_process(run_ours, longer, classic.end.seconds, str(out / f"{name}-ours-{more}.png")))
        tell(f"{name}: ours with {more} iterations: {summary(ours[-1])}")
    write_picture(out / f"{name}.png", beside(out, name, job, classic, ours[0]), overwrite=True)
    write_picture(out / f"{name}-curves.png", curves(name, classic, ours), overwrite=True)
    result = {"pair": name.rpartition("-")[0], "size": job.size, "row": compared(classic, ours)}
    return {**result, "classic": asdict(classic), "ours": [asdict(run) for run in ours]}


def reached(ours: Sequence[Run], classic: Run) -> tuple[float, int] | None:
    """Return after how many seconds ours is as good as the classic at its end, within its time, and in which run.

    Scores see 256 pixels, so that a coarse level's picture may have them too; but that isn't the result yet.
    """
    goal = classic.end
    for run in ours:
        for mark in run.curve:
            good = mark.style_alex <= goal.style_alex and mark.lpips <= goal.lpips
            if good and mark.width == run.end.width and mark.seconds <= goal.seconds:
                return mark.seconds, run.iterations
    return None


def compared(classic: Run, ours: Sequence[Run]) -> dict[str, float | None]:
    """Return the numbers of one row of the table; those of what isn't reached are None."""
    seconds, iterations = reached(ours, classic) or (None, None)
    values = (
        classic.end.seconds, classic.end.style_alex, classic.end.lpips,
        ours[0].end.seconds, ours[0].end.style_alex, ours[0].end.lpips,
        seconds, iterations, None if seconds is None else seconds / classic.end.seconds,
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def line(*values: object) -> str:
    """Return a row of a table in Markdown."""
    return f"| {' | '.join(map(str, values))} |"


def cells(pair: str, size: int, row: Mapping[str, float | None]) -> str:
    """Return the numbers of a pair, or of their medians, as a row of the table."""
    told = (f"{row[key]:{form}}" if row[key] not in (None, math.inf) else "–" for key, (_, form) in COLUMNS.items())
    return line(pair, size, *told)


def medians(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a row of medians over the pairs for each size; what isn't reached counts as longest."""
    lines = []
    for size in dict.fromkeys(each["size"] for each in results):
        rows = [each["row"] for each in results if each["size"] == size]
        middle = {key: statistics.median(math.inf if row[key] is None else row[key] for row in rows) for key in COLUMNS}
        lines.append(cells(f"median of {len(rows)}", size, middle))
    return lines


def beside(out: Path, name: str, job: Job, classic: Run, ours: Run) -> Any:
    """Return a sheet of content, style, the classic's result and ours."""
    tiles = [Tile(read_picture(path).rgb, (Path(path).name,)) for path in (job.content, job.style)]
    found = [
        Tile(read_picture(out / f"{name}-{who}.png").rgb, (f"{who}, {run.end.seconds:.1f} s", *scores(run)))
        for who, run in (("classic", classic), ("ours", ours))
    ]
    return contact_sheet([tiles, found], width=max(800, len(found) * (job.size + 12) + 12))


def curves(name: str, classic: Run, ours: Sequence[Run]) -> Any:
    """Return a plot of both scores over time, with the classic's last ones as lines; the full size has dots."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5), dpi=110, layout="constrained")
    scored = {"style_alex": "distance from the style (AlexNet)", "lpips": "distance from the content (LPIPS)"}
    for panel, (score, title) in zip(figure.subplots(1, 2), scored.items(), strict=True):
        for who, run in (("classic", classic), *(("ours", run) for run in ours)):
            times, values = ([getattr(mark, part) for mark in run.curve] for part in ("seconds", score))
            dots = [number for number, mark in enumerate(run.curve) if mark.width == run.end.width]
            panel.plot(times, values, ".-", markevery=dots, linewidth=1, label=f"{who}, {run.iterations} iterations")
        panel.axhline(getattr(classic.end, score), color="0.7", linewidth=0.8)
        panel.set(xscale="log", yscale="log" if score == "style_alex" else "linear", xlabel="seconds", title=title)
        panel.legend()
    figure.suptitle(name)
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


def scores(run: Run) -> tuple[str, str]:
    """Return the scores of a run's last picture, in words."""
    return f"style distance {run.end.style_alex:.3f}", f"LPIPS {run.end.lpips:.3f}"


def summary(run: Run) -> str:
    """Return a line on a run."""
    work = f"{run.cpu_seconds:.1f} s of CPU", f"{run.iterations} iterations", f"{run.peak_bytes / 1e6:.0f} MB"
    return ", ".join((f"{run.end.seconds:.1f} s", *scores(run), *work)) + f"; {run.note}" * bool(run.note)


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def sample(name: str) -> str:
    """Return the path of a picture: a file, or a sample by its name."""
    return name if Path(name).exists() else str(SAMPLES / name)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="256,512", help="longest sides, by comma (default: 256,512)")
    parser.add_argument("--pairs", default=PAIRS, help="CONTENT+STYLE by comma, files or samples (default: three)")
    parser.add_argument("--classic-iterations", type=int, default=500, help="of the classic algorithm (default: 500)")
    parser.add_argument("--out", type=Path, default=Path("out/artistic"), help="folder for tables and pictures")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="where to compute (default: cpu)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an option of our runs")
    parser.add_argument(
        "--classic-set", action="append", default=[], metavar="NAME=VALUE", help="an option of the classic algorithm"
    )
    parser.add_argument("--largest", action="store_true", help="the largest square that a GPU's memory holds, instead")
    parser.add_argument("--largest-from", type=int, default=2048, help="side of the first try (default: 2048)")
    arguments = parser.parse_args()
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
    first = Job(*pairs[0], sizes[0], arguments.device, tuple(arguments.set), tuple(arguments.classic_set))
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
    print(line("pair", "size", *(title for title, _ in COLUMNS.values())))
    print(line(*["---"] * (2 + len(COLUMNS))), flush=True)
    for size in sizes:
        for content, style in pairs:
            job = replace(first, content=content, style=style, size=size)
            result = race(job, arguments.classic_iterations, out)
            report["results"].append(result)
            print(cells(result["pair"], size, result["row"]), flush=True)
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

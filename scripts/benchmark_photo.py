"""Photo mode measured: scores, times and contact sheets for a folder of pairs, an ablation, and cost as size grows.

python scripts/benchmark_photo.py [FOLDER] [--output out/photo] [--pairs 01,05] [--masks given|auto|none]
                                  [--beside luan_final] [--ablation] [--sizes 0.25,1,4,12,50] [--set OPTION=VALUE]

FOLDER holds content/ and style/, with equal names, and content_mask/ and style_mask/ where masks are given; other
folders with results of the same names can be scored and shown beside ours. Without FOLDER the samples are paired.
Every run is a process of its own, timed from command to file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from photostyle.report.sheet import Tile, contact_sheet
from photostyle.studies.score import score

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
SAMPLE_PAIRS = {
    "schwerin": ("schwerinPalace", "brandenburgGate"),
    "gateway": ("gatewayofIndia", "brandenburgGate"),
    "montstmichel": ("montStMichel", "schwerinPalace"),
    "neuschwanstein": ("neuschwansteinCastle", "montStMichel"),
}
NAMES = ("edge_ssim", "color", "gram", "matting")
TERMS = ("style", "edge", "color", "matting", "calm", "detail", "gamut", "field")
ROWS_A_SHEET = 4


@dataclass(frozen=True)
class Pair:
    """One content and its style, with their masks if they have some."""

    name: str
    content: Path
    style: Path
    content_mask: Path | None
    style_mask: Path | None


def pairs_of(folder: Path | None, wanted: Sequence[str]) -> list[Pair]:
    """Return the pairs of a folder, or those of the samples."""
    if folder is None:
        found = [
            Pair(
                name, SAMPLES / f"{content}.webp", SAMPLES / f"{style}.webp",
                SAMPLES / f"masks/{content}.png", SAMPLES / f"masks/{style}.png",
            )
            for name, (content, style) in SAMPLE_PAIRS.items()
        ]  # fmt: skip
    else:
        found = []
        for content in sorted((folder / "content").iterdir()):
            masks = [folder / kind / f"{content.stem}.png" for kind in ("content_mask", "style_mask")]
            style = next((folder / "style").glob(f"{content.stem}.*"))
            found.append(Pair(content.stem, content, style, *(mask if mask.exists() else None for mask in masks)))
    return [pair for pair in found if not wanted or pair.name in wanted]


def run(pair: Pair, output: Path, masks: str, options: Sequence[str]) -> tuple[float, float, float]:
    """Stylise a pair; return the seconds from command to file, those of optimising, and the peak memory in GB."""
    command = [sys.executable, "-m", "photostyle", "transfer", str(pair.content), str(pair.style)]
    command += ["-o", str(output), "--mode", "photo", "--overwrite", "--quiet", "--json", *options]
    if masks == "given" and pair.content_mask and pair.style_mask:
        command += ["--content-mask", str(pair.content_mask), "--style-mask", str(pair.style_mask)]
    elif masks == "none":
        command += ["--regions", "none"]
    began = time.monotonic()
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr.strip())
    seconds, record = time.monotonic() - began, json.loads(done.stdout)
    return seconds, record["solve_seconds"], (record["peak_memory_bytes"] or float("nan")) / 1e9


def scores_of(pair: Pair, results: Sequence[Path]) -> list[dict[str, float]]:
    """Score results with the masks that are given, whatever they were made with."""
    return score(
        pair.content, pair.style, results, content_mask=pair.content_mask, style_mask=pair.style_mask, offline=True
    )


def benchmark(pairs: Sequence[Pair], output: Path, masks: str, options: Sequence[str], beside: Sequence[Path]) -> None:
    """Run all pairs; print the table and write it with the contact sheets."""
    columns = ["photostyle", *(folder.name for folder in beside)]
    table = ["| pair | " + " | ".join(columns) + " | seconds | GB |", "|" + "---|" * (len(columns) + 3)]
    numbers: dict[str, list[dict[str, float]]] = {name: [] for name in columns}
    costs, rows = [], []
    print(table[0], "edge SSIM / colour / Gram / matting", flush=True)
    for pair in pairs:
        result = output / f"{pair.name}.png"
        cost = run(pair, result, masks, options)
        others = [next(folder.glob(f"{pair.name}.*")) for folder in beside]
        found = scores_of(pair, [result, *others])
        for name, each in zip(columns, found, strict=True):
            numbers[name].append(each)
        costs.append(cost)
        table.append(f"| {pair.name} | {' | '.join(_cell(each) for each in found)} | {cost[0]:.0f} | {cost[2]:.1f} |")
        print(table[-1], flush=True)
        pictures = [("content", pair.content), ("style", pair.style), *zip(columns, [result, *others], strict=True)]
        rows.append([Tile(_read(path), (f"{pair.name} {name}",)) for name, path in pictures])
    means = [{key: statistics.mean(each[key] for each in numbers[name]) for key in NAMES} for name in columns]
    seconds, memory = (statistics.median(each[index] for each in costs) for index in (0, 2))
    table.append(f"| mean | {' | '.join(_cell(each) for each in means)} | {seconds:.0f} | {memory:.1f} |")
    print(table[-1])
    (output / "table.md").write_text("\n".join(table) + "\n", encoding="utf-8")
    (output / "scores.json").write_text(json.dumps(numbers, indent=1), encoding="utf-8")
    for number, first in enumerate(range(0, len(rows), ROWS_A_SHEET), 1):
        sheet = contact_sheet(rows[first : first + ROWS_A_SHEET])
        Image.fromarray(np.round(sheet * 255).astype(np.uint8)).save(output / f"sheet-{number}.png")
    print(f"table and sheets are in {output}")


def ablation(pairs: Sequence[Pair], output: Path, masks: str, options: Sequence[str]) -> None:
    """Leave out one term after the other."""
    print("| objective | edge SSIM | colour | Gram | matting |\n|---|---|---|---|---|", flush=True)
    variants = {"statistics alone": ["--solver", "statistics"], "everything": []}
    variants |= {f"without {term}": [f"--{term}-weight", "0"] for term in TERMS}
    for name, extra in variants.items():
        found = []
        for pair in pairs:
            result = output / f"{pair.name}-{name.replace(' ', '-')}.png"
            run(pair, result, masks, [*options, *extra])
            found += scores_of(pair, [result])
        print(
            f"| {name} | " + " | ".join(f"{statistics.mean(s[key] for s in found):.3f}" for key in NAMES) + " |",
            flush=True,
        )


def sizes(pair: Pair, megapixels: Sequence[float], output: Path, masks: str, options: Sequence[str]) -> None:
    """Stylise one pair at several sizes of the content; how far each result, scaled down, is from the first."""
    print("| megapixels | size | seconds | of them optimising | peak GB | mean difference of 255 |", flush=True)
    print("|---|---|---|---|---|---|", flush=True)
    first: Image.Image | None = None
    with Image.open(pair.content) as image, tempfile.TemporaryDirectory() as folder:
        picture = image.convert("RGB")
        for each in megapixels:
            factor = (each * 1e6 / (picture.width * picture.height)) ** 0.5
            size = (round(picture.width * factor), round(picture.height * factor))
            large = Path(folder) / "content.png"
            picture.resize(size, Image.Resampling.LANCZOS).save(large, compress_level=1)
            result = output / f"{each:g}mp.png"
            seconds, solving, memory = run(replace(pair, content=large), result, masks, options)
            with Image.open(result) as found:
                first = first or found.convert("RGB")
                small = found.convert("RGB").resize(first.size, Image.Resampling.LANCZOS, reducing_gap=3.0)
            difference = np.abs(np.asarray(small, dtype=float) - np.asarray(first, dtype=float)).mean()
            cells = (f"{each:g}", f"{size[0]}×{size[1]}", f"{seconds:.0f}", f"{solving:.0f}", f"{memory:.1f}")
            print(f"| {' | '.join(cells)} | {difference:.1f} |", flush=True)


def options_of(settings: Sequence[str]) -> list[str]:
    """Turn settings, OPTION=VALUE, into options of the command line; of a switch, OPTION alone or no-OPTION."""
    parts = [each.partition("=") for each in settings]
    return [part for name, found, value in parts for part in (f"--{name.replace('_', '-')}", *[value] * bool(found))]


def _cell(scores: dict[str, float]) -> str:
    return " / ".join(f"{scores[name]:.{1 if name == 'matting' else 3}f}" for name in NAMES)


def _read(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), dtype=np.float32) / np.float32(255)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="folder of pairs (default: the samples)")
    parser.add_argument("--output", type=Path, default=Path("out/photo"), help="folder for pictures and tables")
    parser.add_argument("--pairs", default="", help="names, by comma (default: all)")
    parser.add_argument("--masks", choices=["given", "auto", "none"], default="given", help="regions of our runs")
    parser.add_argument("--beside", default="", help="folders beside content/ whose results are scored too, by comma")
    parser.add_argument("--ablation", action="store_true", help="leave out one term after the other")
    parser.add_argument("--sizes", default="", help="megapixels, by comma: cost of the first pair at these sizes")
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE", help="an option of every run")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    options = options_of(arguments.set)
    if arguments.beside and arguments.folder is None:
        parser.error("--beside needs a FOLDER")
    pairs = pairs_of(arguments.folder, [name for name in arguments.pairs.split(",") if name])
    print(f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}", flush=True)
    if arguments.sizes:
        megapixels = [float(each) for each in arguments.sizes.split(",")]
        sizes(pairs[0], megapixels, arguments.output, arguments.masks, options)
    elif arguments.ablation:
        ablation(pairs, arguments.output, arguments.masks, options)
    else:
        beside = [arguments.folder / name for name in arguments.beside.split(",") if name]
        benchmark(pairs, arguments.output, arguments.masks, options, beside)


if __name__ == "__main__":
    main()

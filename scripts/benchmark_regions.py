"""Three styles on three regions, each measured beside a run in which it is the only one that has a style.

python scripts/benchmark_regions.py [--size 1024] [--out out/regions] [--set NAME=VALUE]

A run with all regions, then one for each region in which only that region has a style. All results are measured by
one function: the style loss of one region alone, as the objective has it. Pictures and numbers are in the folder.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from photostyle.images import write_atomically, write_picture
from photostyle.options.config import TransferConfig
from photostyle.options.parsing import parse_text
from photostyle.pipeline import run_prepared
from photostyle.preparation import Prepared, prepare
from photostyle.progress import Event, Step
from photostyle.regions.labels import LabelMasks
from photostyle.report.ranking import FixedObjective

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
CONTENT = "neuschwansteinCastle"
STYLES = {"sky": "starry_night_cropped.jpg", "building": "Gogh4.webp", "rest": "VincentVanGogh0019.webp"}


def three_masks(path: Path) -> LabelMasks:
    """Return the sky, the building and the rest of an indexed label map."""
    names = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["labels"]
    with Image.open(path) as image:
        indices = np.asarray(image)
    masks = {label: np.zeros(indices.shape, np.float32) for label in STYLES}
    for index, name in names.items():
        label = name if isinstance(name, str) else name["name"]
        masks[label if label in masks else "rest"][indices == int(index)] = 1
    return LabelMasks(tuple(masks), np.stack(list(masks.values())))


def only(prepared: Prepared, label: str) -> Prepared:
    """Return the same transfer in which no other region has a style."""
    assignments = [a if a.label == label else replace(a, weight=0.0) for a in prepared.problem.assignments]
    return replace(prepared, problem=replace(prepared.problem, assignments=assignments))


def tell(event: Event) -> None:
    if isinstance(event, Step) and event.iteration % 25 == 0:
        print(
            f"  {event.size[0]}×{event.size[1]}: {event.iteration} of {event.iterations}", file=sys.stderr, flush=True
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1024, help="longest side (default: 1024)")
    parser.add_argument("--out", type=Path, default=Path("out/regions"), help="folder for pictures and numbers")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an option of every run")
    arguments = parser.parse_args()
    pairs = (setting.partition("=") for setting in arguments.set)
    options = {name: parse_text(name, value) for name, _, value in pairs}
    arguments.out.mkdir(parents=True, exist_ok=True)
    prepared = prepare(
        SAMPLES / f"{CONTENT}.webp",
        map={label: SAMPLES / file for label, file in STYLES.items()},
        content_mask=three_masks(SAMPLES / "masks" / f"{CONTENT}.png"),
        config=TransferConfig(size=arguments.size, **options),
    )
    problem = prepared.problem
    labels = [a.label for a in problem.assignments if a.sources]
    rulers = {
        label: FixedObjective(only(prepared, label).problem, prepared.config, prepared.solve_size) for label in labels
    }
    results: dict[str, Any] = {}
    for name in ("all", *labels):
        began = time.monotonic()
        result = run_prepared(prepared if name == "all" else only(prepared, name), callback=tell)
        write_picture(arguments.out / f"{name}.png", result.rgb, overwrite=True)
        results[name] = {label: ruler(result.rgb)["style"] for label, ruler in rulers.items()}
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        write_atomically(arguments.out / "regions.json", json.dumps(results, indent=1).encode())
    print("| region | share | style loss, all regions | that region alone | ratio |\n|---|---|---|---|---|")
    for label, share in problem.content_masks.shares.items():
        if label in labels:
            together, alone = results["all"][label], results[label][label]
            print(f"| {label} | {share:.2f} | {together:.6f} | {alone:.6f} | {together / alone:.3f} |")


if __name__ == "__main__":
    main()

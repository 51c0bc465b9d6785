"""Make the README's figure of reconstructions, after figure 1 of Gatys et al. (2016).

Above: the style of a painting from growing sets of layers. Below: the content of a photograph from single layers.

python scripts/readme_reconstructions.py --size 192 --iterations 100
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import photostyle
from photostyle.images import read_picture, resize
from photostyle.progress import Event, Step
from photostyle.report.sheet import Tile, contact_sheet

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
WIDTH = 1500
ROWS = {"style": SAMPLES / "starry_night_cropped.jpg", "content": SAMPLES / "schwerinPalace.webp"}


def show(event: Event) -> None:
    if isinstance(event, Step) and event.iteration % 25 == 0:
        print(f"{event.stage} {event.iteration}/{event.iterations} loss {event.losses['total']:.4g}", file=sys.stderr)


def row(what: str, path: Path, size: int, iterations: int | None) -> list[Tile]:
    """Reconstruct one picture; it stands first, square as all of its row."""
    picture = read_picture(path).rgb
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = resize(picture[top : top + side, left : left + side], (size, size))
    options: dict[str, Any] = {} if iterations is None else {"iterations": iterations}
    found = photostyle.reconstruct(square, what, size=size, callback=show, **options)
    tiles = [Tile(square, ("painting" if what == "style" else "photograph",))]
    for number, (layer, result) in enumerate(found.results.items()):
        caption = f"{what} of {layer}" if what == "content" or not number else f"and of {layer}"
        tiles.append(Tile(result.rgb, (caption,)))
    return tiles


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=224, help="side of each picture in pixels")
    parser.add_argument("--iterations", type=int, help="of each picture; by default those of photostyle reconstruct")
    parser.add_argument("--output", type=Path, default=SAMPLES / "results" / "reconstructions.jpg")
    arguments = parser.parse_args()
    sheet = contact_sheet([row(what, path, arguments.size, arguments.iterations) for what, path in ROWS.items()], WIDTH)
    Image.fromarray(np.round(sheet * 255).astype(np.uint8)).save(arguments.output, quality=82)


if __name__ == "__main__":
    main()

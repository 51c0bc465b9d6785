"""Contact sheets: rows of pictures with captions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from photostyle.images import resize

_GAP, _LINE, _FONT = 12, 18, 14


@dataclass(frozen=True)
class Tile:
    """A picture, shape (H, W, 3) in [0, 1], and the lines below it."""

    picture: NDArray[np.float32]
    caption: tuple[str, ...] = ()


def contact_sheet(rows: Sequence[Sequence[Tile]], width: int = 1600) -> NDArray[np.float32]:
    """Lay rows of tiles out on white; the pictures of a row share a height, and each row fills the width."""
    font = ImageFont.truetype(font_file(), _FONT)
    strips = [_strip(row, width, font) for row in rows]
    return np.concatenate(strips, axis=0)


def _strip(row: Sequence[Tile], width: int, font: ImageFont.FreeTypeFont) -> NDArray[np.float32]:
    aspects = [tile.picture.shape[1] / tile.picture.shape[0] for tile in row]
    free = width - _GAP * (len(row) + 1)
    height = max(1, min(int(free / sum(aspects)), 2 * max(tile.picture.shape[0] for tile in row)))
    lines = max(len(tile.caption) for tile in row)
    canvas = np.ones((height + 2 * _GAP + lines * _LINE, width, 3), dtype=np.float32)
    image = Image.new("RGB", (width, lines * _LINE), "white")
    draw = ImageDraw.Draw(image)
    left = _GAP
    for tile, aspect in zip(row, aspects, strict=True):
        across = max(1, int(height * aspect))
        canvas[_GAP : _GAP + height, left : left + across] = resize(tile.picture, (across, height))
        for number, line in enumerate(tile.caption):
            draw.text((left, number * _LINE), fit_line(line, across, font), fill="black", font=font)
        left += across + _GAP
    if lines:
        canvas[_GAP + height + 2 : _GAP + height + 2 + lines * _LINE] = np.asarray(image, dtype=np.float32) / 255
    return canvas


def legend_strip(
    shares: Mapping[str, float], colors: Mapping[str, tuple[float, float, float]], width: int
) -> NDArray[np.float32]:
    """Draw labels beside their colours, largest first, in as many lines as it takes."""
    font = ImageFont.truetype(font_file(), _FONT)
    places, x, y = [], _GAP, 0
    for label, share in sorted(shares.items(), key=lambda item: -item[1]):
        text = fit_line(f"{label} {share:.1%}", max(1, width - 2 * _GAP - _LINE), font)
        across = _LINE + int(font.getlength(text)) + _GAP
        if x > _GAP and x + across > width:
            x, y = _GAP, y + _LINE
        places.append((x, y, text, colors[label]))
        x += across
    image = Image.new("RGB", (width, y + _LINE + 6), "white")
    draw = ImageDraw.Draw(image)
    for left, top, text, color in places:
        fill = tuple(round(255 * level) for level in color)
        draw.rectangle((left, top + 5, left + _LINE - 6, top + _LINE - 1), fill=fill)
        draw.text((left + _LINE, top + 3), text, fill="black", font=font)
    strip: NDArray[np.float32] = np.asarray(image, dtype=np.float32) / np.float32(255)
    return strip


def fit_line(text: str, width: int, font: ImageFont.FreeTypeFont) -> str:
    """Shorten a line to the width of its picture."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def font_file(face: str = "DejaVuSans") -> str:
    """Return a DejaVu font that matplotlib brings along: there on every machine, with all signs we use."""
    import matplotlib

    return str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{face}.ttf")

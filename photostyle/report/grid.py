"""A labelled grid: pictures in rows and columns that stand for the values of options."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from photostyle.images import fit_longest_side, resize
from photostyle.report.sheet import fit_line, font_file

_GAP, _PAD = 14, 6
_LARGE, _MANY = 320, 30  # longest side of a picture, and the number of cells from which it is smaller
_SMALL = 224
_NARROWEST = 200  # of a column, so that captions can be read
_WIDEST_LABEL = 220
_INK, _FAINT, _BEST, _PALE, _GREY = "#1a1a1a", "#6b6b6b", "#0b7a3b", "#f3f3f3", "#c9c9c9"


@dataclass(frozen=True)
class GridCell:
    """One place of a grid.

    Attributes
    ----------
    picture : ndarray of float32, shape (H, W, 3), or None
        In [0, 1]. Without one the place is grey, and holds heading and lines itself.
    heading : str
        In bold.
    lines : tuple of str
        In small letters, broken where they are too long.
    best : bool
        Whether it gets a frame.
    pending : bool
        Whether a place without a picture only waits for it: pale instead of grey.
    """

    picture: NDArray[np.float32] | None
    heading: str
    lines: tuple[str, ...] = ()
    best: bool = False
    pending: bool = False


def labelled_grid(
    cells: Sequence[Sequence[GridCell]],
    *,
    size: tuple[int, int],
    columns: tuple[str, Sequence[str]],
    rows: Sequence[Sequence[tuple[str, str]]] = (),
    title: Sequence[str] = (),
) -> NDArray[np.float32]:
    """Draw pictures with what they stand for above and beside them."""
    return _Grid(cells, size, columns, rows, title).draw()


class _Grid:
    """The measures of a grid, and the sheet it is drawn on."""

    def __init__(
        self,
        cells: Sequence[Sequence[GridCell]],
        size: tuple[int, int],
        columns: tuple[str, Sequence[str]],
        rows: Sequence[Sequence[tuple[str, str]]],
        title: Sequence[str],
    ) -> None:
        self.cells = cells
        self.bold = ImageFont.truetype(font_file("DejaVuSans-Bold"), 14)
        self.plain = ImageFont.truetype(font_file(), 14)
        self.small = ImageFont.truetype(font_file(), 12)
        many = len(cells) * len(cells[0]) > _MANY
        self.picture = fit_longest_side(size, _SMALL if many else _LARGE)
        self.column = max(self.picture[0], _NARROWEST)
        self.columns_name = columns[0]
        self.heads = [_wrapped(value, self.column, self.bold) for value in columns[1]]
        texts = [text for row in rows for pair in row for text in pair]
        self.side = min(_WIDEST_LABEL, max((int(self.bold.getlength(t)) + 1 for t in texts), default=0))
        self.labels = [[line for pair in row for line in self._label(*pair)] for row in rows]
        self.left = _GAP + (self.side + _GAP if rows else 0)
        self.width = self.left + len(cells[0]) * (self.column + _GAP)
        whole = self.width - 2 * _GAP
        self.title = [(line, self.bold) for text in title[:1] for line in _wrapped(text, whole, self.bold)]
        self.title += [(line, self.small) for text in title[1:] for line in _wrapped(text, whole, self.small)]
        self.captions = [[self._caption(cell) for cell in row] for row in cells]

    def _label(self, name: str, value: str) -> list[tuple[str, ImageFont.FreeTypeFont, str]]:
        names = [(line, self.plain, _FAINT) for line in _wrapped(name, self.side, self.plain)]
        return [*names, *((line, self.bold, _INK) for line in _wrapped(value, self.side, self.bold))]

    def _caption(self, cell: GridCell) -> list[str]:
        """Return the small lines of a cell; those of a place without a picture stand inside it, as many as fit."""
        if cell.picture is not None:
            return [line for text in cell.lines for line in _wrapped(text, self.column, self.small)]
        width, height = self.picture
        lines = [line for text in cell.lines for line in _wrapped(text, width - 4 * _PAD, self.small)]
        most = max(1, (height - 4 * _PAD - _line(self.bold)) // _line(self.small))
        return lines if len(lines) <= most else [*lines[: most - 1], lines[most - 1] + " …"]

    def draw(self) -> NDArray[np.float32]:
        heights = [self._row_height(number) for number in range(len(self.cells))]
        top = _GAP + sum(_line(font) for _, font in self.title) + (_GAP if self.title else 0)
        first = top + _line(self.plain) + max(len(head) for head in self.heads) * _line(self.bold) + _PAD
        image = Image.new("RGB", (self.width, first + sum(heights)), "white")
        self.on = ImageDraw.Draw(image)
        y = _GAP
        for text, font in self.title:
            self.on.text((_GAP, y), text, _INK, font)
            y += _line(font)
        self._heads(top)
        y = first
        for number, row in enumerate(self.cells):
            for line, font, colour in self.labels[number] if self.labels else ():
                self.on.text((_GAP, y), line, colour, font)
                y += _line(font)
            y = first + sum(heights[:number])
            for index, cell in enumerate(row):
                self._cell(image, cell, self.captions[number][index], self.left + index * (self.column + _GAP), y)
            y += heights[number]
        return np.asarray(image, dtype=np.float32) / np.float32(255)

    def _row_height(self, number: int) -> int:
        """Return how high a row is: as its highest cell, or its label, and a gap."""
        pairs = zip(self.captions[number], self.cells[number], strict=True)
        lines = max((len(caption) for caption, cell in pairs if cell.picture is not None), default=0)
        cell = self.picture[1] + _PAD + _line(self.bold) + lines * _line(self.small)
        label = sum(_line(font) for _, font, _ in self.labels[number]) if self.labels else 0
        return max(cell, label) + 2 * _GAP

    def _heads(self, y: int) -> None:
        middle = (self.left + self.width - _GAP) / 2
        self.on.text(
            (middle, y), fit_line(self.columns_name, self.width - self.left, self.plain), _FAINT, self.plain, "ma"
        )
        for index, head in enumerate(self.heads):
            x = self.left + index * (self.column + _GAP) + self.column / 2
            for number, line in enumerate(head):
                self.on.text((x, y + _line(self.plain) + number * _line(self.bold)), line, _INK, self.bold, "ma")

    def _cell(self, image: Image.Image, cell: GridCell, caption: list[str], x: int, y: int) -> None:
        width, height = self.picture
        left = x + (self.column - width) // 2
        if cell.picture is None:
            self.on.rectangle((left, y, left + width - 1, y + height - 1), _PALE if cell.pending else _GREY)
            self._inside(cell, caption, left + width / 2, y + height / 2)
            return
        pixels = np.round(resize(cell.picture, self.picture) * 255).astype(np.uint8)
        image.paste(Image.fromarray(pixels), (left, y))
        below = y + height + _PAD
        colour = _BEST if cell.best else _INK
        self.on.text((x, below), fit_line(cell.heading, self.column, self.bold), colour, self.bold)
        for number, line in enumerate(caption):
            self.on.text((x, below + _line(self.bold) + number * _line(self.small)), line, _FAINT, self.small)
        if cell.best:
            bottom = below + _line(self.bold) + len(caption) * _line(self.small)
            self.on.rectangle((x - _PAD, y - _PAD, x + self.column + _PAD - 1, bottom + _PAD), None, _BEST, 4)

    def _inside(self, cell: GridCell, caption: list[str], x: float, y: float) -> None:
        colour = _FAINT if cell.pending else _INK
        top = y - (_line(self.bold) + len(caption) * _line(self.small)) / 2
        self.on.text((x, top), fit_line(cell.heading, self.picture[0], self.bold), colour, self.bold, "ma")
        for number, line in enumerate(caption):
            self.on.text((x, top + _line(self.bold) + number * _line(self.small)), line, colour, self.small, "ma")


def _line(font: ImageFont.FreeTypeFont) -> int:
    return round(1.35 * font.size)


def _wrapped(text: str, width: int, font: ImageFont.FreeTypeFont) -> list[str]:
    """Break a line after spaces, and after the "+" and "/" of lists and paths; what is still too long is cut."""
    lines = [""]
    for word in re.findall(r"[^ +/]*[ +/]*", text):
        if lines[-1] and font.getlength((lines[-1] + word).rstrip()) > width:
            lines.append("")
        lines[-1] += word
    return [fit_line(line.strip(" ·"), width, font) for line in lines]

"""Regions without looking at the picture: a grid of rows and columns."""

from __future__ import annotations

import re

import numpy as np

from photostyle.errors import RegionError, UsageError
from photostyle.regions.labels import LabelMasks

_MOST = 64
_MOST_CELLS = 256  # a mask each: more would fill the memory, and each would be under 0.5 % of the picture


def grid(size: tuple[int, int], rows: int, columns: int) -> LabelMasks:
    """Cut a picture into rows and columns."""
    width, height = size
    for count, pixels, name in ((rows, height, "rows"), (columns, width, "columns")):
        if not 1 <= count <= _MOST:
            raise RegionError(f"a grid of {count} {name}: allowed are 1 to {_MOST}")
        if count > pixels:
            raise RegionError(
                f"a grid of {count} {name} doesn't fit {width}×{height} pixels: use {pixels} {name} or fewer"
            )
    if rows * columns > _MOST_CELLS:
        raise RegionError(f"a grid of {rows}×{columns} has {rows * columns} cells: allowed are {_MOST_CELLS} or fewer")
    tops = _borders(height, rows)
    lefts = _borders(width, columns)
    masks = np.zeros((rows * columns, height, width), dtype=np.float32)
    labels: list[str] = []
    for row in range(rows):
        for column in range(columns):
            cell = masks[len(labels)]
            cell[tops[row] : tops[row + 1], lefts[column] : lefts[column + 1]] = 1
            labels.append(f"r{row + 1}c{column + 1}")
    return LabelMasks(tuple(labels), masks)


def parse_grid(text: str) -> tuple[int, int]:
    """Read a grid as it is written on the command line."""
    match = re.fullmatch(r"grid:\s*([0-9]{1,4})\s*[x×]\s*([0-9]{1,4})", text.strip().lower())
    rows, columns = (int(match[1]), int(match[2])) if match else (0, 0)
    if not (1 <= rows <= _MOST and 1 <= columns <= _MOST):
        raise UsageError(
            f"regions {text!r} are no grid: write grid:ROWSxCOLUMNS with 1 to {_MOST} rows and 1 to {_MOST} "
            'columns, such as "grid:3x4"'
        )
    return rows, columns


def _borders(pixels: int, cells: int) -> list[int]:
    """Where the cells begin, and the end: strictly increasing, since there are no more cells than pixels."""
    return [(2 * cell * pixels + cells) // (2 * cells) for cell in range(cells + 1)]

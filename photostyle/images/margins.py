"""Margins of a scan: the strips of paper, frame or canvas at a picture's edges, which aren't what was painted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_WIDEST = 0.04  # of a side: what lies farther in is the picture's own
_STEP = 15 / 255  # in the median over a line, from one line to the next: less is no end of a margin
_TIMES = 5.0  # a step that is so many times the usual one ends a margin
_FADING = 2.5  # and so many times, beside it, is the blur of that end


def inside_margins(rgb: NDArray[np.float32]) -> tuple[slice, slice]:
    """Return the rows and columns of a picture, (H, W, 3) in [0, 1], that lie inside its margins, if it has any.

    A margin ends in a step that runs along the whole side: most pixels of a line differ from their neighbours in the
    next line by far more than is usual beyond it. It is looked for in the outer twenty-fifth of each side; a style
    loses little where such a line belongs to the picture.
    """
    height, width = rgb.shape[:2]
    turned = rgb.transpose(1, 0, 2)
    return (
        slice(_margin(rgb), height - _margin(rgb[::-1])),
        slice(_margin(turned), width - _margin(turned[::-1])),
    )


def _margin(lines: NDArray[np.float32]) -> int:
    """Return how many lines, from the first on, belong to a margin."""
    most = round(_WIDEST * len(lines))
    seen = lines[: 3 * most + 1]
    steps = np.median(np.abs(np.diff(seen, axis=0)).mean(2), axis=1)
    if most < 1 or len(steps) < 2 * most:
        return 0
    outer, usual = steps[:most], float(np.median(steps[most:]))
    if outer.max() < max(_STEP, _TIMES * usual):
        return 0
    return 1 + int(np.flatnonzero(outer > max(_STEP / 2, _FADING * usual))[-1])

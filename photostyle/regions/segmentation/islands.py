"""Tiny islands of a label join what surrounds them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_RING = np.ones((3, 3), np.uint8)
_GAP = np.ones((5, 5), np.uint8)  # twigs and poles break into bits up to four pixels apart


def merge_islands(masks: NDArray[np.float32], *, minimum: float = 0.001) -> None:
    """Hand tiny islands over to their surroundings, in place.

    An island is a part of the pixels where one label has the highest probability; bits up to four pixels apart are one
    part, so that what is left of a twig or a pole counts together. Where it is
    smaller than ``minimum`` of the picture, its label's probability goes to the label that has the longest border with
    it; islands that only touch islands go with them in a further pass.
    """
    least = minimum * masks[0].size
    hard = masks.argmax(0).astype(np.uint8)
    for _ in range(len(masks)):
        parts = [part for label in range(len(masks)) for part in _tiny_parts(hard == label, label, least)]
        tiny = np.zeros(hard.shape, dtype=np.bool_)
        for _, window, inside in parts:
            tiny[window] |= inside
        left = 0
        for label, window, inside in parts:
            ring = (cv2.dilate(inside.astype(np.uint8), _RING) > 0) & ~inside & ~tiny[window]
            if ring.any():
                _hand_over(masks, hard, window, inside, label, int(np.bincount(hard[window][ring]).argmax()))
            else:
                left += 1
        if not left:
            return


_Part = tuple[int, tuple[slice, slice], NDArray[np.bool_]]


def _tiny_parts(where: NDArray[np.bool_], label: int, least: float) -> list[_Part]:
    """Find the tiny parts of a label: each with its window, wide enough for a ring, and its pixels there."""
    joined = cv2.dilate(where.astype(np.uint8), _GAP)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    areas = np.bincount(parts[where], minlength=count)
    found: list[_Part] = []
    for part in np.flatnonzero((areas > 0) & (areas < least)):
        left, top, width, height, _ = (int(v) for v in stats[part])
        window = np.s_[max(top - 1, 0) : top + height + 1, max(left - 1, 0) : left + width + 1]
        found.append((label, window, (parts[window] == part) & where[window]))
    return found


def _hand_over(
    masks: NDArray[np.float32],
    hard: NDArray[np.uint8],
    window: tuple[slice, slice],
    inside: NDArray[np.bool_],
    label: int,
    heir: int,
) -> None:
    """Give a part's probability to the heir; where that isn't enough for it to win, all of it."""
    view = masks[(slice(None), *window)]
    here = view[:, inside]
    here[heir] += here[label]
    here[label] = 0
    short = here.argmax(0) != heir
    here[:, short] = 0
    here[heir, short] = 1
    view[:, inside] = here
    hard[window][inside] = heir

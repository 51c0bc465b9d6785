"""Tiny islands of a label join what surrounds them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["merge_islands"]


def merge_islands(masks: NDArray[np.float32], *, minimum: float = 0.002) -> NDArray[np.float32]:
    """Take a label's probability away where it wins only on a tiny island.

    An island is a connected part (8 neighbours) of the pixels where one label has the highest probability. On an
    island smaller than ``minimum`` of the picture, that label drops out, the others are scaled up to sum to one
    again, and the part goes to whichever of them is the most probable over the island.

    Parameters
    ----------
    masks : ndarray of float32, shape (K, H, W)
        Soft masks that sum to one.
    minimum : float
        The smallest share of the picture, in [0, 1], that may stand alone.

    Returns
    -------
    ndarray of float32, shape (K, H, W)
        The same, without tiny islands; a new array.
    """
    masks = masks.copy()
    least = minimum * masks[0].size
    hard = masks.argmax(0)
    for label in range(len(masks)):
        count, parts, stats, _ = cv2.connectedComponentsWithStats((hard == label).astype(np.uint8), connectivity=8)
        for part in range(1, count):
            left, top, width, height, area = stats[part]
            if area >= least:
                continue
            window = np.s_[top : top + height, left : left + width]
            inside = parts[window] == part
            _give_away(masks[(slice(None), *window)], inside, label)
    return masks


def _give_away(masks: NDArray[np.float32], inside: NDArray[np.bool_], label: int) -> None:
    """Hand a label's probability inside a part to the label that is the next most probable there, in place."""
    here = masks[:, inside]
    share = here[label].copy()
    here[label] = 0
    heir = int(here.sum(1).argmax())
    if heir == label:  # nothing else is there at all
        return
    here[heir] += share
    masks[:, inside] = here

"""Coarse probabilities made sharp against the picture: the guided filter, with its fast form for large pictures.

The linear maps are fitted on a small copy of the picture and applied to the large one (He and Sun 2015, "Fast guided
filter").
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from photostyle.filters.local_affine import lift
from photostyle.images import fit_longest_side, resize
from photostyle.regions.labels import normalise

LEAST = 0.01
"""A smaller share of a label is none: traces of all labels all over a picture mean nothing, but cost time."""

_FIT_SIDE = 512  # pixels on the longest side of the copy on which the maps are fitted
_RADIUS = 1 / 24  # of that side
_EPSILON = 3e-4  # squared colour units in [0, 1]
_SHARPNESS = 4.0  # power to which the probabilities are raised before
_CRISPNESS = 2.0  # and the masks after

_Masks = NDArray[np.float32]


def upsample(probabilities: _Masks, size: tuple[int, int]) -> _Masks:
    """Enlarge probabilities without looking at the picture: bilinear, for comparison and as a first step."""
    return np.stack([cv2.resize(mask, size, interpolation=cv2.INTER_LINEAR) for mask in probabilities])


def refine(probabilities: _Masks, rgb: NDArray[np.float32]) -> _Masks:
    """Turn probabilities on a coarse grid into soft masks whose edges are those of the picture.

    Each mask becomes a local affine map of the picture's colours (:func:`photostyle.filters.local_affine.lift`). Before
    it, the probabilities are raised to a power and divided by their sum, so that a region which is 80 % certain isn't
    20 % something else. After it, values are clipped to [0, 1], squared, so that what is half certain in a wide band
    keeps to its edge, and divided by their sum. These numbers were chosen by the boundary F-score on the validation
    scenes.
    """
    height, width = rgb.shape[:2]
    size = (width, height) if max(width, height) <= _FIT_SIDE else fit_longest_side((width, height), _FIT_SIDE)
    guide = resize(rgb, size)
    masks = np.power(np.maximum(upsample(probabilities, size), 1e-6), np.float32(_SHARPNESS))
    masks /= masks.sum(0)
    radius = max(1, round(_RADIUS * max(size)))
    result = np.moveaxis(lift(np.moveaxis(masks, 0, 2), guide, rgb, radius, _EPSILON), 2, 0)
    np.power(np.clip(result, 0, 1, out=result), np.float32(_CRISPNESS), out=result)
    result /= result.sum(0) + np.float32(1e-6)
    normalise(result, LEAST)
    return result

"""Debanding: smooth what 8 bits have cut into steps, before a colour map stretches them into bands."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from photostyle.filters.guided import self_guided

_STEP = 1 / 255
_LIMIT = 2 * _STEP  # the most that a value is changed
_NOISE = (2 * _STEP) ** 2  # variance of what counts as flat
_RADIUS = 1 / 60  # of the longest side


def deband(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Smooth flat parts of an 8-bit picture, by no more than two of its steps.

    Each channel is guided by itself (:func:`photostyle.filters.guided.self_guided`); its change is cut off at ±2/255.
    A sky gets back the gradient that was rounded away, and loses the noise of its compression; a texture stays.

    Parameters
    ----------
    picture : ndarray, shape (H, W, 3)
        sRGB in [0, 1].

    Returns
    -------
    ndarray of float32, shape (H, W, 3)
        In [0, 1], nowhere more than 2/255 away.
    """
    radius = max(1, round(_RADIUS * max(picture.shape[:2])))
    result = np.empty_like(picture)
    for channel in range(3):
        plane = picture[..., channel]
        result[..., channel] = plane + np.clip(self_guided(plane, radius, _NOISE) - plane, -_LIMIT, _LIMIT)
    return np.clip(result, 0, 1, out=result)

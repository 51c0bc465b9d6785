"""Debanding: smooth what 8 bits have cut into steps, before a colour map stretches them into bands."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["deband"]

_STEP = 1 / 255
_LIMIT = 2 * _STEP  # the most that a value is changed
_NOISE = (2 * _STEP) ** 2  # variance of what counts as flat
_RADIUS = 1 / 60  # of the longest side


def deband(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    r"""Smooth flat parts of an 8-bit picture, by no more than two of its steps.

    The guided filter with each channel as its own guide (He, Sun & Tang 2013, section 3.2),
    :math:`q = \mu + \frac{\sigma^2}{\sigma^2 + \varepsilon} (I - \mu)`, whose change q - I is cut off at ±2/255. A sky
    gets back the gradient that was rounded away, and loses the noise of its compression; a texture stays.

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
    window = (2 * radius + 1, 2 * radius + 1)
    result = np.empty_like(picture)
    for channel in range(3):
        values = np.ascontiguousarray(picture[..., channel])
        mean = cv2.blur(values, window, borderType=cv2.BORDER_REFLECT)
        variance = cv2.blur(np.square(values - mean), window, borderType=cv2.BORDER_REFLECT)
        share = np.float32(_NOISE) / (variance + np.float32(_NOISE))
        change = np.clip(share * (mean - values), -_LIMIT, _LIMIT)
        result[..., channel] = values + change
    return np.clip(result, 0, 1, out=result)

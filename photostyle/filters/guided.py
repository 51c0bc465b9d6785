"""The guided filter of a plane by itself: smooth where it is flat, as it is at edges and in texture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Weights of red, green and blue in the brightness of a pixel (ITU-R BT.601)."""

_CONTRAST_RADIUS = 0.015  # of the longest side
_CONTRAST_EPSILON = 0.01  # squared: differences of brightness above 0.1 are edges
_CONTRAST_SCALE = 5.0  # brings its usual deviation near that of brightness itself


def self_guided(plane: NDArray[np.float32], radius: int, epsilon: float) -> NDArray[np.float32]:
    r"""Smooth a plane, but not across its edges.

    He, Sun & Tang (2013), section 3.2: in each window of side 2·radius + 1 with mean μ and variance σ² the result is
    :math:`\mu + \frac{\sigma^2}{\sigma^2 + \varepsilon} (I - \mu)`; the coefficients of all windows that hold a pixel
    are averaged.

    Parameters
    ----------
    plane : ndarray, shape (H, W)
    radius : int
        At least 1.
    epsilon : float
        Variance below which a window counts as flat.

    Returns
    -------
    ndarray of float32, shape (H, W)
    """
    window = (2 * radius + 1, 2 * radius + 1)

    def mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.blur(values, window, borderType=cv2.BORDER_REFLECT))

    plane = np.ascontiguousarray(plane, dtype=np.float32)
    average = mean(plane)
    variance = np.maximum(mean(plane * plane) - average * average, 0)
    gain = (variance / (variance + np.float32(epsilon))).astype(np.float32)
    return mean(gain) * plane + mean((1 - gain) * average)


def local_contrast(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what is finer in a picture's brightness than a fiftieth of its side, and is no edge.

    Parameters
    ----------
    picture : ndarray, shape (H, W, 3)
        sRGB in [0, 1].

    Returns
    -------
    ndarray of float32, shape (H, W)
        Around zero; enlarged so that its deviation is of the order of that of brightness.
    """
    luma = picture @ LUMA
    radius = max(1, round(_CONTRAST_RADIUS * max(luma.shape)))
    return np.float32(_CONTRAST_SCALE) * (luma - self_guided(luma, radius, _CONTRAST_EPSILON))

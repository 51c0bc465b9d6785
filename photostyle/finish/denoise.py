"""Denoising: by total variation, or by the mean of what looks alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from photostyle.finish.rof import tv_denoised

# Best in the mean for white noise of 2, 5 and 10 % on two photographs and a painting.
_TV_WEIGHT = 0.75  # λ in deviations of the noise
_NLM_WIDTH = 1.25  # h in deviations of the noise
_PATCH, _SEARCH = 5, 21  # pixels: what is compared, and how far around
_STRIP_PIXELS = 1_000_000
_MARGIN = 32  # rows beyond a strip that have a say in it
_DEEPEST = 65535
# Second differences across each other: no response to a plane, nor to straight edges along the rows or columns.
_LAPLACIANS = np.outer([1, -2, 1], [1, -2, 1]).astype(np.float32)


def denoised(
    picture: NDArray[np.float32],
    how: str,
    strength: float = 1.0,
    progress: Callable[[int, int], Any] = lambda _done, _total: None,
) -> NDArray[np.float32]:
    """Remove noise, as much of it as there is.

    The noise is measured first (:func:`noise_level`), and all that is done is in proportion to it: a clean picture
    stays as it is. Large pictures are done strip by strip.

    Parameters
    ----------
    picture : ndarray, shape (H, W, 3)
        sRGB in [0, 1].
    how : str
        "none", "tv" (total variation, :func:`photostyle.finish.rof.tv_denoised`) or "nlm" (:func:`nonlocal_means`).
    strength : float
        Factor on what is usual for the noise; 0 changes nothing.
    progress : callable
        Receives how many rows are done, and how many there are.

    Returns
    -------
    ndarray of float32, shape (H, W, 3)
        In [0, 1].
    """
    amount = strength * noise_level(picture) if how != "none" else 0.0
    if amount == 0:
        return picture
    method, factor = {"tv": (tv_denoised, _TV_WEIGHT), "nlm": (nonlocal_means, _NLM_WIDTH)}[how]
    rows, columns = picture.shape[:2]
    result, step = np.empty_like(picture), max(1, _STRIP_PIXELS // columns)
    for first in range(0, rows, step):
        last, above = min(first + step, rows), max(0, first - _MARGIN)
        strip = method(picture[above : last + _MARGIN], factor * amount)
        result[first:last] = strip[first - above : last - above]
        progress(last, rows)
    return np.clip(result, 0, 1, out=result)


def noise_level(picture: NDArray[np.float32]) -> float:
    r"""Estimate the standard deviation of a picture's noise.

    Immerkær (1996): the response to the kernel :math:`(1, -2, 1)^\top (1, -2, 1)`, which sees little but noise and has
    the norm 6; instead of the mean of its size the median, which corners don't sway (Donoho & Johnstone 1994: the
    median is 0.6745 deviations of a normal distribution).

    Parameters
    ----------
    picture : ndarray, shape (H, W, 3)

    Returns
    -------
    float
        In units of the picture's values, over all channels.
    """
    response = cv2.filter2D(picture, cv2.CV_32F, _LAPLACIANS)[1:-1, 1:-1]
    return float(np.median(np.abs(response))) / (0.6745 * 6)


def nonlocal_means(picture: NDArray[np.float32], width: float) -> NDArray[np.float32]:
    r"""Replace each pixel by a mean of pixels nearby whose surroundings look like its own.

    Buades, Coll & Morel (2005), as OpenCV has it: the weight of a pixel is :math:`\exp(-d^2 / (3 h^2))` with d the
    mean over 5×5 pixels of the absolute differences, summed over channels. That distance works on 16 bits, the squared
    one on 8 only; and just the change is taken from the picture of 16 bits, so that nothing else is rounded.

    Parameters
    ----------
    picture : ndarray, shape (H, W, 3)
        sRGB in [0, 1].
    width : float
        h, in units of the picture's values.

    Returns
    -------
    ndarray of float32, shape (H, W, 3)
    """
    if width <= 0:
        return picture.copy()
    deep = np.round(np.clip(picture, 0, 1) * _DEEPEST).astype(np.uint16)
    found = cv2.fastNlMeansDenoising(
        deep, [width * _DEEPEST], templateWindowSize=_PATCH, searchWindowSize=_SEARCH, normType=cv2.NORM_L1
    )
    return picture + (found.astype(np.float32) - deep.astype(np.float32)) / np.float32(_DEEPEST)

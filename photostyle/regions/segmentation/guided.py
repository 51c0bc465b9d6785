"""Coarse probabilities made sharp against the picture: the guided filter, with its fast form for large pictures.

He, Sun and Tang 2013, "Guided image filtering", with the colour guide of their section 3.5; He and Sun 2015, "Fast
guided filter": the linear maps are fitted on a small copy of the picture and applied to the large one.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from photostyle.images import fit_longest_side, resize

__all__ = ["refine", "upsample"]

_FIT_SIDE = 512  # pixels on the longest side of the copy on which the maps are fitted
_RADIUS = 1 / 24  # of that side
_EPSILON = 3e-4  # squared colour units in [0, 1]
_SHARPNESS = 4.0  # power to which the probabilities are raised before
_CRISPNESS = 2.0  # and the masks after

_Masks = NDArray[np.float32]


def upsample(probabilities: _Masks, size: tuple[int, int]) -> _Masks:
    """Enlarge probabilities without looking at the picture: bilinear, for comparison and as a first step.

    Parameters
    ----------
    probabilities : ndarray of float32, shape (K, h, w)
    size : tuple of int
        (width, height).

    Returns
    -------
    ndarray of float32, shape (K, height, width)
    """
    return np.stack([cv2.resize(mask, size, interpolation=cv2.INTER_LINEAR) for mask in probabilities])


def refine(probabilities: _Masks, rgb: NDArray[np.float32]) -> _Masks:
    """Turn probabilities on a coarse grid into soft masks whose edges are those of the picture.

    Each mask becomes, in every window of the guide I, a linear map of its colours, q = aᵀI + b, with

        a = (Σ + εU)⁻¹ cov(I, p),  b = mean(p) − aᵀ mean(I)

    (He et al. 2013, eqs. 14-16), averaged over the windows that hold the pixel. Before it, the probabilities are
    raised to a power and divided by their sum, so that a region which is 80 % certain isn't 20 % something else.
    After it, values are clipped to [0, 1], squared, so that what is half certain in a wide band keeps to its edge, and
    divided by their sum. These numbers were chosen by the boundary F-score on the validation scenes.

    Parameters
    ----------
    probabilities : ndarray of float32, shape (K, h, w)
        They sum to one.
    rgb : ndarray of float32, shape (H, W, 3)
        The picture, sRGB in [0, 1].

    Returns
    -------
    ndarray of float32, shape (K, H, W)
        Soft masks that sum to one.
    """
    height, width = rgb.shape[:2]
    size = (width, height) if max(width, height) <= _FIT_SIDE else fit_longest_side((width, height), _FIT_SIDE)
    guide = resize(rgb, size)
    masks = np.power(np.maximum(upsample(probabilities, size), 1e-6), np.float32(_SHARPNESS))
    masks /= masks.sum(0)
    fit = _Maps(guide, max(1, round(_RADIUS * max(size))))
    result = np.empty((len(masks), height, width), dtype=np.float32)
    total = np.full((height, width), 1e-6, dtype=np.float32)
    for mask, target in zip(masks, result, strict=True):
        a, b = (cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR) for part in fit(mask))
        np.clip(np.einsum("hwc,hwc->hw", a, rgb) + b, 0, 1, out=target)
        np.power(target, np.float32(_CRISPNESS), out=target)
        total += target
    result /= total
    result[0] += 1 - result.sum(0)  # what rounding left
    return np.clip(result, 0, 1, out=result)


class _Maps:
    """The guided filter's linear maps for masks of one guide, shape (h, w, 3)."""

    def __init__(self, guide: NDArray[np.float32], radius: int) -> None:
        self.guide, self.window = guide, (2 * radius + 1, 2 * radius + 1)
        self.mean = self._box(guide)
        outer = guide[..., :, None] * guide[..., None, :]
        moments = self._box(outer.reshape(*guide.shape[:2], 9)).reshape(outer.shape)
        covariance = moments - self.mean[..., :, None] * self.mean[..., None, :]
        self.inverse = np.linalg.inv(covariance + np.float32(_EPSILON) * np.eye(3, dtype=np.float32))

    def __call__(self, mask: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Fit a mask, shape (h, w); the averaged maps a, (h, w, 3), and b, (h, w)."""
        mean = self._box(mask)
        covariance = self._box(self.guide * mask[..., None]) - self.mean * mean[..., None]
        a = np.einsum("hwij,hwj->hwi", self.inverse, covariance)
        b = mean - np.einsum("hwi,hwi->hw", a, self.mean)
        return self._box(a), self._box(b)

    def _box(self, array: NDArray[np.float32]) -> NDArray[np.float32]:
        planes = [
            cv2.blur(np.ascontiguousarray(plane), self.window, borderType=cv2.BORDER_REFLECT)
            for plane in np.moveaxis(np.atleast_3d(array), 2, 0)
        ]
        blurred: NDArray[np.float32] = np.asarray(planes[0] if array.ndim == 2 else np.stack(planes, axis=-1))
        return blurred

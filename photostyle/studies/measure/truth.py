"""How far a result is from the right answer, where one is known.

- ``delta_e``: mean CIEDE2000 difference; about 1 can just be seen;
- ``psnr``: 10 log₁₀ of one over the mean squared difference of values in [0, 1];
- ``ssim``: structural similarity (Wang et al. 2004: Gaussian windows of 1.5 pixels), mean over red, green and blue.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import structural_similarity

from photostyle.errors import ImageError
from photostyle.images import Picture

_LEAST_ERROR = 1 / 65535**2 / 12  # mean square of rounding to 16 bits: no picture is closer than 107 dB
_PIXELS_AT_ONCE = 1 << 16


def check_truth(truth: Picture, result: Picture) -> None:
    """Raise an `ImageError` unless a result has the size of the truth."""
    if truth.size != result.size:
        (width, height), (wide, high) = truth.size, result.size
        raise ImageError(
            f"{result.name} is {wide}×{high}, but the truth {truth.name} is {width}×{height}: they are compared pixel "
            "by pixel, so bring one of them to the size of the other first"
        )


def truth_scores(truth: NDArray[np.float32], result: NDArray[np.float32]) -> dict[str, float]:
    """Compare a result with the truth, both of shape (H, W, 3) with sRGB in [0, 1].

    Returns
    -------
    dict of str to float
        ``delta_e``, ``psnr`` (at most 107) and ``ssim``.
    """
    error = max(float(np.square(truth - result, dtype=np.float64).mean()), _LEAST_ERROR)
    similarity = structural_similarity(  # type: ignore[no-untyped-call]
        truth, result, data_range=1.0, channel_axis=-1, gaussian_weights=True, use_sample_covariance=False
    )
    return {
        "delta_e": _color_difference(truth, result),
        "psnr": float(-10 * np.log10(error)),
        "ssim": float(similarity),
    }


def _color_difference(truth: NDArray[np.float32], result: NDArray[np.float32]) -> float:
    """Return the mean of CIEDE2000, a band of rows at a time, since the formula takes much memory."""
    height, width = truth.shape[:2]
    rows = max(1, _PIXELS_AT_ONCE // width)
    total = 0.0
    for top in range(0, height, rows):
        band = slice(top, top + rows)
        difference = deltaE_ciede2000(rgb2lab(truth[band]), rgb2lab(result[band]))  # type: ignore[no-untyped-call]
        total += float(difference.sum(dtype=np.float64))
    return float(total / (height * width))

"""Automatic brightness and contrast."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from photostyle.filters.guided import LUMA


def auto_contrast(picture: NDArray[np.float32], clipped: float = 0.005, most: float = 2.0) -> NDArray[np.float32]:
    """Stretch a picture so that its brightness covers the full range.

    Parameters
    ----------
    picture : ndarray, shape (H, W, 3)
        sRGB in [0, 1].
    clipped : float
        Share of the pixels that may become black, and of those that may become white.
    most : float
        The largest factor; what would need more is night or fog, and stays so.

    Returns
    -------
    ndarray of float32, shape (H, W, 3)
        In [0, 1]; all channels are mapped alike, so that grey stays grey.
    """
    low, high = np.quantile(picture @ LUMA, [clipped, 1 - clipped])
    middle = (low + high) / 2
    factor = min(most, 1 / max(high - low, 1e-6))
    target = np.clip(middle, factor * (high - low) / 2, 1 - factor * (high - low) / 2)
    stretched: NDArray[np.float32] = np.clip(
        (picture - np.float32(middle)) * np.float32(factor) + np.float32(target), 0, 1
    )
    return stretched

"""Histograms of red, green and blue, compared as papers on photorealistic transfer do.

H is a channel's histogram with 256 bins of its 8-bit values, over the whole picture at its own size, as shares that sum
to one; A that of the style. Both numbers are means over the channels of what OpenCV's ``compareHist(A, H)`` gives:

- ``h_corr`` (HISTCMP_CORREL): Σ (A − Ā)(H − H̄) / √(Σ (A − Ā)² Σ (H − H̄)²), 1 where they are the same;
- ``h_chi`` (HISTCMP_CHISQR): Σ (A − H)² / A over the bins where A isn't zero, 0 where they are the same. It grows in
  proportion with what histograms are normalised to, so tables whose histograms sum to more can't be put beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_BINS = 256


class HistogramScores:
    """Measures results against the mean of the styles' histograms, each with its share; shares sum to one."""

    def __init__(self, styles: Sequence[Image.Image], shares: Sequence[float]) -> None:
        self.target = np.sum([share * _histograms(s) for share, s in zip(shares, styles, strict=True)], axis=0)

    def __call__(self, result: Image.Image) -> dict[str, float]:
        """Return ``h_corr`` and ``h_chi`` of a result, an 8-bit RGB image."""
        pairs = list(zip(self.target, _histograms(result), strict=True))
        return {
            "h_corr": float(np.mean([_correlation(*pair) for pair in pairs])),
            "h_chi": float(np.mean([_chi_square(*pair) for pair in pairs])),
        }


def _histograms(image: Image.Image) -> NDArray[np.float64]:
    """Return the shares of the values of each channel, shape (3, 256)."""
    return np.array(image.histogram(), dtype=np.float64).reshape(3, _BINS) / (image.width * image.height)


def _correlation(target: NDArray[np.float64], found: NDArray[np.float64]) -> float:
    a, b = target - target.mean(), found - found.mean()
    norm = float(np.sqrt(np.vdot(a, a) * np.vdot(b, b)))
    return float(np.vdot(a, b)) / norm if norm > np.finfo(float).eps else 1.0  # as OpenCV: both are flat


def _chi_square(target: NDArray[np.float64], found: NDArray[np.float64]) -> float:
    there = target > 0
    return float((np.square(target - found)[there] / target[there]).sum())

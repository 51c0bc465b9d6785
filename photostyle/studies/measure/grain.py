"""Grain: the energy of the finest band, in colour and in brightness, over that of the style picture.

Measured at a longest side of 256 pixels. The finest band is the picture less a Gaussian blur of 0.8 pixels, in luma and
two colour differences; the painting's own canvas and strokes are the 1, false colour in single pixels is more.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from photostyle.studies.measure.alex import LONGEST
from photostyle.studies.measure.views import at_longest, shrunk

_BLUR = 0.8  # pixels
_LEAST = 1 / 255 / np.sqrt(12)  # deviation by rounding to 8 bits: no style picture counts as smoother than that
_LUMA_CHROMA = np.array([[0.299, 0.587, 0.114], [0.5, -0.419, -0.081], [-0.169, -0.331, 0.5]], dtype=np.float32)


class GrainScores:
    """Measures results against the mean grain of the styles, each with its share; shares sum to one."""

    def __init__(self, styles: Sequence[Image.Image], shares: Sequence[float]) -> None:
        grains = [_grain(style, at_longest(style, LONGEST, 1)) for style in styles]
        self.chroma, self.luma = np.maximum(np.average(grains, axis=0, weights=shares), _LEAST)

    def __call__(self, result: Image.Image) -> dict[str, float]:
        """Return ``grain_chroma`` and ``grain_luma`` of a result, an 8-bit RGB image."""
        chroma, luma = _grain(result, at_longest(result, LONGEST, 1))
        return {"grain_chroma": float(chroma / self.chroma), "grain_luma": float(luma / self.luma)}


def _grain(image: Image.Image, size: tuple[int, int]) -> tuple[float, float]:
    """Return the root mean square of the finest band in both colour differences, and its deviation in luma."""
    planes = shrunk(image, size) @ _LUMA_CHROMA.T
    fine = planes - gaussian_filter(planes, (_BLUR, _BLUR, 0))
    return float(np.sqrt(np.square(fine[..., 1:]).sum(-1).mean())), float(fine[..., 0].std())

"""Regions by tone: what a picture falls back to where labels by meaning can't be trusted."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from photostyle.regions.labels import LabelMasks

__all__ = ["TONES", "tones"]

TONES = ("shadows", "midtones", "highlights")
_SOFT = 0.06  # half the width, in lightness of [0, 1], over which one tone turns into the next


def tones(rgb: NDArray[np.float32]) -> LabelMasks:
    """Divide a picture into its dark, middle and light thirds.

    The borders lie at the terciles of the smoothed lightness, so that each tone covers about a third of any picture
    and dark takes its style from dark, light from light, whatever the pictures show.

    Parameters
    ----------
    rgb : ndarray of float32, shape (H, W, 3)
        sRGB in [0, 1].

    Returns
    -------
    LabelMasks
        "shadows", "midtones", "highlights": soft masks that sum to one. A picture of a single tone (all borders
        fall together) is all midtones.
    """
    lightness: NDArray[np.float32] = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)[..., 0].astype(np.float32) / np.float32(100)
    light = cv2.GaussianBlur(lightness, (0, 0), max(1.0, 0.01 * max(lightness.shape)))
    low, high = (float(q) for q in np.quantile(light, (1 / 3, 2 / 3)))
    if high - low < 0.02:
        return LabelMasks(("midtones",), np.ones((1, *light.shape), dtype=np.float32))
    soft = min(_SOFT, (high - low) / 2)
    above_low, above_high = (np.clip((light - border) / (2 * soft) + 0.5, 0, 1) for border in (low, high))
    return LabelMasks(TONES, np.stack([1 - above_low, above_low - above_high, above_high]).astype(np.float32))

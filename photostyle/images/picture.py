"""The picture that the rest of the package works with: sRGB in floats, upright, alpha apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture.

    Attributes
    ----------
    rgb : ndarray of float32, shape (H, W, 3)
        sRGB-encoded values in [0, 1]. Colours below transparent pixels are as the source holds them.
    alpha : ndarray of float32, shape (H, W), or None
        Opacity in [0, 1]; None if every pixel is opaque.
    bit_depth : int
        8 or 16: the precision of the source (16 for floating-point sources).
    name : str
        How messages call it: the path as given, or "the content array".
    exif : bytes or None
        The descriptive EXIF of the source (camera, exposure, place, author) with its orientation tag reset
        to 1 and without the thumbnail and the old pixel dimensions; None if the source has none.
    notes : tuple of str
        Decisions worth telling, one line each.
    """

    rgb: NDArray[np.float32]
    alpha: NDArray[np.float32] | None
    bit_depth: int
    name: str
    exif: bytes | None = None
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        height, width = self.rgb.shape[:2]
        return width, height

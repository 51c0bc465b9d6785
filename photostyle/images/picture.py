"""The picture that the rest of the package works with, and the samples of a file that become one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photostyle.errors import ImageError

_TOLERANCE = 1e-6
"""How far outside [0, 1] a float may lie and still be taken as rounding, and clipped."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture, upright.

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
        What is kept of the source's EXIF, see :mod:`photostyle.images.exif`.
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


@dataclass
class Samples:
    """What a decoder hands over: before colour management, and before the EXIF orientation, 1 to 8, is applied.

    ``color`` is uint8, uint16 or float32 in [0, 1], (H, W) for grey or (H, W, 3); ``alpha`` and the rest are as in
    :class:`Picture`. Without ``icc``, a profile, colours are sRGB.
    """

    color: NDArray[Any]
    alpha: NDArray[np.float32] | None = None
    bit_depth: int = 8
    icc: bytes | None = None
    orientation: int = 1
    exif: bytes | None = None


def split_channels(values: NDArray[Any], colors: int) -> tuple[NDArray[Any], NDArray[np.float32] | None]:
    """Split (H, W, C) into ``colors`` channels, 3, or 1 as (H, W), and the next as alpha, if there is one."""
    color = values[..., 0] if colors == 1 else values[..., :3]
    if values.shape[2] == colors:
        return color, None
    return color, values[..., colors].astype(np.float32) / np.float32(full_scale(values))


def full_scale(values: NDArray[Any]) -> float:
    """Return the sample that means 1: 1 of floats, else the largest of their type."""
    return 1.0 if values.dtype.kind == "f" else float(np.iinfo(values.dtype).max)


def check_size(label: str, size: tuple[int, int], max_pixels: int, min_side: int) -> None:
    """Refuse a picture that is too large or too small, from its header alone."""
    width, height = size
    if width * height > max_pixels:
        raise ImageError(
            f"{label}: is {width}×{height} = {width * height:,} pixels, but at most {max_pixels:,} pixels "
            "are allowed: scale it down first"
        )
    smallest = max(1, min_side)
    if min(width, height) < smallest:
        raise ImageError(
            f"{label}: is {width}×{height} pixels, but each side needs at least {smallest}: use a larger picture"
        )


def check_unit_range(label: str, values: NDArray[Any]) -> NDArray[np.float32]:
    """Copy floating-point samples to float32 in [0, 1]; refuse any that lie outside by more than rounding."""
    outside = ~((values >= -_TOLERANCE) & (values <= 1 + _TOLERANCE))  # NaN as well
    if outside.any():
        raise ImageError(
            f"{label}: holds the value {values[outside][0]:g}, but floating-point values must be finite and lie in "
            "[0, 1]: scale them, or convert them to uint8 or uint16"
        )
    return np.asarray(np.clip(values, 0, 1), np.float32)

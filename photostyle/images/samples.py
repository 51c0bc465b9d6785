"""What every decoder hands over, and the two steps that all of them share: colour to sRGB, then upright."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photostyle.errors import ImageError
from photostyle.images.picture import Picture
from photostyle.images.profiles import to_srgb

_TOLERANCE = 1e-6
"""How far outside [0, 1] a float may lie and still be taken as rounding, and clipped."""


@dataclass
class Samples:
    """Decoded samples before colour management and orientation.

    Attributes
    ----------
    colour : ndarray of uint8, uint16 or float32 (in [0, 1]), shape (H, W) or (H, W, 3)
        Grey or RGB.
    alpha : ndarray of float32, shape (H, W), or None
        Opacity in [0, 1].
    bit_depth : int
        8 or 16.
    icc : bytes or None
        The ICC profile that says what ``colour`` means; None for sRGB.
    orientation : int
        The EXIF orientation still to be applied, 1 to 8.
    exif : bytes or None
        Cleaned EXIF (see :mod:`photostyle.images.exif`).
    notes : list of str
        Decisions worth telling.
    """

    colour: NDArray[Any]
    alpha: NDArray[np.float32] | None = None
    bit_depth: int = 8
    icc: bytes | None = None
    orientation: int = 1
    exif: bytes | None = None
    notes: list[str] = field(default_factory=list)


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
    """Copy floating-point samples to float32 in [0, 1]."""
    finite = np.isfinite(values)
    if not finite.all():
        found = values[~finite].flat[0]
        raise ImageError(f"{label}: holds the value {found}, but only finite values in [0, 1] are allowed")
    low, high = float(values.min()), float(values.max())
    if low < -_TOLERANCE or high > 1 + _TOLERANCE:
        found = low if low < -_TOLERANCE else high
        raise ImageError(
            f"{label}: holds the value {found:g}, but floating-point values must lie in [0, 1]: "
            "scale them, or convert them to uint8 or uint16"
        )
    return np.asarray(np.clip(values, 0, 1), np.float32)


def upright(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn and mirror an array (H, W, ...) as its EXIF orientation, 1 to 8, asks."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array


def to_picture(samples: Samples, name: str) -> Picture:
    """Bring samples to sRGB and upright, and freeze them."""
    notes = list(samples.notes)
    rgb = to_srgb(samples.colour, samples.icc, notes)
    alpha = samples.alpha
    if alpha is not None and bool((alpha >= 1).all()):
        alpha = None
    return Picture(
        rgb=np.ascontiguousarray(upright(rgb, samples.orientation)),
        alpha=None if alpha is None else np.ascontiguousarray(upright(alpha, samples.orientation)),
        bit_depth=samples.bit_depth,
        name=name,
        exif=samples.exif,
        notes=tuple(notes),
    )

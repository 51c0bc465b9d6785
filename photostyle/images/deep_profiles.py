"""ICC conversion of pictures deeper than 8 bits, in floating point.

``PIL.ImageCms`` computes in 8 bits only. Profiles made of a matrix and three tone curves, or of one grey
curve (cameras, screens, all the usual working spaces), are evaluated here exactly: ICC.1:2022, sections 8.3,
10.6 and 10.18. Profiles made of tables go through a lattice: LittleCMS converts the 52 × 52 × 52 colours
whose 8-bit values are multiples of 5, and the picture is interpolated linearly between them, so that nothing
is posterised; the error is below 1/255.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_ROWS = 128
"""Rows converted at a time: it bounds the memory for intermediate float64 values."""

_SRGB_TO_XYZ = np.array(  # D50, as in the sRGB profile of the ICC
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
)

Floats = NDArray[np.float64]
Curve = Callable[[Floats], Floats]


def matrix_to_srgb(rgb: NDArray[np.float32], icc: bytes) -> NDArray[np.float32] | None:
    """Convert by matrix and tone curves."""
    try:
        tags = _tags(icc)
        if icc[20:24] != b"XYZ " or any(name[:3] == b"A2B" or name[:3] == b"D2B" for name in tags):
            return None
        if icc[16:20] == b"GRAY":
            curves = [_curve(tags[b"kTRC"])] * 3
            matrix = np.eye(3)
        else:
            curves = [_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC")]
            columns = [_xyz(tags[name]) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
            matrix = np.linalg.inv(_SRGB_TO_XYZ) @ np.stack(columns, axis=1)
    except (KeyError, ValueError, struct.error):
        return None
    out = np.empty_like(rgb)
    for top in range(0, rgb.shape[0], _ROWS):
        rows = rgb[top : top + _ROWS].astype(np.float64)
        linear = np.stack([curve(rows[..., i]) for i, curve in enumerate(curves)], axis=-1) @ matrix.T
        out[top : top + _ROWS] = _encode(np.clip(linear, 0, 1))
    return out


def through_lattice(
    colour: NDArray[Any], convert: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
) -> NDArray[np.float32]:
    """Convert by linear interpolation between colours that an 8-bit conversion gives."""
    steps = np.arange(0, 256, 5, dtype=np.uint8)
    full = 1.0 if colour.dtype == np.float32 else float(np.iinfo(colour.dtype).max)
    axes = colour.shape[2] if colour.ndim == 3 else 1
    if axes == 3:
        nodes = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(1, -1, 3)
    else:
        nodes = steps[None]
    lattice = (convert(nodes).astype(np.float32) / np.float32(255)).reshape((steps.size,) * axes + (3,))
    out = np.empty((*colour.shape[:2], 3), np.float32)
    for top in range(0, colour.shape[0], _ROWS):
        rows = colour[top : top + _ROWS].astype(np.float64) * ((steps.size - 1) / full)
        where = np.moveaxis(rows, -1, 0) if axes == 3 else rows[None]
        for channel in range(3):
            out[top : top + _ROWS, :, channel] = ndimage.map_coordinates(
                lattice[..., channel], where, order=1, mode="nearest"
            )
    return out


def _tags(icc: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", icc, 128)
    tags: dict[bytes, bytes] = {}
    for index in range(min(count, 200)):
        name, offset, size = struct.unpack_from(">4sII", icc, 132 + 12 * index)
        tags[name] = icc[offset : offset + size]
    return tags


def _xyz(tag: bytes) -> Floats:
    if tag[:4] != b"XYZ ":
        raise ValueError("not an XYZ tag")
    return np.array(struct.unpack_from(">3i", tag, 8)) / 65536


def _curve(tag: bytes) -> Curve:
    """Read a tone curve, from device value to linear light."""
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        if count == 0:
            return lambda x: x
        if count == 1:
            gamma = struct.unpack_from(">H", tag, 12)[0] / 256
            return lambda x: x**gamma
        table = np.frombuffer(tag, ">u2", count, 12).astype(np.float64) / 65535
        grid = np.linspace(0, 1, count)
        return lambda x: np.interp(x, grid, table)
    if tag[:4] == b"para":
        kind = struct.unpack_from(">H", tag, 8)[0]
        if kind > 4:
            raise ValueError("unknown parametric curve")
        values = np.array(struct.unpack_from(f">{(1, 3, 4, 5, 7)[kind]}i", tag, 12)) / 65536
        return _parametric(kind, [float(value) for value in values])
    raise ValueError("unknown kind of tone curve")


def _parametric(kind: int, p: list[float]) -> Curve:
    """Build y = (a x + b)^g + e where x ≥ d, else y = c x + f, of which the kinds 0 to 4 leave parts out."""
    g = p[0]
    if g <= 0:
        raise ValueError("parametric curve without a positive exponent")
    a, b = (p[1], p[2]) if kind else (1.0, 0.0)
    c = d = e = f = 0.0
    if kind in (1, 2):
        if a == 0:
            raise ValueError("parametric curve without a slope")
        d = -b / a
        e = f = p[3] if kind == 2 else 0.0
    elif kind:
        c, d = p[3], p[4]
        e, f = (p[5], p[6]) if kind == 4 else (0.0, 0.0)
    return lambda x: np.where(x >= d, np.maximum(a * x + b, 0) ** g + e, c * x + f)


def _encode(linear: Floats) -> Floats:
    """Apply the sRGB tone curve (IEC 61966-2-1) to linear light in [0, 1]."""
    high = 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, 12.92 * linear, high)

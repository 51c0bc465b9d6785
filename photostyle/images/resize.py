"""Resizing with antialiasing, on the sRGB-encoded values, as image editors do by default."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photostyle.errors import UsageError


def resize(array: NDArray[np.float32], size: tuple[int, int], *, wraps: bool = False) -> NDArray[np.float32]:
    """Resize (H, W) or (H, W, C) in [0, 1] to (width, height) with Pillow's antialiased Lanczos filter.

    If it ``wraps``, the filter sees the opposite border beyond the border, as in a picture that tiles. Always a new
    array, clipped to [0, 1], comes back; an exact copy if the size is the same already.
    """
    width, height = size
    if width < 1 or height < 1:
        raise UsageError(f"the size to resize to is {width}×{height}, but each side needs at least 1 pixel")
    if array.ndim not in (2, 3):
        raise UsageError(f"an array of shape {array.shape} can't be resized: allowed are (H, W) and (H, W, C)")
    if array.shape[:2] == (height, width):
        return np.array(array, dtype=np.float32)
    if array.ndim == 2:
        return _resize_channel(array, size, wraps)
    out = np.empty((height, width, array.shape[2]), np.float32)
    for channel in range(array.shape[2]):
        out[..., channel] = _resize_channel(array[..., channel], size, wraps)
    return out


def _resize_channel(channel: NDArray[np.float32], size: tuple[int, int], wraps: bool) -> NDArray[np.float32]:
    height, width = channel.shape
    across = down = 0
    if wraps:  # as far as the filter reaches: three pixels of the smaller picture, and half of one for the centre
        across, down = (4 * -(-old // min(old, new)) for old, new in zip((width, height), size, strict=True))
        channel = np.pad(channel, ((down, down), (across, across)), mode="wrap")
    image = Image.fromarray(np.ascontiguousarray(channel, dtype=np.float32))
    resized = image.resize(size, Image.Resampling.LANCZOS, box=(across, down, across + width, down + height))
    return np.clip(np.asarray(resized, dtype=np.float32), 0, 1)


def fit_longest_side(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """Scale (width, height), up or down, so that its longer side is ``longest``; rounded, each at least 1."""
    width, height = size
    if longest < 1 or width < 1 or height < 1:
        raise UsageError(f"{width}×{height} can't be fitted to a longest side of {longest}: all must be at least 1")
    longer = max(width, height)

    def scaled(side: int) -> int:
        return max(1, (2 * side * longest + longer) // (2 * longer))  # round half up, exactly

    return scaled(width), scaled(height)

"""Small operations on images of labels and colours: morphology, histograms, packed colours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int32]
Ints = NDArray[np.int64]
Palette = NDArray[np.float64]  # (K, 3)


def erode(values: NDArray[Any]) -> Flags:
    """Where 3×3 pixels have one value; outside the picture its border goes on."""
    down = values[1:] == values[:-1]
    tall = np.ones(values.shape, dtype=np.bool_)
    tall[1:] &= down
    tall[:-1] &= down
    wide = (values[:, 1:] == values[:, :-1]) & tall[:, 1:] & tall[:, :-1]
    tall[:, 1:] &= wide
    tall[:, :-1] &= wide
    return tall


def shrink(flags: Flags) -> Flags:
    """Erode flags by 3×3."""
    return erode(flags) & flags


def grow(flags: Flags) -> Flags:
    """Dilate flags by 3×3."""
    return ~shrink(~flags)


def histogram(codes: NDArray[Any]) -> tuple[Ints, Ints]:
    """Count how often each value occurs; values ascending."""
    if codes.size < 1 << 18:
        values, counts = np.unique(codes, return_counts=True)
        return values.astype(np.int64), counts.astype(np.int64)
    every = np.bincount(codes.reshape(-1))
    values = np.flatnonzero(every)
    return values, every[values]


def quantise(colors: NDArray[np.float32], bits: int) -> Codes:
    """Pack colours, rounded and shifted right by `bits`, into one number each."""
    parts = np.clip(np.rint(colors), 0, 255).astype(np.int32) >> bits
    result: Codes = (parts[..., 0] << 16) | (parts[..., 1] << 8) | parts[..., 2]
    return result


def unpack(codes: Any) -> Palette:
    """Take packed colours apart into their channels, on a last axis."""
    return np.stack((codes >> 16, (codes >> 8) & 255, codes & 255), axis=-1).astype(np.float64)


def sample(where: Ints, most: int) -> Ints:
    """Take at most `most` rows, evenly."""
    return where[:: max(1, -(-len(where) // most))]


def offsets(reach: int) -> list[tuple[int, int]]:
    """List the steps (dy, dx) of at most `reach` pixels each way, the nearest first."""
    span = range(-reach, reach + 1)
    steps = [(dy, dx) for dy in span for dx in span if dy or dx]
    return sorted(steps, key=lambda step: (step[0] ** 2 + step[1] ** 2, step))

"""Which label the pixels of a border take: those that are blurred, and those of thin lines that are meant."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from photostyle.regions.labelmap.pixels import Flags, Ints, Labels, Palette, erode, grow, offsets

NO_LABEL = 255  # in a label image: no label yet
_REACH = 5  # pixels to both sides, where the labels around a pixel are looked for
_RAY = 16  # pixels, at most, from one side of a blurred border to the other


def trusted_labels(index: Labels, width: int) -> Labels:
    """Keep the labels of the pixels that lie in a square of one label, 3×3 or 2×2."""
    if width == 3:
        solid = grow(erode(index))
    else:
        padded = np.pad(index, 1, mode="edge")
        a, b, c, d = padded[:-1, :-1], padded[1:, :-1], padded[:-1, 1:], padded[1:, 1:]
        square = (a == b) & (a == c) & (a == d)
        solid = square[:-1, :-1] | square[1:, :-1] | square[:-1, 1:] | square[1:, 1:]
    return np.where(solid, index, np.uint8(NO_LABEL))


def keep_thin(index: Labels, trusted: Labels, palette: Palette, hard: bool) -> None:
    """Trust also the pixels of thin parts: their colour is a label's and no mix of the labels around."""
    where = np.argwhere((index != NO_LABEL) & (trusted == NO_LABEL))
    if not len(where):
        return
    own = index[where[:, 0], where[:, 1]]
    around = labels_around(trusted, where, len(palette))
    keep = ~are_mixes(own, around, palette, palette)
    if hard:
        keep |= labels_around(trusted, where, len(palette), reach=1)[np.arange(len(where)), own]
    y, x = where[keep].T
    trusted[y, x] = own[keep]


def fill(trusted: Labels, rgb: NDArray[np.uint8], palette: Palette) -> None:
    """Give every pixel without a label one of the two labels on its sides, the nearer in colour."""
    y, x = np.nonzero(trusted == NO_LABEL)
    if not len(y):
        return
    limit = (trusted.shape[0] - 1, trusted.shape[1] - 1)
    near = np.full(len(y), NO_LABEL, dtype=np.uint8)
    away = np.zeros((len(y), 2))
    todo = np.arange(len(y))
    for dy, dx in offsets(_REACH):
        label = trusted[np.clip(y[todo] + dy, 0, limit[0]), np.clip(x[todo] + dx, 0, limit[1])]
        hit = label != NO_LABEL
        near[todo[hit]] = label[hit]
        away[todo[hit]] = np.array((-dy, -dx)) / np.hypot(dy, dx)
        todo = todo[~hit]
    if len(todo):
        rows, columns = ndimage.distance_transform_edt(trusted == NO_LABEL, return_distances=False, return_indices=True)
        to = np.stack((rows[y[todo], x[todo]], columns[y[todo], x[todo]]), axis=1)
        near[todo] = trusted[to[:, 0], to[:, 1]]
        back = np.stack((y[todo], x[todo]), axis=1) - to
        away[todo] = back / np.linalg.norm(back, axis=1, keepdims=True)
    far = near.copy()
    todo = np.arange(len(y))
    for distance in range(1, _RAY + 1):
        step = np.rint(away[todo] * distance).astype(np.int64)
        label = trusted[np.clip(y[todo] + step[:, 0], 0, limit[0]), np.clip(x[todo] + step[:, 1], 0, limit[1])]
        hit = label != NO_LABEL
        far[todo[hit]] = label[hit]
        todo = todo[~hit]
    color = rgb[y, x].astype(np.float64)
    nearer = np.linalg.norm(color - palette[far], axis=1) < np.linalg.norm(color - palette[near], axis=1)
    trusted[y, x] = np.where(nearer, far, near)


def labels_around(trusted: Labels, where: Ints, labels: int, reach: int = _REACH) -> Flags:
    """Which labels are trusted within `reach` pixels of each place (M, 2): an array (M, labels)."""
    present = np.zeros((len(where), NO_LABEL + 1), dtype=np.bool_)
    rows = np.arange(len(where))
    limit = (trusted.shape[0] - 1, trusted.shape[1] - 1)
    for offset in offsets(reach):
        y, x = np.clip(where + offset, 0, limit).T
        present[rows, trusted[y, x]] = True
    return present[:, :labels]


def are_mixes(own: NDArray[Any], around: Flags, colors: Palette, palette: Palette) -> Flags:
    """Whether colour `colors[own]` is a mix of the colours of the other labels around, for each place."""
    around = around.copy()
    if colors is palette:
        around[np.arange(len(own)), own] = False
    keys = np.column_stack((own.astype(np.uint8), np.packbits(around, axis=1)))
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    answers = [_in_hull(colors[own[i]], palette[around[i]], palette) for i in first]
    return np.array(answers, dtype=np.bool_)[inverse.reshape(-1)]


def _in_hull(color: NDArray[np.float64], others: Palette, palette: Palette) -> bool:
    """Whether a colour is, nearly, a convex combination of others; sharpening's overshoot included."""
    from scipy import optimize  # takes a fifth of a second, and few maps need it

    if not len(others):
        return False
    gaps = np.linalg.norm(palette - color, axis=1)
    tolerance = min(10.0, 0.25 * float(gaps[gaps > 0].min(initial=40.0)))
    centre = others.mean(axis=0)
    corners = centre + 1.2 * (others - centre)
    weight = 1e4  # of the condition that the coefficients sum to one
    matrix = np.concatenate((corners.T, np.full((1, len(others)), weight)))
    _, distance = optimize.nnls(matrix, np.append(color, weight))
    return bool(distance <= tolerance)

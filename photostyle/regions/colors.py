"""From the colours of a map to labels, though its borders are blurred or its colours are noisy.

A colour is a label if it fills 3×3 pixels somewhere, or if it makes hard, thin lines. A colour that only
lies between two labels and is a mix of them is a blurred border, whatever its name: black|white blurs
through grey. Pixels of borders take the one of the labels on their two sides that is nearer in colour.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from photostyle.errors import RegionError
from photostyle.regions.legend import COMMON_COLORS

__all__ = ["MOST_LABELS", "decode_colors"]

MOST_LABELS = 64

_NONE = 255  # in a label image: no label yet
_NEAR = 24  # levels a channel: a small area of a map with noise or blur that misses a label's colour
_COMMON = 32  # levels a channel: what misses a common colour in a map of common colours
_FEW = 256  # distinct colours, at most, of a map that may have lines thinner than 3 pixels
_REACH = 5  # pixels to both sides, where the labels around a pixel are looked for
_RAY = 16  # pixels, at most, from one side of a blurred border to the other
_QUIET = 48  # levels: the largest range in 5×5 pixels of a flat, noisy area
_CLUSTER = 24.0  # levels: the radius of one label's colours, once noise is averaged
_SPREAD = 48.0  # levels: the radius of one label's colours with noise

Labels = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int32]
Ints = NDArray[np.int64]
Palette = NDArray[np.float64]  # (K, 3)


def decode_colors(rgb: NDArray[np.uint8], *, name: str) -> tuple[Labels, list[tuple[int, int, int]]]:
    """Decode a colour map.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (H, W, 3)
        The map; flat colours, with or without blurred borders or moderate noise.
    name : str
        The map's name for messages.

    Returns
    -------
    index : ndarray of uint8, shape (H, W)
        For each pixel the number of its label; each of 0…K−1 occurs.
    palette : list of (red, green, blue)
        The K colours of the labels, each different, in ascending order.

    Raises
    ------
    RegionError
        If the picture has more than 64 labels or no flat colours.
    """
    parts = rgb.astype(np.int32)
    codes: Codes = (parts[..., 0] << 16) | (parts[..., 1] << 8) | parts[..., 2]
    del parts
    colors, counts = _histogram(codes)
    palette, table, hard = _exact_palette(codes, colors, counts, name)
    index = table[codes]
    labels = _trusted(index, 2 if hard else 3)
    covered = float(np.mean(labels != _NONE))
    more = palette[:0]
    if len(palette) and (len(colors) <= _FEW or covered >= 0.1):
        if covered > 0:
            _keep_thin(index, labels, palette, hard)
            _fill(labels, rgb, palette)
        else:
            labels = index
        if len(colors) > _FEW:
            more = _missed(labels, rgb, palette, name)
    else:
        palette, more = palette[:0], _clusters(rgb, name)
    if len(more) or not len(palette):
        palette = np.concatenate((palette, more))
        labels = _trusted(_nearest(rgb, palette), 3)
        if np.mean(labels != _NONE) < 0.4:
            raise _no_map(name)
        _fill(labels, rgb, palette)
    return _compact(labels, palette)


def _exact_palette(codes: Codes, colors: Ints, counts: Ints, name: str) -> tuple[Palette, Labels, bool]:
    """Find the labels' colours, a table from colour to label, and whether every colour is a label's."""
    flat = _erode(codes)
    flat_colors, flat_counts = _histogram(codes[flat])
    thick = np.isin(flat_colors, codes[_shrink(_shrink(flat))])
    clean = 2 * len(flat_colors) >= len(colors)  # few colours that are only borders or noise
    if not len(flat_colors) and len(colors) <= MOST_LABELS:  # too small a map, or too fine, for 3×3 pixels
        clean, flat_colors, flat_counts = True, colors, counts
        thick = np.zeros(len(colors), dtype=np.bool_)
    if clean and len(flat_colors) > MOST_LABELS:
        raise _too_many(name, len(flat_colors))
    reach = _merge_reach(codes.size, colors, flat_counts, thick, clean)
    table = np.full(1 << 24, _NONE, dtype=np.uint8)
    leaders: list[int] = []
    for i in np.argsort(-flat_counts, kind="stable"):
        gaps = np.abs(_unpack(flat_colors[leaders]) - _unpack(flat_colors[i])).max(axis=1)
        if gaps.min(initial=np.inf) > reach[i]:
            table[flat_colors[i]] = len(leaders)
            leaders.append(int(i))
        else:
            table[flat_colors[i]] = gaps.argmin()
        if len(leaders) > MOST_LABELS:
            return np.zeros((0, 3)), np.full(1 << 24, _NONE, dtype=np.uint8), False
    palette = _unpack(flat_colors[leaders])
    if not clean:
        leaders = _join_common(table, palette, leaders)
        palette = _unpack(flat_colors[leaders])
        _drop_mixes(table, codes, palette, thick[leaders])
    if len(colors) <= _FEW and len(palette):
        palette = _add_thin(table, codes, colors, counts, palette, clean)
        if len(palette) > MOST_LABELS:
            raise _too_many(name, len(palette))
    return palette, table, bool((table[colors] != _NONE).all())


def _merge_reach(pixels: int, colors: Ints, counts: Ints, thick: Flags, clean: bool) -> Ints:
    """How many levels colours may miss a commoner one and be taken for it.

    None where it could be an index that was saved as a colour; some where it is noise or the end of a blur.
    """
    few = len(colors) <= MOST_LABELS
    grey = bool(((colors >> 16 == colors & 255) & ((colors >> 8) & 255 == colors & 255)).all())
    if clean and (few or grey):
        return np.where(counts < 0.001 * pixels, 3, 0)
    sure = thick & (few | (counts >= 0.01 * pixels))
    return np.where(sure, 3 if few else 4, _NEAR)


def _join_common(table: Labels, palette: Palette, leaders: list[int]) -> list[int]:
    """Where all colours are roughly common ones, join those of one common colour: two reds are one."""
    gaps = np.abs(palette[:, None] - np.array(list(COMMON_COLORS.values()))).max(axis=2)
    if not len(palette) or gaps.min(axis=1).max() > _COMMON:
        return leaders
    _, first, joined = np.unique(gaps.argmin(axis=1), return_index=True, return_inverse=True)
    table[:] = np.append(joined.reshape(-1), np.full(_NONE + 1 - len(joined), _NONE)).astype(np.uint8)[table]
    return [leaders[i] for i in first]


def _drop_mixes(table: Labels, codes: Codes, palette: Palette, thick: Flags) -> None:
    """Take from the table the labels that are small and only a mix of larger ones around them."""
    if not thick.any() or thick.all():
        return
    large = np.where(np.append(thick, np.zeros(_NONE + 1 - len(thick), np.bool_))[table], table, _NONE)
    index = table[codes]
    trusted = _trusted(large.astype(np.uint8)[codes], 3)
    for label in np.flatnonzero(~thick):
        where = _sample(np.argwhere(index == label), 256)
        if _have_bodies(codes, where, palette[label]).any():
            continue
        around = _around(trusted, where, len(palette))
        if _are_mixes(np.full(len(where), label), around, palette, palette).mean() > 0.5:
            table[table == label] = _NONE


def _have_bodies(codes: Codes, where: Ints, color: NDArray[np.float64]) -> Flags:
    """Whether the 7×7 pixels around each place have about one colour: more than a blurred border has."""
    bodies = np.ones(len(where), dtype=np.bool_)
    for offset in _offsets(3):
        y, x = np.clip(where + offset, 0, np.array(codes.shape) - 1).T
        bodies &= np.abs(_unpack(codes[y, x]) - color).max(axis=1) <= 16
    return bodies


def _add_thin(table: Labels, codes: Codes, colors: Ints, counts: Ints, palette: Palette, clean: bool) -> Palette:
    """Add to the table the colours of hard, thin lines: no blur beside them, and no mix of what is there."""
    least = max(1, min(8, codes.size // 500))
    known = table[codes]
    trusted = _trusted(known, 3)
    found: list[int] = []
    height, width = codes.shape
    reach = _merge_reach(codes.size, colors, counts, np.zeros(len(colors), dtype=np.bool_), clean)
    gaps = np.abs(_unpack(colors)[:, None] - palette).max(axis=2).min(axis=1)
    for color in colors[(counts >= least) & (gaps > reach) & (table[colors] == _NONE)]:
        where = _sample(np.argwhere(codes == color), 512)
        beside = steps = 0
        for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)):
            y, x = np.clip(where + np.array((dy, dx)), 0, (height - 1, width - 1)).T
            other = codes[y, x] != color
            beside += int(other.sum())
            steps += int((other & (known[y, x] != _NONE)).sum())
        if steps < 0.7 * beside:
            continue
        around = _around(trusted, where, len(palette))
        mixes = _are_mixes(np.zeros(len(where), np.int64), around, _unpack(np.array([color])), palette)
        if mixes.mean() <= 0.5:
            found.append(int(color))
    table[found] = np.arange(len(palette), len(palette) + len(found))
    return np.concatenate((palette, _unpack(np.array(found, dtype=np.int64))))


def _missed(labels: Labels, rgb: NDArray[np.uint8], palette: Palette, name: str) -> Palette:
    """Find the colours of solid areas that noise left without flat pixels, so that they got wrong labels."""
    table = np.rint(palette).astype(np.int16)
    far = np.zeros(labels.shape, dtype=np.bool_)
    for c in range(3):
        far |= np.abs(rgb[..., c] - table[labels, c]) > 40
    solid = _shrink(_shrink(_shrink(far)))
    if solid.mean() < 0.0002:
        return palette[:0]
    found = _clusters(rgb, name, solid)
    gaps = np.linalg.norm(rgb[solid][:, None] - found, axis=2)
    known = palette
    for i in range(len(found)):
        where = _sample(np.argwhere(solid)[(gaps.argmin(axis=1) == i) & (gaps[:, i] <= _SPREAD)], 256)
        if not len(where) or np.linalg.norm(known - found[i], axis=1).min() <= _SPREAD:
            continue
        around = np.ones((len(where), len(known)), dtype=np.bool_)
        around[:, : len(palette)] = _around(labels, where, len(palette))
        if _are_mixes(np.full(len(where), i), around, found, known).mean() <= 0.5:
            known = np.concatenate((known, found[i : i + 1]))
    return known[len(palette) :]


def _clusters(rgb: NDArray[np.uint8], name: str, inside: Flags | None = None) -> Palette:
    """Cluster the colours of flat areas with noise; with `inside`, of small areas there only."""
    step = max(1, int(np.sqrt(rgb.shape[0] * rgb.shape[1] / 1e6)))
    height, width = (side // step * step for side in rgb.shape[:2])
    cells = rgb[:height, :width].reshape(height // step, step, width // step, step, 3)
    small = cells.mean(axis=(1, 3), dtype=np.float32)
    quiet = np.ones(small.shape[:2], dtype=np.bool_)
    for c in range(3):
        span = ndimage.maximum_filter(small[..., c], 5) - ndimage.minimum_filter(small[..., c], 5)
        quiet &= span <= _QUIET
    least = 9.0
    if inside is not None:
        quiet &= inside[:height:step, :width:step]
    elif quiet.mean() < 0.3:
        raise _no_map(name)
    else:
        least = max(least, 0.0005 * quiet.size)
    smooth = ndimage.uniform_filter(small, (5, 5, 1))[quiet]
    bins, counts = _histogram(_quantise(smooth, 2))
    centres = _unpack(bins) * 4 + 1.5
    left = np.ones(len(bins), dtype=np.bool_)
    found = []
    while left.any():
        start = centres[left][counts[left].argmax()]
        near = left & (np.linalg.norm(centres - start, axis=1) <= _CLUSTER)
        if counts[near].sum() >= least:
            found.append(np.average(centres[near], axis=0, weights=counts[near]))
        left &= ~near
        if len(found) > MOST_LABELS:
            raise _too_many(name, len(found))
    if not found and inside is None:
        raise _no_map(name)
    return np.array(found, dtype=np.float64).reshape(-1, 3)


def _nearest(rgb: NDArray[np.uint8], palette: Palette) -> Labels:
    """Label each pixel by the nearest colour, or not at all if that is far."""
    levels = np.indices((32, 32, 32)).reshape(3, -1).T * 8 + 3.5
    gaps = np.linalg.norm(levels[:, None] - palette, axis=2)
    table = np.where(gaps.min(axis=1) <= _SPREAD, gaps.argmin(axis=1), _NONE).astype(np.uint8)
    parts = (rgb >> 3).astype(np.int32)
    result: Labels = table[(parts[..., 0] << 10) | (parts[..., 1] << 5) | parts[..., 2]]
    return result


def _trusted(index: Labels, width: int) -> Labels:
    """Keep the labels of the pixels that lie in a square of one label, 3×3 or 2×2."""
    if width == 3:
        solid = _grow(_erode(index))
    else:
        padded = np.pad(index, 1, mode="edge")
        a, b, c, d = padded[:-1, :-1], padded[1:, :-1], padded[:-1, 1:], padded[1:, 1:]
        square = (a == b) & (a == c) & (a == d)
        solid = square[:-1, :-1] | square[1:, :-1] | square[:-1, 1:] | square[1:, 1:]
    return np.where(solid, index, np.uint8(_NONE))


def _keep_thin(index: Labels, trusted: Labels, palette: Palette, hard: bool) -> None:
    """Trust also the pixels of thin parts: their colour is a label's and no mix of the labels around."""
    where = np.argwhere((index != _NONE) & (trusted == _NONE))
    if not len(where):
        return
    own = index[where[:, 0], where[:, 1]]
    around = _around(trusted, where, len(palette))
    keep = ~_are_mixes(own, around, palette, palette)
    if hard:
        keep |= _around(trusted, where, len(palette), reach=1)[np.arange(len(where)), own]
    y, x = where[keep].T
    trusted[y, x] = own[keep]


def _fill(trusted: Labels, rgb: NDArray[np.uint8], palette: Palette) -> None:
    """Give every pixel without a label one of the two labels on its sides, the nearer in colour."""
    y, x = np.nonzero(trusted == _NONE)
    if not len(y):
        return
    limit = (trusted.shape[0] - 1, trusted.shape[1] - 1)
    near = np.full(len(y), _NONE, dtype=np.uint8)
    away = np.zeros((len(y), 2))
    todo = np.arange(len(y))
    for dy, dx in _offsets(_REACH):
        label = trusted[np.clip(y[todo] + dy, 0, limit[0]), np.clip(x[todo] + dx, 0, limit[1])]
        hit = label != _NONE
        near[todo[hit]] = label[hit]
        away[todo[hit]] = np.array((-dy, -dx)) / np.hypot(dy, dx)
        todo = todo[~hit]
    if len(todo):
        rows, columns = ndimage.distance_transform_edt(trusted == _NONE, return_distances=False, return_indices=True)
        to = np.stack((rows[y[todo], x[todo]], columns[y[todo], x[todo]]), axis=1)
        near[todo] = trusted[to[:, 0], to[:, 1]]
        back = np.stack((y[todo], x[todo]), axis=1) - to
        away[todo] = back / np.linalg.norm(back, axis=1, keepdims=True)
    far = near.copy()
    todo = np.arange(len(y))
    for distance in range(1, _RAY + 1):
        step = np.rint(away[todo] * distance).astype(np.int64)
        label = trusted[np.clip(y[todo] + step[:, 0], 0, limit[0]), np.clip(x[todo] + step[:, 1], 0, limit[1])]
        hit = label != _NONE
        far[todo[hit]] = label[hit]
        todo = todo[~hit]
    color = rgb[y, x].astype(np.float64)
    nearer = np.linalg.norm(color - palette[far], axis=1) < np.linalg.norm(color - palette[near], axis=1)
    trusted[y, x] = np.where(nearer, far, near)


def _around(trusted: Labels, where: Ints, labels: int, reach: int = _REACH) -> Flags:
    """Which labels are trusted within `reach` pixels of each place (M, 2): an array (M, labels)."""
    present = np.zeros((len(where), _NONE + 1), dtype=np.bool_)
    rows = np.arange(len(where))
    limit = (trusted.shape[0] - 1, trusted.shape[1] - 1)
    for offset in _offsets(reach):
        y, x = np.clip(where + offset, 0, limit).T
        present[rows, trusted[y, x]] = True
    return present[:, :labels]


def _are_mixes(own: NDArray[Any], around: Flags, colors: Palette, palette: Palette) -> Flags:
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


def _compact(index: Labels, palette: Palette) -> tuple[Labels, list[tuple[int, int, int]]]:
    """Leave out the labels without pixels and put the rest in the order of their colours."""
    levels = np.clip(np.rint(palette), 0, 255).astype(int)
    colors = [(int(r), int(g), int(b)) for r, g, b in levels]
    used = sorted({colors[label] for label in np.flatnonzero(np.bincount(index.reshape(-1)))})
    table = np.array([used.index(c) if c in used else 0 for c in colors], dtype=np.uint8)
    return table[index], used


def _erode(values: NDArray[Any]) -> Flags:
    """Where 3×3 pixels have one value; outside the picture its border goes on."""
    down = values[1:] == values[:-1]
    tall = np.ones(values.shape, dtype=np.bool_)
    tall[1:] &= down
    tall[:-1] &= down
    wide = (values[:, 1:] == values[:, :-1]) & tall[:, 1:] & tall[:, :-1]
    tall[:, 1:] &= wide
    tall[:, :-1] &= wide
    return tall


def _shrink(flags: Flags) -> Flags:
    """Erode flags by 3×3."""
    return _erode(flags) & flags


def _grow(flags: Flags) -> Flags:
    """Dilate flags by 3×3."""
    return ~_shrink(~flags)


def _histogram(codes: NDArray[Any]) -> tuple[Ints, Ints]:
    """Count how often each value occurs; values ascending."""
    if codes.size < 1 << 18:
        values, counts = np.unique(codes, return_counts=True)
        return values.astype(np.int64), counts.astype(np.int64)
    every = np.bincount(codes.reshape(-1))
    values = np.flatnonzero(every)
    return values, every[values]


def _quantise(colors: NDArray[np.float32], bits: int) -> Codes:
    parts = np.clip(np.rint(colors), 0, 255).astype(np.int32) >> bits
    result: Codes = (parts[..., 0] << 16) | (parts[..., 1] << 8) | parts[..., 2]
    return result


def _unpack(codes: Any) -> Palette:
    return np.stack((codes >> 16, (codes >> 8) & 255, codes & 255), axis=-1).astype(np.float64)


def _sample(where: Ints, most: int) -> Ints:
    return where[:: max(1, -(-len(where) // most))]


def _offsets(reach: int) -> list[tuple[int, int]]:
    """List the steps (dy, dx) of at most `reach` pixels each way, the nearest first."""
    span = range(-reach, reach + 1)
    steps = [(dy, dx) for dy in span for dx in span if dy or dx]
    return sorted(steps, key=lambda step: (step[0] ** 2 + step[1] ** 2, step))


def _too_many(name: str, found: int) -> RegionError:
    return RegionError(
        f"mask {name} has {found} flat colours or more and looks like a photograph rather than a label map: "
        f"give one with {MOST_LABELS} labels or fewer"
    )


def _no_map(name: str) -> RegionError:
    return RegionError(
        f"mask {name} has no flat colours and looks like a photograph rather than a label map: "
        f"give one with {MOST_LABELS} flat colours or fewer"
    )

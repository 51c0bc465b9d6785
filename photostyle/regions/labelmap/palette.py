"""Which colours of a map are labels: those that fill 3×3 pixels somewhere, or make hard, thin lines."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from photostyle.errors import RegionError
from photostyle.regions.labelmap.borders import NO_LABEL, are_mixes, labels_around, trusted_labels
from photostyle.regions.labelmap.legend import COMMON_COLORS
from photostyle.regions.labelmap.pixels import (
    Codes,
    Flags,
    Ints,
    Labels,
    Palette,
    erode,
    histogram,
    offsets,
    quantise,
    sample,
    shrink,
    unpack,
)

MOST_LABELS = 64
_NEAR = 24  # levels a channel: a small area of a map with noise or blur that misses a label's colour
_COMMON = 32  # levels a channel: what misses a common colour in a map of common colours
FEW = 256  # distinct colours, at most, of a map that may have lines thinner than 3 pixels
_QUIET = 48  # levels: the largest range in 5×5 pixels of a flat, noisy area
_CLUSTER = 24.0  # levels: the radius of one label's colours, once noise is averaged
_SPREAD = 48.0  # levels: the radius of one label's colours with noise


def exact_palette(codes: Codes, colors: Ints, counts: Ints, name: str) -> tuple[Palette, Labels, bool]:
    """Find the labels' colours, a table from colour to label, and whether every colour is a label's."""
    flat = erode(codes)
    flat_colors, flat_counts = histogram(codes[flat])
    thick = np.isin(flat_colors, codes[shrink(shrink(flat))])
    clean = 2 * len(flat_colors) >= len(colors)  # few colours that are only borders or noise
    if not len(flat_colors) and len(colors) <= MOST_LABELS:  # too small a map, or too fine, for 3×3 pixels
        clean, flat_colors, flat_counts = True, colors, counts
        thick = np.zeros(len(colors), dtype=np.bool_)
    if clean and len(flat_colors) > MOST_LABELS:
        raise _too_many(name, len(flat_colors))
    reach = _merge_reach(codes.size, colors, flat_counts, thick, clean)
    table = np.full(1 << 24, NO_LABEL, dtype=np.uint8)
    leaders: list[int] = []
    for i in np.argsort(-flat_counts, kind="stable"):
        gaps = np.abs(unpack(flat_colors[leaders]) - unpack(flat_colors[i])).max(axis=1)
        if gaps.min(initial=np.inf) > reach[i]:
            table[flat_colors[i]] = len(leaders)
            leaders.append(int(i))
        else:
            table[flat_colors[i]] = gaps.argmin()
        if len(leaders) > MOST_LABELS:
            return np.zeros((0, 3)), np.full(1 << 24, NO_LABEL, dtype=np.uint8), False
    palette = unpack(flat_colors[leaders])
    if not clean:
        leaders = _join_common(table, palette, leaders)
        palette = unpack(flat_colors[leaders])
        _drop_mixes(table, codes, palette, thick[leaders])
    if len(colors) <= FEW and len(palette):
        palette = _add_thin(table, codes, colors, counts, palette, clean)
        if len(palette) > MOST_LABELS:
            raise _too_many(name, len(palette))
    return palette, table, bool((table[colors] != NO_LABEL).all())


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
    table[:] = np.append(joined.reshape(-1), np.full(NO_LABEL + 1 - len(joined), NO_LABEL)).astype(np.uint8)[table]
    return [leaders[i] for i in first]


def _drop_mixes(table: Labels, codes: Codes, palette: Palette, thick: Flags) -> None:
    """Take from the table the labels that are small and only a mix of larger ones around them."""
    if not thick.any() or thick.all():
        return
    large = np.where(np.append(thick, np.zeros(NO_LABEL + 1 - len(thick), np.bool_))[table], table, NO_LABEL)
    index = table[codes]
    trusted = trusted_labels(large.astype(np.uint8)[codes], 3)
    for label in np.flatnonzero(~thick):
        where = sample(np.argwhere(index == label), 256)
        if _have_bodies(codes, where, palette[label]).any():
            continue
        around = labels_around(trusted, where, len(palette))
        if are_mixes(np.full(len(where), label), around, palette, palette).mean() > 0.5:
            table[table == label] = NO_LABEL


def _have_bodies(codes: Codes, where: Ints, color: NDArray[np.float64]) -> Flags:
    """Whether the 7×7 pixels around each place have about one colour: more than a blurred border has."""
    bodies = np.ones(len(where), dtype=np.bool_)
    for offset in offsets(3):
        y, x = np.clip(where + offset, 0, np.array(codes.shape) - 1).T
        bodies &= np.abs(unpack(codes[y, x]) - color).max(axis=1) <= 16
    return bodies


def _add_thin(table: Labels, codes: Codes, colors: Ints, counts: Ints, palette: Palette, clean: bool) -> Palette:
    """Add to the table the colours of hard, thin lines: no blur beside them, and no mix of what is there."""
    least = max(1, min(8, codes.size // 500))
    known = table[codes]
    trusted = trusted_labels(known, 3)
    found: list[int] = []
    height, width = codes.shape
    reach = _merge_reach(codes.size, colors, counts, np.zeros(len(colors), dtype=np.bool_), clean)
    gaps = np.abs(unpack(colors)[:, None] - palette).max(axis=2).min(axis=1)
    for color in colors[(counts >= least) & (gaps > reach) & (table[colors] == NO_LABEL)]:
        where = sample(np.argwhere(codes == color), 512)
        beside = steps = 0
        for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)):
            y, x = np.clip(where + np.array((dy, dx)), 0, (height - 1, width - 1)).T
            other = codes[y, x] != color
            beside += int(other.sum())
            steps += int((other & (known[y, x] != NO_LABEL)).sum())
        if steps < 0.7 * beside:
            continue
        around = labels_around(trusted, where, len(palette))
        mixes = are_mixes(np.zeros(len(where), np.int64), around, unpack(np.array([color])), palette)
        if mixes.mean() <= 0.5:
            found.append(int(color))
    table[found] = np.arange(len(palette), len(palette) + len(found))
    return np.concatenate((palette, unpack(np.array(found, dtype=np.int64))))


def missed(labels: Labels, rgb: NDArray[np.uint8], palette: Palette, name: str) -> Palette:
    """Find the colours of solid areas that noise left without flat pixels, so that they got wrong labels."""
    table = np.rint(palette).astype(np.int16)
    far = np.zeros(labels.shape, dtype=np.bool_)
    for c in range(3):
        far |= np.abs(rgb[..., c] - table[labels, c]) > 40
    solid = shrink(shrink(shrink(far)))
    if solid.mean() < 0.0002:
        return palette[:0]
    found = clusters(rgb, name, solid)
    gaps = np.linalg.norm(rgb[solid][:, None] - found, axis=2)
    known = palette
    for i in range(len(found)):
        where = sample(np.argwhere(solid)[(gaps.argmin(axis=1) == i) & (gaps[:, i] <= _SPREAD)], 256)
        if not len(where) or np.linalg.norm(known - found[i], axis=1).min() <= _SPREAD:
            continue
        around = np.ones((len(where), len(known)), dtype=np.bool_)
        around[:, : len(palette)] = labels_around(labels, where, len(palette))
        if are_mixes(np.full(len(where), i), around, found, known).mean() <= 0.5:
            known = np.concatenate((known, found[i : i + 1]))
    return known[len(palette) :]


def clusters(rgb: NDArray[np.uint8], name: str, inside: Flags | None = None) -> Palette:
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
        raise no_map(name)
    else:
        least = max(least, 0.0005 * quiet.size)
    smooth = ndimage.uniform_filter(small, (5, 5, 1))[quiet]
    bins, counts = histogram(quantise(smooth, 2))
    centres = unpack(bins) * 4 + 1.5
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
        raise no_map(name)
    return np.array(found, dtype=np.float64).reshape(-1, 3)


def nearest(rgb: NDArray[np.uint8], palette: Palette) -> Labels:
    """Label each pixel by the nearest colour, or not at all if that is far."""
    levels = np.indices((32, 32, 32)).reshape(3, -1).T * 8 + 3.5
    gaps = np.linalg.norm(levels[:, None] - palette, axis=2)
    table = np.where(gaps.min(axis=1) <= _SPREAD, gaps.argmin(axis=1), NO_LABEL).astype(np.uint8)
    parts = (rgb >> 3).astype(np.int32)
    result: Labels = table[(parts[..., 0] << 10) | (parts[..., 1] << 5) | parts[..., 2]]
    return result


def _too_many(name: str, found: int) -> RegionError:
    return RegionError(
        f"mask {name} has {found} flat colours or more and looks like a photograph rather than a label map: "
        f"give one with {MOST_LABELS} labels or fewer"
    )


def no_map(name: str) -> RegionError:
    """Make the error for a picture without flat colours."""
    return RegionError(
        f"mask {name} has no flat colours and looks like a photograph rather than a label map: "
        f"give one with {MOST_LABELS} flat colours or fewer"
    )

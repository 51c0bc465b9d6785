"""From the colours of a map to labels, though its borders are blurred or its colours are noisy.

A colour is a label if it fills 3×3 pixels somewhere, or if it makes hard, thin lines. A colour that only
lies between two labels and is a mix of them is a blurred border, whatever its name: black|white blurs
through grey. Pixels of borders take the one of the labels on their two sides that is nearer in colour.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from photostyle.regions.labelmap.borders import NO_LABEL, fill, keep_thin, trusted_labels
from photostyle.regions.labelmap.palette import FEW, clusters, exact_palette, missed, nearest, no_map
from photostyle.regions.labelmap.pixels import Codes, Labels, Palette, histogram

_OFF = 4.0  # levels: what the mean of 5×5 pixels of a label may miss its colour by; noise is less
_MOST_OFF = 0.6  # of the pixels; blur and JPEG reach 0.5 in maps of common kinds, photographs begin at 0.67
_LEAST_FLAT = 0.3  # of the pixels that have a label's colour; a map of narrow regions that is blurred has more


def decode_colors(rgb: NDArray[np.uint8], *, name: str) -> tuple[Labels, list[tuple[int, int, int]]]:
    """Decode a colour map."""
    parts = rgb.astype(np.int32)
    codes: Codes = (parts[..., 0] << 16) | (parts[..., 1] << 8) | parts[..., 2]
    del parts
    colors, counts = histogram(codes)
    palette, table, hard = exact_palette(codes, colors, counts, name)
    index = table[codes]
    labels = trusted_labels(index, 2 if hard else 3)
    covered = float(np.mean(labels != NO_LABEL))
    more = palette[:0]
    if len(palette) and (len(colors) <= FEW or covered >= 0.1):
        if covered > 0:
            keep_thin(index, labels, palette, hard)
            fill(labels, rgb, palette)
        else:
            labels = index
        if len(colors) > FEW:
            more = missed(labels, rgb, palette, name)
    else:
        palette, more = palette[:0], clusters(rgb, name)
    if len(more) or not len(palette):
        palette = np.concatenate((palette, more))
        labels = trusted_labels(nearest(rgb, palette), 3)
        if np.mean(labels != NO_LABEL) < 0.4:
            raise no_map(name)
        fill(labels, rgb, palette)
    labels, listed = _compact(labels, palette)
    _check_flat(rgb, labels, listed, name)
    return labels, listed


def _compact(index: Labels, palette: Palette) -> tuple[Labels, list[tuple[int, int, int]]]:
    """Leave out the labels without pixels and put the rest in the order of their colours."""
    levels = np.clip(np.rint(palette), 0, 255).astype(int)
    colors = [(int(r), int(g), int(b)) for r, g, b in levels]
    used = sorted({colors[label] for label in np.flatnonzero(np.bincount(index.reshape(-1)))})
    table = np.array([used.index(c) if c in used else 0 for c in colors], dtype=np.uint8)
    return table[index], used


def _check_flat(rgb: NDArray[np.uint8], index: Labels, palette: list[tuple[int, int, int]], name: str) -> None:
    """Refuse a photograph: most of its areas have, even where noise is averaged away, no label's colour."""
    flat, off = np.ones(index.shape, dtype=np.bool_), np.zeros(index.shape, dtype=np.bool_)
    for c in range(3):
        gaps = rgb[..., c] - np.array([color[c] for color in palette], dtype=np.float32)[index]
        flat &= np.abs(gaps) <= 1
        off |= np.abs(ndimage.uniform_filter(gaps, 5)) > _OFF
    if off.mean() > _MOST_OFF and flat.mean() < _LEAST_FLAT:
        raise no_map(name)

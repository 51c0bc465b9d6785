"""Labels too small for a style of their own join their largest neighbour."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from photostyle.regions.labels import LabelMasks

TINY = 0.005
"""The smallest share of a picture that a label needs for a style of its own."""


def absorb_tiny(masks: LabelMasks, *, minimum: float = TINY) -> tuple[LabelMasks, tuple[str, ...]]:
    """Add the masks of tiny labels to those of their neighbours."""
    names = list(masks.labels)
    parts = dict(zip(names, masks.masks, strict=True))
    shares = masks.shares
    notes = []
    while len(names) > 1:
        tiny = min(names, key=lambda label: shares[label])
        if shares[tiny] >= minimum:
            break
        names.remove(tiny)
        touching = _neighbours(parts[tiny], {label: parts[label] for label in names})
        heir = max(touching or names, key=lambda label: shares[label])
        small = f"{_percent(shares[tiny])} (less than {_percent(minimum)})"
        notes.append(f'label "{tiny}" covers {small} and joins "{heir}"')
        parts[heir] = np.minimum(parts[heir] + parts.pop(tiny), np.float32(1))
        shares[heir] += shares[tiny]
    if not notes:
        return masks, ()
    colors = {label: color for label, color in masks.colors.items() if label in names}
    stacked = np.stack([parts[label] for label in names])
    return replace(masks, labels=tuple(names), masks=stacked, colors=colors), tuple(notes)


def _neighbours(mask: NDArray[np.float32], others: dict[str, NDArray[np.float32]]) -> list[str]:
    """Labels that are present in, or next to, the pixels where a mask is at least half its maximum."""
    level = 0.5 * float(mask.max())
    if level == 0:
        return []
    rows, columns = np.nonzero(mask >= level)
    area = np.s_[max(rows.min() - 1, 0) : rows.max() + 2, max(columns.min() - 1, 0) : columns.max() + 2]
    inside = np.pad(mask[area] >= level, 1)
    near = inside[1:-1, 1:-1] | inside[:-2, 1:-1] | inside[2:, 1:-1] | inside[1:-1, :-2] | inside[1:-1, 2:]
    return [label for label, other in others.items() if (other[area][near] >= 0.25).any()]


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"

"""Preserving colour: the strokes of a style in the colours of the content.

After Gatys, Bethge, Hertzmann & Shechtman (2016b), "Preserving Color in Neural Artistic Style Transfer". The style
pictures take on the colours of the content before anything is optimised, so that style and content don't ask for
different colours. With the luminance alone, content and styles become grey, and the content's colours are put back
at the end (:func:`photostyle.colors.luminance.recombine`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from photostyle.colors.luminance import grey, into_gamut
from photostyle.colors.matching import MATCHINGS
from photostyle.regions.labels import LabelMasks
from photostyle.regions.match import Assignment

_Array = NDArray[np.float32]


def colors_of_content(
    how: str,
    content: _Array,
    masks: LabelMasks,
    styles: Sequence[_Array],
    style_masks: Sequence[LabelMasks | None],
    assignments: Sequence[Assignment],
) -> tuple[_Array, list[_Array]]:
    """Give style pictures the colours of the parts of the content that take their style.

    A style picture that is used whole is matched to all regions of the content that it is for. Where its regions are
    used one by one, each is matched to the content's regions that it is for, and what is left of it as a picture that
    is used whole. Regions that are kept as they are have no say.

    Parameters
    ----------
    how : str
        "luminance", "linear" or "histogram".
    content : ndarray, shape (H, W, 3)
        sRGB in [0, 1].
    masks : LabelMasks
        K regions of the same size.
    styles : sequence of ndarray, shape (H', W', 3)
    style_masks : sequence of LabelMasks or None
        None where a style is used whole.
    assignments : sequence of K Assignment

    Returns
    -------
    content : ndarray, shape (H, W, 3)
        In grey for "luminance", else as it was.
    styles : list of ndarray, shape (H', W', 3)
        In [0, 1].
    """
    match = MATCHINGS[how]
    matched = []
    for index, (picture, labels) in enumerate(zip(styles, style_masks, strict=True)):
        wanted = _wanted(index, masks, assignments)
        result = np.zeros(picture.shape, dtype=np.float64)
        for part, target in _parts(picture, labels, wanted):
            there = part.any() and target.any()
            result += part[..., None] * (match(picture, part, content, target) if there else picture)
        matched.append(into_gamut(result.astype(np.float32)) if wanted else picture)
    return (grey(content) if how == "luminance" else content), matched


def _wanted(style: int, masks: LabelMasks, assignments: Sequence[Assignment]) -> dict[str | None, _Array]:
    """Return, for each region of a style (None: the whole picture), how much each pixel of the content takes of it."""
    wanted: dict[str | None, _Array] = {}
    for mask, assignment in zip(masks.masks, assignments, strict=True):
        for source in assignment.sources if assignment.weight else ():
            if source.style == style and source.weight:
                share = np.float32(source.weight) * mask
                wanted[source.label] = wanted[source.label] + share if source.label in wanted else share
    return wanted


def _parts(
    picture: _Array, labels: LabelMasks | None, wanted: dict[str | None, _Array]
) -> Iterator[tuple[_Array, _Array]]:
    """Yield the parts of a style that are matched on their own, as masks that sum to one, each with its target."""
    rest = np.ones(picture.shape[:2], dtype=np.float32)
    if not wanted:
        return
    if labels is not None:
        own = labels.resized((picture.shape[1], picture.shape[0]))
        for label, mask in zip(own.labels, own.masks, strict=True):
            if label in wanted:
                rest = rest - mask
                yield mask, wanted[label]
    rest = np.where(rest > 1e-4, rest, 0)
    if rest.any():
        yield rest, np.sum(list(wanted.values()), axis=0)

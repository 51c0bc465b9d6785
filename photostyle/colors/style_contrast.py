"""Styles with no more contrast than the content can take, for photo mode.

A white wall can't take the contrast of a cloudy sky without clouds painted onto it: means and covariances, quantiles
and Gram matrices of whole regions all ask for them. So a style's region is brought nearer to its own mean colour where
its colours spread more than six times as far as the content's there, before anything is measured of it. Spread is
what lies between the tenth and the ninetieth percentile: the edge of a product lends no contrast to its white ground.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from photostyle.images import resize
from photostyle.regions.labels import LabelMasks
from photostyle.regions.match import Assignment, Source

_Rgb = NDArray[np.float32]
_MOST_GAIN = 6.0  # a little more than the closed-form start takes along any axis: tones may differ
_ENOUGH = 0.5  # of a mask: what belongs to its region


def within_contrast(
    content: _Rgb,
    masks: LabelMasks,
    styles: Sequence[_Rgb],
    style_masks: Sequence[LabelMasks | None],
    assignments: Sequence[Assignment],
) -> list[_Rgb]:
    """Return the style pictures with each region's colours x as μ + s (x - μ), s = min(1, 6 d_content / d_style).

    Parameters
    ----------
    content : ndarray, shape (H, W, 3)
        sRGB in [0, 1].
    masks : LabelMasks
        K regions, of the same size.
    styles : sequence of ndarray
    style_masks : sequence of LabelMasks or None
        None where a style is used whole.
    assignments : sequence of K Assignment

    Returns
    -------
    list of ndarray
        With μ the region's mean colour, and d the distance from the tenth to the ninetieth percentile, all three
        channels together. The same arrays where no region has too much; a region that several take has what the
        most varied of them can take.
    """
    room: dict[Source, float] = {}
    for mask, assignment in zip(masks.masks, assignments, strict=True):
        most = _MOST_GAIN * _spread(content, mask)
        for source in assignment.sources:
            place = Source(source.style, source.label, 1.0)
            room[place] = max(most, room.get(place, 0.0))
    result = list(styles)
    for source, most in room.items():
        labels, style = style_masks[source.style], styles[source.style]
        if labels is None or source.label is None:
            mask = np.ones(style.shape[:2], dtype=np.float32)
        else:
            mask = resize(labels.masks[labels.labels.index(source.label)], (style.shape[1], style.shape[0]))
        share = min(1.0, most / max(_spread(style, mask), 1e-9))
        if share < 1:
            mean = np.average(style.reshape(-1, 3), axis=0, weights=mask.ravel()).astype(np.float32)
            result[source.style] = result[source.style] + mask[..., None] * np.float32(1 - share) * (mean - style)
    return result


def _spread(picture: _Rgb, mask: NDArray[np.float32]) -> float:
    inside = picture[mask >= min(_ENOUGH, float(mask.max()))]
    low, high = np.quantile(inside, (0.1, 0.9), axis=0)
    return float(np.linalg.norm(high - low))

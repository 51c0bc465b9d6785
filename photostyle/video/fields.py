"""Affine fields over time: smoothed over key frames, and interpolated between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

_WIDTH = 0.7  # deviation of the Gaussian, in distances between neighbouring key frames
_LEAST_SHARE = 1e-3  # what a field counts in the smoothing whose region hardly is in the picture
Field = NDArray[np.float32]


def filled(fields: Sequence[Mapping[str, Field]]) -> list[dict[str, Field]]:
    """Give each key frame a field for every label of the shot.

    A label that isn't there in a key frame takes its field from the nearest key frames before and after, in proportion
    to how near they are; before its first and behind its last it keeps theirs.

    Parameters
    ----------
    fields : sequence of mapping of str to ndarray, shape (D, N, N, 15)
        By label, one a key frame, in order.

    Returns
    -------
    list of dict
        The same, with all labels in each.
    """
    labels = list(dict.fromkeys(label for each in fields for label in each))
    result: list[dict[str, Field]] = [{} for _ in fields]
    for label in labels:
        there = [index for index, each in enumerate(fields) if label in each]
        for index in range(len(fields)):
            after = int(np.searchsorted(there, index))
            before, behind = there[max(0, after - 1)], there[min(after, len(there) - 1)]
            if label in fields[index]:
                before = behind = index
            share = 0.0 if behind == before else (index - before) / (behind - before)
            result[index][label] = _between(fields[before][label], fields[behind][label], share)
    return result


def smoothed(
    fields: Sequence[Mapping[str, Field]], times: Sequence[float], shares: Sequence[Mapping[str, float]]
) -> list[dict[str, Field]]:
    """Smooth fields over time by a Gaussian that is as wide as key frames are apart.

    Parameters
    ----------
    fields : sequence of mapping of str to ndarray, shape (D, N, N, 15)
        All labels in each key frame; see :func:`filled`.
    times : sequence of float
        When the key frames are.
    shares : sequence of mapping of str to float
        Of each label in each key frame, in [0, 1]: the field of a region that hardly is there says little.

    Returns
    -------
    list of dict
        Fields that don't change over time stay as they are.
    """
    if len(fields) < 2:
        return [dict(each) for each in fields]
    width = _WIDTH * float(np.median(np.diff(times)))
    result: list[dict[str, Field]] = []
    for time in times:
        near = np.exp(-0.5 * ((np.asarray(times) - time) / width) ** 2)
        here = {}
        for label in fields[0]:
            weights = near * [_LEAST_SHARE + each.get(label, 0.0) for each in shares]
            weights /= weights.sum()
            stacked = np.stack([each[label] for each in fields])
            here[label] = np.tensordot(weights, stacked, 1).astype(np.float32)
        result.append(here)
    return result


def fields_at(before: Mapping[str, Field], after: Mapping[str, Field], share: float) -> dict[str, Field]:
    """Return the fields between two key frames: those of the first at share 0, of the second at 1."""
    return {label: _between(before[label], after[label], share) for label in before}


def _between(one: Field, other: Field, share: float) -> Field:
    if share <= 0:
        return one
    return other if share >= 1 else np.asarray((1 - share) * one + share * other, dtype=np.float32)

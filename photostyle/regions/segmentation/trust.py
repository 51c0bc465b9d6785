"""Whether a segmentation can be trusted: the network knows outdoor scenes, and is asked about anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photostyle.regions.labels import LabelMasks

_LEAST_CONFIDENCE = 0.62
_SCENE = ("sky", "building", "vegetation", "mountain", "water", "ground")
_LEAST_SCENE = 0.55  # of the picture


@dataclass(frozen=True)
class Trust:
    """How sure the network is.

    Attributes
    ----------
    confidence : float
        Mean over the picture of the winning label's probability, in [0, 1].
    labels : dict of str to float
        The same over each label's region.
    doubt : str
        Why the regions are not to be trusted; "" if they are.
    """

    confidence: float
    labels: dict[str, float]
    doubt: str


def judge(probabilities: NDArray[np.float32], masks: LabelMasks, labels: Sequence[str], *, flat: bool = False) -> Trust:
    """Judge a segmentation.

    It is doubted where the network itself is unsure, and, if it knows the labels of outdoor scenes, where little of
    the picture is scene: a portrait, a still life, a room. A picture of a single colour shows nothing at all.
    """
    best, winner = probabilities.max(0), probabilities.argmax(0)
    confidence = float(best.mean())
    by_label = {
        label: float(best[winner == labels.index(label)].mean())
        for label in masks.labels
        if (winner == labels.index(label)).any()
    }
    doubt = ""
    scene = sum(share for label, share in masks.shares.items() if label in _SCENE)
    if flat:
        doubt = "the picture has a single colour, so there is nothing to see"
    elif confidence < _LEAST_CONFIDENCE:
        doubt = f"the network is only {confidence:.0%} sure, and {_LEAST_CONFIDENCE:.0%} is the least"
    elif set(_SCENE) <= set(labels) and scene < _LEAST_SCENE:
        doubt = f"only {scene:.0%} of it is an outdoor scene, and {_LEAST_SCENE:.0%} is the least"
    return Trust(confidence, by_label, doubt)

"""The networks that scores look through."""

from __future__ import annotations

from dataclasses import dataclass

from photostyle.networks.alexnet import AlexNet
from photostyle.networks.hed import HED
from photostyle.networks.weights import load_weights
from photostyle.progress import Callback, ignore

_EDGES, _PERCEPTUAL = "hed", "lpips-alex"


@dataclass(frozen=True)
class Networks:
    """One for edges and the Gram matrices of regions, and one that no loss contains."""

    hed: HED
    alexnet: AlexNet


def load_networks(*, offline: bool = False, callback: Callback = ignore) -> Networks:
    """Load what scores need; weights that no cache has are fetched first, unless ``offline``.

    Raises
    ------
    WeightsError
        If weights are missing, altered, or can't be fetched.
    """
    hed = load_weights(_EDGES, offline=offline, callback=callback)
    return Networks(HED(hed), AlexNet(load_weights(_PERCEPTUAL, offline=offline, callback=callback)))

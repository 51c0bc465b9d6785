"""Automatic regions: what a picture shows, by a network of segmentation-models-pytorch.

::

    picture → probabilities on the network's grid (cached)
            → weighed by colour → refined against the picture's edges → islands merged → masks
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from photostyle.errors import MemoryLimitError
from photostyle.images import Picture
from photostyle.progress import Callback, Message, ignore
from photostyle.regions.labelmap.label_colors import label_palette
from photostyle.regions.labels import LabelMasks, normalise
from photostyle.regions.segmentation import cache
from photostyle.regions.segmentation.checkpoints import identify, load_network
from photostyle.regions.segmentation.entries import SEGMENTERS, segmenter_entry
from photostyle.regions.segmentation.guided import LEAST, refine, upsample
from photostyle.regions.segmentation.islands import merge_islands
from photostyle.regions.segmentation.network import Network
from photostyle.regions.segmentation.own_colors import weigh_by_colour
from photostyle.regions.segmentation.trust import Trust, judge

__all__ = [
    "SEGMENTERS",
    "Segmentation",
    "Segmenter",
    "label_palette",
    "refine",
    "segmenter_entry",
    "sharpened",
    "upsample",
]

_FLAT = 0.02  # levels in [0, 1]: a picture with less between its darkest and its lightest shows nothing


@dataclass(frozen=True)
class Segmentation:
    """The regions that were found in a picture.

    Attributes
    ----------
    masks : LabelMasks
        Soft masks of the labels that are there, at the picture's own size.
    labels : tuple of str
        All labels that the segmenter knows; a label map's index is the place in here.
    trust : Trust
        How sure the network is, and whether that is enough.
    segmenter : str
        What was asked.
    """

    masks: LabelMasks
    labels: tuple[str, ...]
    trust: Trust
    segmenter: str

    @property
    def summary(self) -> str:
        """What was found and how sure the network is, for people: "sky 40%, building 60% (86% sure)"."""
        shares = sorted(self.masks.shares.items(), key=lambda item: -item[1])
        listed = ", ".join(f"{label} {share:.0%}" for label, share in shares)
        return f"{listed} ({self.trust.confidence:.0%} sure)"

    @property
    def label_map(self) -> NDArray[np.uint8]:
        """The label of each pixel, shape (H, W), as an index into `labels`."""
        table = np.array([self.labels.index(label) for label in self.masks.labels], dtype=np.uint8)
        found: NDArray[np.uint8] = table[self.masks.masks.argmax(0)]
        return found


class Segmenter:
    """Segments pictures; the network is loaded once, when the first picture needs it.

    Parameters
    ----------
    name : str
        A row of the registry, or the path of a checkpoint.
    offline : bool
        Never touch the network.
    callback : callable
        Receives a `Message` before each wait.
    """

    def __init__(self, name: str = "outdoor", *, offline: bool = False, callback: Callback = ignore) -> None:
        self.name, self.offline, self.callback = name, offline, callback
        self._network: Network | None = None

    @functools.cached_property
    def identity(self) -> str:
        """What the cache knows the segmenter by; a UsageError if there is none of this name."""
        return identify(self.name)

    @property
    def network(self) -> Network:
        """The loaded network; a WeightsError where it can't be had."""
        if self._network is None:
            self.callback(Message(f"loading segmenter {self.name}", kind="wait"))
            self._network = load_network(self.name, offline=self.offline, callback=self.callback)
        return self._network

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels that it knows, in the order of a label map's indices."""
        if self._network is None and (entry := SEGMENTERS.get(self.name)) is not None:
            return entry.table.labels
        return self.network.labels

    def probabilities(self, rgb: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give what the network says of a picture, shape (K, h, w) on its own grid, from the cache where it can."""
        key = cache.cache_key(rgb, self.identity)
        found = cache.load(key)
        if found is None:
            found = cache.rounded(self.network.probabilities(rgb))  # as the cache gives it
            cache.store(key, found)
        shares: NDArray[np.float32] = found / found.sum(0)
        return shares

    def __call__(self, picture: Picture) -> Segmentation:
        """Segment a picture."""
        flat = bool(np.ptp(picture.rgb, axis=(0, 1)).max() < _FLAT)
        probabilities, labels = self.probabilities(picture.rgb), self.labels
        present = [int(i) for i in np.unique(probabilities.argmax(0))]  # the others would only be noise in the masks
        try:
            masks = sharpened(probabilities[present], picture.rgb)
        except (MemoryError, cv2.error) as error:
            width, height = picture.size
            raise MemoryLimitError(
                f"{picture.name} is {width}×{height}, and the masks of {len(present)} labels don't fit the memory: "
                "scale the picture down first"
            ) from error
        won = np.bincount(masks.argmax(0).ravel(), minlength=len(present)) / masks[0].size
        kept = [i for i in range(len(present)) if won[i]]
        if len(kept) < len(present):
            masks = masks[kept]
            normalise(masks, LEAST)
        names = tuple(labels[present[i]] for i in kept)
        colors = {label: color for label, color in label_palette(labels).items() if label in names}
        found = LabelMasks(names, masks, colors)
        return Segmentation(found, labels, judge(probabilities, found, labels, flat=flat), self.name)


def sharpened(probabilities: NDArray[np.float32], rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sharpen probabilities by the picture's colours and edges, and merge islands."""
    masks = refine(weigh_by_colour(probabilities / probabilities.sum(0), rgb), rgb)
    merge_islands(masks)
    return masks

"""Networks that several transfers of one process share, each loaded once."""

from __future__ import annotations

from typing import Any

from photostyle.features import Backbone, load_backbone
from photostyle.progress import Callback
from photostyle.regions.segmentation import Segmenter

__all__ = ["ModelCache"]


class ModelCache:
    """Keeps the backbone and the segmenter that were used last; another one takes their place.

    A transfer on its own has an empty one, so that files are read and verified for each. Who keeps one vouches for
    the files that it was filled from.
    """

    def __init__(self) -> None:
        self._backbone: tuple[Any, Backbone] | None = None
        self._segmenter: Segmenter | None = None

    def backbone(self, name: str, *, offline: bool, callback: Callback, **settings: Any) -> Backbone:
        """Return what :func:`photostyle.features.load_backbone` gives for the same arguments."""
        key = (name, tuple(settings.items()))
        if self._backbone is None or self._backbone[0] != key:
            self._backbone = None  # its memory is free before the next one needs some
            self._backbone = key, load_backbone(name, offline=offline, callback=callback, **settings)
        return self._backbone[1]

    def segmenter(self, name: str, *, offline: bool, callback: Callback) -> Segmenter:
        """Return the segmenter of a name; its network is loaded when the first picture needs it."""
        if self._segmenter is None or (self._segmenter.name, self._segmenter.offline) != (name, offline):
            self._segmenter = Segmenter(name, offline=offline, callback=callback)
        self._segmenter.callback = callback
        return self._segmenter

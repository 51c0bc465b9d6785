"""Networks that several transfers of one process share, each loaded once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from photostyle.networks import Backbone, load_backbone
from photostyle.networks.weights import Weights
from photostyle.progress import Callback, Message
from photostyle.regions.automatic import Divide
from photostyle.regions.joint import LAYERS, Look, divide
from photostyle.regions.segmentation import Segmenter


class ModelCache:
    """Keeps the backbone and the segmenter that were used last; another one takes their place.

    A transfer on its own has an empty one, so that files are read and verified for each. Who keeps one vouches for
    the files that it was filled from.
    """

    def __init__(self) -> None:
        self._backbone: tuple[dict[str, Any], Backbone] | None = None
        self._segmenter: Segmenter | None = None
        self._seeing: Backbone | None = None

    def backbone(self, name: str, *, offline: bool, callback: Callback, **settings: Any) -> Backbone:
        """Return what :func:`photostyle.networks.load_backbone` gives for the same arguments."""
        key = {"name": name, **settings}
        if self._backbone is None or self._backbone[0] != key:
            loaded = self._weights_for(key)
            self._backbone = None  # its memory is free before the next one needs some
            self._backbone = key, load_backbone(name, loaded=loaded, offline=offline, callback=callback, **settings)
        return self._backbone[1]

    def _weights_for(self, wanted: Mapping[str, Any]) -> Weights | None:
        """Return the weights of the last backbone if this one, with other layers or pooling, has the same."""
        key, backbone = self._backbone or ({}, None)
        same = all(key.get(name) == wanted.get(name) for name in ("name", "weights", "weights_preprocessing"))
        return backbone.weights if backbone and same else None

    def segmenter(self, name: str, *, offline: bool, callback: Callback) -> Segmenter:
        """Return the segmenter of a name; its network is loaded when the first picture needs it."""
        if self._segmenter is None or (self._segmenter.name, self._segmenter.offline) != (name, offline):
            self._segmenter = Segmenter(name, offline=offline, callback=callback)
        self._segmenter.callback = callback
        return self._segmenter

    def divide(self, segmenter: Segmenter, *, offline: bool, callback: Callback) -> Divide:
        """Return what divides pictures together; its network is loaded when the first ones need it."""
        look = self.look(offline=offline, callback=callback)
        return lambda pictures: divide(pictures, segmenter.probabilities, segmenter.labels, look)

    def look(self, *, offline: bool, callback: Callback) -> Look:
        """Return what sees pictures for regions and grades; the network is loaded when the first one needs it."""

        def look(x: Tensor) -> Mapping[str, Tensor]:
            if self._seeing is None:
                callback(Message("loading vgg16 to see the pictures", "wait"))
                self._seeing = load_backbone(
                    "vgg16", content_layers=(), style_layers=tuple(LAYERS), offline=offline, callback=callback
                )
            return self._seeing(x)

        return look

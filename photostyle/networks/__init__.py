"""Features: pretrained networks by name, their layers by name, and their weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from photostyle.errors import UsageError
from photostyle.networks.classifier import Classifier
from photostyle.networks.hed import SIDES, EdgeHead, Edges
from photostyle.networks.registry import BACKBONES, MODELS
from photostyle.networks.vgg import VGG, Padding, computes_half
from photostyle.networks.weights import Weights, load_weights
from photostyle.progress import Callback, ignore

__all__ = ["CONTENT_LAYERS", "STYLE_LAYERS", "Backbone", "Padding", "computes_half", "load_backbone"]

CONTENT_LAYERS = ("relu4_2",)
"""Default content layers of a VGG (Gatys et al. 2016, section 3)."""
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
"""Default style layers of a VGG (Gatys et al. 2016, section 3)."""


@dataclass(frozen=True)
class Backbone:
    """A network that turns sRGB in [0, 1], (N, 3, H, W), into named features, (N, C, H', W').

    It computes the layers of both losses, and no deeper. ``sha256`` and ``origin`` say which weights they are, for the
    record; ``weights`` are kept of a VGG, ``edges`` detect where that was asked for, and ``tiling`` is the same network
    with circular padding, by which a result is seen that shall tile.
    """

    network: nn.Module
    name: str
    content_layers: tuple[str, ...]
    style_layers: tuple[str, ...]
    sha256: str
    origin: str
    edges: Edges | None = None
    weights: Weights | None = None
    tiling: nn.Module | None = None

    def __call__(self, x: Tensor) -> Mapping[str, Tensor]:
        """Return the features by layer."""
        features: Mapping[str, Tensor] = self.network(x)
        return features

    def grids(self, x: Tensor) -> dict[str, tuple[int, int]]:
        """Return (height, width) of each style layer's features."""
        size = (x.shape[-2], x.shape[-1])
        if isinstance(self.network, VGG):
            return {layer: self.network.grid(layer, size) for layer in self.style_layers}
        features = self(x)  # only the classifier itself knows
        return {layer: (features[layer].shape[-2], features[layer].shape[-1]) for layer in self.style_layers}


def load_backbone(
    name: str,
    *,
    content_layers: Sequence[str] | None = None,
    style_layers: Sequence[str] | None = None,
    weights: str | None = None,
    weights_preprocessing: str | None = None,
    pooling: str = "average",
    padding: Padding = "zeros",
    edges: bool = False,
    loaded: Weights | None = None,
    half: bool = False,
    device: str = "cpu",
    offline: bool = False,
    callback: Callback = ignore,
) -> Backbone:
    """Load "vgg16", "hed", "vgg19" or a torchvision classifier: a `UsageError` or a `WeightsError` where it can't.

    A VGG has default layers. ``weights`` is a file instead of the network's own, and ``weights_preprocessing`` what it
    expects, "torchvision" or "caffe"; ``loaded`` is what a VGG's arguments loaded before. ``pooling``, ``padding`` and
    ``half`` are those of :class:`VGG`; with "circular" padding there is a second network for the result, and the
    pictures that are given, which don't tile, are seen with "replicate". ``edges`` asks for an edge detector: the one
    in the weights of hed, and beside any others hed as a second network, with a pass of its own.
    """
    for each in (name, weights):
        if each in MODELS and each not in BACKBONES:
            raise UsageError(f"{each} is a network for scores alone: pass one of {', '.join(BACKBONES)} instead")
    options: dict[str, Any] = {"offline": offline, "callback": callback}
    if name not in BACKBONES:
        if padding == "circular":
            raise UsageError(f"backbone {name!r} has no circular padding: take one of {', '.join(BACKBONES)}")
        if content_layers is None or style_layers is None:
            raise UsageError(f"backbone {name!r} has no default layers: pass --content-layers and --style-layers")
        unique = list(dict.fromkeys((*content_layers, *style_layers)))
        network = Classifier(name, unique, weights, pooling, weights_preprocessing, **options).to(device)
        beside = _edges(pooling, padding, half, device, **options) if edges else None
        layers = tuple(content_layers), tuple(style_layers)
        return Backbone(network, name, *layers, network.sha256, network.origin, beside)
    content, style = tuple(content_layers or CONTENT_LAYERS), tuple(style_layers or STYLE_LAYERS)
    loaded = loaded or load_weights(weights or name, preprocessing=weights_preprocessing, **options)
    if loaded.architecture != MODELS[name].architecture:
        raise UsageError(
            f"weights {weights} are those of {loaded.architecture}, but --backbone is {name}: "
            f"pass --backbone {loaded.architecture}"
        )
    own = EdgeHead.is_in(loaded)
    found = None
    if edges:
        found = Edges(EdgeHead(loaded, device)) if own else _edges(pooling, padding, half, device, **options)
    seen = (*content, *style, *(SIDES if edges and own else ()))
    tiling = VGG(loaded, seen, pooling, padding, half).to(device) if padding == "circular" else None
    vgg = VGG(loaded, seen, pooling, "replicate" if tiling else padding, half).to(device)
    return Backbone(vgg, name, content, style, loaded.sha256, loaded.origin, found, loaded, tiling)


def _edges(pooling: str, padding: Padding, half: bool, device: str, *, offline: bool, callback: Callback) -> Edges:
    """Load hed as a second network."""
    loaded = load_weights("hed", offline=offline, callback=callback)
    beyond: Padding = "zeros" if padding == "zeros" else "replicate"
    return Edges(EdgeHead(loaded, device), VGG(loaded, SIDES, pooling, beyond, half).to(device))

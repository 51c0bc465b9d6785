"""Networks for scores with a few channels and random weights: scores of them mean nothing, but are there in no time."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import Tensor

from photostyle.networks.alexnet import AlexNet
from photostyle.networks.hed import HED
from photostyle.networks.registry import PREPROCESSINGS, layer_names
from photostyle.networks.weights import Weights
from photostyle.studies.measure import Networks

_CHANNELS = (4, 5, 6, 7, 8)
_ALEXNET_SIDES = (11, 5, 3, 3, 3)


def _kernel(outputs: int, inputs: int, side: int, generator: torch.Generator) -> Tensor:
    return torch.randn((outputs, inputs, side, side), generator=generator) * (2 / (side**2 * inputs)) ** 0.5


def alexnet_weights(seed: int = 0) -> Weights:
    """AlexNet with LPIPS, narrow."""
    generator, tensors, inputs = torch.Generator().manual_seed(seed), {}, 3
    for number, (outputs, side) in enumerate(zip(_CHANNELS, _ALEXNET_SIDES, strict=True), 1):
        tensors[f"conv{number}.weight"] = _kernel(outputs, inputs, side, generator)
        tensors[f"conv{number}.bias"] = 0.1 * torch.randn(outputs, generator=generator)
        tensors[f"lin{number}.weight"] = torch.rand(outputs, generator=generator)
        inputs = outputs
    return Weights("narrow", "alexnet", tensors, PREPROCESSINGS["torchvision"], "0" * 64, "tests")


def hed_weights(seed: int = 0) -> Weights:
    """VGG-16 with an edge detector, narrow."""
    generator, tensors, inputs = torch.Generator().manual_seed(seed), {}, 3
    for layer in layer_names("vgg16"):
        outputs = _CHANNELS[int(layer[4]) - 1]
        tensors |= {f"{layer}.weight": _kernel(outputs, inputs, 3, generator), f"{layer}.bias": torch.zeros(outputs)}
        inputs = outputs
    for number, channels in enumerate(_CHANNELS, 1):
        tensors |= {f"hed.side{number}.weight": torch.ones(1, channels, 1, 1), f"hed.side{number}.bias": torch.zeros(1)}
    tensors |= {"hed.fuse.weight": torch.full((1, 5, 1, 1), 0.2), "hed.fuse.bias": torch.zeros(1)}
    return Weights("narrow", "vgg16", tensors, PREPROCESSINGS["torchvision"], "0" * 64, "tests")


@functools.cache
def _networks() -> Networks:
    return Networks(HED(hed_weights()), AlexNet(alexnet_weights()))


def tiny_networks(**_options: object) -> Networks:
    """What stands in for :func:`photostyle.studies.measure.load_networks`."""
    return _networks()


def quick_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``compare`` and ``score`` measure small pictures with these networks."""
    for place in ("studies.compare", "studies.score"):
        monkeypatch.setattr(f"photostyle.{place}.load_networks", tiny_networks)
    monkeypatch.setattr("photostyle.studies.measure.photo._WIDTH", 96)
    monkeypatch.setattr("photostyle.studies.measure.photo._MATTING_WIDTH", 64)

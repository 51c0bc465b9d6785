"""Edges: holistically-nested edge detection (Xie & Tu 2015), on the VGG-16 that its weights come with.

The network ``hed`` is a VGG-16 that was trained on for edges; five side outputs, one a block, and their fusion are in
the same file. The objective uses them to keep the content's edges, scores to see whether a result has kept them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from photostyle.errors import UsageError
from photostyle.networks.registry import ARCHITECTURES
from photostyle.networks.vgg import preprocess
from photostyle.networks.weights import Weights

SIDES = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
"""The layers of VGG-16 that have a side output."""


class EdgeHead:
    """HED's side outputs and their fusion; weights without ``hed.side1.weight``, …, are a `UsageError`."""

    def __init__(self, weights: Weights, device: str = "cpu") -> None:
        if not self.is_in(weights):
            raise UsageError(f"the weights {weights.name} hold no edge detector: those of hed do")
        self.weights = {name: w.contiguous().to(device) for name, w in weights.tensors.items() if name[:4] == "hed."}

    @staticmethod
    def is_in(weights: Weights) -> bool:
        """Whether weights hold an edge detector."""
        return "hed.fuse.weight" in weights.tensors

    def __call__(self, features: Mapping[str, Tensor], size: tuple[int, int]) -> Tensor:
        """Return the probability of an edge in each pixel, (1, 1, H, W), of a picture of ``size``, (H, W).

        ``features`` are those of all :data:`SIDES`, (1, C, h, w).
        """
        sides = [
            functional.interpolate(self._convolve(features[layer], f"hed.side{number}"), size, mode="bilinear")
            for number, layer in enumerate(SIDES, 1)
        ]
        return torch.sigmoid(self._convolve(torch.cat(sides, 1), "hed.fuse"))

    def _convolve(self, x: Tensor, name: str) -> Tensor:
        return functional.conv2d(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])


@dataclass(frozen=True)
class Edges:
    """What finds the edges of a picture that a backbone sees.

    ``trunk`` gives :data:`SIDES` by a pass of its own; it is None where the backbone gives them.
    """

    head: EdgeHead
    trunk: nn.Module | None = None

    def __call__(self, x: Tensor, features: Mapping[str, Tensor]) -> Tensor:
        """Return the probability of an edge, (1, 1, H, W), in a picture, (1, 3, H, W), with a backbone's features."""
        return self.head(features if self.trunk is None else self.trunk(x), (x.shape[-2], x.shape[-1]))


class HED:
    """The whole detector as it was trained: max pooling that keeps odd rows and columns, zeros beyond the border."""

    def __init__(self, weights: Weights) -> None:
        self.head = EdgeHead(weights)
        self.trunk = {name: w.contiguous() for name, w in weights.tensors.items() if name[:4] == "conv"}
        self.preprocessing = weights.preprocessing

    @torch.no_grad()
    def __call__(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the probability of an edge in each pixel, (H, W), of (1, 3, H, W), sRGB in [0, 1], and the features.

        Those are all layers after their ReLU, relu1_1 … relu5_3, (1, C, H', W').
        """
        size, features = (x.shape[2], x.shape[3]), {}
        x = preprocess(x, self.preprocessing)
        for block, count in enumerate(ARCHITECTURES["vgg16"], 1):
            if block > 1:
                x = functional.max_pool2d(x, 2, ceil_mode=True)
            for index in range(1, count + 1):
                name = f"conv{block}_{index}"
                x = functional.conv2d(x, self.trunk[f"{name}.weight"], self.trunk[f"{name}.bias"], padding=1).relu_()
                features[f"relu{block}_{index}"] = x
        return self.head(features, size)[0, 0], features

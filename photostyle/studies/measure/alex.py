"""Scores by a network that no loss contains: AlexNet.

- ``lpips``: the learned perceptual distance (Zhang et al. 2018, eq. 1) of content and result: features of unit length
  in each cell, squared differences weighed by channel, means over cells, summed over the five layers;
- ``style_alex``: mean over the five layers of ‖G − A‖² / ‖A‖², G = F Fᵀ / M of the result, A that of the style.

Both at a longest side of 256 pixels (more, where the other side were below 32), the result at the size of the content.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from photostyle.networks.alexnet import AlexNet
from photostyle.objective.gram import gram_distance
from photostyle.studies.measure.views import at_longest, shrunk, tensor_of

LONGEST = 256
"""Longest side in pixels at which is measured."""


class AlexScores:
    """Measures results against one content and its styles.

    Parameters
    ----------
    alexnet : AlexNet
    content : Image
        8-bit RGB.
    styles : sequence of Image
    shares : sequence of float
        Of each style in the target, the mean of their Gram matrices; they sum to one.
    """

    def __init__(
        self, alexnet: AlexNet, content: Image.Image, styles: Sequence[Image.Image], shares: Sequence[float]
    ) -> None:
        self.alexnet, self.size = alexnet, at_longest(content, LONGEST, alexnet.least)
        self.content = self._features(content, self.size)
        grams = [map(_gram, self._features(s, at_longest(s, LONGEST, alexnet.least))) for s in styles]
        self.targets = [
            torch.stack([share * gram for share, gram in zip(shares, layer, strict=True)]).sum(0)
            for layer in zip(*grams, strict=True)
        ]

    def __call__(self, result: Image.Image) -> dict[str, float]:
        """Return ``lpips`` and ``style_alex`` of a result, an 8-bit RGB image."""
        features = self._features(result, self.size)
        layers = zip(self.alexnet.heads, self.content, features, strict=True)
        distances = [gram_distance(_gram(f), target) for f, target in zip(features, self.targets, strict=True)]
        return {
            "lpips": sum(_distance(head, one, other) for head, one, other in layers),
            "style_alex": float(torch.stack(distances).mean()),
        }

    def _features(self, image: Image.Image, size: tuple[int, int]) -> list[Tensor]:
        return self.alexnet(tensor_of(shrunk(image, size)))


def _distance(head: Tensor, one: Tensor, other: Tensor) -> float:
    """Return LPIPS of one layer, with its weights of shape (C,)."""
    difference = (_unit(one) - _unit(other)).square()
    return float((difference * head.view(1, -1, 1, 1)).sum(1).mean())


def _unit(features: Tensor) -> Tensor:
    return features / (features.square().sum(1, keepdim=True).sqrt() + 1e-10)


def _gram(features: Tensor) -> Tensor:
    flat = features[0].flatten(1)
    return flat @ flat.T / flat.shape[1]

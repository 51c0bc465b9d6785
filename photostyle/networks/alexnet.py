"""AlexNet (Krizhevsky 2014, as in torchvision), for scores alone: no loss contains it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from photostyle.errors import UsageError
from photostyle.networks.vgg import preprocess
from photostyle.networks.weights import Weights

_STRIDES, _PADDINGS = (4, 1, 1, 1, 1), (2, 2, 1, 1, 1)
_POOLED = (1, 2)  # the convolutions, from 0 on, before which is pooled


class AlexNet:
    """The five convolutions, each with its ReLU, and the weights of LPIPS on them (Zhang et al. 2018).

    ``weights`` hold ``conv1.weight``, ``conv1.bias``, …, and ``lin1.weight``, …, ``lin5.weight`` of shape (C,); another
    network's are a `UsageError`.
    """

    least = 32
    """Pixels that the shorter side of a picture needs, so that the second pooling leaves something."""

    def __init__(self, weights: Weights) -> None:
        if "lin5.weight" not in weights.tensors:
            raise UsageError(f"the weights {weights.name} are no AlexNet with LPIPS: those of lpips-alex are")
        self.kernels = [
            (weights.tensors[f"conv{number}.weight"].contiguous(), weights.tensors[f"conv{number}.bias"])
            for number in range(1, 6)
        ]
        self.heads = [weights.tensors[f"lin{number}.weight"] for number in range(1, 6)]
        self.preprocessing = weights.preprocessing

    @torch.no_grad()
    def __call__(self, x: Tensor) -> list[Tensor]:
        """Return the responses after each of the five ReLUs, (1, C, H', W'), to (1, 3, H, W), sRGB in [0, 1]."""
        features, x = [], preprocess(x, self.preprocessing)
        for number, (kernel, bias) in enumerate(self.kernels):
            if number in _POOLED:
                x = functional.max_pool2d(x, 3, 2)
            x = functional.conv2d(x, kernel, bias, _STRIDES[number], _PADDINGS[number]).relu()
            features.append(x)
        return features

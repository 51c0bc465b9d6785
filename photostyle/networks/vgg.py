"""VGG-16 and VGG-19 as a source of named features (Simonyan & Zisserman 2015).

Layers are named ``conv<block>_<index>`` for the response of a convolution, before its ReLU, and
``relu<block>_<index>`` for the response after it. What Gatys et al. call "conv1_1" is the response after
the ReLU (theirs works in place): here ``relu1_1``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from photostyle.errors import UsageError
from photostyle.networks.registry import Preprocessing
from photostyle.networks.registry import layer_names as convolution_names
from photostyle.networks.weights import Weights

Padding = Literal["zeros", "replicate", "circular"]
"""What a network sees beyond the border."""
_POOLING: dict[str, Callable[..., Tensor]] = {"average": functional.avg_pool2d, "max": functional.max_pool2d}


def layer_names(architecture: str) -> tuple[str, ...]:
    """Return the names of all layers of "vgg16" or "vgg19", from the picture on: conv1_1, relu1_1, conv1_2, …."""
    convolutions = convolution_names(architecture)
    return tuple(kind + name.removeprefix("conv") for name in convolutions for kind in ("conv", "relu"))


class VGG(nn.Module):
    """The convolutions of a VGG, computed only as deep as the deepest layer that was asked for.

    Pooling is 2×2 with stride 2 and drops an odd last row or column, as torchvision's VGG does (Caffe keeps it).

    Parameters
    ----------
    weights : Weights
        Convolutions named conv1_1.weight, conv1_1.bias, …, and the preprocessing that belongs to them.
    layers : sequence of str
        The names of the layers to return.
    pooling : str
        "average" (Gatys et al.: "slightly more appealing results") or "max".
    padding : str
        How the first convolution sees beyond the border: "zeros", as the network was trained, or "replicate". Zeros
        are an edge to it, which draws a dark frame into an optimised picture; the last pixels, repeated, are none.
        With "circular" every convolution sees the opposite border, as if the picture were one of endless tiles; where
        both sides are multiples of 16, so that no pooling drops a row, nothing tells where a tile begins.
    half : bool
        Convolve in bfloat16, rounding to eight bits, on machines that are faster so: see :func:`computes_half`.
        Features are of the picture's precision all the same, so that what is summed over them is exact.

    Raises
    ------
    UsageError
        If a layer is unknown, or deeper than the weights reach.
    """

    def __init__(
        self,
        weights: Weights,
        layers: Sequence[str],
        pooling: str = "average",
        padding: Padding = "zeros",
        half: bool = False,
    ) -> None:
        super().__init__()
        names = layer_names(weights.architecture)
        for layer in layers:
            if layer not in names:
                raise UsageError(
                    f"layer {layer!r} is unknown; {weights.architecture} has "
                    f"conv1_1 … {names[-2]} (before the ReLU) and relu1_1 … {names[-1]} (after it)"
                )
        self.layers, self.padding = frozenset(layers), padding
        self.depth = 1 + max(names.index(layer) for layer in layers)
        self.pool = _POOLING[pooling]
        self.names = names[: self.depth]
        self.convolutions = nn.ModuleDict()
        for name in self.names[::2]:
            if f"{name}.weight" not in weights.tensors:
                raise UsageError(f"layer {name!r} is not in the weights {weights.name}: they end before it")
            kernel, bias = weights.tensors[f"{name}.weight"], weights.tensors[f"{name}.bias"]
            mode = padding if name == "conv1_1" or padding == "circular" else "zeros"
            convolution = nn.Conv2d(kernel.shape[1], kernel.shape[0], 3, padding=1, padding_mode=mode)
            convolution.load_state_dict({"weight": kernel, "bias": bias})
            self.convolutions[name] = convolution
        self.preprocessing = weights.preprocessing
        self.requires_grad_(False).eval().to(memory_format=torch.channels_last)
        self.half_precision = half
        if half:
            self.bfloat16()

    def forward(self, x: Tensor) -> Mapping[str, Tensor]:
        """Return the features, (N, C, H', W'), of a picture, (N, 3, H, W), sRGB in [0, 1], for each layer asked for.

        Their sides are those of the picture, halved (rounded down) once for each block before their own.
        """
        return self._run(self._prepared(x), self.names)[1]

    def first_blocks(self, x: Tensor, count: int) -> tuple[Mapping[str, Tensor], Tensor]:
        """Return the features of the first ``count`` blocks (not all), and what their last pooling hands on."""
        x, features = self._run(self._prepared(x), [name for name in self.names if block_of(name) <= count])
        return features, self.pool(x, 2)

    def other_blocks(self, pooled: Tensor, count: int) -> Mapping[str, Tensor]:
        """Return the features of all blocks but the first ``count``, from what those handed on."""
        return self._run(pooled, [name for name in self.names if block_of(name) > count])[1]

    @property
    def blocks(self) -> int:
        """How many blocks the deepest layer needs."""
        return block_of(self.names[-1])

    def grid(self, layer: str, size: tuple[int, int]) -> tuple[int, int]:
        """Return (height, width) of a layer's features for a picture of (height, width)."""
        times = block_of(layer) - 1
        return size[0] >> times, size[1] >> times

    def reach(self, count: int) -> int:
        """Return how many pixels beyond its own cell a feature of the first ``count`` blocks can see, at most."""
        return sum(2 ** (block_of(name) - 1) for name in self.names[::2] if block_of(name) <= count)

    def _prepared(self, x: Tensor) -> Tensor:
        x = preprocess(x, self.preprocessing).contiguous(memory_format=torch.channels_last)
        return x.bfloat16() if self.half_precision else x

    def _run(self, x: Tensor, names: Sequence[str]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the last response, and the features that were asked for."""
        features: dict[str, Tensor] = {}
        for name in names:
            kind, position = name[:4], name[4:]
            if kind == "conv":
                if position.endswith("_1") and name != names[0]:
                    x = self.pool(x, 2)
                x = self.convolutions[name](x)
            else:
                # In place only where nobody keeps the response before the ReLU.
                x = functional.relu(x, inplace=f"conv{position}" not in self.layers)
            if name in self.layers:
                features[name] = x.float() if self.half_precision else x
        return x, features


def computes_half(device: str) -> bool:
    """Return whether convolutions are faster in bfloat16: on a CPU that has instructions for it, by 40 %."""
    return device == "cpu" and bool(torch.cpu.get_capabilities().get("avx512_bf16"))


def block_of(layer: str) -> int:
    """Return the number of the block of a layer: 3 for relu3_1."""
    return int(layer[4 : layer.index("_")])


def preprocess(x: Tensor, how: Preprocessing) -> Tensor:
    """Turn sRGB in [0, 1], shape (N, 3, H, W), into what weights were trained on."""
    if how.order == "bgr":
        x = x.flip(1)
    return (x * how.scale - x.new_tensor(how.mean).view(3, 1, 1)) / x.new_tensor(how.std).view(3, 1, 1)

"""A segmentation network: from a picture to the probability of each label on the network's own grid."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from photostyle.errors import WeightsError
from photostyle.images import resize
from photostyle.networks.registry import Preprocessing

_SMALLER = 5 / 7
STRIDE = 32
"""What each side of a network's input is a multiple of: the stride of the deepest encoders of smp."""


@dataclass(frozen=True)
class Network:
    """A loaded network.

    Attributes
    ----------
    name : str
        What the user called it.
    labels : tuple of str
        K labels.
    model : Module
        From (N, 3, H, W) to logits (N, C, H, W), sides multiples of `STRIDE`.
    merge : Tensor, shape (K, C)
        Sums the probabilities of classes to those of labels.
    preprocessing : Preprocessing
    longest : int
        Longest side of its input, in pixels.
    sha256 : str
        Of its weights and its table, for the cache and the record.
    """

    name: str
    labels: tuple[str, ...]
    model: nn.Module
    merge: Tensor
    preprocessing: Preprocessing
    longest: int
    sha256: str

    def probabilities(self, rgb: NDArray[np.float32]) -> NDArray[np.float32]:
        """Look at a picture and at its mirror image, at two sizes, and give the mean.

        The smaller size, 5/7 of the larger, sees more of the scene at once: on the validation scenes it makes no
        difference, but paintings and wide views come out better.
        """
        with torch.inference_mode():
            large = self._mirrored(self._input(rgb, self.longest))
            small = self._mirrored(self._input(rgb, round(_SMALLER * self.longest)))
            enlarged = functional.interpolate(small[None], large.shape[1:], mode="bilinear", align_corners=False)[0]
            mean: NDArray[np.float32] = ((large + enlarged) / 2).numpy()
        return mean

    def _mirrored(self, x: Tensor) -> Tensor:
        """Give the mean of a picture's and its mirror image's probabilities, shape (K, h, w)."""
        both = torch.cat([x, x.flip(3)]).contiguous(memory_format=torch.channels_last)
        logits = self._look(both)
        self._check(logits, both)
        soft = torch.einsum("kc,nchw->nkhw", self.merge, logits.softmax(1))
        return (soft[0] + soft[1].flip(2)) / 2

    def _input(self, rgb: NDArray[np.float32], longest: int) -> Tensor:
        height, width = rgb.shape[:2]
        scale = longest / max(height, width)
        size = [max(STRIDE, round(side * scale / STRIDE) * STRIDE) for side in (width, height)]
        small = torch.from_numpy(np.ascontiguousarray(resize(rgb, (size[0], size[1])).transpose(2, 0, 1)))[None]
        used = self.preprocessing
        if used.order == "bgr":
            small = small.flip(1)
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (used.mean, used.std))
        return (small * used.scale - mean) / std

    def _look(self, x: Tensor) -> Any:
        try:
            return self.model(x)
        except Exception as error:  # of a network of the user's: other channels, fixed sizes, no memory
            raise WeightsError(
                f"segmenter {self.name} can't look at RGB pictures of {x.shape[3]}×{x.shape[2]} "
                f"({' '.join(str(error).split())[:160]}): give a network that takes any size, or a smaller `longest`"
            ) from error

    def _check(self, logits: Any, x: Tensor) -> None:
        expected = (len(x), self.merge.shape[1], *x.shape[2:])
        if not isinstance(logits, Tensor) or tuple(logits.shape) != expected:
            found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise WeightsError(
                f"segmenter {self.name} gives {found} for a picture of {x.shape[3]}×{x.shape[2]}, expected {expected}: "
                "its list of classes doesn't fit its network"
            )
        if not bool(torch.isfinite(logits).all()):
            raise WeightsError(f"segmenter {self.name} gives NaN or infinite numbers: its weights are damaged")


def build_model(architecture: str, encoder: str, classes: int) -> nn.Module:
    """Build an smp network without weights."""
    if ":" in encoder:  # timm would fetch it from a hub
        raise WeightsError(f"the encoder {encoder!r} names a place, but only encoders that smp brings are allowed")
    import segmentation_models_pytorch as smp  # takes seconds, and a cached picture needs none of it

    try:
        with warnings.catch_warnings():
            # smp would rather have these encoders by another prefix, under which their tensors have other names
            warnings.simplefilter("ignore", DeprecationWarning)
            model: nn.Module = smp.create_model(architecture, encoder, encoder_weights=None, classes=classes)
    except Exception as error:  # smp and timm have many ways to say no
        raise WeightsError(
            f"segmentation-models-pytorch {smp.__version__} can't build {architecture!r} with the encoder {encoder!r} "
            f"({' '.join(str(error).split())[:160]}): mend the registry's row or the checkpoint's metadata"
        ) from error
    return model

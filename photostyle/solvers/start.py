"""Where a run begins: the first picture, and from the end of one stage to the start of the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from photostyle.field.space import FieldSpace, paint
from photostyle.images import resize
from photostyle.images.tensors import to_array, to_tensor
from photostyle.options.config import Resolved
from photostyle.solvers.schedule import Stage

_Array = NDArray[np.float32]
_ENOUGH = 30  # iterations of a level that paint over the content's detail, with which it begins


@dataclass(frozen=True)
class Source:
    """What stages start from.

    Attributes
    ----------
    content, style : ndarray, shape (H, W, 3) and (H', W', 3)
        sRGB in [0, 1], of any size.
    config : Resolved
    device : str
    space : FieldSpace or None
        Where fields are wanted.
    """

    content: _Array
    style: _Array
    config: Resolved
    device: str
    space: FieldSpace | None

    def at(self, stage: Stage, previous: tuple[Stage, Tensor] | None) -> Tensor:
        """Return what a stage starts from: pixels, or coordinates of a field.

        What was optimised before is enlarged, with the content's finer detail on it where there are iterations left to
        paint over it; a field is painted where pixels follow.
        """
        if stage.grid is not None:
            if previous is not None:
                return previous[1]
            assert self.space is not None
            return self.space.start(*stage.grid, 0.0 if self.config.start == "content" else self.config.strength)
        content = to_tensor(resize(self.content, stage.size), self.device)
        if previous is None:
            style = to_tensor(resize(self.style, stage.size), self.device)
            return start_picture(
                self.config.start, content, style, seed=self.config.seed, noise_share=self.config.noise_share
            )
        before, best = previous
        if before.grid is not None:
            assert self.space is not None
            field = self.space.field(best).cpu().numpy()
            return to_tensor(paint(field, self.space, resize(self.content, stage.size)), self.device)
        if best.shape == content.shape:
            return best.clone()
        enlarged = to_tensor(resize(to_array(best), stage.size, wraps=self.config.tiles), self.device)
        if not self.config.content_weight or self.config.tiles or stage.iterations < _ENOUGH:
            return enlarged
        coarse = resize(resize(self.content, (best.shape[3], best.shape[2])), stage.size)
        return enlarged + (content - to_tensor(coarse, self.device))

    def closed_form(self) -> Tensor:
        """Return the coordinates of the field that statistics or a grade give, without any stage."""
        assert self.space is not None
        return self.space.start(*self.space.grid)

    def result(self, stage: Stage | None, best: Tensor) -> tuple[_Array | None, _Array | None]:
        """Return the image or the field that the best of a stage (None: a closed form) stands for, the other None."""
        if stage is not None and stage.grid is None:
            return to_array(best), None
        assert self.space is not None
        return None, self.space.field(best).cpu().numpy()


def start_picture(kind: str, content: Tensor, style: Tensor, *, seed: int, noise_share: float = 0.5) -> Tensor:
    """Return the first picture of a run.

    Parameters
    ----------
    kind : str
        "content", "style", "noise" (white: each value drawn evenly from [0, 1]) or "mix" of content and noise.
    content, style : Tensor, shape (1, 3, H, W)
        sRGB in [0, 1], of the same size.
    seed : int
        Of the noise, which is drawn on the CPU: the same on every device.
    noise_share : float
        Share of the noise in a mix, in [0, 1].

    Returns
    -------
    Tensor, shape (1, 3, H, W)
    """
    if kind == "content":
        return content.clone()
    if kind == "style":
        return style.clone()
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(content.shape, generator=generator).to(content)
    if kind == "noise":
        return noise
    return torch.lerp(content, noise, noise_share)

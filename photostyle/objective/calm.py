r"""The calm loss: coarse gradients stay near those of the closed-form transfer.

A cloud painted into a clear sky, or a patch of fog on a lawn, breaks no edge, costs no matting energy and brings every
Gram matrix nearer to its style's: no other term sees it. One map for all of a region makes none. So the picture, in
CIELAB, is averaged over cells of 1.5, 3 and 6 % of its width, and the differences d of neighbouring cells, a percent
of the width, are compared with those of the closed form, s, and of the content, c:

    L = mean f h((|d - s| - τ max(|s|, |c|))₊),   f = F² / (F² + |c|²),   h(e) = (e² + δ²)^½ - δ

τ = ¾: what is there may fade or grow, what isn't may not appear. f is near one where the content is flat: where it
varies by more than F, nobody sees whether a gradient is new. h grows with e itself, not with its square, which would
let a broad glow pass. Luan et al. (2017) have no such term.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from photostyle.colors.lab import to_lab

_CELLS = (0.015, 0.03, 0.06)  # sides, as shares of the picture's width
_TOLERANCE = 0.75  # τ
_FLAT = 1.5  # F: colour differences (ΔE*ab) a percent of the width
_SMALL = 0.2  # δ, in the same


@dataclass(frozen=True)
class CalmTarget:
    """What one direction and size of cells asks for.

    Attributes
    ----------
    differences : Tensor, shape (3, h, w)
        s, of the closed form.
    allowed : Tensor, shape (h, w)
        τ max(|s|, |c|).
    flat : Tensor, shape (h, w)
        f.
    """

    differences: Tensor
    allowed: Tensor
    flat: Tensor


def calm_targets(content: Tensor, closed_form: Tensor) -> list[CalmTarget]:
    """Return what a content and its closed-form transfer, both of shape (1, 3, H, W), sRGB in [0, 1], ask for."""
    targets = []
    for own, start in zip(_differences(content), _differences(closed_form), strict=True):
        there = own.norm(dim=0)
        allowed = _TOLERANCE * torch.maximum(there, start.norm(dim=0))
        targets.append(CalmTarget(start, allowed, _FLAT**2 / (_FLAT**2 + there.square())))
    return targets


def calm_loss(picture: Tensor, targets: Sequence[CalmTarget]) -> Tensor:
    """Return the loss of a picture, shape (1, 3, H, W): zero for the closed form itself, never negative."""
    losses = []
    for difference, target in zip(_differences(picture), targets, strict=True):
        distance = ((difference - target.differences).square().sum(0) + 1e-8).sqrt()  # the root has a slope at zero
        excess = (distance - target.allowed).clamp_min(0)
        losses.append((target.flat * ((excess.square() + _SMALL**2).sqrt() - _SMALL)).mean())
    return torch.stack(losses).mean()


def _differences(picture: Tensor) -> list[Tensor]:
    """Return differences of neighbouring cells in ΔE*ab a percent of the width, shape (3, h, w) each."""
    lab = to_lab(picture[0].permute(1, 2, 0)).permute(2, 0, 1)
    height, width = lab.shape[1:]
    found = []
    for share in _CELLS:
        side = max(1.0, share * width)
        grid = (max(2, round(height / side)), max(2, round(width / side)))
        cells = grid[1] * nn.functional.adaptive_avg_pool2d(lab, grid)  # Lab / 100 over the width: ΔE a percent of it
        found += [cells.diff(dim=1), cells.diff(dim=2)]
    return found

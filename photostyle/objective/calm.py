r"""The calm loss: coarse gradients where the content has none.

A cloud painted into a clear sky breaks no edge, costs no matting energy and brings every Gram matrix nearer to its
style's: no other term sees it. Here the picture, in CIELAB, is averaged over cells of 1.5, 3 and 6 % of its width, and
the differences d of neighbouring cells, a percent of the width, are compared with the content's, c:

    L = mean f h((|d| - γ |c|)₊),   f = F² / (F² + |c|²),   h(e) = (e² + δ²)^½ - δ

γ is the contrast that the region's style has beside the content's, from one to four: what is there may become
stronger, as it would under any contrast curve; what isn't may not appear. f is near one where the content is flat:
where it varies by more than F, nobody sees whether a gradient is new. h grows with e itself, not with its square, which
would let a broad glow pass. Luan et al. (2017) have no such term.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from photostyle.objective.color import to_lab

__all__ = ["calm_loss", "calm_targets", "contrast_gain"]

_CELLS = (0.015, 0.03, 0.06)  # sides, as shares of the picture's width
_FLAT = 0.5  # F: colour differences (ΔE*ab) a percent of the width
_SMALL = 0.2  # δ, in the same
_MOST_GAIN = 4.0
_ROUNDING = 0.01  # spreads in Lab / 100, about a step of 8 bits


def contrast_gain(content: Tensor, mask: Tensor, style: Tensor, style_mask: Tensor) -> float:
    """Return γ: how much more the colours of a style's region vary than the content's, from 1 to 4.

    Parameters
    ----------
    content, style : Tensor, shape (1, 3, H, W)
        sRGB in [0, 1]; their sizes may differ.
    mask, style_mask : Tensor, shape (H, W)
    """
    ratio = (_spread(style, style_mask) + _ROUNDING) / (_spread(content, mask) + _ROUNDING)
    return min(max(ratio, 1.0), _MOST_GAIN)


def calm_targets(content: Tensor, gain: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return what the content allows: γ |c| and f for each direction and size of cells.

    Parameters
    ----------
    content : Tensor, shape (1, 3, H, W)
        sRGB in [0, 1].
    gain : Tensor, shape (H, W)
        γ of each pixel.
    """
    found = []
    for difference in _differences(content):
        own = difference.norm(dim=0)
        allowed = nn.functional.adaptive_avg_pool2d(gain[None], own.shape)[0] * own
        found.append((allowed, _FLAT**2 / (_FLAT**2 + own.square())))
    return found


def calm_loss(picture: Tensor, targets: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Return the loss of a picture, shape (1, 3, H, W): zero where no gradient exceeds its target, never negative."""
    losses = []
    for difference, (allowed, flat) in zip(_differences(picture), targets, strict=True):
        excess = ((difference.square().sum(0) + 1e-8).sqrt() - allowed).clamp_min(0)  # the root has a slope at zero
        losses.append((flat * ((excess.square() + _SMALL**2).sqrt() - _SMALL)).mean())
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


def _spread(picture: Tensor, mask: Tensor) -> float:
    """Return the standard deviation of a region's colours in Lab / 100, all three axes together."""
    lab = to_lab(picture[0].permute(1, 2, 0)).reshape(-1, 3)
    weights = (mask / mask.sum().clamp_min(1e-12)).reshape(-1, 1)
    return float((weights * (lab - (weights * lab).sum(0)).square()).sum().sqrt())

"""The colour loss: distance between the colours of a region and those of its style, wherever they lie.

Colours are compared as distributions, in CIELAB, where distances are those of the eye. The distance is the sliced
Wasserstein distance (Rabin et al. 2011; Bonneel et al. 2015): on a line, the way to move one distribution onto another
at the least cost is to match their quantiles, and a few fixed lines through Lab stand for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from photostyle.colors.lab import to_lab, weighted_quantiles
from photostyle.objective.gram import Region

DIRECTIONS = 16
"""Lines through Lab on which colours are compared."""
LEVELS = 128
"""Quantiles on each line."""

_SEED = 0  # of the lines


def color_quantiles(colors: Tensor, region: Region) -> Tensor:
    """Return the quantiles of a region's colours on the fixed lines.

    Parameters
    ----------
    colors : Tensor, shape (M, 3)
        Of all pixels, in Lab.
    region : Region
        Which of them, with what weight; at least one.

    Returns
    -------
    Tensor, shape (LEVELS, DIRECTIONS)
    """
    lines, levels = _lines_and_levels(colors.dtype, colors.device)
    return weighted_quantiles(colors[region.cells] @ lines, region.weights.to(colors), levels)


@cache
def _lines_and_levels(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(_SEED)
    lines = torch.randn(3, DIRECTIONS, generator=generator, dtype=torch.float64)
    levels = (torch.arange(LEVELS, dtype=dtype, device=device) + 0.5) / LEVELS
    return (lines / lines.norm(dim=0)).to(device, dtype), levels


def color_loss(picture: Tensor, regions: Sequence[Region], targets: Sequence[Tensor], shares: Tensor) -> Tensor:
    r"""Return :math:`\sum_k a_k\, \operatorname{mean}_{q,s} (Q_{qs}(k) - T_{qs}(k))^2`.

    That is, for each region k with share a_k, the squared 2-Wasserstein distance between its colours and those of its
    style on a line, averaged over lines: quantiles Q of the result against T of the style.

    Parameters
    ----------
    picture : Tensor, shape (1, 3, H, W)
        sRGB in [0, 1].
    regions : sequence of K Region
        On the grid of the pixels.
    targets : sequence of K Tensor, shape (LEVELS, DIRECTIONS)
        See :func:`color_quantiles`.
    shares : Tensor, shape (K,)

    Returns
    -------
    Tensor, shape ()
        Zero where all quantiles agree, never negative.
    """
    colors = to_lab(picture[0].permute(1, 2, 0).reshape(-1, 3))
    distances = [
        (color_quantiles(colors, region) - target).square().mean()
        for region, target in zip(regions, targets, strict=True)
    ]
    return (shares * torch.stack(distances)).sum()

"""The colour loss: distance between the colours of a region and those of its style, wherever they lie.

Colours are compared as distributions, in CIELAB, where distances are those of the eye. The distance is the sliced
Wasserstein distance (Rabin et al. 2011; Bonneel et al. 2015): on a line, the way to move one distribution onto another
at the least cost is to match their quantiles, and a few fixed lines through Lab stand for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor

from photostyle.objective.gram import Region

__all__ = ["DIRECTIONS", "LEVELS", "color_loss", "color_quantiles", "to_lab", "weighted_quantiles"]

DIRECTIONS = 16
"""Lines through Lab on which colours are compared."""
LEVELS = 128
"""Quantiles on each line."""

_SEED = 0  # of the lines
_LINEAR_TO_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
_WHITE = (0.95047, 1.0, 1.08883)  # D65
_LEAST = 1e-4  # darker is black: the cube root below has no derivative at zero


def to_lab(rgb: Tensor) -> Tensor:
    """Turn sRGB into CIELAB (D65), divided by 100; differentiable.

    Parameters
    ----------
    rgb : Tensor, shape (..., 3)
        In [0, 1]; values outside count as the nearest inside, with no gradient.

    Returns
    -------
    Tensor, shape (..., 3)
        L* in [0, 1], a* and b* in about [-1, 1].
    """
    rgb = rgb.clamp(_LEAST, 1.0)
    linear = torch.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    xyz = linear @ rgb.new_tensor(_LINEAR_TO_XYZ).T / rgb.new_tensor(_WHITE)
    root = torch.where(xyz > 0.008856, xyz.clamp_min(0.008856) ** (1 / 3), 7.787 * xyz + 16 / 116)
    x, y, z = root.unbind(-1)
    return torch.stack([1.16 * y - 0.16, 5 * (x - y), 2 * (y - z)], -1)


def weighted_quantiles(values: Tensor, weights: Tensor, levels: Tensor) -> Tensor:
    """Return quantiles of weighted samples, column by column, interpolated between the samples.

    Parameters
    ----------
    values : Tensor, shape (P, S)
        P samples of S variables.
    weights : Tensor, shape (P,)
        Above zero.
    levels : Tensor, shape (Q,)
        In [0, 1]; the i-th smallest of P equal samples has the level (i - ½)/P.

    Returns
    -------
    Tensor, shape (Q, S)
        Differentiable with respect to the values.
    """
    if len(values) == 1:
        return values.expand(len(levels), -1)
    rows = values.T.contiguous()
    index = _argsort(rows.detach())
    mass = weights[index]
    position = mass.cumsum(1) - mass / 2
    position /= mass.sum(1, keepdim=True)
    wanted = levels.expand(len(rows), -1).contiguous()
    above = torch.searchsorted(position, wanted).clamp(1, len(values) - 1)
    low, high = position.gather(1, above - 1), position.gather(1, above)
    share = ((wanted - low) / (high - low).clamp_min(1e-12)).clamp(0, 1)
    return torch.lerp(rows.gather(1, index.gather(1, above - 1)), rows.gather(1, index.gather(1, above)), share).T


def _argsort(rows: Tensor) -> Tensor:
    """Return the order of each row; on a CPU NumPy finds it in a third of PyTorch's time."""
    return torch.from_numpy(np.argsort(rows.numpy(), axis=1)) if rows.device.type == "cpu" else rows.argsort(1)


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

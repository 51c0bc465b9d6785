"""The style loss: distance between Gram matrices of features, one for each region.

A Gram matrix holds the correlations between the channels of a layer, and forgets where in the picture they
were (Gatys et al. 2016, section 2.2). With a mask it forgets that only within a region (Luan et al. 2017,
section 3.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

MIN_CELLS = 4.0
"""A region with fewer cells than this on a layer's grid is left out there; also the least normaliser."""

_TINY = 1e-12


@dataclass(frozen=True)
class Region:
    """Where a region lies on one layer's grid of H·W cells.

    Attributes
    ----------
    cells : Tensor of int64, shape (P,)
        The cells, row by row, at which the mask is above zero.
    weights : Tensor, shape (P,)
        The mask there, in (0, 1].
    area : float
        The sum of the mask, in cells.
    uniform : bool
        Whether all weights are one, so that multiplying by them can be left out.
    """

    cells: Tensor
    weights: Tensor
    area: float
    uniform: bool = False

    @property
    def normaliser(self) -> float:
        """By what a sum over the region is divided: its area, at least :data:`MIN_CELLS`."""
        return max(self.area, MIN_CELLS)

    def covers(self, rows: Tensor) -> bool:
        """Whether these are all cells of the grid whose features are given in rows."""
        return len(self.cells) == len(rows)

    def inside(self, rows: Tensor) -> Tensor:
        """Return the rows of the region's cells."""
        return rows if self.covers(rows) else rows.index_select(0, self.cells)


def rows_of(features: Tensor) -> Tensor:
    """Return features of shape (C, H, W) in rows, one cell a row: shape (H·W, C)."""
    return features.permute(1, 2, 0).reshape(-1, features.shape[0])


def region_of(mask: Tensor) -> Region:
    """Return the cells of a mask of shape (H, W) that aren't zero, with their weights."""
    flat = mask.reshape(-1)
    cells = torch.nonzero(flat).squeeze(1)
    weights = flat[cells]
    return Region(cells, weights, float(weights.cpu().sum(dtype=torch.float64)), bool((weights == 1).all()))


class _WeightedGrams(torch.autograd.Function):
    """Σ_p m_k(p) f_p f_pᵀ for each region k, from features in rows, one cell a row.

    Automatic differentiation would keep two copies of the features for each region. This keeps none: the
    gradient with respect to f_p is Σ_k m_k(p) (D_k + D_kᵀ) f_p, where D_k is the gradient with respect to the
    k-th matrix. Only the cells of a region are touched, so many regions cost as much as one.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, regions: Sequence[Region]) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.regions = regions
        return torch.stack([_gram_of(rows, region) for region in regions])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (rows,) = ctx.saved_tensors
        result: Tensor | None = None
        for region, d in zip(ctx.regions, gradient, strict=True):
            if region.covers(rows):
                part = rows @ (d + d.T)
                part = part if region.uniform else part.mul_(region.weights[:, None])
                result = part if result is None else result.add_(part)
            else:
                part = rows.index_select(0, region.cells) @ (d + d.T)
                part = part if region.uniform else part.mul_(region.weights[:, None])
                result = torch.zeros_like(rows) if result is None else result
                result.index_add_(0, region.cells, part)
        assert result is not None
        return result, None


def _gram_of(rows: Tensor, region: Region) -> Tensor:
    inside = region.inside(rows)
    return inside.T @ (inside if region.uniform else inside * region.weights[:, None])


def masked_grams(features: Tensor, regions: Sequence[Region]) -> Tensor:
    r"""Return the Gram matrix of each region.

    :math:`G_k = \sum_p m_k(p)\, f_p f_p^\top / \max(\sum_p m_k(p), m_{min})`: the mask enters once, and the
    normaliser is the region's own area, so that a region's size doesn't change its style. (Luan's code
    multiplies the features by the mask, so that soft masks are squared, but divides by their plain mean.)

    Parameters
    ----------
    features : Tensor, shape (C, H, W)
    regions : sequence of K Region
        On the same grid.

    Returns
    -------
    Tensor, shape (K, C, C)
        Symmetric, positive semi-definite matrices.
    """
    rows = rows_of(features)
    areas = rows.new_tensor([region.normaliser for region in regions])
    grams: Tensor = _WeightedGrams.apply(rows, regions)
    return grams / areas[:, None, None]


def masked_gram(features: Tensor, mask: Tensor) -> Tensor:
    """Return the Gram matrix of one region; :func:`masked_grams` for one mask.

    Parameters
    ----------
    features : Tensor, shape (C, H, W)
    mask : Tensor, shape (H, W)
        In [0, 1].

    Returns
    -------
    Tensor, shape (C, C)

    Examples
    --------
    >>> features, left = torch.ones(2, 4, 4), torch.zeros(4, 4)
    >>> left[:, :2] = 1
    >>> masked_gram(features, left).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    return masked_grams(features, [region_of(mask)])[0]


def gram_distance(gram: Tensor, target: Tensor, normalisation: str = "relative") -> Tensor:
    r"""Return the distance of a Gram matrix from its target.

    - ``papers``: :math:`\|G - A\|^2 / (4 C^2)`, equation 4 of Gatys et al. (2016), whose :math:`M^2` is
      already in the normalised matrices;
    - ``relative``: :math:`\|G - A\|^2 / \|A\|^2`.

    Parameters
    ----------
    gram, target : Tensor, shape (..., C, C)
        G and A.
    normalisation : str
        "relative" or "papers".

    Returns
    -------
    Tensor, shape (...)
        Zero at the target, never negative.

    Examples
    --------
    >>> gram = torch.eye(3)
    >>> float(gram_distance(gram, gram)), float(gram_distance(2 * gram, gram))
    (0.0, 1.0)
    """
    squared = (gram - target).square().sum((-2, -1))
    if normalisation == "papers":
        return squared / (4 * gram.shape[-1] ** 2)
    return squared / target.square().sum((-2, -1)).clamp_min(_TINY)


def style_loss(distances: Tensor, shares: Tensor, tolerances: Tensor | None = None) -> Tensor:
    r"""Return the style loss of one layer, :math:`\sum_k a_k \max(d_k - t_k, 0)`.

    Parameters
    ----------
    distances : Tensor, shape (K,)
        d_k, of each region's statistic from that of the style it takes: :func:`gram_distance`, or another.
    shares : Tensor, shape (K,)
        a_k, each region's share of the content picture.
    tolerances : Tensor, shape (K,), optional
        t_k, distances that mean nothing; 0 by default.

    Returns
    -------
    Tensor, shape ()
    """
    if tolerances is not None:
        distances = (distances - tolerances).clamp_min(0)
    return (shares * distances).sum()

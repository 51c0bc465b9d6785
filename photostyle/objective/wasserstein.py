r"""The Wasserstein style loss: distance between the Gaussians of features, one for each region.

The features of a layer in a region have a mean and a covariance. Style is taken as the normal distribution with these
two, and the distance of two styles as what it costs to move one distribution onto the other: the squared 2-Wasserstein
distance (Dowson & Landau 1982), the mean's part plus Bures' part:

.. math:: W^2 = \|\mu - \nu\|^2 + \operatorname{tr}(\Sigma + S - 2\,(S^{1/2} \Sigma S^{1/2})^{1/2})

Its gradient with respect to a feature is, but for a factor, where the feature lies minus where the optimal transport
would take it, :math:`T = S^{1/2} (S^{1/2} \Sigma S^{1/2})^{-1/2} S^{1/2}`, so that it is bounded. (Mroueh 2020 makes
style transfer of that transport itself; as a loss it is known from K. Crowson's style-transfer-pytorch.) Gram matrices
hold the same numbers, :math:`G = \Sigma + \mu\mu^\top`, but their distance is one of squares, in which the few
strongest channels decide.

Covariances are singular as soon as a channel is dead or a region has fewer cells than the layer has channels, and there
the root has no derivative. So each gets a floor, 1e-4 of the mean variance of a channel: relative, since the variances
of a VGG-16's layers differ by a factor of some hundreds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from photostyle.objective.gram import Region, rows_of

_FLOOR = 1e-4  # of a covariance, as a share of the mean variance of a channel
_TINY = 1e-12  # least floor, for targets without any variance
_BLOCK = 8192  # rows of features that are summed at once
_CONVERGED = 1e-8


@dataclass(frozen=True)
class WassersteinTarget:
    """What K distances need to know of their targets; see :func:`prepare_target`.

    Attributes
    ----------
    means : Tensor of float64, shape (K, C)
        ν.
    roots : Tensor of float64, shape (K, C, C)
        S^½, where S has its floor.
    traces : Tensor of float64, shape (K,)
        tr S.
    floors : Tensor of float64, shape (K,)
        What was added to the variances.
    scales : Tensor of float64, shape (K,)
        The distance of features that are zero everywhere.
    """

    means: Tensor
    roots: Tensor
    traces: Tensor
    floors: Tensor
    scales: Tensor


class _Moments(torch.autograd.Function):
    """[Σ | μ] of each region, from features in rows, one cell a row.

    The sums are made in float64, some rows at a time. In float32 the product of long matrices, G, and the product of
    the means differ by up to 5e-4 of G at 65 536 cells that are nearly alike (a clear sky), which is more than the
    covariance itself. The gradient with respect to f_p is m(p) [(D + Dᵀ)(f_p - μ) + d] / area, where D and d are those
    with respect to Σ and μ; no copy of the features is kept for it.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, regions: Sequence[Region]) -> Tensor:
        moments = torch.stack([_moments_of(rows, region) for region in regions]).to(rows)
        ctx.save_for_backward(rows, moments[..., -1])
        ctx.regions = regions
        return moments

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        rows, means = ctx.saved_tensors
        result = torch.zeros_like(rows)
        for region, mean, g in zip(ctx.regions, means, gradient, strict=True):
            inside = region.inside(rows)
            both = (g[:, :-1] + g[:, :-1].T) / region.normaliser
            part = torch.addmm(g[:, -1] / region.normaliser - both @ mean, inside, both)
            part = part if region.uniform else part.mul_(region.weights[:, None])
            if region.covers(rows):
                result.add_(part)
            else:
                result.index_add_(0, region.cells, part)
        return result, None


def _moments_of(rows: Tensor, region: Region) -> Tensor:
    channels = rows.shape[1]
    moments = _exact(rows.new_zeros(channels, channels + 1))
    covariance, mean = moments[:, :-1], moments[:, -1]
    for start in range(0, len(region.cells), _BLOCK):
        part = slice(start, start + _BLOCK)
        block = _exact(rows[part] if region.covers(rows) else rows.index_select(0, region.cells[part]))
        weighted = block if region.uniform else block * _exact(region.weights[part, None])
        covariance.addmm_(block.T, weighted, alpha=1 / region.normaliser)
        mean.add_(weighted.sum(0), alpha=1 / region.normaliser)
    covariance.addr_(mean, mean, alpha=-1)
    return moments


def _exact(x: Tensor) -> Tensor:
    """Return a tensor in float64, on the CPU if its device has none."""
    return x.to("cpu" if x.device.type == "mps" else x.device, torch.float64)


def masked_moments(features: Tensor, regions: Sequence[Region]) -> Tensor:
    r"""Return the mean and the covariance of the features in each region.

    :math:`\mu_k = \sum_p m_k(p)\, f_p / a_k` and :math:`\Sigma_k = \sum_p m_k(p)\, f_p f_p^\top / a_k - \mu_k
    \mu_k^\top` with the region's own area :math:`a_k = \max(\sum_p m_k(p), m_{min})`, as for Gram matrices. Both are in
    one tensor, so that moments of several styles are averaged, or weakened, like Gram matrices: the covariance is then
    the mean of the covariances, not that of a mixture, in which the distance of the styles' means would be texture.

    Parameters
    ----------
    features : Tensor, shape (C, H, W)
    regions : sequence of K Region
        On the same grid.

    Returns
    -------
    Tensor, shape (K, C, C + 1)
        [Σ | μ]: the covariance, symmetric and positive semi-definite, and the mean as the last column.
    """
    moments: Tensor = _Moments.apply(rows_of(features), regions)
    return moments


def combined_moments(moments: Tensor, shares: Tensor) -> Tensor:
    """Return the moments of regions from those of their parts.

    Parameters
    ----------
    moments : Tensor, shape (T, K, C, C + 1)
        Of T parts, see :func:`masked_moments`.
    shares : Tensor, shape (T, K)
        The area of each part, at least the least normaliser, as a share of its region's.

    Returns
    -------
    Tensor, shape (K, C, C + 1)
    """
    exact, weights = _exact(moments), _exact(shares)[..., None]
    covariances, means = exact[..., :-1], exact[..., -1]
    mean = (weights * means).sum(0)
    second = (weights[..., None] * (covariances + means[..., None] * means[..., None, :])).sum(0)
    covariance = second - mean[..., None] * mean[..., None, :]
    return torch.cat([covariance, mean[..., None]], -1).to(moments)


def prepare_target(moments: Tensor) -> WassersteinTarget:
    """Return what distances from given moments need: roots and sizes, computed once.

    Parameters
    ----------
    moments : Tensor, shape (K, C, C + 1)
        [S | ν], see :func:`masked_moments`.

    Returns
    -------
    WassersteinTarget
    """
    with torch.no_grad():
        covariances, means = _exact(moments[..., :-1]), _exact(moments[..., -1])
        floors = _FLOOR * _mean_variance(covariances) + _TINY
        values, axes = torch.linalg.eigh(covariances)
        values = (values.clamp_min(0) + floors[:, None]).sqrt()
        roots = (axes * values[:, None]) @ axes.mT
        zero = (values - _common_floor(torch.zeros_like(floors), floors).sqrt()[:, None]).square().sum(1)
        return WassersteinTarget(means, roots, values.square().sum(1), floors, means.square().sum(1) + zero)


def wasserstein_distance(moments: Tensor, target: WassersteinTarget, normalisation: str = "relative") -> Tensor:
    r"""Return the squared 2-Wasserstein distance of Gaussians from their targets.

    - ``relative``: divided by the target's own size, the distance of features that are zero everywhere, which is
      :math:`|\nu|^2 + \operatorname{tr} S` but for the floor;
    - ``papers``: divided by the number of channels, a mean as the Gram distance of that name is.

    The covariance gets the mean of its own floor and of the target's: so two that agree have the same one, and neither
    zero features nor ones that are far stronger than the target's are without.

    Parameters
    ----------
    moments : Tensor, shape (K, C, C + 1)
        [Σ | μ].
    target : WassersteinTarget
    normalisation : str
        "relative" or "papers".

    Returns
    -------
    Tensor, shape (K,)
        Zero at the target, never negative; of the dtype of the moments.
    """
    covariances, means = _exact(moments[..., :-1]), _exact(moments[..., -1])
    floors = _common_floor(_FLOOR * _mean_variance(covariances), target.floors)
    covariances = covariances + floors[:, None, None] * torch.eye(means.shape[1]).to(means)
    fidelity: Tensor = _Fidelity.apply(covariances, target.roots, floors.detach() * target.floors)
    bures = _trace(covariances) + target.traces - 2 * fidelity
    squared = (means - target.means).square().sum(1) + bures.clamp_min(0)
    size = means.shape[1] if normalisation == "papers" else target.scales.clamp_min(_TINY)
    return (squared / size).to(moments)


def _trace(matrices: Tensor) -> Tensor:
    return matrices.diagonal(dim1=-2, dim2=-1).sum(-1)


def _mean_variance(covariances: Tensor) -> Tensor:
    return _trace(covariances) / covariances.shape[-1]


def _common_floor(own: Tensor, other: Tensor) -> Tensor:
    return (own + other) / 2


class _Fidelity(torch.autograd.Function):
    """tr (S^½ Σ S^½)^½ with its derivative with respect to Σ, ½ S^½ (S^½ Σ S^½)^-½ S^½ (Muzellec & Cuturi 2018)."""

    @staticmethod
    def forward(ctx: Any, covariances: Tensor, target_roots: Tensor, least: Tensor) -> Tensor:
        product = target_roots @ covariances @ target_roots
        trace, inverse = trace_and_inverse((product + product.mT) / 2, least)
        ctx.save_for_backward(target_roots @ inverse @ target_roots / 2)
        return trace

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (derivative,) = ctx.saved_tensors
        return gradient[:, None, None] * derivative, None, None


def trace_and_inverse(matrices: Tensor, least: Tensor) -> tuple[Tensor, Tensor]:
    """Return the traces of the square roots of symmetric matrices, and the roots' inverses.

    The condition of a product of covariances is the square of theirs, up to 1e12, for which float32 has no digits left:
    the gradient is then wrong by 5 to 10 % at 256 and 512 channels. In float64 it is right to 1e-5. On the CPU an
    eigen-decomposition is the faster way: 0.7, 2.7, 13 and 91 ms for 64, 128, 256 and 512 channels on one thread,
    against 3, 8, 42 and 370 ms of Newton-Schulz. On a GPU :func:`newton_schulz` is: 3 ms for four matrices of 512
    channels on an H200, where an eigen-decomposition takes 19, and 73 on the CPU beside it.

    Parameters
    ----------
    matrices : Tensor of float64, shape (K, C, C)
        Symmetric, positive definite.
    least : Tensor of float64, shape (K,)
        Above zero: no eigenvalue is smaller, but for rounding.

    Returns
    -------
    traces : Tensor, shape (K,)
    inverses : Tensor, shape (K, C, C)
    """
    if matrices.device.type != "cpu":
        root, inverse = newton_schulz(matrices, least)
        return _trace(root), inverse
    values, axes = torch.linalg.eigh(matrices)
    values = torch.maximum(values, least[:, None]).sqrt()
    return values.sum(1), (axes / values[:, None]) @ axes.mT


def newton_schulz(matrices: Tensor, least: Tensor) -> tuple[Tensor, Tensor]:
    r"""Return roots and inverse roots by products of matrices alone; see :func:`trace_and_inverse` for the parameters.

    The coupled Newton-Schulz iteration (Higham 2008, equation 6.35) of :math:`M / \|M\|_F`,
    :math:`Y \leftarrow Y P,\; Z \leftarrow P Z` with :math:`P = \rho (3 I - \rho^2 Z Y) / 2`, has Y → M^½ and Z → M^-½.
    The root x of each eigenvalue goes its own way, :math:`x \leftarrow \rho x (3 - \rho^2 x^2) / 2`, towards one. With
    ρ = 1 small ones grow by a factor of 1.5 only; with :math:`\rho^2 = 3 / (1 + l + l^2)`, where l is the smallest,
    by up to 2.6 (Chen & Chow 2014), so that 15 iterations take the place of 31. The smallest is known from ``least``,
    so it is known beforehand, too, when all have come within 1e-8 of one: no residual has to be computed.
    """
    norm = torch.linalg.matrix_norm(matrices, keepdim=True)
    identity = torch.eye(matrices.shape[-1]).to(matrices).expand_as(matrices)
    y, z = matrices / norm, identity
    smallest = float((least / norm[:, 0, 0]).min().sqrt())
    while smallest < 1 - _CONVERGED:
        rho = (3 / (1 + smallest + smallest**2)) ** 0.5
        p = 1.5 * rho * identity - (0.5 * rho**3) * (z @ y)
        y, z = y @ p, p @ z
        smallest *= rho * (3 - (rho * smallest) ** 2) / 2
    return y * norm.sqrt(), z / norm.sqrt()

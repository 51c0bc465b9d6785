r"""A field in cosines: the coordinates in which it is optimised, broad changes first, spots last.

A bilateral grid is optimised as the coefficients of a discrete cosine transform over its three axes, each divided by

    sqrt(1 + s λ),   λ = Σ_axis w (μ + b μ²),   μ_j = (n - 1)² (2 - 2 cos(π j / n))

where μ_j is what the square of first differences costs the j-th cosine of an axis of n points, per step of the whole
axis, so that a finer grid costs the same; its square (b, "bend") is a thin plate's: a ramp across the picture costs
next to nothing and a spot much. In these coordinates the smoothness of a field is a plain sum of squares, and the data
and the smoothness bend the loss about as much in every direction: L-BFGS needs 20 evaluations where 60 on two levels
did not suffice (Strang 1999 on the transform; the idea is that of a preconditioner, Nocedal & Wright 2006, chapter 5).
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import scipy.fft
import torch
from torch import Tensor

_PLACE, _TONE, _BEND = 1.0, 0.02, 0.002  # w along the sides of the picture, w along tones, b
_SOFTNESS = 0.04  # s: about the field's weight over what the other terms bend the loss


def to_cosines(field: Tensor) -> Tensor:
    """Return the coordinates of a field, both of shape (K, D, N, N, C)."""
    return _transformed(field, inverse=False) / _scale(field)


def from_cosines(coordinates: Tensor) -> Tensor:
    """Return the field that has given coordinates; differentiable."""
    return _transformed(coordinates * _scale(coordinates), inverse=True)


def smoothness(coordinates: Tensor, shares: Tensor) -> Tensor:
    r"""Return how unevenly a field's maps change from place to place and from tone to tone.

    The mean over the grid of :math:`\sum_{\text{axis}} w (|\Delta|^2 + b |\Delta^2|^2)`, for each region, times the
    region's share. Of whitened maps (:class:`photostyle.field.space.FieldSpace`) it measures what differences do to
    the region's own colours.

    Parameters
    ----------
    coordinates : Tensor, shape (K, D, N, N, C)
        See :func:`to_cosines`.
    shares : Tensor, shape (K,)
        Of each region in the picture.

    Returns
    -------
    Tensor, shape ()
        Zero for a field of one map a region, never negative.
    """
    cost = _cost(*coordinates.shape[1:3]).to(coordinates)[None, ..., None]
    squares = cost / (1 + _SOFTNESS * cost) * coordinates.square()
    return (shares.to(coordinates) * squares.sum((1, 2, 3, 4))).sum() / math.prod(coordinates.shape[1:4])


def _transformed(field: Tensor, *, inverse: bool) -> Tensor:
    tones, cells = (_waves(points).to(field) for points in field.shape[1:3])
    if inverse:
        tones, cells = tones.T, cells.T
    return torch.einsum("td,yi,xj,kdijc->ktyxc", tones, cells, cells, field)


@cache
def _waves(points: int) -> Tensor:
    """Return the orthonormal discrete cosine transform, shape (points, points), one wave a row."""
    return torch.from_numpy(scipy.fft.dct(np.eye(points), axis=0, norm="ortho"))


@cache
def _cost(tones: int, cells: int) -> Tensor:
    """Return λ of each product of cosines, shape (D, N, N)."""
    tone, place = (_along(points) for points in (tones, cells))
    return _TONE * tone[:, None, None] + _PLACE * (place[:, None] + place)


def _along(points: int) -> Tensor:
    mu = (points - 1) ** 2 * (2 - 2 * torch.cos(torch.pi * torch.arange(points, dtype=torch.float64) / points))
    return mu + _BEND * mu.square()


def _scale(coordinates: Tensor) -> Tensor:
    cost = _cost(*coordinates.shape[1:3]).to(coordinates)
    return (1 + _SOFTNESS * cost).rsqrt()[None, ..., None]

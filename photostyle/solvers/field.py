"""The affine field as something to optimise: where it starts, what picture it makes, what it costs by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from photostyle.images import fit_longest_side, resize
from photostyle.images.guided import local_contrast
from photostyle.images.local_affine import apply_affine, fit_affine, lifted_rows
from photostyle.objective.matting import matting_laplacian
from photostyle.objective.total import Objective
from photostyle.regions.labels import area_average
from photostyle.regions.matte import soft_matte
from photostyle.solvers.bilateral import Slicer, Stiffness, apply_maps, field_of, normalised, resampled, smoothness
from photostyle.solvers.statistics import Moments, blend, moments, transport_map

if TYPE_CHECKING:
    from photostyle.config import TransferConfig
    from photostyle.solvers.problem import Problem

__all__ = ["continued_field", "field_objective", "mattes_of", "paint", "region_moments", "start_field"]

_STIFFNESS = Stiffness(place=1.0, tone=0.02, bend=0.002)
_SPREAD = 0.05  # squared colour units: variance of brightness in a picture of full contrast
_LEAST_SPREAD = 1e-4  # least variance along any axis of a style's colours, for the metric
_MATTE_EPSILON = 1e-5  # the Matting Laplacian's ε for mattes: its usual one sees noise as texture
_FLAT = 1e-3  # squared colour units, added to the covariance in which differences of maps are measured
_CONTRAST = 0.03  # what the square of local contrast counts, in the same
_LIFT_RADIUS, _LIFT_EPSILON = 3, 1e-4  # of the guided filter by which mattes are carried to a larger content
_IDENTITY = np.eye(3, 4)


def mattes_of(content: NDArray[np.float32], masks: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Return the soft mattes by which the regions' maps are blended.

    Parameters
    ----------
    content : ndarray, shape (H, W, 3)
        sRGB in [0, 1].
    masks : ndarray, shape (K, H', W')
    size : tuple of int
        (width, height) of the mattes.

    Returns
    -------
    ndarray of float32, shape (K, height, width)
    """
    small = np.stack([area_average(mask, size) for mask in masks])
    return soft_matte(small, matting_laplacian(resize(content, size), _MATTE_EPSILON))


def region_moments(problem: Problem, size: tuple[int, int]) -> tuple[list[Moments], list[Moments | None]]:
    """Return the moments of each region's colours, and those of its style; None where it keeps its own.

    Parameters
    ----------
    problem : Problem
    size : tuple of int
        (width, height) of the content at which they are measured; styles get the same longest side.
    """
    content, masks = resize(problem.content, size), problem.content_masks.resized(size).masks
    own = [moments(content, mask) for mask in masks]
    styles = []
    for picture, labels in zip(problem.styles, problem.style_masks, strict=True):
        small = fit_longest_side((picture.shape[1], picture.shape[0]), max(size))
        by_label: dict[str | None, NDArray[np.float32]] = {None: np.ones((small[1], small[0]), dtype=np.float32)}
        if labels is not None:
            by_label |= dict(zip(labels.labels, labels.resized(small).masks, strict=True))
        styles.append((resize(picture, small), by_label))
    theirs: list[Moments | None] = []
    for assignment in problem.assignments:
        parts = [(s.weight, moments(styles[s.style][0], styles[s.style][1][s.label])) for s in assignment.sources]
        theirs.append(blend(parts) if parts and assignment.weight else None)
    return own, theirs


def start_field(problem: Problem, size: tuple[int, int], tones: int, cells: int, strength: float = 1.0) -> Tensor:
    """Return the field that gives each region its style's mean and covariance.

    Parameters
    ----------
    problem : Problem
    size : tuple of int
        (width, height) at which colours are measured.
    tones, cells : int
        Of the grid.
    strength : float
        0 gives the identity, 1 the whole map; between them lie the geodesics of the optimal transport.

    Returns
    -------
    Tensor, shape (K, tones, cells, cells, 15)
    """
    own, theirs = region_moments(problem, size)
    maps = [
        _IDENTITY if style is None else _IDENTITY + strength * (transport_map(mine, style) - _IDENTITY)
        for mine, style in zip(own, theirs, strict=True)
    ]
    return field_of(np.stack(maps), tones, cells).to(problem.device)


def continued_field(previous: Tensor, tones: int, cells: int) -> Tensor:
    """Return the field of the stage before on a grid of another size."""
    if previous.shape[1:3] == (tones, cells):
        return previous
    return resampled(previous.cpu(), tones, cells).to(previous.device)  # not every device can, and it is small


def field_objective(
    objective: Objective,
    problem: Problem,
    content: NDArray[np.float32],
    grid: tuple[int, int],
    config: TransferConfig,
) -> Objective:
    """Turn an objective of pixels into one of a field.

    Parameters
    ----------
    objective : Objective
        Of pixels, at the content's size.
    problem : Problem
    content : ndarray, shape (H, W, 3)
    grid : tuple of int
        (tones, cells).
    config : TransferConfig
        Resolved.

    Returns
    -------
    Objective
        Of tensors of shape (K, tones, cells, cells, 15).
    """
    size = (content.shape[1], content.shape[0])
    assert problem.mattes is not None
    mattes = normalised(np.stack([area_average(matte, size) for matte in problem.mattes]))
    slicer = Slicer(content, mattes, *grid, problem.device)
    own, theirs = region_moments(problem, size)
    factors = _on(np.stack([_factor(each) for each in own]), problem.device)
    metrics = _on(np.stack([_metric(style or mine) for mine, style in zip(own, theirs, strict=True)]), problem.device)
    shares = _on(problem.content_masks.resized(size).masks.mean((1, 2)), problem.device)

    def penalty(field: Tensor) -> Tensor:
        return smoothness(field, factors, metrics, shares, _STIFFNESS)

    assert config.field_weight is not None
    return replace(objective, picture=slicer, penalties={"field": (penalty, config.field_weight)})


def paint(
    field: NDArray[np.float32],
    problem: Problem,
    content: NDArray[np.float32],
    on_rows: Callable[[int, int], object] = lambda _done, _total: None,
) -> NDArray[np.float32]:
    """Apply a field to the content at any size, some rows at a time.

    Parameters
    ----------
    field : ndarray, shape (K, D, N, N, 15)
    problem : Problem
        With mattes, which are carried over to this size by local affine maps of the content's colours.
    content : ndarray, shape (H, W, 3)
        sRGB in [0, 1]; the result is as fine as it is.
    on_rows : callable
        Receives the number of rows that are done, and of all rows.

    Returns
    -------
    ndarray of float32, shape (H, W, 3)
        In [0, 1].
    """
    assert problem.mattes is not None
    height, width = content.shape[:2]
    small = resize(problem.content, (problem.mattes.shape[2], problem.mattes.shape[1]))
    maps = fit_affine(small, problem.mattes.transpose(1, 2, 0), _LIFT_RADIUS, _LIFT_EPSILON)
    contrast = local_contrast(content)
    result = np.empty_like(content)
    for top, local in lifted_rows(maps, (width, height)):
        rows = slice(top, top + len(local))
        mattes = normalised(np.moveaxis(apply_affine(local, content[rows]), 2, 0))
        result[rows] = apply_maps(field, content[rows], contrast[rows], list(mattes), top, height)
        on_rows(top + len(local), height)
    return np.clip(result, 0, 1, out=result)


def _factor(own: Moments) -> NDArray[np.float64]:
    """Return the lower Cholesky factor of the second moments of what a region's maps take, which never vanish."""
    colors = replace(own, covariance=own.covariance + _FLAT * np.eye(3)).second()
    second = np.zeros((5, 5))
    second[np.ix_([0, 1, 2, 4], [0, 1, 2, 4])] = colors
    second[3, 3] = _CONTRAST
    return np.asarray(np.linalg.cholesky(second))


def _metric(style: Moments) -> NDArray[np.float64]:
    """Return the metric of changes of colour: (Σ + ε)^-½ of the style's colours, in which a usual brightness is one.

    Colours may change from place to place along the axes on which the style's change: a sunset may have red and green
    corners. A step aside, a green spot in a style of nothing but blues, is what the eye takes for a blotch.
    """
    values, axes = np.linalg.eigh(style.covariance + _LEAST_SPREAD * np.eye(3))
    return np.asarray((axes * np.sqrt(_SPREAD / values)) @ axes.T)


def _on(values: NDArray[np.floating[Any]], device: str) -> Tensor:
    return torch.from_numpy(values.astype(np.float32)).to(device)

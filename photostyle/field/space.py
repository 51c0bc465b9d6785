"""The affine field: where it starts, by what it is measured, and what picture it makes at any size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from photostyle.colors.statistics import Moments, moments, style_moments, transport_map
from photostyle.field.cosines import from_cosines, to_cosines
from photostyle.field.grid import apply_maps, field_of, normalised, region_slice
from photostyle.field.mattes import soft_matte
from photostyle.filters.guided import LUMA, local_contrast
from photostyle.filters.local_affine import apply_affine, fit_affine, lifted_rows
from photostyle.images import resize
from photostyle.objective.matting import matting_laplacian

if TYPE_CHECKING:
    from photostyle.regions.labels import LabelMasks
    from photostyle.regions.match import Assignment

_SPREAD = 0.05  # squared colour units: variance of brightness in a picture of full contrast
_LEAST_SPREAD = 1e-4  # least variance along any axis of a style's colours, for the metric
_MATTE_EPSILON = 1e-5  # the Matting Laplacian's ε for mattes: its usual one sees noise as texture
_FLAT = 1e-3  # squared colour units, added to the covariance in which differences of maps are measured
_CONTRAST = 0.03  # what the square of local contrast counts, in the same
_SMOOTHED = 0.02  # deviation, as a share of the width, of the smoothing before it is seen where the content is flat,
_VARIED = 0.25  # and g₀, the gradient at which maps are half free: colour differences (ΔE*ab) a percent of the width
_UNEVEN = 0.3  # d₀, in the same, the difference of two smoothings at which they are half free
_LIFT_RADIUS, _LIFT_EPSILON = 3, 1e-4  # of the guided filter by which mattes are carried to a larger content
_IDENTITY = np.eye(3, 4)


@dataclass(frozen=True)
class FieldSpace:
    """What the fields of a problem have in common: where each region's maps hold, and by what they are measured.

    A field A is optimised as the cosines (:mod:`photostyle.field.cosines`) of whitened maps M A L, region by region.
    L is the Cholesky factor of the second moments of what the maps take, so that a step of the same length changes the
    picture as much whichever of the numbers it changes; M is the metric of changes of the result's colours. Without
    them an offset and a slope, which do nearly the same to a dark region, hinder each other, and L-BFGS needs five
    times the iterations.

    Where the content is flat, maps of one tone are the same from place to place: each is drawn towards their mean over
    the region, all the way where the content has no gradient at all. A white ground stays even, whatever its style.

    Attributes
    ----------
    mattes : ndarray of float32, shape (K, h, w)
        The regions' masks, fitted to the content's edges.
    shares : Tensor, shape (K,)
        Of each region in the picture.
    maps : ndarray, shape (K, 3, 4) or (K, D, 3, 4)
        The maps [A | b] to start with, which give each region its style's mean and covariance, or at each of D tones
        its grade; identities where it keeps its own.
    inputs, outputs : Tensor, shape (K, 5, 5) and (K, 3, 3)
        L and M.
    content : ndarray, shape (h, w, 3)
        The content at the size of the mattes, sRGB in [0, 1].
    """

    mattes: NDArray[np.float32]
    shares: Tensor
    maps: NDArray[np.float64]
    inputs: Tensor
    outputs: Tensor
    content: NDArray[np.float32]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the mattes."""
        return self.mattes.shape[2], self.mattes.shape[1]

    @property
    def grid(self) -> tuple[int, int]:
        """Tones and cells of the smallest grid that holds the maps."""
        return (2 if self.maps.ndim == 3 else self.maps.shape[1]), 2

    def coordinates(self, field: Tensor) -> Tensor:
        """Return the coordinates of a field, both of shape (K, D, N, N, 15); those of the nearest that is allowed."""
        return to_cosines(self._between(self.outputs, field, self.inputs))

    def field(self, coordinates: Tensor) -> Tensor:
        """Return the field that has given coordinates; differentiable."""
        outputs, inputs = self._inverses
        return self._between(outputs, self._calmed(from_cosines(coordinates)), inputs)

    def _calmed(self, maps: Tensor) -> Tensor:
        """Draw whitened maps towards the mean of their tone, the more the flatter the content is there."""
        shares, freedom = (each.to(maps) for each in self._occupied(*maps.shape[1:3]))
        mean = (shares[..., None] * maps).sum((2, 3), keepdim=True)
        return mean + freedom[..., None] * (maps - mean)

    def _occupied(self, tones: int, cells: int) -> tuple[Tensor, Tensor]:
        """Return of each point of a grid its share of its tone's pixels, and how free it is; shape (K, D, N, N)."""
        if (tones, cells) not in self._grids:
            free, grid = _freedom(self.content, tones), (tones, cells, cells)
            shares, freedom = [], []
            for matte in self.mattes:
                weights, pixels = region_slice(self.content, matte, tones, cells)
                count = np.asarray(weights.sum(0)).reshape(grid) + 1e-6
                by_tone = [
                    weights[:, t * cells**2 : (t + 1) * cells**2].T @ free[t].ravel()[pixels] for t in range(tones)
                ]
                shares.append(count / count.sum((1, 2), keepdims=True))
                freedom.append(np.stack(by_tone).reshape(grid) / count)
            self._grids[tones, cells] = _on(np.stack(shares), "cpu"), _on(np.stack(freedom), "cpu")
        return self._grids[tones, cells]

    @cached_property
    def _grids(self) -> dict[tuple[int, int], tuple[Tensor, Tensor]]:
        return {}

    @cached_property
    def _inverses(self) -> tuple[Tensor, Tensor]:
        return torch.linalg.inv(self.outputs), torch.linalg.inv(self.inputs)

    def start(self, tones: int, cells: int, strength: float = 1.0) -> Tensor:
        """Return the coordinates of the field that has the maps to start with everywhere.

        Parameters
        ----------
        tones, cells : int
            Of the grid.
        strength : float
            0 gives the identity, 1 the whole map; between them lie the geodesics of the optimal transport.

        Returns
        -------
        Tensor, shape (K, tones, cells, cells, 15)
        """
        maps = _IDENTITY + strength * (self.maps - _IDENTITY)
        return self.coordinates(field_of(maps, tones, cells).to(self.inputs.device))

    @staticmethod
    def _between(left: Tensor, field: Tensor, right: Tensor) -> Tensor:
        maps = field.view(*field.shape[:4], 3, 5)
        return (left.to(field)[:, None, None, None] @ maps @ right.to(field)[:, None, None, None]).reshape(field.shape)


def field_space(
    content: NDArray[np.float32],
    masks: LabelMasks,
    styles: Sequence[NDArray[np.float32]],
    style_masks: Sequence[LabelMasks | None],
    assignments: Sequence[Assignment],
    size: tuple[int, int],
    device: str = "cpu",
) -> FieldSpace:
    """Measure content and styles for fields.

    Parameters
    ----------
    content : ndarray, shape (H, W, 3)
        sRGB in [0, 1].
    masks : LabelMasks
        K regions.
    styles : sequence of ndarray
    style_masks : sequence of LabelMasks or None
        None where a style is used whole.
    assignments : sequence of K Assignment
        The style of each region.
    size : tuple of int
        (width, height) of the content at which is measured; styles get the same longest side.
    device : str

    Returns
    -------
    FieldSpace
    """
    content, small = resize(content, size), masks.resized(size).masks
    own = [moments(content, mask) for mask in small]
    theirs = style_moments(styles, style_masks, assignments, max(size))
    maps = [_IDENTITY if style is None else transport_map(mine, style) for mine, style in zip(own, theirs, strict=True)]
    return FieldSpace(
        mattes=soft_matte(small, matting_laplacian(content, _MATTE_EPSILON)),
        shares=_on(small.mean((1, 2)), device),
        maps=np.stack(maps),
        inputs=_on(np.stack([_factor(each) for each in own]), device),
        outputs=_on(np.stack([_metric(style or mine) for mine, style in zip(own, theirs, strict=True)]), device),
        content=content,
    )


def _freedom(content: NDArray[np.float32], tones: int) -> NDArray[np.float32]:
    """Return how free the maps of each tone are at each pixel, shape (tones, H, W): g² / (g² + g₀²) d² / (d² + d₀²).

    g is the gradient, in CIELAB, of the content smoothed among pixels of the tone: white ground is flat up to its edge.
    d is what the content smoothed finely differs from smoothed coarsely: a sky that only changes evenly from zenith to
    horizon is flat too.
    """
    width = content.shape[1]
    lab: NDArray[np.float32] = np.asarray(cv2.cvtColor(content, cv2.COLOR_RGB2LAB), dtype=np.float32)
    tone = np.clip(content @ LUMA, 0, 1) * (tones - 1)
    even = np.square(_blurred(lab, _SMOOTHED * width) - _blurred(lab, 2 * _SMOOTHED * width)).sum(-1)
    uneven = even / (even + _UNEVEN**2)
    freedom = np.empty((tones, *content.shape[:2]), dtype=np.float32)
    for t in range(tones):
        near = np.clip(1 - np.abs(tone - t), 0, 1)[..., None].astype(np.float32) + np.float32(1e-6)
        sums = cv2.GaussianBlur(np.dstack([near * lab, near]), (0, 0), _SMOOTHED * width)
        smooth = sums[..., :3] / sums[..., 3:]
        squares = sum(np.square(each).sum(-1) for each in np.gradient(smooth, axis=(0, 1))) * (width / 100) ** 2
        freedom[t] = uneven * squares / (squares + _VARIED**2)
    return freedom


def _blurred(lab: NDArray[np.float32], deviation: float) -> NDArray[np.float32]:
    """Smooth a picture beyond whose border everything goes on as it rises or falls."""
    margin = min(round(3 * deviation), min(lab.shape[:2]) - 1)
    wide = np.pad(lab, ((margin, margin), (margin, margin), (0, 0)), "reflect", reflect_type="odd")
    return np.asarray(cv2.GaussianBlur(wide, (0, 0), deviation)[margin:, margin:][: lab.shape[0], : lab.shape[1]])


def paint(
    field: NDArray[np.float32],
    space: FieldSpace,
    content: NDArray[np.float32],
    on_rows: Callable[[int, int], object] = lambda _done, _total: None,
) -> NDArray[np.float32]:
    """Apply a field to the content at any size, some rows at a time.

    Parameters
    ----------
    field : ndarray, shape (K, D, N, N, 15)
    space : FieldSpace
        Whose mattes are carried over to this size by local affine maps of the content's colours.
    content : ndarray, shape (H, W, 3)
        sRGB in [0, 1]; the result is as fine as it is.
    on_rows : callable
        Receives the number of rows that are done, and of all rows.

    Returns
    -------
    ndarray of float32, shape (H, W, 3)
        In [0, 1].
    """
    height, width = content.shape[:2]
    small, mattes = space.content, space.mattes.transpose(1, 2, 0)
    maps = fit_affine(small, mattes, _LIFT_RADIUS, _LIFT_EPSILON)
    contrast = local_contrast(content)
    result = np.empty_like(content)
    for top, local in lifted_rows(maps, (width, height)):
        rows = slice(top, top + len(local))
        shares = normalised(np.moveaxis(apply_affine(local, content[rows]), 2, 0))
        result[rows] = apply_maps(field, content[rows], contrast[rows], list(shares), top, height)
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

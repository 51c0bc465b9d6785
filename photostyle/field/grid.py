"""The affine field: colour maps on a bilateral grid for each region, and the picture that they make of a content.

Every pixel of the result is an affine function of the content's colour and local contrast there, x = A·[I; d; 1]. The
fifteen numbers of A are read ("sliced", Chen, Paris & Durand 2007) from a coarse grid over place and tone, one grid a
region, blended by the regions' soft masks:

    A(p) = Σ_k m_k(p) Σ_c w_c(p) G_k(c)

with trilinear weights w_c over the eight grid points c around (column, row, luma) of p. Neighbours of like colour get
like maps, so that edges stay the content's own: a field this coarse can't paint, smear or draw. The local contrast d
lets it make texture stronger or weaker without touching the colours around. (Gharbi et al. 2017
predict such grids; here they are optimised.) The weights are a sparse matrix, since slicing is linear in the grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray
from torch import Tensor

from photostyle.filters.guided import LUMA, local_contrast
from photostyle.regions.labels import normalise

NUMBERS = 15
"""Of an affine map: three rows [red green blue contrast | 1]."""


_LEAST_MASK = 2e-3  # a smaller share of a region in a pixel is none


def field_of(maps: NDArray[np.floating[Any]], tones: int, cells: int) -> Tensor:
    """Return the field in which each region has one map everywhere, or one for each tone.

    Parameters
    ----------
    maps : ndarray, shape (K, 3, 4) or (K, tones, 3, 4)
        Rows [a_r a_g a_b | b] of the region's affine map of colours; local contrast is left as it is.
    tones, cells : int
        Grid points along luma, and along each side of the picture; at least 2.

    Returns
    -------
    Tensor of float32, shape (K, tones, cells, cells, 15)
    """
    full = np.insert(np.asarray(maps, dtype=np.float32), 3, 0.0, axis=-1)
    flat = torch.from_numpy(full).reshape(len(maps), -1, 1, 1, NUMBERS)
    return flat.expand(-1, tones, cells, cells, -1).contiguous()


def normalised(masks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Clip masks, shape (K, H, W), to [0, 1], make the smallest shares none, and let the rest sum to one."""
    kept = np.clip(masks, 0, 1)
    normalise(kept, _LEAST_MASK)
    return kept


def map_inputs(content: NDArray[np.float32], contrast: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what an affine map takes, [red green blue contrast 1] of each pixel, shape (H, W, 5)."""
    return np.dstack([content, contrast, np.ones_like(contrast)])


def region_slice(
    guide: NDArray[np.float32], mask: NDArray[np.float32], tones: int, cells: int, top: int = 0, height: int = 0
) -> tuple[scipy.sparse.csr_matrix, NDArray[np.intp]]:
    """Return the slicing matrix of one region.

    Parameters
    ----------
    guide : ndarray, shape (H, W, 3)
        The content, or some rows of it; sRGB in [0, 1].
    mask : ndarray, shape (H, W)
        The region's share in each pixel.
    tones, cells : int
        Grid points along luma and along each side.
    top, height : int
        Where these rows begin in the whole picture, and how many it has; 0: these are all.

    Returns
    -------
    weights : csr_matrix of float32, shape (P, tones·cells²)
        Eight trilinear weights a row, times the mask.
    pixels : ndarray of int, shape (P,)
        The pixels, row by row, at which the mask is more than nothing.
    """
    rows, columns = mask.shape
    pixels = np.flatnonzero(mask)
    luma = guide.reshape(-1, 3)[pixels] @ LUMA
    y, x = np.divmod(pixels, columns)
    tone, tone_share = _between(luma, tones)
    row, row_share = _between((y + np.float32(top + 0.5)) / np.float32(height or rows), cells)
    column, column_share = _between((x + np.float32(0.5)) / np.float32(columns), cells)
    first = (tone * cells + row) * cells + column
    share = mask.reshape(-1)[pixels]
    indices = np.empty((len(pixels), 8), dtype=np.int32)
    weights = np.empty((len(pixels), 8), dtype=np.float32)
    for corner in range(8):
        up, down, right = corner >> 2, corner >> 1 & 1, corner & 1
        indices[:, corner] = first + (up * cells + down) * cells + right
        weight = share * (tone_share if up else 1 - tone_share)
        weight *= row_share if down else 1 - row_share
        weights[:, corner] = weight * (column_share if right else 1 - column_share)
    pointers = np.arange(0, 8 * len(pixels) + 1, 8, dtype=np.int64)
    shape = (len(pixels), tones * cells * cells)
    return scipy.sparse.csr_matrix((weights.ravel(), indices.ravel(), pointers), shape=shape), pixels


def _between(position: NDArray[np.float32], points: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the grid point below each position in [0, 1], and the share of the one above."""
    scaled = np.clip(position, 0, 1) * np.float32(points - 1)
    below = np.minimum(scaled.astype(np.int32), points - 2)
    return below, scaled - below


class _SparseProduct(torch.autograd.Function):
    """S @ x for a constant sparse matrix S, in scipy on the CPU; the gradient is Sᵀ @ g."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, matrix: scipy.sparse.csr_matrix, transposed: scipy.sparse.csr_matrix) -> Tensor:
        ctx.transposed = transposed
        return torch.from_numpy(matrix @ x.detach().cpu().numpy()).to(x)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        product = ctx.transposed @ np.ascontiguousarray(gradient.cpu().numpy())
        return torch.from_numpy(product).to(gradient), None, None


class Slicer:
    """Makes pictures of fields, differentiably, for one content at one size.

    Parameters
    ----------
    content : ndarray, shape (H, W, 3)
        sRGB in [0, 1].
    masks : ndarray, shape (K, H, W)
        Soft masks that sum to one.
    tones, cells : int
        Of the fields.
    device : str
        Where the pictures shall be.
    """

    def __init__(
        self, content: NDArray[np.float32], masks: NDArray[np.float32], tones: int, cells: int, device: str = "cpu"
    ) -> None:
        self.shape = content.shape[:2]
        total = self.shape[0] * self.shape[1]
        parts = []
        for mask in masks:
            weights, pixels = region_slice(content, mask, tones, cells)
            scatter = scipy.sparse.csr_matrix(
                (np.ones(len(pixels), np.float32), (pixels, np.arange(len(pixels)))), shape=(total, len(pixels))
            )
            parts.append(scatter @ weights)
        self.matrix = scipy.sparse.csr_matrix(scipy.sparse.hstack(parts, format="csr"))
        self.transposed = scipy.sparse.csr_matrix(self.matrix.T)
        self.inputs = torch.from_numpy(map_inputs(content, local_contrast(content)).reshape(-1, 5)).to(device)

    def __call__(self, field: Tensor) -> Tensor:
        """Return the picture, shape (1, 3, H, W), of a field, shape (K, D, N, N, 15); not clipped."""
        maps: Tensor = _SparseProduct.apply(field.reshape(-1, NUMBERS), self.matrix, self.transposed)
        colors = maps.view(-1, 3, 5) @ self.inputs.to(maps)[:, :, None]
        return colors.view(*self.shape, 3).permute(2, 0, 1)[None]


def apply_maps(
    field: NDArray[np.float32],
    content: NDArray[np.float32],
    contrast: NDArray[np.float32],
    masks: Sequence[NDArray[np.float32]],
    top: int = 0,
    height: int = 0,
) -> NDArray[np.float32]:
    """Apply a field to some rows of a content, with memory in proportion to the rows.

    Parameters
    ----------
    field : ndarray, shape (K, D, N, N, 15)
    content : ndarray, shape (H, W, 3)
    contrast : ndarray, shape (H, W)
        The same rows of the whole content's :func:`photostyle.filters.guided.local_contrast`.
    masks : sequence of K ndarray, shape (H, W)
    top, height : int
        See :func:`region_slice`.

    Returns
    -------
    ndarray of float32, shape (H, W, 3)
        Not clipped.
    """
    tones, cells = field.shape[1:3]
    inputs = map_inputs(content, contrast).reshape(-1, 5)
    result = np.zeros((len(inputs), 3), dtype=np.float32)
    for grid, mask in zip(field, masks, strict=True):
        weights, pixels = region_slice(content, mask, tones, cells, top, height)
        maps = (weights @ grid.reshape(-1, NUMBERS)).reshape(-1, 3, 5)
        result[pixels] += np.einsum("pij,pj->pi", maps, inputs[pixels])
    return result.reshape(content.shape)

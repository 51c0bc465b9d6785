"""The Matting Laplacian (Levin, Lischinski & Weiss 2008) and the photorealism loss built on it (Luan et al. 2017).

In a small window of a natural picture, colours lie near a line. A picture whose every channel is, in each
window, an affine function of the content's colours has the same edges as the content: it stays a photograph.
The Laplacian L measures in xᵀLx how far a channel x is from that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray
from torch import Tensor

from photostyle.objective.tv import size_factor

EPSILON = 1e-7
"""Regularises the covariance of each window; the value of Levin et al. and of Luan et al."""

_BLOCK = 1 << 13  # pixels a block: its temporary arrays, some 2 MB each, stay in the cache


def matting_laplacian(image: NDArray[np.floating[Any]], epsilon: float = EPSILON) -> scipy.sparse.csr_matrix:
    r"""Return the Matting Laplacian of a picture.

    Equation 12 of Levin et al. (2008), for windows w of 3×3 pixels:

    .. math:: L_{ij} = \sum_{w \ni i, j} \left(\delta_{ij} - \frac19 \left(1 + (I_i - \mu_w)^\top
              (\Sigma_w + \tfrac{\varepsilon}{9} \mathrm{Id})^{-1} (I_j - \mu_w)\right)\right)

    A pixel shares a window only with its 5×5 neighbourhood: L has 25 diagonals. They are computed for blocks of
    rows, one pair of window positions after the other, and go straight into CSR, so that memory stays near the
    size of the result.

    Parameters
    ----------
    image : ndarray, shape (H, W, 3)
        sRGB in [0, 1]; H and W of at least 3.
    epsilon : float
        ε, above zero.

    Returns
    -------
    csr_matrix of float64, shape (H·W, H·W)
        Symmetric and positive semi-definite, with rows that sum to zero.

    Raises
    ------
    ValueError
        If the shape is not (H, W, 3) with sides of at least 3, a value is not finite, or ε isn't above zero.

    Examples
    --------
    >>> laplacian = matting_laplacian(np.random.default_rng(0).random((6, 8, 3)))
    >>> laplacian.shape, bool(abs(laplacian @ np.ones(48)).max() < 1e-6)
    ((48, 48), True)
    """
    if image.ndim != 3 or image.shape[2] != 3 or min(image.shape[:2]) < 3:
        raise ValueError(f"the image has shape {image.shape}, but (H, W, 3) with sides of at least 3 is needed")
    if not np.isfinite(image).all():
        raise ValueError("the image holds values that are not finite")
    if not epsilon > 0:
        raise ValueError(f"epsilon is {epsilon}, but must be above 0")
    height, width = image.shape[:2]
    planes = np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float64)
    inside_rows, inside_columns = _inside(height), _inside(width)
    pointers = np.zeros(height * width + 1, dtype=np.int32)
    np.cumsum(np.outer(inside_rows.sum(1), inside_columns.sum(1)).ravel(), out=pointers[1:])
    data = np.empty(pointers[-1])
    indices = np.empty(pointers[-1], dtype=np.int32)
    offsets = (np.arange(-2, 3)[:, None] * width + np.arange(-2, 3)).astype(np.int32)
    step = max(1, _BLOCK // width)
    for top in range(0, height, step):
        bottom = min(top + step, height)
        part = slice(pointers[top * width], pointers[bottom * width])
        inside = inside_rows[top:bottom, None, :, None] & inside_columns[None, :, None, :]
        diagonals = _diagonals(planes, top, bottom, epsilon)
        data[part] = np.ascontiguousarray(diagonals.transpose(2, 3, 0, 1))[inside]
        pixels = np.arange(top * width, bottom * width, dtype=np.int32).reshape(-1, width, 1, 1)
        indices[part] = (pixels + offsets)[inside]
    laplacian = scipy.sparse.csr_matrix((data, indices, pointers), shape=(height * width,) * 2)
    laplacian.has_sorted_indices = True
    return laplacian


def _inside(length: int) -> NDArray[np.bool_]:
    """Return whether position p - 2 … p + 2 exists on an axis, shape (length, 5)."""
    neighbour = np.arange(length)[:, None] + np.arange(-2, 3)
    return (neighbour >= 0) & (neighbour < length)


def _diagonals(planes: NDArray[np.float64], top: int, bottom: int, epsilon: float) -> NDArray[np.float64]:
    """Return the diagonals of the pixel rows from ``top`` up to ``bottom``.

    The result has shape (5, 5, bottom - top, W): ``result[dy + 2, dx + 2, y, x]`` stands for the entry of L
    between pixel (top + y, x) and pixel (top + y + dy, x + dx).
    """
    first, last = max(top - 2, 0), min(bottom + 2, planes.shape[1])  # rows of all windows that touch the block
    rows, columns = last - first - 2, planes.shape[2] - 2
    positions = [(y, x) for y in range(3) for x in range(3)]
    colours = np.stack([planes[:, first + y : first + y + rows, x : x + columns] for y, x in positions])
    whitened = _whiten(colours, epsilon)
    result = np.zeros((5, 5, last - first, planes.shape[2]))
    value = np.empty((rows, columns))
    product = np.empty_like(value)
    for j, (yj, xj) in enumerate(positions):
        for i, (yi, xi) in enumerate(positions[: j + 1]):  # j is at i, to its right, or below
            np.multiply(whitened[i, 0], whitened[j, 0], out=value)
            value += np.multiply(whitened[i, 1], whitened[j, 1], out=product)
            value += np.multiply(whitened[i, 2], whitened[j, 2], out=product)
            value += 1.0 / 9.0 if i != j else 1.0 / 9.0 - 1.0
            result[2 + yj - yi, 2 + xj - xi, yi : yi + rows, xi : xi + columns] -= value
    _mirror(result)
    return result[:, :, top - first : bottom - first]


def _mirror(diagonals: NDArray[np.float64]) -> None:
    """Fill the diagonals of neighbours above and to the left, in place: L is symmetric."""
    height, width = diagonals.shape[2:]
    for dy, dx in [(0, 1), (0, 2), *((dy, dx) for dy in (1, 2) for dx in range(-2, 3))]:
        left, right = max(-dx, 0), min(width, width - dx)
        from_pixel = diagonals[2 + dy, 2 + dx, : height - dy, left:right]
        diagonals[2 - dy, 2 - dx, dy:, left + dx : right + dx] = from_pixel


def _whiten(colours: NDArray[np.float64], epsilon: float) -> NDArray[np.float64]:
    """Centre and whiten the nine colours of each window.

    With C Cᵀ = Σ + ε/9·Id (Cholesky) it returns C⁻¹(I_i - μ)/3, whose inner products are the ones that L needs.
    Input and output have shape (9, 3, windows down, windows across).
    """
    centred: NDArray[np.float64] = colours - colours.mean(axis=0)
    b, g, r = centred[:, 0], centred[:, 1], centred[:, 2]
    ridge = epsilon / 9.0
    c00 = np.sqrt((b * b).mean(axis=0) + ridge)
    c10 = (b * g).mean(axis=0) / c00
    c20 = (b * r).mean(axis=0) / c00
    c11 = np.sqrt((g * g).mean(axis=0) + ridge - c10 * c10)
    c21 = ((g * r).mean(axis=0) - c20 * c10) / c11
    c22 = np.sqrt((r * r).mean(axis=0) + ridge - c20 * c20 - c21 * c21)
    b /= c00
    g -= c10 * b
    g /= c11
    r -= c20 * b + c21 * g
    r /= c22
    centred /= 3.0
    return centred


class _QuadraticForm(torch.autograd.Function):
    """Σ_c x_cᵀ L x_c for x of shape (M, C), in float64 on the CPU; the gradient is 2 L x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, laplacian: scipy.sparse.csr_matrix) -> Tensor:
        columns = x.detach().to("cpu", torch.float64).numpy()
        product = laplacian @ columns
        ctx.save_for_backward(torch.from_numpy(2.0 * product).to(x.device, x.dtype))
        return x.new_tensor(float(np.vdot(columns, product)))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (twice_product,) = ctx.saved_tensors
        return gradient * twice_product, None


def matting_energy(x: Tensor, laplacian: scipy.sparse.csr_matrix) -> Tensor:
    r"""Return :math:`\sum_c x_c^\top L x_c / M`, with M the number of pixels.

    Equation 2 of Luan et al. (2017), divided by M. Their code adds the gradient but leaves the term out of the
    loss, which breaks line searches; here it is part of both.

    Parameters
    ----------
    x : Tensor, shape (1, 3, H, W)
        In [0, 1].
    laplacian : csr_matrix, shape (M, M)
        The content's, at the same size.

    Returns
    -------
    Tensor, shape ()
        Zero for any affine function of the content's colours, but for ε; never negative.
    """
    pixels = x[0].permute(1, 2, 0).reshape(-1, x.shape[1])
    energy: Tensor = _QuadraticForm.apply(pixels, laplacian)
    return energy / len(pixels)


def matting_loss(x: Tensor, laplacian: scipy.sparse.csr_matrix) -> Tensor:
    """Return the :func:`matting_energy`, scaled with the square of the side to mean the same at every size.

    Parameters
    ----------
    x : Tensor, shape (1, 3, H, W)
        In [0, 1].
    laplacian : csr_matrix, shape (H·W, H·W)

    Returns
    -------
    Tensor, shape ()
    """
    return size_factor(*x.shape[-2:]) * matting_energy(x, laplacian)

"""CIELAB, where distances are those of the eye, and quantiles of weighted samples."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

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

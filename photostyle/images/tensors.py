"""Pictures as arrays, (H, W, 3), and as tensors, (1, 3, H, W)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def to_tensor(picture: NDArray[np.float32], device: str | torch.device = "cpu") -> Tensor:
    """Turn a picture of shape (H, W, 3) into a tensor of shape (1, 3, H, W) on a device."""
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None].to(device)


def to_array(x: Tensor) -> NDArray[np.float32]:
    """Turn a tensor of shape (1, 3, H, W) into a picture of shape (H, W, 3), clipped to [0, 1]."""
    array: NDArray[np.float32] = x[0].detach().clamp(0, 1).permute(1, 2, 0).cpu().numpy()
    return np.ascontiguousarray(array)

"""Pictures given as NumPy arrays or PyTorch tensors."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photostyle.errors import ImageError
from photostyle.images.samples import Samples, check_size, check_unit_range

_CHANNELS = (1, 3, 4)


def array_of_tensor(source: object, label: str) -> NDArray[Any] | None:
    """Bring a tensor (C, H, W), (1, C, H, W), (H, W) or (H, W, C) to an array (H, W) or (H, W, C).

    Channels come first where both readings are possible. PyTorch is not imported for the question: without
    it there are no tensors.
    """
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(source, torch.Tensor):
        return None
    tensor = source.detach().cpu()
    if tensor.is_floating_point() and tensor.dtype not in (torch.float32, torch.float64):
        tensor = tensor.float()
    array: NDArray[Any] = np.asarray(tensor.numpy())
    if array.ndim == 4:
        if array.shape[0] != 1:
            raise ImageError(
                f"{label}: has the shape {array.shape}, a batch of {array.shape[0]}; allowed is one picture, "
                "(3, H, W) or (1, 3, H, W): pass them one by one"
            )
        array = array[0]
    if array.ndim == 3 and array.shape[0] in _CHANNELS:
        array = np.moveaxis(array, 0, -1)
    return array


def samples_of_array(array: NDArray[Any], label: str, max_pixels: int, min_side: int) -> Samples:
    """Take the samples of an array; the result shares no memory with it."""
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in _CHANNELS):
        raise ImageError(
            f"{label}: has the shape {array.shape}; allowed are (H, W), (H, W, 1), (H, W, 3) and (H, W, 4), "
            "and for tensors (3, H, W) and (1, 3, H, W)"
        )
    check_size(label, (array.shape[1], array.shape[0]), max_pixels, min_side)
    values: NDArray[Any]
    if array.dtype.kind == "f":
        values, depth, full = check_unit_range(label, array), 16, 1
    elif array.dtype == np.uint8:
        values, depth, full = array.copy(), 8, 255
    elif array.dtype.kind == "u" and array.dtype.itemsize == 2:
        values, depth, full = array.astype(np.uint16), 16, 65535
    else:
        raise ImageError(
            f"{label}: has the type {array.dtype}; allowed are uint8, uint16 and floats in [0, 1]: "
            "convert it with .astype()"
        )
    if values.ndim == 2:
        return Samples(values, None, depth)
    alpha = values[..., 3].astype(np.float32) / np.float32(full) if values.shape[2] == 4 else None
    return Samples(values[..., 0] if values.shape[2] == 1 else values[..., :3], alpha, depth)

"""Pictures as a viewer sees them: in 8 bits, at the size at which they are measured."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from photostyle.images import fit_longest_side


def eight_bit(picture: NDArray[np.float32]) -> Image.Image:
    """Turn a picture, shape (H, W, 3) in [0, 1], into an 8-bit image."""
    return Image.fromarray(np.round(picture * 255).astype(np.uint8))


def at_width(image: Image.Image, width: int) -> tuple[int, int]:
    """Return (width, height) of an image at a width; at least 16 pixels high."""
    return width, max(16, round(image.height * width / image.width))


def at_longest(image: Image.Image, longest: int, shortest: int) -> tuple[int, int]:
    """Return (width, height) of an image with its longest side given; longer, where the other were below a least."""
    least = -(-shortest * max(image.size) // min(image.size))
    return fit_longest_side(image.size, max(longest, least))


def shrunk(image: Image.Image, size: tuple[int, int]) -> NDArray[np.float32]:
    """Resize an 8-bit image to (width, height); float32, shape (H, W, 3) in [0, 1]."""
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS), dtype=np.float32) / np.float32(255)


def tensor_of(picture: NDArray[np.float32]) -> Tensor:
    """Turn a picture of shape (H, W, 3) into a tensor of shape (1, 3, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None]

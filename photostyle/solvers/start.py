"""The picture to start from."""

from __future__ import annotations

import torch
from torch import Tensor


def start_picture(kind: str, content: Tensor, style: Tensor, *, seed: int, noise_share: float = 0.5) -> Tensor:
    """Return the first picture of a run.

    Parameters
    ----------
    kind : str
        "content", "style", "noise" (white: each value drawn evenly from [0, 1]) or "mix" of content and noise.
    content, style : Tensor, shape (1, 3, H, W)
        sRGB in [0, 1], of the same size.
    seed : int
        Of the noise, which is drawn on the CPU: the same on every device.
    noise_share : float
        Share of the noise in a mix, in [0, 1].

    Returns
    -------
    Tensor, shape (1, 3, H, W)
    """
    if kind == "content":
        return content.clone()
    if kind == "style":
        return style.clone()
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(content.shape, generator=generator).to(content)
    if kind == "noise":
        return noise
    return torch.lerp(content, noise, noise_share)

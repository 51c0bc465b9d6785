r"""The detail loss: local contrast stays near that of the closed-form transfer.

A field of colour maps may lay fog over a lawn, swallow a cloud, or turn the grain of grass into speckle of pure blue:
each brings colours and Gram matrices of a region nearer to its style's. What a region's colours do to its detail when
one map is applied to all of it is natural to the eye, so local contrast has to stay near that. With σ² the variance in
windows of 3 % of the width, in CIELAB, of the picture and of the closed form (index 0)::

    L = mean Σ_c (ρ - log u)₊² + (-ρ - log d)₊²,   ρ = ½ log((σ² + ν²) / (σ₀² + ν²))

over lightness (c = L) and colour (c = ab). Lightness may lose a quarter of its contrast (d = 1.35), colour gain half
(u = 1.5): the eye misses the one and sees the other at once. Luan et al. (2017) have no such term.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from photostyle.colors.lab import to_lab

_WINDOW = 0.03  # side, as a share of the picture's width
_ROUNDING = 0.01  # ν, in Lab / 100
_MOST = (2.5, 1.5)  # u of lightness and colour
_LEAST = (1.35, 3.0)  # d


def log_contrast(picture: Tensor) -> Tensor:
    """Return ½ log(σ² + ν²) of lightness and colour on a grid of windows.

    Parameters
    ----------
    picture : Tensor, shape (1, 3, H, W)
        sRGB, nominally in [0, 1].

    Returns
    -------
    Tensor, shape (2, h, w)
    """
    lab = to_lab(picture[0].permute(1, 2, 0)).permute(2, 0, 1)
    side = max(3, round(_WINDOW * lab.shape[2]) | 1)
    padded = nn.functional.pad(lab[None], (side // 2,) * 4, mode="replicate")
    mean, mean_square = (nn.functional.avg_pool2d(x, side, side // 2)[0] for x in (padded, padded.square()))
    variance = (mean_square - mean.square()).clamp_min(0)
    return 0.5 * torch.stack([variance[0], variance[1] + variance[2]]).add(_ROUNDING**2).log()


def detail_loss(picture: Tensor, target: Tensor) -> Tensor:
    """Return the loss of a picture, shape (1, 3, H, W): zero where its contrast is near the target's, never negative.

    Parameters
    ----------
    picture : Tensor
    target : Tensor, shape (2, h, w)
        `log_contrast` of the closed form, at the same size.
    """
    ratio = log_contrast(picture) - target
    most, least = (ratio.new_tensor([math.log(each) for each in pair])[:, None, None] for pair in (_MOST, _LEAST))
    return ((ratio - most).clamp_min(0) + (-ratio - least).clamp_min(0)).square().mean()

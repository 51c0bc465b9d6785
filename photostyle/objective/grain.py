r"""The grain loss: how strong a region's finest detail is, in luma and in colour, against that of its style.

Little of the energy in a network's Gram matrices lies in the finest detail, so an optimisation that follows them is
free to leave fringes of false colour there. Textures have long been described by the energy in the bands of a pyramid
(Heeger & Bergen 1995). Here the bands are those of a Laplacian pyramid (Burt & Adelson 1983) of the picture in luma and
chroma, and what is compared is their covariance in each region, which is a masked Gram matrix of three channels:

.. math:: L = \sum_k a_k \frac{1}{3B} \sum_b \|W_{kb} (G_{kb} - A_{kb}) W_{kb}\|^2

with the covariances G of the result and A of the style in region k and band b. The weights W are the reciprocal
deviations of the style's three channels, so that chroma, which is a hundredth of the luma's energy, counts as much.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from photostyle.objective.gram import Region, masked_grams, region_of
from photostyle.regions.pyramid import layer_masks

BANDS = 3
"""Bands that are compared: the finest, of one pixel and its neighbours, and the next two octaves."""

GrainRegions = Sequence[Sequence[Region]]
"""For each band, the K regions on its grid."""

_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))  # BT.601 luma, and chroma
_KERNEL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)  # Burt & Adelson's, with a = 0.375
_LEAST_SHARE = 0.02  # of the luma's variance: less of a channel doesn't show
_LEAST = 1e-5  # a variance, of values in [0, 1]: a deviation of one step of eight bits


def laplacian_bands(picture: Tensor, *, wraps: bool = False) -> list[Tensor]:
    """Return the finest bands of a picture in luma and chroma.

    Parameters
    ----------
    picture : Tensor, shape (1, 3, H, W)
        sRGB, nominally in [0, 1]; H and W of at least 32.
    wraps : bool
        Whether opposite borders are neighbours, as in a picture that tiles.

    Returns
    -------
    list of BANDS Tensor, shape (3, H // 2^b, W // 2^b)
        What the kernel takes away at each octave; an odd last row is dropped, as where a network pools.
    """
    level = torch.einsum("kc,nchw->nkhw", picture.new_tensor(_YIQ), picture)
    bands = []
    for _ in range(BANDS):
        low = _blurred(level, "circular" if wraps else "reflect")
        bands.append((level - low)[0])
        level = functional.avg_pool2d(low, 2)
    return bands


def grain_regions(masks: Tensor) -> GrainRegions:
    """Bring masks, shape (K, H, W) in [0, 1], to the grid of each band."""
    height, width = masks.shape[-2:]
    return [[region_of(mask) for mask in layer_masks(masks, (height >> b, width >> b))] for b in range(BANDS)]


def grain_covariances(picture: Tensor, regions: GrainRegions, *, wraps: bool = False) -> Tensor:
    """Return the covariances of a picture's finest bands in K regions, shape (K, BANDS, 3, 3).

    Parameters
    ----------
    picture : Tensor, shape (1, 3, H, W)
        sRGB, nominally in [0, 1].
    regions : GrainRegions
        Of masks of shape (K, H, W).
    wraps : bool
        As for :func:`laplacian_bands`.
    """
    bands = laplacian_bands(picture, wraps=wraps)
    return torch.stack([masked_grams(band, there) for band, there in zip(bands, regions, strict=True)], 1)


def grain_distances(found: Tensor, targets: Tensor) -> Tensor:
    """Return how far the covariances of K regions are from their targets, shape (K,): zero there, never negative.

    Parameters
    ----------
    found, targets : Tensor, shape (K, BANDS, 3, 3)
        See :func:`grain_covariances`. A channel with less than a fiftieth of the luma's variance in the target counts
        as if it had that, and none has less than a step of eight bits.
    """
    variances = targets.diagonal(dim1=-2, dim2=-1)
    weights = variances.maximum(_LEAST_SHARE * variances[..., :1]).clamp_min(_LEAST).rsqrt()
    difference = (found - targets) * weights[..., :, None] * weights[..., None, :]
    return difference.square().sum((-2, -1)).mean(-1) / 3


def _blurred(x: Tensor, mode: str) -> Tensor:
    kernel = x.new_tensor(_KERNEL).expand(x.shape[1], 1, -1)
    padded = functional.pad(x, (2, 2, 2, 2), mode)
    return functional.conv2d(
        functional.conv2d(padded, kernel[:, :, None, :], groups=x.shape[1]),
        kernel[:, :, :, None],
        groups=x.shape[1],
    )

"""The grade: carry a look, not a palette, from one photograph to another that shows different things.

Where content and style show different things, matching their colours moves what no look ever touched: leaves turn to
stone. A grade is fourteen numbers that leave the hues of things alone: offsets of a tone curve at five lumas, the
saturation at three, a tint at three (shadows, middle tones, lights). With luma y, u = blue - y and v = red - y,

    y' = y + c(y),   (u', v') = s(y) (u, v) + t(y)

with c, s and t linear between their points. What the grade of a style is can't be read off the style alone: a picture
may be warm because of its look or because it shows bricks. So the numbers are a function of what is measured of both
pictures, colour statistics and what a network sees in them whatever their colours: linear, and one hidden layer beside
it, with weights that were found on photographs with random looks (``scripts/train_grade.py``). They take the expected
colours of such a scene away, and the content's own grade with them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from photostyle.errors import WeightsError
from photostyle.filters.guided import LUMA
from photostyle.images import fit_longest_side, resize
from photostyle.networks.registry import models_folder

Look = Callable[[Tensor], Mapping[str, Tensor]]
"""What gives the responses of `SCENE_LAYERS` for a picture, sRGB in [0, 1] of shape (1, 3, H, W)."""

SCENE_LAYERS = ("relu4_3", "relu5_3")
"""Layers of VGG-16 that tell what a scene shows."""
NUMBERS = 14
"""Of a grade: five of the tone curve, three of saturation, three tints of u and v."""

_TONES = 5  # lumas, from 0 to 1, at which the tone curve is given
_COLOR_SIDE, _SCENE_SIDE = 112, 160  # pixels on the longest side of what is measured
_FAINT = 0.1  # length of a grade that is as likely the scene's own colours: what is fainter is mostly left alone
_BANDS = 3  # of a picture, one above the other, in each of which what is shown is averaged
_SHA256 = "cb145c3a606c66a5089ec2301f5fdcf71216828eac3f6e700514fb37e9a6e3e2"
_QUANTILES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)  # of luma
_EXTREMES = (0.02, 0.5, 0.98)  # quantiles of red, green and blue
_NEUTRAL = 0.06  # chroma up to which a colour is about grey
_TINY = 1e-6


def grade(content: NDArray[np.float32], style: NDArray[np.float32], look: Look) -> NDArray[np.float64]:
    """Return the grade, shape (14,), that gives a content the look of a style.

    What the weights give is n; n |n|² / (|n|² + 0.1²) is returned, since a faint look is mostly none.

    Parameters
    ----------
    content, style : ndarray, shape (H, W, 3) and (H', W', 3)
        sRGB in [0, 1].
    look : callable
        The network, see `Look`.

    Raises
    ------
    WeightsError
        If the packaged weights are missing or damaged.
    """
    weights = _weights()
    measured = []
    for picture in (style, content):
        small = resize(picture, fit_longest_side((picture.shape[1], picture.shape[0]), _COLOR_SIDE))
        colors = color_statistics(torch.from_numpy(small.reshape(1, -1, 3)))[0]
        scene = (scene_features(picture, look) - weights["scene_mean"]) @ weights["scene_axes"].float()
        measured += [torch.cat([(colors - weights["color_mean"]) / weights["color_deviation"], scene])]
    x = torch.cat(measured)
    hidden = functional.gelu(weights["hidden_weight"] @ x + weights["hidden_bias"])
    numbers = weights["weight"] @ torch.cat([x, hidden]) + weights["bias"]
    size = float(numbers.square().sum())
    numbers = numbers * size / (size + _FAINT**2)
    return np.asarray(numbers.double())


def graded(colors: Tensor, numbers: Tensor) -> Tensor:
    """Apply grades, shape (B, 14), to colours, shape (B, P, 3) in [0, 1]; differentiable, not clipped."""
    luma, u, v = _planes(colors)
    curve, saturation, tint = _split(numbers)
    y = luma + _between(luma, curve[..., None])[..., 0]
    s, t = 1 + _between(luma, saturation[..., None]), _between(luma, tint)
    blue, red = y + u * s[..., 0] + t[..., 0], y + v * s[..., 0] + t[..., 1]
    r, g, b = LUMA.tolist()
    return torch.stack([red, (y - r * red - b * blue) / g, blue], -1)


def maps_of(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return grades, shape (K, 14), as affine maps at five lumas, shape (K, 5, 3, 4), between which is interpolated.

    They are exact: at a luma, a grade is an affine map of colour, whose numbers are linear from one luma to the next.
    """
    r, g, b = LUMA.tolist()
    to_planes = np.array([[r, g, b], [-r, -g, 1 - b], [1 - r, -g, -b]])
    from_planes = np.linalg.inv(to_planes)
    curve, saturation, tint = (each.double().numpy() for each in _split(torch.from_numpy(numbers)))
    lumas = np.linspace(0, 1, _TONES)
    maps = np.empty((len(numbers), _TONES, 3, 4))
    for k in range(len(numbers)):
        for index, luma in enumerate(lumas):
            at = [np.interp(luma, np.linspace(0, 1, 3), each) for each in (saturation[k], *tint[k].T)]
            maps[k, index, :, :3] = from_planes @ np.diag([1, 1 + at[0], 1 + at[0]]) @ to_planes
            maps[k, index, :, 3] = from_planes @ np.array([curve[k, index], *at[1:]])
    return maps


def color_statistics(colors: Tensor) -> Tensor:
    """Measure colours, shape (B, P, 3) in [0, 1]; shape (B, F).

    Quantiles of luma and of each channel; in shadows, middle tones and lights, by luma and by its rank, the mean tint,
    chroma, deviations and the tint of what is nearly grey; deviations and correlations of the whole.
    """
    luma, u, v = _planes(colors)
    chroma = (u.square() + v.square() + _TINY).sqrt()
    found = [torch.quantile(luma, luma.new_tensor(_QUANTILES), dim=1).T]
    found += [torch.quantile(each, luma.new_tensor(_EXTREMES), dim=1).T for each in colors.unbind(-1)]
    rank = luma.argsort(1).argsort(1).to(luma) / max(1, luma.shape[1] - 1)
    for tone, power in ((luma, 1), (rank, 2)):
        for band in (1 - 2 * tone, 1 - 2 * (tone - 0.5).abs(), 2 * tone - 1):
            found += _of_band(u, v, chroma, band.clamp(0, 1) ** power)
    planes = torch.stack([luma, u, v], -1)
    planes = planes - planes.mean(1, keepdim=True)
    covariance = planes.transpose(1, 2) @ planes / planes.shape[1]
    deviation = (covariance.diagonal(dim1=1, dim2=2) + _TINY).sqrt()
    found += [deviation, deviation.log(), (chroma.mean(1, keepdim=True) + 0.01).log()]
    found += [
        covariance[:, i, j, None] / (deviation[:, i] * deviation[:, j])[:, None] for i, j in ((0, 1), (0, 2), (1, 2))
    ]
    return torch.cat(found, 1)


@torch.no_grad()
def scene_features(picture: NDArray[np.float32], look: Look) -> Tensor:
    """Return what a picture shows, shape (S,), whatever its colours and contrast: the network sees ranks of luma."""
    small = resize(picture, fit_longest_side((picture.shape[1], picture.shape[0]), _SCENE_SIDE))
    luma = small @ LUMA
    order = np.argsort(np.argsort(luma.ravel(), kind="stable"), kind="stable")
    grey = (order / max(1, order.size - 1)).reshape(1, 1, *luma.shape).astype(np.float32)
    features = look(torch.from_numpy(np.repeat(grey, 3, 1)))
    bands = [functional.adaptive_avg_pool2d(features[layer].sqrt(), (_BANDS, 1)) for layer in SCENE_LAYERS]
    return torch.cat([band[0, :, :, 0].T.reshape(-1) for band in bands])


def _of_band(u: Tensor, v: Tensor, chroma: Tensor, band: Tensor) -> list[Tensor]:
    weights = band + 1e-4
    weights = weights / weights.sum(1, keepdim=True)
    neutral = weights * torch.exp(-chroma.square() / (2 * _NEUTRAL**2))
    neutral = neutral / neutral.sum(1, keepdim=True)

    def mean(values: Tensor) -> Tensor:
        return (weights * values).sum(1, keepdim=True)

    means = [mean(u), mean(v), mean(chroma)]
    deviations = [(mean((each - centre).square()) + _TINY).sqrt() for each, centre in zip((u, v), means, strict=False)]
    return [*means, *deviations, *((neutral * each).sum(1, keepdim=True) for each in (u, v))]


def _planes(colors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    luma = colors @ torch.from_numpy(LUMA).to(colors)
    return luma, colors[..., 2] - luma, colors[..., 0] - luma


def _split(numbers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return tone curve, shape (B, 5), saturation, (B, 3), and tints, (B, 3, 2)."""
    return numbers[:, :5], numbers[:, 5:8], numbers[:, 8:].reshape(-1, 3, 2)


def _between(luma: Tensor, values: Tensor) -> Tensor:
    """Interpolate values, shape (B, N, C), given at N lumas from 0 to 1, at lumas of shape (B, P); shape (B, P, C)."""
    place = luma.clamp(0, 1) * (values.shape[1] - 1)
    below = place.long().clamp(max=values.shape[1] - 2)[..., None].expand(-1, -1, values.shape[2])
    share = place[..., None] - below
    return values.gather(1, below) * (1 - share) + values.gather(1, below + 1) * share


@cache
def _weights() -> dict[str, Any]:
    path = models_folder() / "grade.safetensors"
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found == _SHA256:
            return load_file(path)
    except OSError as error:
        raise WeightsError(
            f"can't read the packaged {path} ({error.strerror or error}): install photostyle anew"
        ) from error
    raise WeightsError(
        f"the packaged {path} is damaged: its SHA-256 is {found}, expected {_SHA256}; install photostyle anew"
    )


def maps_of_looks(
    content: NDArray[np.float32],
    styles: Sequence[NDArray[np.float32]],
    weights: Sequence[Mapping[int, float]],
    look: Look,
) -> NDArray[np.float64]:
    """Return the maps of K regions, shape (K, 5, 3, 4), that take the looks of styles by weights.

    Parameters
    ----------
    content : ndarray, shape (H, W, 3)
    styles : sequence of ndarray
    weights : sequence of K mappings of style index to share
        An empty one keeps the region as it is.
    look : callable
        The network, see `Look`.
    """
    grades = {index: grade(content, styles[index], look) for index in sorted({i for each in weights for i in each})}
    numbers = [sum((share * grades[i] for i, share in each.items()), np.zeros(NUMBERS)) for each in weights]
    return maps_of(np.stack(numbers))

"""Regions that belong together: the pictures of a transfer divided at once, by what a network sees in all of them.

Labels by meaning end where nobody trained for them: at night, in fog, indoors, on a table. A transfer needs less than
a name: the same kind of thing must get the same region in content and style. So the pictures' deep features are
clustered together::

    pictures → responses of three layers of VGG-16, each channel of a picture to mean 0 and deviation 1
             → their common principal components, beside the segmenter's probabilities and the vertical place
             → k-means over all pictures at once, of what lies inside of things → clusters that are near each other
               are merged, those that content or styles lack dissolved
             → soft masks on the grid of relu4_3 → sharpened against the picture as any segmentation

Standardising each picture by itself takes away what light and season do to all of it: night is then no region.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2
from torch import Tensor
from torch.nn import functional

from photostyle.images import Picture, fit_longest_side, resize
from photostyle.networks.vgg import block_of
from photostyle.regions.labelmap.label_colors import label_palette
from photostyle.regions.labels import LabelMasks, normalise
from photostyle.regions.segmentation import sharpened

LAYERS = {"relu3_3": 0.5, "relu4_3": 1.0, "relu5_3": 1.0}
"""The layers of VGG-16 that are clustered, and the deviation to which each is scaled."""

Look = Callable[[Tensor], Mapping[str, Tensor]]
"""What gives the responses of `LAYERS` for a picture, sRGB in [0, 1] of shape (1, 3, H, W)."""

_GRID_LAYER = "relu4_3"
_SIDE = 512  # pixels on the longest side of what the network sees,
_RIM = 32  # and of the mirrored rim around it: zeros beyond a border look like a thing of their own
_COMPONENTS = 24  # of each layer
_LEAST_DEVIATION = 0.02  # of a channel in a picture, of that over all: what shows nothing isn't stretched to something
_MEANING = 6.0  # weight of the segmenter's probabilities
_PLACE = 1.0  # and of the vertical place in [-½, ½]
_MOST = 12  # clusters
_NEAR = 1.3  # squared distance at which two are one
_LEAST = 0.02  # of the content, and of some style picture, that a cluster needs
_INSIDE = 0.5  # share of each picture whose points differ least from their neighbours: borders are no kind of thing
_TRIES = 4  # starts of k-means
_SOFT = 0.15  # of the mean squared distance within clusters: what blurs the border of two
_NAMED = 0.5  # mean probability of a label that gives a cluster its name

_Points = list[NDArray[np.float64]]


def divide(
    pictures: Sequence[Picture],
    probabilities: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    labels: Sequence[str],
    look: Look,
) -> list[LabelMasks]:
    """Divide a content and its styles into regions that all of them share.

    Parameters
    ----------
    pictures : sequence of Picture
        The content, then the styles.
    probabilities : callable
        Gives a segmenter's probabilities of ``labels``, shape (K, h, w), for a picture of shape (H, W, 3).
    labels : sequence of K str
    look : callable
        The network, see `Look`.

    Returns
    -------
    list of LabelMasks
        For each picture, at its own size. A region bears a label of the segmenter where that is the likeliest one
        in it, with a number where there are several; else it is "region 1", "region 2", and so on. A region
        that a picture lacks isn't among its labels.
    """
    responses = [_responses(picture.rgb, look) for picture in pictures]
    grids = [(each[_GRID_LAYER].shape[1], each[_GRID_LAYER].shape[2]) for each in responses]
    said = [_on_grid(probabilities(each.rgb), grid) for each, grid in zip(pictures, grids, strict=True)]
    points = _points(responses, said)
    centres = _clusters(points, [_inside(each, grid) for each, grid in zip(points, grids, strict=True)])
    shares = _soft(points, centres)
    names = _names(shares, said, labels)
    colors = label_palette(names)
    result = []
    for picture, share, size in zip(pictures, shares, grids, strict=True):
        there = np.unique(share.argmax(1))
        grid = np.ascontiguousarray(share[:, there].T, dtype=np.float32).reshape(-1, *size)
        masks = sharpened(grid / grid.sum(0), picture.rgb)
        left = np.unique(masks.argmax(0))
        kept = tuple(names[there[index]] for index in left)
        masks = masks[left]
        normalise(masks, 0.0)
        result.append(LabelMasks(kept, masks, {label: colors[label] for label in kept}))
    return result


@torch.no_grad()
def _responses(rgb: NDArray[np.float32], look: Look) -> dict[str, Tensor]:
    """Return the responses of each layer on one grid, shape (C, h, w), averaged over 3×3 cells, square roots."""
    small = resize(rgb, fit_longest_side((rgb.shape[1], rgb.shape[0]), _SIDE))
    seen = cv2.copyMakeBorder(small, _RIM, _RIM, _RIM, _RIM, cv2.BORDER_REFLECT)
    features = look(torch.from_numpy(np.ascontiguousarray(seen.transpose(2, 0, 1)))[None])
    inner = {layer: _without_rim(features[layer], _RIM >> block_of(layer) - 1) for layer in LAYERS}
    height, width = inner[_GRID_LAYER].shape[2:]
    result = {}
    for layer, x in inner.items():
        if x.shape[2] > height:
            x = functional.adaptive_avg_pool2d(x, (height, width))
        elif x.shape[2] < height:
            x = functional.interpolate(x, (height, width), mode="bilinear", align_corners=False)
        mean = functional.avg_pool2d(functional.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
        result[layer] = mean[0].clamp(min=0).sqrt()
    return result


def _without_rim(features: Tensor, cells: int) -> Tensor:
    return features[:, :, cells:-cells, cells:-cells]


def _on_grid(probabilities: NDArray[np.float32], grid: Sequence[int]) -> NDArray[np.float32]:
    """Return probabilities on a grid of (h, w), shape (h·w, K)."""
    small = [cv2.resize(each, (grid[1], grid[0]), interpolation=cv2.INTER_AREA) for each in probabilities]
    return np.stack(small).reshape(len(small), -1).T


def _points(responses: Sequence[Mapping[str, Tensor]], said: Sequence[NDArray[np.float32]]) -> _Points:
    """Return what is clustered, shape (h·w, D) a picture."""
    parts: list[_Points] = []
    for layer, weight in LAYERS.items():
        flat = [each[layer].flatten(1).T.double().numpy() for each in responses]
        least = _LEAST_DEVIATION * np.vstack(flat).std(0) + 1e-4
        standard = [(x - x.mean(0)) / np.maximum(x.std(0), least) for x in flat]
        parts.append([weight * x for x in _principal(standard)])
    rows = [
        np.repeat(np.linspace(-0.5, 0.5, each[_GRID_LAYER].shape[1]), each[_GRID_LAYER].shape[2]) for each in responses
    ]
    parts.append([_PLACE * row[:, None] for row in rows])
    parts.append([_MEANING * each.astype(np.float64) for each in said])
    return [np.hstack(each) for each in zip(*parts, strict=True)]


def _principal(points: _Points) -> _Points:
    """Return the common principal components of all pictures, each point at a mean squared length of one."""
    every = np.vstack(points)
    values, axes = np.linalg.eigh(every.T @ every / len(every))
    first = axes[:, ::-1][:, :_COMPONENTS] / np.sqrt(max(values[::-1][:_COMPONENTS].sum(), 1.0))
    return [each @ first for each in points]


def _inside(points: NDArray[np.float64], grid: tuple[int, int]) -> NDArray[np.float64]:
    """Return the points of a grid of (h, w) that are most like their neighbours.

    Where sky meets a roof, what the network sees is neither; clustered too, such places become a region of their own.
    """
    field = points.reshape(*grid, -1)
    difference, count = np.zeros(grid, dtype=np.float32), np.zeros(grid, dtype=np.float32)
    for first, second in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1])):
        step = np.square(field[first] - field[second]).sum(-1)
        for side in (first, second):
            difference[side] += step
            count[side] += 1
    smooth = cv2.blur(difference / np.maximum(count, 1), (3, 3)).ravel()
    return np.asarray(points[smooth <= np.quantile(smooth, _INSIDE)])


def _clusters(points: _Points, inside: _Points) -> NDArray[np.float64]:
    """Return the centres, shape (K, D), of the clusters of ``inside`` that content and styles share."""
    every = np.vstack(inside)
    tries = [
        kmeans2(every, min(_MOST, len(every)), iter=30, minit="++", rng=np.random.default_rng(seed))
        for seed in range(_TRIES)
    ]
    centres, nearest_of = min(tries, key=lambda found: float(np.square(every - found[0][found[1]]).sum()))
    centres = _merged(centres, np.bincount(nearest_of, minlength=len(centres)))
    while len(centres) > 1:
        nearest = [_distances(each, centres).argmin(1) for each in points]
        shares = np.array([np.bincount(each, minlength=len(centres)) / len(each) for each in nearest])
        least = np.minimum(shares[0], shares[1:].max(0))
        if least.min() >= _LEAST:
            break
        centres = np.delete(centres, least.argmin(), axis=0)
    return np.asarray(centres, dtype=np.float64)


def _merged(centres: NDArray[np.float64], sizes: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Merge the nearest two of some clusters' centres into their mean until all are far from each other."""
    counts = sizes.astype(np.float64)
    while len(centres) > 1:
        distances = _distances(centres, centres) + np.where(np.eye(len(centres)), np.inf, 0)
        one, two = np.unravel_index(distances.argmin(), distances.shape)
        if distances[one, two] >= _NEAR:
            break
        both = [one, two]
        centres[one] = np.average(centres[both], axis=0, weights=counts[both])
        counts[one] = counts[both].sum()
        centres, counts = np.delete(centres, two, axis=0), np.delete(counts, two)
    return centres


def _soft(points: _Points, centres: NDArray[np.float64]) -> _Points:
    """Return the share of each cluster in each point, shape (h·w, K) a picture."""
    distances = [_distances(each, centres) for each in points]
    width = 2 * _SOFT * np.mean(np.hstack([each.min(1) for each in distances])) + 1e-12
    shares = [np.exp((each.min(1, keepdims=True) - each) / width) for each in distances]
    return [each / each.sum(1, keepdims=True) for each in shares]


def _distances(points: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return squared distances, shape (points, centres)."""
    return np.stack([np.square(points - centre).sum(1) for centre in centres], axis=1)


def _names(shares: _Points, said: Sequence[NDArray[np.float32]], labels: Sequence[str]) -> tuple[str, ...]:
    """Name each cluster by the label that the segmenter finds likeliest in it, over all pictures."""
    means = np.mean([(share / share.sum(0)).T @ each for share, each in zip(shares, said, strict=True)], axis=0)
    names: list[str] = []
    for mean in means:
        base = labels[int(mean.argmax())] if mean.max() > _NAMED else "region"
        count = sum(name.partition(" ")[0] == base for name in names) + 1
        names.append(base if base != "region" and count == 1 else f"{base} {count}")
    return tuple(names)

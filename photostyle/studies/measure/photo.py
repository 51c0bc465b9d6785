"""Scores of a photorealistic result: what is kept of the content, and what is taken from the style, by regions.

Four numbers, which agree with none of the solver's own losses, since their sizes, poolings and distances are others:

- ``edge_ssim``: structural similarity (Wang et al. 2004) of the edge maps (HED) of content and result, the measure of
  structure of Yoo et al. (2019, "WCT2"); 1 where all edges are kept;
- ``color``: sliced Wasserstein distance in CIELAB between the colours of result and style, region by region, as a share
  of that between content and style; 0 where the colours are the style's, 1 where nothing was done;
- ``gram``: the same for Gram matrices of relu1_1 … relu5_1, each relative to the style's squared norm;
- ``matting``: xᵀLx a pixel under the content's Matting Laplacian, times 10⁴; 0 where every window of the result is an
  affine function of the content's colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage.color import rgb2lab
from skimage.metrics import structural_similarity
from torch import Tensor

from photostyle.errors import RegionError
from photostyle.networks.hed import HED
from photostyle.objective.gram import gram_distance, masked_grams, region_of
from photostyle.objective.matting import matting_laplacian
from photostyle.studies.measure.views import at_width, shrunk, tensor_of

_WIDTH, _MATTING_WIDTH = 384, 256
_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
_LEAST_SHARE = 0.005  # of the picture, on both sides; smaller regions aren't scored
_DIRECTIONS, _QUANTILES = 32, 512


@dataclass(frozen=True)
class RegionPair:
    """A region of the content, ndarray of shape (H, W) in [0, 1], and that of the style picture it is compared with."""

    content: NDArray[np.float32]
    style: NDArray[np.float32]
    picture: int = 0


@dataclass(frozen=True)
class _Target:
    inside: NDArray[np.bool_]
    share: float
    quantiles: NDArray[np.float64]
    directions: NDArray[np.float64]
    grams: dict[str, Tensor]


class PhotoScores:
    """Measures results against one content and its styles.

    Parameters
    ----------
    hed : HED
    content : Image
        8-bit RGB.
    styles : sequence of Image
    pairs : sequence of RegionPair

    Raises
    ------
    RegionError
        If no region covers half a percent of both pictures.
    """

    def __init__(
        self, hed: HED, content: Image.Image, styles: Sequence[Image.Image], pairs: Sequence[RegionPair]
    ) -> None:
        self.hed = hed
        self.size, self.matting_size = at_width(content, _WIDTH), at_width(content, _MATTING_WIDTH)
        small = shrunk(content, self.size)
        self.edges, features = hed(tensor_of(small))
        self.targets = self._targets(pairs, [shrunk(style, at_width(style, _WIDTH)) for style in styles])
        if not self.targets:
            raise RegionError(
                f"no region covers {_LEAST_SHARE:.1%} of both content and style, so there is nothing to score: "
                "give masks with labels in common"
            )
        self.base = (self._color(small), self._gram(features))
        self.laplacian = matting_laplacian(shrunk(content, self.matting_size))

    def _targets(self, pairs: Sequence[RegionPair], styles: Sequence[NDArray[np.float32]]) -> list[_Target]:
        features = [self.hed(tensor_of(style))[1] for style in styles]
        generator = np.random.default_rng(0)
        levels = np.linspace(0, 1, _QUANTILES)
        targets = []
        for pair in pairs:
            inside = _nearest(pair.content, self.size)
            theirs = _nearest(pair.style, (styles[pair.picture].shape[1], styles[pair.picture].shape[0]))
            if min(inside.mean(), theirs.mean()) <= _LEAST_SHARE:
                continue
            directions = generator.normal(size=(3, _DIRECTIONS))
            directions /= np.linalg.norm(directions, axis=0)
            colors = rgb2lab(styles[pair.picture])[theirs]
            targets.append(
                _Target(
                    inside,
                    float(inside.mean()),
                    np.quantile(colors @ directions, levels, axis=0),
                    directions,
                    _grams(features[pair.picture], theirs),
                )
            )
        return targets

    def __call__(self, result: Image.Image) -> dict[str, float]:
        """Return ``edge_ssim``, ``color``, ``gram`` and ``matting`` of a result, an 8-bit RGB image."""
        small = shrunk(result, self.size)
        edges, features = self.hed(tensor_of(small))
        x = shrunk(result, self.matting_size).reshape(-1, 3).astype(np.float64)
        return {
            "edge_ssim": float(structural_similarity(self.edges.numpy(), edges.numpy(), data_range=1.0)),  # type: ignore[no-untyped-call]
            "color": self._color(small) / max(self.base[0], 1e-12),
            "gram": self._gram(features) / max(self.base[1], 1e-12),
            "matting": float(np.vdot(x, self.laplacian @ x)) / len(x) * 1e4,
        }

    def _color(self, picture: NDArray[np.float32]) -> float:
        lab, levels = rgb2lab(picture), np.linspace(0, 1, _QUANTILES)
        distances = [
            target.share
            * np.abs(np.quantile(lab[target.inside] @ target.directions, levels, axis=0) - target.quantiles).mean()
            for target in self.targets
        ]
        return float(sum(distances))

    def _gram(self, features: dict[str, Tensor]) -> float:
        total = 0.0
        for target in self.targets:
            grams = _grams(features, target.inside)
            distances = [float(gram_distance(grams[layer], target.grams[layer])) for layer in _LAYERS]
            total += target.share * sum(distances) / len(_LAYERS)
        return total


def _grams(features: dict[str, Tensor], inside: NDArray[np.bool_]) -> dict[str, Tensor]:
    mask = torch.from_numpy(inside.astype(np.float32))[None, None]
    grams = {}
    for layer in _LAYERS:
        grid = features[layer].shape[-2:]
        weights = torch.nn.functional.interpolate(mask, (grid[0], grid[1]), mode="area")[0, 0]
        grams[layer] = masked_grams(features[layer][0], [region_of(weights)])[0]
    return grams


def _nearest(mask: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.bool_]:
    image = Image.fromarray((mask > 0.5).astype(np.uint8)).resize(size, Image.Resampling.NEAREST)
    return np.asarray(image, dtype=bool)

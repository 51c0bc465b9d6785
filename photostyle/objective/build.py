"""From pictures and regions to an objective: what content and style look like to the network at one size."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray
from torch import Tensor

from photostyle.colors.lab import to_lab
from photostyle.errors import RegionError
from photostyle.field.objective import field_objective
from photostyle.field.space import FieldSpace
from photostyle.images import fit_longest_side, resize
from photostyle.images.tensors import to_tensor
from photostyle.networks import Backbone
from photostyle.objective.color import color_loss, color_quantiles
from photostyle.objective.content import content_loss
from photostyle.objective.edges import edge_loss
from photostyle.objective.encoding import encoder, statistic_of
from photostyle.objective.gamut import gamut_loss
from photostyle.objective.grain import BANDS, grain_covariances, grain_distances, grain_regions
from photostyle.objective.gram import MIN_CELLS, region_of, style_loss
from photostyle.objective.matting import matting_laplacian, matting_loss
from photostyle.objective.style_targets import StyleInput, StyleLayer, blended, region_shares, style_layers, weakened
from photostyle.objective.total import Features, LossFunction, Objective
from photostyle.objective.tv import total_variation
from photostyle.options.config import Resolved
from photostyle.regions.labels import LabelMasks
from photostyle.regions.match import Assignment, Source

_WEIGHTS = ("content", "style", "tv", "matting", "edge", "color", "grain", "gamut")


@dataclass(frozen=True)
class Problem:
    """Everything that doesn't depend on the size of a stage.

    Attributes
    ----------
    content : ndarray, shape (H, W, 3)
        sRGB in [0, 1].
    content_masks : LabelMasks
        K regions.
    styles : sequence of ndarray, shape (H', W', 3)
    style_masks : sequence of LabelMasks or None
        The regions of each style; None where it is used whole.
    assignments : sequence of K Assignment
    backbone : Backbone
    device : str
    space : FieldSpace or None
        What an affine field is measured and blended by, where one is wanted.
    """

    content: NDArray[np.float32]
    content_masks: LabelMasks
    styles: Sequence[NDArray[np.float32]]
    style_masks: Sequence[LabelMasks | None]
    assignments: Sequence[Assignment]
    backbone: Backbone
    device: str = "cpu"
    space: FieldSpace | None = None


class Level(Protocol):
    """What the objective needs to know of a stage of the schedule."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""

    @property
    def matting(self) -> bool:
        """Whether the Matting Laplacian takes part, where it has a weight."""

    @property
    def grid(self) -> tuple[int, int] | None:
        """(tones, cells) of an affine field; None where the pixels are optimised."""


@dataclass(frozen=True)
class ContentInput:
    """The content picture at one size.

    Attributes
    ----------
    image : Tensor, shape (1, 3, H, W)
        sRGB in [0, 1].
    masks : Tensor, shape (K, H, W)
        One mask a region, in the order of the assignments.
    laplacian : csr_matrix or None
        The Matting Laplacian at this size, where it is wanted.
    """

    image: Tensor
    masks: Tensor
    laplacian: scipy.sparse.csr_matrix | None = None


@dataclass(frozen=True)
class _Targets:
    """What some regions shall have of a statistic of the picture itself: their masks, targets and shares."""

    masks: Tensor
    targets: Tensor
    shares: Tensor


def objective_at(problem: Problem, stage: Level, config: Resolved, tiled_blocks: int = 0) -> Objective:
    """Bring content, styles and masks to the size of a stage and build its objective.

    Parameters
    ----------
    problem : Problem
    stage : Level
        A stage of the schedule: its size, whether the Matting Laplacian takes part, and the grid of an affine field.
    config : Resolved
    tiled_blocks : int
        How many blocks of the network see the picture tile by tile.

    Returns
    -------
    Objective
        Of pixels, or where the stage has a grid, of an affine field.

    Raises
    ------
    RegionError
        If nothing is left to optimise.
    """
    device = problem.device
    content = resize(problem.content, stage.size)
    masks = torch.from_numpy(problem.content_masks.resized(stage.size).masks).to(device)
    laplacian = matting_laplacian(content) if stage.matting and config.matting_weight else None
    styles = []
    for picture, labels in zip(problem.styles, problem.style_masks, strict=True):
        size = _style_size(picture, stage.size, config.style_scale)
        by_label: dict[str, Tensor] = {}
        if labels is not None:
            small = torch.from_numpy(labels.resized(size).masks).to(device)
            by_label = dict(zip(labels.labels, small, strict=True))
        styles.append(StyleInput(to_tensor(resize(picture, size), device), by_label))
    image = ContentInput(to_tensor(content, device), masks, laplacian)
    objective = build_objective(problem.backbone, image, styles, problem.assignments, config, tiled_blocks)
    if stage.grid is None:
        return objective
    assert problem.space is not None
    return field_objective(objective, problem.space, content, stage.grid, config)


def _style_size(picture: NDArray[np.float32], size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Return the size of a style picture for a result of a size, so many times as long as it.

    A small one isn't enlarged but for that scale: blurred strokes would make a blurred result. Its shorter side stays
    long enough for the deepest layers.
    """
    height, width = picture.shape[:2]
    least = math.ceil(32 * max(height, width) / min(height, width))
    longest = round(min(max(size) * scale, max(height, width) * max(scale, 1.0)))
    return fit_longest_side((width, height), max(least, longest))


def build_objective(
    backbone: Backbone,
    content: ContentInput,
    styles: Sequence[StyleInput],
    assignments: Sequence[Assignment],
    config: Resolved,
    tiled_blocks: int = 0,
) -> Objective:
    """Encode content and styles and tie the terms together: a table of name → (function, weight).

    Parameters
    ----------
    backbone : Backbone
    content : ContentInput
    styles : sequence of StyleInput
        In the order to which the assignments refer.
    assignments : sequence of K Assignment
        The style of each region of the content.
    config : Resolved
        Of it: weights, layer weights and normalisation.
    tiled_blocks : int
        See :mod:`photostyle.objective.encoding`.

    Raises
    ------
    RegionError
        If nothing is left to optimise.
    """
    weights = {name: float(getattr(config, f"{name}_weight")) for name in _WEIGHTS}
    with torch.no_grad():
        features = encoder(backbone, {}, tiled_blocks=tiled_blocks)(content.image)
        layers = style_layers(backbone, content.image, content.masks, styles, assignments, config, tiled_blocks)
        content_term, zero_content = _content_term(backbone, features, config)
        style_term, zero_style = _style_term(backbone, layers, config)
        given = (content, styles, assignments, config)
        terms: dict[str, LossFunction | None] = {
            "content": content_term,
            "style": style_term,
            "tv": lambda x, _features: total_variation(x, wraps=config.tiles),
            "matting": _matting_term(content),
            "edge": _edge_term(backbone, content, features) if weights["edge"] else None,
            "color": _color_term(*given) if weights["color"] else None,
            "grain": _grain_term(*given) if weights["grain"] else None,
            "gamut": lambda x, _features: gamut_loss(x),
        }
    weights["grain"] *= weights["style"]
    table = {name: (term or _nothing, weights[name] if term else 0.0) for name, term in terms.items()}
    if not any(table[name][1] for name in ("content", "style", "color")):
        raise RegionError(
            f"no region has {MIN_CELLS:g} cells on any style layer, and the content weight is 0: nothing is left to "
            "optimise; take a larger --size, fewer regions, or shallower --style-layers"
        )
    masks = {name: layer.masks for name, layer in layers.items() if len(layer.masks)} if table["style"][1] else {}
    seen = backbone if backbone.tiling is None else replace(backbone, network=backbone.tiling)
    return Objective(
        network=encoder(seen, masks, config.style_loss, tiled_blocks),
        terms=table,
        scale=table["content"][1] * zero_content + table["style"][1] * zero_style,
        notes=tuple(note for layer in layers.values() for note in layer.left_out),
    )


def _nothing(x: Tensor, _features: Features) -> Tensor:
    """Stand for a term that has no targets, and so no weight."""
    return x.new_zeros(())


def _content_term(backbone: Backbone, features: Features, config: Resolved) -> tuple[LossFunction, float]:
    """Return the content loss over its layers, and what it is without any features."""
    targets = {layer: features[layer] for layer in backbone.content_layers}
    alphas = _shares(backbone.content_layers, config.content_layer_weights)

    def term(_x: Tensor, features: Features) -> Tensor:
        losses = [alphas[n] * content_loss(features[n], target, config.normalisation) for n, target in targets.items()]
        return torch.stack(losses).sum()

    zeros = (alphas[n] * float(content_loss(torch.zeros_like(p), p, config.normalisation)) for n, p in targets.items())
    return term, sum(zeros)


def _style_term(
    backbone: Backbone, layers: Mapping[str, StyleLayer], config: Resolved
) -> tuple[LossFunction | None, float]:
    """Return the style loss over its layers and regions, and what it is without any features; None if none is left."""
    left = {name: layer for name, layer in layers.items() if len(layer.masks)}
    betas = _shares(backbone.style_layers, config.style_layer_weights)

    def term(_x: Tensor, features: Features) -> Tensor:
        losses = [
            betas[name] * style_loss(layer.distance(features[statistic_of(name)]), layer.shares, layer.tolerances)
            for name, layer in left.items()
        ]
        return torch.stack(losses).sum()

    return term if left else None, sum(betas[name] * layer.zero for name, layer in left.items())


def _matting_term(content: ContentInput) -> LossFunction | None:
    laplacian = content.laplacian
    return None if laplacian is None else lambda x, _features: matting_loss(x, laplacian)


def _edge_term(backbone: Backbone, content: ContentInput, features: Features) -> LossFunction | None:
    find = backbone.edges
    if find is None:
        return None
    edges = find(content.image, features)
    return lambda x, features: edge_loss(find(x, features), edges)


def _color_term(
    content: ContentInput, styles: Sequence[StyleInput], assignments: Sequence[Assignment], config: Resolved
) -> LossFunction | None:
    """Compare quantiles of colours with those of each region's style; of several styles their mean, a barycentre."""
    own = to_lab(content.image[0].permute(1, 2, 0).reshape(-1, 3))
    theirs = [to_lab(style.image[0].permute(1, 2, 0).reshape(-1, 3)) for style in styles]
    found = _targets(
        content,
        styles,
        assignments,
        config.strength,
        lambda mask: color_quantiles(own, region_of(mask)),
        lambda style, mask: color_quantiles(theirs[style], region_of(mask)),
    )
    if found is None:
        return None
    regions = list(map(region_of, found.masks))
    return lambda x, _features: color_loss(x, regions, found.targets.unbind(), found.shares)


def _grain_term(
    content: ContentInput, styles: Sequence[StyleInput], assignments: Sequence[Assignment], config: Resolved
) -> LossFunction | None:
    """Compare covariances of the finest bands with those of each region's style; of several styles their mean."""

    def grain(image: Tensor, mask: Tensor) -> Tensor:
        return grain_covariances(image, grain_regions(mask[None]))[0]

    found = _targets(
        content,
        styles,
        assignments,
        config.strength,
        lambda mask: grain(content.image, mask),
        lambda style, mask: grain(styles[style].image, mask),
        least=MIN_CELLS * 4 ** (BANDS - 1),  # of pixels: what are four cells of the last band
    )
    if found is None:
        return None
    places = grain_regions(found.masks)

    def term(x: Tensor, _features: Features) -> Tensor:
        covariances = grain_covariances(x, places, wraps=config.tiles)
        return style_loss(grain_distances(covariances, found.targets), found.shares)

    return term


def _shares(layers: Sequence[str], weights: Sequence[float] | None) -> dict[str, float]:
    """Layer weights that sum to one."""
    values = list(weights) if weights is not None else [1.0] * len(layers)
    return {layer: value / sum(values) for layer, value in zip(layers, values, strict=True)}


def _targets(
    content: ContentInput,
    styles: Sequence[StyleInput],
    assignments: Sequence[Assignment],
    strength: float,
    own: Callable[[Tensor], Tensor],
    theirs: Callable[[int, Tensor], Tensor],
    least: float = MIN_CELLS,
) -> _Targets | None:
    """Return what each region shall have of a statistic, given by ``own`` for a mask, by ``theirs`` for style and mask.

    Regions that take no style, or have less than so many pixels on either side, are left out; None if all are.
    """
    targets, kept = [], []
    for index, assignment in enumerate(assignments):
        mask = content.masks[index]
        places = {source: styles[source.style].mask(source.label) for source in assignment.sources}
        sources = [source for source, place in places.items() if float(place.sum()) >= least]
        if not sources or not assignment.weight or float(mask.sum()) < least:
            continue

        def statistic(source: Source, places: Mapping[Source, Tensor] = places) -> Tensor:
            return theirs(source.style, places[source])

        target = blended(sources, statistic)
        targets.append(target if strength == 1 else weakened(target, own(mask), strength))
        kept.append(index)
    if not kept:
        return None
    return _Targets(content.masks[kept], torch.stack(targets), region_shares(content.masks, assignments)[kept])

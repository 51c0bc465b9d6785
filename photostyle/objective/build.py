"""From pictures and regions to an objective: what content and style look like to the network at one size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import scipy.sparse
import torch
from torch import Tensor

from photostyle.colors.lab import to_lab
from photostyle.errors import RegionError
from photostyle.networks import Backbone
from photostyle.objective.color import color_loss, color_quantiles
from photostyle.objective.content import content_loss
from photostyle.objective.edges import edge_loss
from photostyle.objective.encoding import encoder, statistic_of
from photostyle.objective.gamut import gamut_loss
from photostyle.objective.grain import BANDS, grain_covariances, grain_distances, grain_regions
from photostyle.objective.gram import MIN_CELLS, region_of, style_loss
from photostyle.objective.matting import matting_loss
from photostyle.objective.style_targets import StyleInput, blended, region_shares, style_layers, weakened
from photostyle.objective.total import Features, Objective
from photostyle.objective.tv import total_variation
from photostyle.options.config import TransferConfig
from photostyle.regions.match import Assignment, Source


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


def build_objective(
    backbone: Backbone,
    content: ContentInput,
    styles: Sequence[StyleInput],
    assignments: Sequence[Assignment],
    config: TransferConfig,
    tiled_blocks: int = 0,
) -> Objective:
    """Encode content and styles and tie the terms together.

    Parameters
    ----------
    backbone : Backbone
    content : ContentInput
    styles : sequence of StyleInput
        In the order to which the assignments refer.
    assignments : sequence of K Assignment
        The style of each region of the content.
    config : TransferConfig
        Resolved: weights, layer weights and normalisation.
    tiled_blocks : int
        How many blocks of a VGG see the picture tile by tile, to save memory; see
        :mod:`photostyle.objective.encoding`.

    Returns
    -------
    Objective

    Raises
    ------
    RegionError
        If nothing is left to optimise.
    """
    with torch.no_grad():
        content_features = encoder(backbone, {}, tiled_blocks=tiled_blocks)(content.image)
        contents = {layer: content_features[layer] for layer in backbone.content_layers}
        layers = style_layers(backbone, content.image, content.masks, styles, assignments, config, tiled_blocks)
        edges = (
            backbone.edges(content.image, content_features)
            if backbone.edges is not None and config.edge_weight
            else None
        )
        del content_features
        colors = _color_targets(content, styles, assignments, config.strength) if config.color_weight else None
        grains = _grain_targets(content, styles, assignments, config.strength) if config.grain_weight else None
    alphas = _shares(backbone.content_layers, config.content_layer_weights)
    betas = _shares(backbone.style_layers, config.style_layer_weights)

    def content_term(_x: Tensor, features: Features) -> Tensor:
        return sum_of(
            alphas[name] * content_loss(features[name], target, config.normalisation)
            for name, target in contents.items()
        )

    def style_term(_x: Tensor, features: Features) -> Tensor:
        return sum_of(
            betas[name] * style_loss(layer.distance(features[statistic_of(name)]), layer.shares, layer.tolerances)
            for name, layer in left.items()
        )

    def tv_term(x: Tensor, _features: Features) -> Tensor:
        return total_variation(x, wraps=config.tiles)

    def matting_term(x: Tensor, _features: Features) -> Tensor:
        assert content.laplacian is not None
        return matting_loss(x, content.laplacian)

    def edge_term(x: Tensor, features: Features) -> Tensor:
        assert backbone.edges is not None
        assert edges is not None
        return edge_loss(backbone.edges(x, features), edges)

    color_regions = [] if colors is None else list(map(region_of, colors.masks))
    places = [] if grains is None else grain_regions(grains.masks)

    def color_term(x: Tensor, _features: Features) -> Tensor:
        assert colors is not None
        return color_loss(x, color_regions, colors.targets.unbind(), colors.shares)

    def grain_term(x: Tensor, _features: Features) -> Tensor:
        assert grains is not None
        found = grain_covariances(x, places, wraps=config.tiles)
        return style_loss(grain_distances(found, grains.targets), grains.shares)

    def gamut_term(x: Tensor, _features: Features) -> Tensor:
        return gamut_loss(x)

    def sum_of(losses: object) -> Tensor:
        return torch.stack(list(losses)).sum()  # type: ignore[call-overload]

    names = ("content", "style", "tv", "matting", "edge", "color", "grain", "gamut")
    weights = {name: float(getattr(config, f"{name}_weight")) for name in names}
    left = {name: layer for name, layer in layers.items() if len(layer.masks)}
    zero_content = sum(
        alphas[name] * float(content_loss(torch.zeros_like(p), p, config.normalisation)) for name, p in contents.items()
    )
    zero_style = sum(betas[name] * layer.zero for name, layer in left.items())
    style_weight = weights["style"] if left else 0.0
    color_weight = weights["color"] if colors is not None else 0.0
    if not style_weight and not weights["content"] and not color_weight:
        raise RegionError(
            f"no region has {MIN_CELLS:g} cells on any style layer, and the content weight is 0: nothing is left to "
            "optimise; take a larger --size, fewer regions, or shallower --style-layers"
        )
    return Objective(
        network=encoder(
            backbone if backbone.tiling is None else replace(backbone, network=backbone.tiling),
            {name: layer.masks for name, layer in left.items()} if style_weight else {},
            config.style_loss,
            tiled_blocks,
        ),
        terms={
            "content": (content_term, weights["content"]),
            "style": (style_term, style_weight),
            "tv": (tv_term, weights["tv"]),
            "matting": (matting_term, weights["matting"] if content.laplacian is not None else 0.0),
            "edge": (edge_term, weights["edge"] if edges is not None else 0.0),
            "color": (color_term, color_weight),
            "grain": (grain_term, weights["style"] * weights["grain"] if grains is not None else 0.0),
            "gamut": (gamut_term, weights["gamut"]),
        },
        scale=weights["content"] * zero_content + style_weight * zero_style,
        notes=tuple(note for layer in layers.values() for note in layer.left_out),
    )


def _shares(layers: Sequence[str], weights: Sequence[float] | None) -> dict[str, float]:
    """Layer weights that sum to one."""
    values = list(weights) if weights is not None else [1.0] * len(layers)
    return {layer: value / sum(values) for layer, value in zip(layers, values, strict=True)}


def _color_targets(
    content: ContentInput, styles: Sequence[StyleInput], assignments: Sequence[Assignment], strength: float
) -> _Targets | None:
    """Return the quantiles of each region's style; of several styles their mean, which is their barycentre."""
    own = to_lab(content.image[0].permute(1, 2, 0).reshape(-1, 3))
    theirs = [to_lab(style.image[0].permute(1, 2, 0).reshape(-1, 3)) for style in styles]
    return _targets(
        content,
        styles,
        assignments,
        strength,
        lambda mask: color_quantiles(own, region_of(mask)),
        lambda style, mask: color_quantiles(theirs[style], region_of(mask)),
    )


def _grain_targets(
    content: ContentInput, styles: Sequence[StyleInput], assignments: Sequence[Assignment], strength: float
) -> _Targets | None:
    """Return the covariances of the finest bands of each region's style; of several styles their mean."""

    def grain(image: Tensor, mask: Tensor) -> Tensor:
        return grain_covariances(image, grain_regions(mask[None]))[0]

    return _targets(
        content,
        styles,
        assignments,
        strength,
        lambda mask: grain(content.image, mask),
        lambda style, mask: grain(styles[style].image, mask),
        least=MIN_CELLS * 4 ** (BANDS - 1),  # of pixels: what are four cells of the last band
    )


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

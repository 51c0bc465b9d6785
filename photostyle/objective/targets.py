"""From pictures and regions to an objective: what content and style look like to the network at one size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import scipy.sparse
import torch
from torch import Tensor

from photostyle.config import TransferConfig
from photostyle.errors import RegionError
from photostyle.features import Backbone
from photostyle.objective.color import color_loss, color_quantiles, to_lab
from photostyle.objective.content import content_loss
from photostyle.objective.edges import edge_loss
from photostyle.objective.gamut import gamut_loss
from photostyle.objective.gram import MIN_CELLS, Region, gram_distance, masked_grams, region_of, style_loss
from photostyle.objective.matting import matting_loss
from photostyle.objective.total import Features, Objective
from photostyle.objective.tv import total_variation
from photostyle.regions.match import Assignment, Source
from photostyle.regions.pyramid import layer_masks

__all__ = ["ContentInput", "StyleInput", "build_objective"]


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
class StyleInput:
    """A style picture at one size, with its masks by label (none: it is used whole)."""

    image: Tensor
    masks: Mapping[str, Tensor]


@dataclass(frozen=True)
class _Colors:
    """The regions whose colours are compared, with the quantiles that they shall have, and their shares."""

    regions: list[Region]
    targets: list[Tensor]
    shares: Tensor


@dataclass(frozen=True)
class _StyleLayer:
    """The regions that are left on one layer's grid, with their targets and their shares of the content.

    In photo mode they have tolerances: a network doesn't see a mirror image as it sees the picture, though they have
    the same style, so a distance as small as that between the two says nothing of style.
    """

    regions: list[Region]
    targets: Tensor
    tolerances: Tensor | None
    shares: Tensor
    left_out: list[str]


def build_objective(
    backbone: Backbone,
    content: ContentInput,
    styles: Sequence[StyleInput],
    assignments: Sequence[Assignment],
    config: TransferConfig,
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

    Returns
    -------
    Objective

    Raises
    ------
    RegionError
        If nothing is left to optimise.
    """
    kind = config.normalisation
    with torch.no_grad():
        content_features = backbone(content.image)
        contents = {layer: content_features[layer] for layer in backbone.content_layers}
        style_features = [backbone(style.image) for style in styles]
        mirrored = [backbone(style.image.flip(3)) for style in styles] if config.mode == "photo" else None
        layers = {
            layer: _style_layer(
                layer, content_features[layer][0], content, styles, style_features, mirrored, assignments, config
            )
            for layer in backbone.style_layers
        }
        edges = (
            backbone.edges(content_features, _height_width(content.image))
            if backbone.edges is not None and config.edge_weight
            else None
        )
        del content_features, style_features, mirrored
        colors = _color_targets(content, styles, assignments, config.strength) if config.color_weight else None
    alphas = _shares(backbone.content_layers, config.content_layer_weights)
    betas = _shares(backbone.style_layers, config.style_layer_weights)

    def content_term(_x: Tensor, features: Features) -> Tensor:
        return sum_of(alphas[name] * content_loss(features[name], contents[name], kind) for name in contents)

    def style_term(_x: Tensor, features: Features) -> Tensor:
        return sum_of(
            # squeeze, not [0]: the gradient of an index is a copy in another memory layout
            betas[name]
            * style_loss(features[name].squeeze(0), layer.regions, layer.targets, layer.shares, kind, layer.tolerances)
            for name, layer in layers.items()
            if layer.regions
        )

    def tv_term(x: Tensor, _features: Features) -> Tensor:
        return total_variation(x, wraps=config.tiles)

    def matting_term(x: Tensor, _features: Features) -> Tensor:
        assert content.laplacian is not None
        return matting_loss(x, content.laplacian)

    def edge_term(x: Tensor, features: Features) -> Tensor:
        assert backbone.edges is not None
        assert edges is not None
        return edge_loss(backbone.edges(features, _height_width(x)), edges)

    def color_term(x: Tensor, _features: Features) -> Tensor:
        assert colors is not None
        return color_loss(x, colors.regions, colors.targets, colors.shares)

    def gamut_term(x: Tensor, _features: Features) -> Tensor:
        return gamut_loss(x)

    def sum_of(losses: object) -> Tensor:
        return torch.stack(list(losses)).sum()  # type: ignore[call-overload]

    names = ("content", "style", "tv", "matting", "edge", "color", "gamut")
    weights = {name: float(getattr(config, f"{name}_weight")) for name in names}
    zero_content = sum(alphas[n] * float(content_loss(torch.zeros_like(p), p, kind)) for n, p in contents.items())
    zero_style = sum(
        betas[name] * float((layer.shares * gram_distance(torch.zeros_like(layer.targets), layer.targets, kind)).sum())
        for name, layer in layers.items()
        if layer.regions
    )
    style_weight = weights["style"] if any(layer.regions for layer in layers.values()) else 0.0
    color_weight = weights["color"] if colors is not None and colors.regions else 0.0
    if not style_weight and not weights["content"] and not color_weight:
        raise RegionError(
            f"no region has {MIN_CELLS:g} cells on any style layer, and the content weight is 0: nothing is left to "
            "optimise; take a larger --size, fewer regions, or shallower --style-layers"
        )
    return Objective(
        network=backbone if backbone.tiling is None else backbone.tiling,
        terms={
            "content": (content_term, weights["content"]),
            "style": (style_term, style_weight),
            "tv": (tv_term, weights["tv"]),
            "matting": (matting_term, weights["matting"] if content.laplacian is not None else 0.0),
            "edge": (edge_term, weights["edge"] if edges is not None else 0.0),
            "color": (color_term, color_weight),
            "gamut": (gamut_term, weights["gamut"]),
        },
        scale=weights["content"] * zero_content + style_weight * zero_style,
        notes=tuple(note for layer in layers.values() for note in layer.left_out),
    )


def _height_width(x: Tensor) -> tuple[int, int]:
    """(height, width)."""
    return x.shape[-2], x.shape[-1]


def _shares(layers: Sequence[str], weights: Sequence[float] | None) -> dict[str, float]:
    """Layer weights that sum to one."""
    values = list(weights) if weights is not None else [1.0] * len(layers)
    return {layer: value / sum(values) for layer, value in zip(layers, values, strict=True)}


def _style_layer(
    layer: str,
    content_features: Tensor,
    content: ContentInput,
    styles: Sequence[StyleInput],
    features: Sequence[Features],
    mirrored: Sequence[Features] | None,
    assignments: Sequence[Assignment],
    config: TransferConfig,
) -> _StyleLayer:
    masks = layer_masks(content.masks, (content_features.shape[1], content_features.shape[2]))
    shares = _region_shares(content, assignments)
    regions, targets, tolerances, kept, left_out = [], [], [], [], []
    for index, assignment in enumerate(assignments):
        if not assignment.sources or not assignment.weight:  # kept as it is
            continue
        region = region_of(masks[index])
        sources = _sources_at(assignment, styles, [found[layer].shape[-2:] for found in features])
        if region.area < MIN_CELLS or not sources:
            side = "content" if region.area < MIN_CELLS else "style"
            size = tuple(content.image.shape[:-3:-1])
            left_out.append(
                f"{assignment.label!r} is left out of {layer} at {size[0]}×{size[1]}: "
                f"its {side} region has less than {MIN_CELLS:g} cells there"
            )
            continue
        target = _blended(sources, lambda style, where: _gram(features[style][layer][0], where))
        if mirrored is not None:
            mirror = _blended(sources, lambda style, where: _mirrored_gram(mirrored[style][layer][0], where))
            tolerances.append(gram_distance(mirror, target, config.normalisation))
        regions.append(region)
        targets.append(_weakened(target, partial(_gram, content_features, region), config.strength))
        kept.append(index)
    stacked = torch.stack(targets) if targets else content.image.new_zeros(0)
    return _StyleLayer(regions, stacked, torch.stack(tolerances) if tolerances else None, shares[kept], left_out)


def _color_targets(
    content: ContentInput, styles: Sequence[StyleInput], assignments: Sequence[Assignment], strength: float
) -> _Colors:
    """Return the quantiles of each region's style; of several styles their mean, which is their barycentre."""
    own = to_lab(content.image[0].permute(1, 2, 0).reshape(-1, 3))
    theirs = [to_lab(style.image[0].permute(1, 2, 0).reshape(-1, 3)) for style in styles]
    shares = _region_shares(content, assignments)
    regions, targets, kept = [], [], []
    for index, assignment in enumerate(assignments):
        region = region_of(content.masks[index])
        sources = _sources_at(assignment, styles, [style.image.shape[-2:] for style in styles])
        if not sources or not assignment.weight or region.area < MIN_CELLS:
            continue
        target = _blended(sources, lambda style, where: color_quantiles(theirs[style], where))
        regions.append(region)
        targets.append(_weakened(target, partial(color_quantiles, own, region), strength))
        kept.append(index)
    return _Colors(regions, targets, shares[kept])


def _region_shares(content: ContentInput, assignments: Sequence[Assignment]) -> Tensor:
    """Each region's share of the picture, times its weight."""
    return content.masks.mean((1, 2)) * content.masks.new_tensor([a.weight for a in assignments])


def _sources_at(
    assignment: Assignment, styles: Sequence[StyleInput], grids: Sequence[Sequence[int]]
) -> list[tuple[Source, Region]]:
    """Return the sources that are large enough on their style's grid, with where they lie."""
    found = [(source, _source_region(source, styles, grids[source.style])) for source in assignment.sources]
    return [(source, where) for source, where in found if where.area >= MIN_CELLS]


def _gram(features: Tensor, region: Region) -> Tensor:
    return masked_grams(features, [region])[0]


def _mirrored_gram(features: Tensor, region: Region) -> Tensor:
    """Return the Gram matrix of a region, from features of the mirror image."""
    return _gram(features.flip(2), region)


def _blended(sources: Sequence[tuple[Source, Region]], statistic: Callable[[int, Region], Tensor]) -> Tensor:
    """Return the weighted mean of a statistic of the sources."""
    total = sum(source.weight for source, _ in sources)
    return torch.stack([source.weight / total * statistic(source.style, where) for source, where in sources]).sum(0)


def _weakened(target: Tensor, own: Callable[[], Tensor], strength: float) -> Tensor:
    """Return a target between the content's own statistic (strength 0) and the style's (1)."""
    return target if strength == 1 else torch.lerp(own(), target, strength)


def _source_region(source: Source, styles: Sequence[StyleInput], grid: Sequence[int]) -> Region:
    """Return where a source lies on a grid of its style picture."""
    if source.label is None:
        return region_of(styles[source.style].image.new_ones(tuple(grid)))
    mask = styles[source.style].masks[source.label]
    return region_of(layer_masks(mask[None], (grid[0], grid[1]))[0])

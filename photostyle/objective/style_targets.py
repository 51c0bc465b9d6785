"""What the style of each region looks like to the network: the targets of the style loss, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from photostyle.networks import Backbone
from photostyle.objective.encoding import encoder, statistic_of
from photostyle.objective.gram import MIN_CELLS, gram_distance
from photostyle.objective.wasserstein import prepare_target, wasserstein_distance
from photostyle.options.config import Resolved
from photostyle.regions.match import Assignment, Source
from photostyle.regions.pyramid import layer_masks


@dataclass(frozen=True)
class StyleInput:
    """A style picture at one size, with its masks by label (none: it is used whole)."""

    image: Tensor
    masks: Mapping[str, Tensor]

    def mask(self, label: str | None) -> Tensor:
        """Return where a source lies, shape (H, W); everywhere without a label."""
        return self.image.new_ones(self.image.shape[-2:]) if label is None else self.masks[label]


@dataclass(frozen=True)
class StyleLayer:
    """The regions that are left on one layer's grid, with the distance from their targets and their shares.

    In photo mode they have tolerances: a network doesn't see a mirror image as it sees the picture, though they have
    the same style, so a distance as small as that between the two says nothing of style.

    Attributes
    ----------
    masks : Tensor, shape (K, h, w)
    distance : callable
        From the statistic of each region to its distance from its target, shape (K,).
    tolerances : Tensor, shape (K,), or None
    shares : Tensor, shape (K,)
    zero : float
        The loss of features that are zero everywhere.
    left_out : list of str
        What was left out, and why.
    """

    masks: Tensor
    distance: Callable[[Tensor], Tensor]
    tolerances: Tensor | None
    shares: Tensor
    zero: float
    left_out: list[str]


@dataclass(frozen=True)
class _Measured:
    """A style picture on one layer: the statistic and the area of each of its labels that is used."""

    labels: list[str | None]
    statistics: Tensor
    areas: list[float]

    def of(self, label: str | None) -> Tensor:
        return self.statistics[self.labels.index(label)]

    def has(self, label: str | None) -> bool:
        return self.areas[self.labels.index(label)] >= MIN_CELLS


def style_layers(
    backbone: Backbone,
    image: Tensor,
    masks: Tensor,
    styles: Sequence[StyleInput],
    assignments: Sequence[Assignment],
    config: Resolved,
    tiled_blocks: int = 0,
) -> dict[str, StyleLayer]:
    """Measure the style that each region of the content takes, on each style layer.

    Parameters
    ----------
    backbone : Backbone
    image : Tensor, shape (1, 3, H, W)
        The content.
    masks : Tensor, shape (K, H, W)
        Its regions, in the order of the assignments.
    styles : sequence of StyleInput
    assignments : sequence of K Assignment
    config : Resolved
        Of it: style loss, normalisation, strength and mode.
    tiled_blocks : int
        As for :func:`photostyle.objective.encoding.encoder`.

    Returns
    -------
    dict of str to StyleLayer
    """
    measure = partial(_measured, backbone, config=config, tiled_blocks=tiled_blocks)
    labels = [_labels_used(index, assignments) for index in range(len(styles))]
    theirs = [measure(style, used) for style, used in zip(styles, labels, strict=True)]
    mirrored = None
    if config.mode == "photo":
        flipped = [StyleInput(s.image.flip(3), {name: m.flip(1) for name, m in s.masks.items()}) for s in styles]
        mirrored = [measure(style, used) for style, used in zip(flipped, labels, strict=True)]
    own = None
    if config.strength != 1:
        regions: list[str | None] = [str(index) for index in range(len(masks))]
        own = measure(StyleInput(image, dict(zip(map(str, regions), masks, strict=True))), regions)
    layers = {}
    for layer, grid in backbone.grids(image).items():
        layers[layer] = _style_layer(
            layer,
            layer_masks(masks, grid),
            region_shares(masks, assignments),
            assignments,
            [found[layer] for found in theirs],
            None if mirrored is None else [found[layer] for found in mirrored],
            None if own is None else own[layer].statistics,
            config,
            tuple(image.shape[:-3:-1]),
        )
    return layers


def _style_layer(
    layer: str,
    masks: Tensor,
    shares: Tensor,
    assignments: Sequence[Assignment],
    theirs: Sequence[_Measured],
    mirrored: Sequence[_Measured] | None,
    own: Tensor | None,
    config: Resolved,
    size: tuple[int, ...],
) -> StyleLayer:
    targets, mirrors, kept, left_out = [], [], [], []
    for index, assignment in enumerate(assignments):
        if not assignment.sources or not assignment.weight:  # kept as it is
            continue
        area = _area(masks[index])
        sources = [source for source in assignment.sources if theirs[source.style].has(source.label)]
        if area < MIN_CELLS or not sources:
            side = "content" if area < MIN_CELLS else "style"
            left_out.append(
                f"{assignment.label!r} is left out of {layer} at {size[0]}×{size[1]}: "
                f"its {side} region has less than {MIN_CELLS:g} cells there"
            )
            continue
        target = blended(sources, lambda source: theirs[source.style].of(source.label))
        targets.append(target if own is None else weakened(target, own[index], config.strength))
        if mirrored is not None:
            mirrors.append((blended(sources, lambda source: mirrored[source.style].of(source.label)), target))
        kept.append(index)
    left = masks[kept]
    if not kept:
        return StyleLayer(left, lambda statistics: statistics.new_zeros(0), None, shares[kept], 0.0, left_out)
    distance = _distance(torch.stack(targets), config)
    tolerances = None
    if mirrors:
        mirror, plain = (torch.stack(side) for side in zip(*mirrors, strict=True))
        tolerances = _distance(plain, config)(mirror)
    zero = float((shares[kept] * distance(torch.zeros_like(torch.stack(targets)))).sum())
    return StyleLayer(left, distance, tolerances, shares[kept], zero, left_out)


def _distance(targets: Tensor, config: Resolved) -> Callable[[Tensor], Tensor]:
    """Return the distance of the chosen style loss from targets, (K, …)."""
    if config.style_loss == "wasserstein":
        prepared = prepare_target(targets)
        return lambda statistics: wasserstein_distance(statistics, prepared, config.normalisation)
    return lambda statistics: gram_distance(statistics, targets, config.normalisation)


def _measured(
    backbone: Backbone, style: StyleInput, labels: list[str | None], *, config: Resolved, tiled_blocks: int
) -> dict[str, _Measured]:
    """Measure some labels of a picture on all style layers."""
    if not labels:
        return {layer: _Measured([], style.image.new_zeros(0), []) for layer in backbone.style_layers}
    masks = torch.stack([style.mask(label) for label in labels])
    small = {layer: layer_masks(masks, grid) for layer, grid in backbone.grids(style.image).items()}
    found = encoder(backbone, small, config.style_loss, tiled_blocks)(style.image)
    return {
        layer: _Measured(labels, found[statistic_of(layer)], [_area(mask) for mask in small[layer]])
        for layer in backbone.style_layers
    }


def _labels_used(style: int, assignments: Sequence[Assignment]) -> list[str | None]:
    used = (source.label for a in assignments for source in a.sources if source.style == style)
    return list(dict.fromkeys(used))


def _area(mask: Tensor) -> float:
    return float(mask.cpu().sum(dtype=torch.float64))


def region_shares(masks: Tensor, assignments: Sequence[Assignment]) -> Tensor:
    """Return each region's share of the picture, times its weight: shape (K,), from masks of shape (K, H, W)."""
    return masks.mean((1, 2)) * masks.new_tensor([a.weight for a in assignments])


def blended(sources: Sequence[Source], statistic: Callable[[Source], Tensor]) -> Tensor:
    """Return the weighted mean of a statistic of the sources."""
    total = sum(source.weight for source in sources)
    return torch.stack([source.weight / total * statistic(source) for source in sources]).sum(0)


def weakened(target: Tensor, own: Tensor, strength: float) -> Tensor:
    """Return a target between the content's own statistic (strength 0) and the style's (1)."""
    return torch.lerp(own, target, strength)

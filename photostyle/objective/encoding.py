"""Encoding: from a picture to its features, and to the style statistics of its regions, in one pass.

Style statistics are sums over the cells of a layer, and sums can be made tile by tile. So where a picture is too large
for the features of the first blocks of a VGG, which take three quarters of its memory, these blocks see it through
windows, one after the other, and keep nothing: on the way back each window is computed once more. A window is larger
than its tile by what the blocks can see, so that nothing depends on where the tiles lie: features, statistics and
gradient are those of the whole picture, but for rounding, and there is no seam to hide. The other blocks see the whole
picture at a quarter or an eighth of its size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from photostyle.errors import UsageError
from photostyle.networks import Backbone
from photostyle.networks.vgg import VGG, block_of
from photostyle.objective.gram import MIN_CELLS, Region, masked_grams, region_of
from photostyle.objective.total import Features
from photostyle.objective.wasserstein import combined_moments, masked_moments

Encoder = Callable[[Tensor], Features]
"""From a picture, shape (1, 3, H, W), to features by layer, and statistics by :func:`statistic_of` their layer."""

_SIDE = 512  # of a tile, in pixels


def _combined_grams(grams: Tensor, shares: Tensor) -> Tensor:
    """Return the Gram matrices of regions, shape (K, C, C), from those of their T parts, (T, K, C, C)."""
    return (shares[..., None, None] * grams).sum(0)


STATISTICS: Mapping[str, tuple[Callable[[Tensor, Sequence[Region]], Tensor], Callable[[Tensor, Tensor], Tensor]]] = {
    "gram": (masked_grams, _combined_grams),
    "wasserstein": (masked_moments, combined_moments),
}
"""For each style loss its statistic of features, and how statistics of parts, (T, K, …), with shares (T, K), add up."""


def statistic_of(layer: str) -> str:
    """Return the name under which the statistic of a layer is found beside the features."""
    return f"statistic of {layer}"


def encoder(backbone: Backbone, masks: Mapping[str, Tensor], kind: str = "gram", tiled_blocks: int = 0) -> Encoder:
    """Return what encodes pictures of one size.

    Parameters
    ----------
    backbone : Backbone
    masks : mapping of str to Tensor, shape (K, h, w)
        For layers whose statistics are wanted, the regions on the layer's grid; K may differ from layer to layer.
    kind : str
        Of :data:`STATISTICS`.
    tiled_blocks : int
        How many blocks of a VGG see the picture through windows; there are then no features of their layers, only
        statistics. 0: none, everything is computed at once.

    Returns
    -------
    Encoder

    Raises
    ------
    UsageError
        If the backbone has no blocks, or a content layer lies within those that are tiled.
    """
    measure = STATISTICS[kind][0]
    network = backbone.network
    shallow = [layer for layer in masks if tiled_blocks and block_of(layer) <= tiled_blocks]
    regions = {layer: list(map(region_of, m)) for layer, m in masks.items() if layer not in shallow and len(m)}

    def measured(features: Features) -> Features:
        # squeeze, not [0]: the gradient of an index is a copy in another memory layout
        return {statistic_of(layer): measure(features[layer].squeeze(0), where) for layer, where in regions.items()}

    if not tiled_blocks:

        def whole(x: Tensor) -> Features:
            features = backbone(x)
            return {**features, **measured(features)}

        return whole

    if not isinstance(network, VGG):
        raise UsageError(f"backbone {backbone.name!r} has no blocks that could be tiled: pass --evaluation whole")
    if network.padding == "circular":
        raise UsageError(
            "--padding circular needs the whole picture at once, but it is too large: pass a smaller --size"
        )
    for layer in backbone.content_layers:
        if block_of(layer) <= tiled_blocks:
            raise UsageError(
                f"--content-layers has {layer}, but pictures of this size are seen through windows by the blocks 1 to "
                f"{tiled_blocks}: name deeper layers, or pass a smaller --size"
            )
    first = {layer: masks[layer] for layer in shallow if len(masks[layer])}

    windows: _Windows | None = None

    def tiled(x: Tensor) -> Features:
        nonlocal windows
        if windows is None:
            windows = _Windows(network, (x.shape[-2], x.shape[-1]), first, kind, tiled_blocks)
        pooled, *parts = _FirstBlocks.apply(x, windows)
        features = network.other_blocks(pooled, tiled_blocks)
        found = {
            statistic_of(layer): STATISTICS[kind][1](part, windows.shares[layer])
            for layer, part in zip(first, parts, strict=True)
        }
        return {**features, **found, **measured(features)}

    return tiled


@dataclass(frozen=True)
class _Window:
    """A tile, and the window through which it is seen: both as (top, bottom, left, right) in pixels."""

    tile: tuple[int, int, int, int]
    window: tuple[int, int, int, int]


class _Windows:
    """The windows on a picture of (height, width), and what the first blocks of a network see through each."""

    def __init__(self, network: VGG, size: tuple[int, int], masks: Mapping[str, Tensor], kind: str, count: int) -> None:
        self.network, self.size, self.masks, self.count = network, size, masks, count
        self.measure = STATISTICS[kind][0]
        step = 2**count
        halo = -(-network.reach(count) // step) * step
        self.windows = [
            _Window(
                (t, b, left, r), (max(0, t - halo), min(size[0], b + halo), max(0, left - halo), min(size[1], r + halo))
            )
            for t, b in _cuts(size[0], step)
            for left, r in _cuts(size[1], step)
        ]
        self.regions: list[dict[str, list[Region]]] = []
        self.shares: dict[str, Tensor] = {}
        for window in self.windows:
            parts = {layer: _placed(mask, window, block_of(layer) - 1) for layer, mask in masks.items()}
            self.regions.append({layer: list(map(region_of, part)) for layer, part in parts.items()})
        for layer, mask in masks.items():
            areas = [[region.normaliser for region in found[layer]] for found in self.regions]
            self.shares[layer] = mask.new_tensor(areas) / mask.sum((1, 2)).clamp_min(MIN_CELLS)

    def through(self, index: int, x: Tensor) -> list[Tensor]:
        """Return what is handed on by a tile, and the statistics of its part of each layer's regions.

        Parameters
        ----------
        index : int
            Of the window.
        x : Tensor, shape (1, 3, h, w)
            What the window shows.
        """
        window = self.windows[index]
        features, pooled = self.network.first_blocks(x, self.count)
        results = [_cropped(pooled, window, self.count)]
        for layer, where in self.regions[index].items():
            results.append(self.measure(_cropped(features[layer], window, block_of(layer) - 1).squeeze(0), where))
        return results


def _cuts(length: int, step: int) -> list[tuple[int, int]]:
    """Cut a side into parts of about :data:`_SIDE`, at multiples of a step; the last one may end anywhere."""
    count = max(1, round(length / _SIDE))
    edges = [round(length * i / count / step) * step for i in range(count)]
    return list(zip(edges, [*edges[1:], length], strict=True))


def _cropped(features: Tensor, window: _Window, halvings: int) -> Tensor:
    """Return the part of a window's features, halved so often, that belongs to the tile."""
    top, bottom, left, right = (edge >> halvings for edge in window.tile)
    above, before = window.window[0] >> halvings, window.window[2] >> halvings
    return features[..., top - above : bottom - above, left - before : right - before]


class _FirstBlocks(torch.autograd.Function):
    """What the first blocks hand on, and the statistics of all tiles; nothing is kept but the picture."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, windows: _Windows) -> tuple[Tensor, ...]:
        ctx.save_for_backward(x)
        ctx.windows = windows
        parts: list[list[Tensor]] = []
        for index, window in enumerate(windows.windows):
            handed, *statistics = windows.through(index, _shown(x, window))
            if index == 0:
                grid = (windows.size[0] >> windows.count, windows.size[1] >> windows.count)
                pooled = handed.new_empty((1, handed.shape[1], *grid)).to(memory_format=torch.channels_last)
            _placed(pooled, window, windows.count).copy_(handed)
            parts.append(statistics)
        return (pooled, *(torch.stack(of_layer) for of_layer in zip(*parts, strict=True)))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        result = torch.zeros_like(x)
        for index, window in enumerate(ctx.windows.windows):
            shown = _shown(x, window).detach().requires_grad_()
            with torch.enable_grad():
                outputs = ctx.windows.through(index, shown)
            wanted = [
                _placed(gradients[0], window, ctx.windows.count),
                *(of_layer[index] for of_layer in gradients[1:]),
            ]
            (part,) = torch.autograd.grad(outputs, shown, wanted)
            _shown(result, window).add_(part)
        return result, None


def _shown(x: Tensor, window: _Window) -> Tensor:
    """Return a view of what a window shows."""
    top, bottom, left, right = window.window
    return x[..., top:bottom, left:right]


def _placed(whole: Tensor, window: _Window, halvings: int) -> Tensor:
    """Return a view of a tile's place in a picture, or a layer, that was halved so often."""
    top, bottom, left, right = (edge >> halvings for edge in window.tile)
    return whole[..., top:bottom, left:right]

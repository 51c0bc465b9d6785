"""Masks for each layer: brought down to a layer's grid by the way that the network takes."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def layer_masks(masks: Tensor, grid: tuple[int, int]) -> Tensor:
    """Average masks down to the grid of a layer.

    Where repeated halving (rounded down) leads from the picture to the grid, as in a VGG, the masks are averaged
    over the same 2×2 blocks that the network pools: an odd last row, which pooling drops, is dropped here too.
    Any other grid gets plain area averages. Either way soft masks stay in [0, 1] and label masks still sum to one.

    Parameters
    ----------
    masks : Tensor, shape (K, H, W)
        In [0, 1].
    grid : tuple of int
        (height, width) of the layer's features.

    Returns
    -------
    Tensor, shape (K, *grid)
    """
    levels, size = 0, tuple(masks.shape[-2:])
    while size[0] > grid[0] and size[1] > grid[1]:
        levels, size = levels + 1, (size[0] // 2, size[1] // 2)
    result = masks[None]
    if size != grid:
        return functional.interpolate(result, grid, mode="area")[0]
    for _ in range(levels):
        result = functional.avg_pool2d(result, 2)
    return result[0]

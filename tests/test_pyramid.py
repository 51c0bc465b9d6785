"""Masks on the grids of layers: by the way of the network, and by area where there is no such way."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from photostyle.networks.vgg import VGG
from photostyle.regions.pyramid import layer_masks


def brute_halved(mask):
    """The mean of each 2×2 block; an odd last row or column is dropped."""
    height, width = mask.shape
    return np.array(
        [
            [sum(mask[2 * i + a, 2 * j + b] for a in range(2) for b in range(2)) / 4 for j in range(width // 2)]
            for i in range(height // 2)
        ]
    )


def soft_masks(rng, count, height, width):
    masks = rng.uniform(size=(count, height, width)) * (rng.uniform(size=(count, height, width)) > 0.5)
    masks[0] += 1e-3
    return torch.from_numpy(masks / masks.sum(0))


@pytest.mark.parametrize("shape", [(16, 16), (17, 23), (19, 13), (31, 8), (15, 15)])
@pytest.mark.parametrize("levels", [0, 1, 2, 3])
def test_halving_is_the_mean_of_blocks(rng, shape, levels):
    masks = soft_masks(rng, 2, *shape)
    expected = masks.numpy()
    for _ in range(levels):
        expected = np.stack([brute_halved(mask) for mask in expected])
    found = layer_masks(masks, expected.shape[1:])
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_row_that_pooling_drops_is_dropped_here_too():
    masks = torch.zeros(2, 9, 11)
    masks[0, :8, :10] = 1
    masks[1, 8:], masks[1, :, 10:] = 1, 1
    for grid in ((4, 5), (2, 2), (1, 1)):
        found = layer_masks(masks, grid)
        assert torch.equal(found[0], torch.ones(grid))
        assert torch.equal(found[1], torch.zeros(grid))


def test_borders_become_soft():
    mask = torch.zeros(1, 8, 8)
    mask[0, :, :3] = 1
    np.testing.assert_allclose(layer_masks(mask, (4, 4))[0, 0], [1, 0.5, 0, 0])
    np.testing.assert_allclose(layer_masks(mask, (2, 2))[0, 0], [0.75, 0])


@pytest.mark.parametrize("grid", [(3, 3), (5, 4), (2, 7), (4, 7), (8, 4)])
def test_any_other_grid_gets_area_averages(grid):
    """Sizes that divide evenly, so that the area of each cell is whole pixels."""
    height, width = 3 * grid[0], 3 * grid[1]
    mask = np.random.default_rng(0).uniform(size=(height, width))
    expected = mask.reshape(grid[0], 3, grid[1], 3).mean((1, 3))
    np.testing.assert_allclose(layer_masks(torch.from_numpy(mask)[None], grid)[0], expected, rtol=1e-12)


def test_no_way_of_halving_with_the_same_number_of_rows():
    """A grid that is smaller on one side only: 8×8 to 8×4."""
    mask = torch.arange(64.0).view(1, 8, 8) / 64
    np.testing.assert_allclose(layer_masks(mask, (8, 4)), mask.view(1, 8, 4, 2).mean(3))


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    levels=st.integers(0, 5),
    other=st.booleans(),
)
def test_label_masks_still_sum_to_one(seed, height, width, levels, other):
    rng = np.random.default_rng(seed)
    masks = soft_masks(rng, 3, height, width).float()
    grid = (max(height >> levels, 1), max(width >> levels, 1))
    if other:
        grid = (int(rng.integers(1, height + 1)), int(rng.integers(1, width + 1)))
    found = layer_masks(masks, grid)
    assert found.shape == (3, *grid)
    assert found.min() >= 0
    assert found.max() <= 1 + 1e-6
    np.testing.assert_allclose(found.sum(0), 1, atol=1e-5)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (46, 37), (63, 34)])
def test_the_way_is_that_of_the_network(narrow_weights, size):
    """Every layer of a VGG: the masks have its grid, sum to one, and are the pictures that its pooling makes."""
    layers = [f"relu{block}_1" for block in range(1, 6)]
    features = VGG(narrow_weights(), layers)(torch.rand(1, 3, *size))
    masks = soft_masks(np.random.default_rng(1), 3, *size)
    pooled = masks
    for layer in layers:
        grid = tuple(features[layer].shape[-2:])
        found = layer_masks(masks, grid)
        assert found.shape[-2:] == grid == pooled.shape[-2:]
        np.testing.assert_allclose(found, pooled, rtol=1e-12)
        np.testing.assert_allclose(found.sum(0), 1, rtol=1e-12)
        pooled = torch.nn.functional.avg_pool2d(pooled, 2)


def test_nothing_to_do_at_the_picture_s_own_size(rng):
    masks = soft_masks(rng, 2, 7, 9)
    assert torch.equal(layer_masks(masks, (7, 9)), masks)

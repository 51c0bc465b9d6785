"""The affine field: slicing against a loop over pixels, partition of unity, tiles, gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from photostyle.field.grid import (
    NUMBERS,
    Slicer,
    apply_maps,
    field_of,
    region_slice,
)
from photostyle.filters.guided import LUMA, local_contrast

TONES, CELLS = 3, 4


@pytest.fixture
def content(rng):
    return rng.random((9, 11, 3)).astype(np.float32)


@pytest.fixture
def masks(rng):
    masks = rng.random((2, 9, 11)).astype(np.float32)
    masks[0, :, :3] = 0
    return masks / masks.sum(0)


@pytest.fixture
def field(rng):
    return torch.from_numpy(rng.normal(size=(2, TONES, CELLS, CELLS, NUMBERS)).astype(np.float32))


def by_loop(field, content, masks):
    """The definition, pixel by pixel and grid point by grid point, with hat functions for weights."""
    height, width = content.shape[:2]
    result = np.zeros((height, width, 3))
    contrast = local_contrast(content)
    for y in range(height):
        for x in range(width):
            pixel = content[y, x].astype(float)
            place = np.array(
                [
                    pixel @ np.array(LUMA) * (TONES - 1),
                    (y + 0.5) / height * (CELLS - 1),
                    (x + 0.5) / width * (CELLS - 1),
                ]
            )
            maps = np.zeros(NUMBERS)
            for k in range(len(masks)):
                for index in np.ndindex(TONES, CELLS, CELLS):
                    weight = np.prod(np.clip(1 - np.abs(place - index), 0, 1))
                    maps += masks[k, y, x] * weight * field[(k, *index)].numpy()
            result[y, x] = maps.reshape(3, 5) @ [*pixel, contrast[y, x], 1]
    return result


def test_slicing_is_what_the_definition_says(field, content, masks):
    expected = by_loop(field, content, masks)
    found = Slicer(content, masks, TONES, CELLS)(field)
    assert found.shape == (1, 3, 9, 11)
    np.testing.assert_allclose(found[0].permute(1, 2, 0).numpy(), expected, atol=1e-4)
    np.testing.assert_allclose(
        apply_maps(field.numpy(), content, local_contrast(content), list(masks)), expected, atol=1e-4
    )


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_tiles_are_parts_of_the_whole(field, content, masks, rows):
    contrast = local_contrast(content)
    whole = apply_maps(field.numpy(), content, local_contrast(content), list(masks))
    tiles = [
        apply_maps(
            field.numpy(),
            content[top : top + rows],
            contrast[top : top + rows],
            [m[top : top + rows] for m in masks],
            top,
            9,
        )
        for top in range(0, 9, rows)
    ]
    np.testing.assert_allclose(np.concatenate(tiles), whole, atol=1e-5)


def test_the_weights_of_a_pixel_sum_to_its_mask(content, masks):
    weights, pixels = region_slice(content, masks[0], TONES, CELLS)
    assert weights.shape == (len(pixels), TONES * CELLS * CELLS)
    assert weights.data.min() >= 0
    np.testing.assert_allclose(np.asarray(weights.sum(1)).ravel(), masks[0].ravel()[pixels], rtol=1e-5)
    assert set(pixels % 11) == set(range(3, 11))  # the columns where the mask isn't zero


def test_one_map_a_region_is_that_map_everywhere(content, masks, rng):
    maps = rng.normal(size=(2, 3, 4))
    found = Slicer(content, masks, TONES, CELLS)(field_of(maps, TONES, CELLS))[0].permute(1, 2, 0).numpy()
    each = np.einsum("kij,hwj->khwi", maps[:, :, :3], content) + maps[:, None, None, :, 3]
    np.testing.assert_allclose(found, (masks[..., None] * each).sum(0), atol=1e-4)


def test_the_identity_gives_the_content_back(content, masks):
    identity = field_of(np.stack([np.eye(3, 4)] * 2), 5, 6)
    np.testing.assert_allclose(
        apply_maps(identity.numpy(), content, local_contrast(content), list(masks)), content, atol=1e-5
    )


def test_extreme_tones_and_corners_stay_on_the_grid():
    content = np.zeros((2, 2, 3), dtype=np.float32)
    content[0] = 1
    content[1, 1] = 1.2  # beyond white
    weights, _ = region_slice(content, np.ones((2, 2), np.float32), 2, 2)
    np.testing.assert_allclose(np.asarray(weights.sum(1)).ravel(), 1, rtol=1e-6)
    assert weights.indices.max() < 8


def test_gradcheck_of_the_slice(content, masks):
    slicer = Slicer(content.astype(np.float64), masks.astype(np.float64), 2, 2)
    slicer.matrix, slicer.transposed = slicer.matrix.astype(float), slicer.transposed.astype(float)
    field = torch.randn(2, 2, 2, 2, NUMBERS, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(slicer, (field,))

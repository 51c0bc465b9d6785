"""The guided filter against a brute force, its properties, and edges that come out."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import picture

from photostyle.regions.segmentation import guided as module
from photostyle.regions.segmentation.guided import refine, upsample


def soft(labels: int, height: int, width: int, seed: int = 0):
    p = np.random.default_rng(seed).random((labels, height, width)).astype(np.float32)
    return p / p.sum(0)


def guided(guide, mask, radius, epsilon):
    """He et al. 2013, eqs. 13-16, window by window; windows reach over a mirrored border."""
    height, width = mask.shape
    pad = ((radius, radius), (radius, radius))
    big_guide = np.pad(guide.astype(np.float64), (*pad, (0, 0)), mode="symmetric")
    big_mask = np.pad(mask.astype(np.float64), pad, mode="symmetric")
    size = 2 * radius + 1
    a, b = np.zeros((height, width, 3)), np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            colours = big_guide[y : y + size, x : x + size].reshape(-1, 3)
            values = big_mask[y : y + size, x : x + size].ravel()
            centred = colours - colours.mean(0)
            covariance = centred.T @ centred / len(values)
            a[y, x] = np.linalg.solve(covariance + epsilon * np.eye(3), centred.T @ values / len(values))
            b[y, x] = values.mean() - a[y, x] @ colours.mean(0)
    big_a, big_b = np.pad(a, (*pad, (0, 0)), mode="symmetric"), np.pad(b, pad, mode="symmetric")
    mean_a = np.array([[big_a[y : y + size, x : x + size].mean((0, 1)) for x in range(width)] for y in range(height)])
    mean_b = np.array([[big_b[y : y + size, x : x + size].mean() for x in range(width)] for y in range(height)])
    return mean_a, mean_b


def test_the_maps_are_those_of_the_brute_force():
    guide, mask = picture(13, 11), soft(2, 11, 13)[0]
    a, b = module._Maps(guide, 2)(mask)
    wanted_a, wanted_b = guided(guide, mask, 2, module._EPSILON)
    np.testing.assert_allclose(a, wanted_a, atol=2e-4)
    np.testing.assert_allclose(b, wanted_b, atol=2e-4)


@pytest.mark.parametrize("size", [(40, 30), (31, 47), (1, 1), (700, 20)])
def test_masks_sum_to_one_at_the_size_of_the_picture(size):
    masks = refine(soft(4, 7, 9), picture(*size))
    assert masks.shape == (4, size[1], size[0])
    assert masks.dtype == np.float32
    assert masks.min() >= 0
    np.testing.assert_allclose(masks.sum(0), 1, atol=1e-5)


def test_a_single_label_is_everywhere():
    np.testing.assert_array_equal(refine(np.ones((1, 3, 4), np.float32), picture(20, 15)), 1)


def test_the_order_of_labels_does_not_matter():
    probabilities, rgb = soft(3, 6, 8), picture(32, 24)
    np.testing.assert_allclose(refine(probabilities[[2, 0, 1]], rgb), refine(probabilities, rgb)[[2, 0, 1]], atol=1e-5)


def test_an_edge_goes_where_the_picture_has_it():
    """The network is 4 pixels off; the refined border is that of the picture, the plain one isn't."""
    rgb = np.full((180, 240, 3), 0.2, dtype=np.float32)
    rgb[:, 120:] = 0.8
    rgb += np.random.default_rng(0).normal(0, 0.01, rgb.shape).astype(np.float32)
    right = np.clip((np.arange(60) - 30.5) / 6 + 0.5, 0.05, 0.95).astype(np.float32)  # crosses one half at column 124
    probabilities = np.broadcast_to(np.stack([1 - right, right])[:, None], (2, 45, 60)).copy()
    plain, refined = upsample(probabilities, (240, 180)).argmax(0), refine(probabilities, rgb).argmax(0)
    truth = np.broadcast_to(np.arange(240) >= 120, (180, 240))
    assert (plain != truth).mean() > 0.015
    assert (refined != truth).mean() < 0.002


def test_thin_lines_come_out():
    """A dark branch, one pixel wide, in front of a bright sky: the network only sees that something is there."""
    rgb = np.full((64, 64, 3), 0.85, dtype=np.float32)
    rgb[:, 32] = 0.1
    probabilities = np.zeros((2, 16, 16), dtype=np.float32)
    probabilities[1] = 0.05
    probabilities[1, :, 7:10] = 0.55
    probabilities[0] = 1 - probabilities[1]
    branch = refine(probabilities, rgb)[1]
    assert branch[:, 32].mean() > 2 * branch[:, 28].mean() + 0.1


def test_large_pictures_are_fitted_small():
    """The fast form of the filter agrees with the full one but for a little."""
    rgb, probabilities = picture(1400, 1050), soft(2, 5, 7)
    full = refine(probabilities, rgb)
    assert full.shape == (2, 1050, 1400)
    small = refine(probabilities, rgb[::2, ::2].copy())
    assert np.abs(full[:, ::2, ::2] - small).mean() < 0.03

"""Masks made sharp against the picture: their sums, their order, and edges that come out."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import picture

from photostyle.regions.segmentation.guided import refine, upsample


def soft(labels: int, height: int, width: int, seed: int = 0):
    p = np.random.default_rng(seed).random((labels, height, width)).astype(np.float32)
    return p / p.sum(0)


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

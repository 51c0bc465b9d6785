"""Soft mattes: they sum to one, keep what is sure, and follow the content where the mask is off."""

from __future__ import annotations

import numpy as np
import pytest

from photostyle.field.mattes import soft_matte
from photostyle.objective.matting import matting_laplacian

HEIGHT, WIDTH, EDGE = 40, 60, 30


@pytest.fixture
def two_halves(rng):
    """A dark and a bright half with some texture."""
    picture = np.full((HEIGHT, WIDTH, 3), 0.2)
    picture[:, EDGE:] = (0.7, 0.8, 0.9)
    return np.clip(picture + 0.01 * rng.normal(size=picture.shape), 0, 1)


def halves(edge):
    left = np.zeros((HEIGHT, WIDTH), dtype=np.float32)
    left[:, :edge] = 1
    return np.stack([left, 1 - left])


def test_a_mask_that_is_a_pixel_off_snaps_to_the_edge(two_halves):
    mattes = soft_matte(halves(EDGE + 1), matting_laplacian(two_halves, 1e-5))
    np.testing.assert_allclose(mattes.sum(0), 1, atol=1e-5)
    assert mattes.min() >= 0
    assert mattes[0, :, EDGE - 3 : EDGE].min() > 0.8
    assert mattes[0, :, EDGE : EDGE + 3].max() < 0.2


def test_away_from_the_border_the_mask_holds(two_halves):
    masks = halves(EDGE)
    mattes = soft_matte(masks, matting_laplacian(two_halves, 1e-5))
    np.testing.assert_allclose(mattes[..., :20], masks[..., :20], atol=0.05)
    np.testing.assert_allclose(mattes[..., 40:], masks[..., 40:], atol=0.05)


def test_one_region_stays_everything(two_halves):
    masks = np.ones((1, HEIGHT, WIDTH), dtype=np.float32)
    np.testing.assert_array_equal(soft_matte(masks, matting_laplacian(two_halves, 1e-5)), masks)


def test_the_order_of_the_labels_does_not_matter(two_halves):
    laplacian = matting_laplacian(two_halves, 1e-5)
    masks = halves(EDGE + 1)
    np.testing.assert_allclose(soft_matte(masks[::-1], laplacian)[::-1], soft_matte(masks, laplacian), atol=1e-4)


def test_a_narrow_region_keeps_its_middle(two_halves):
    """A pole that differs a little from what is around it, and is narrower than the band."""
    flat = np.clip(0.5 + 0.01 * np.random.default_rng(0).normal(size=two_halves.shape), 0, 1)
    flat[:, 28:31] += 0.1
    pole = np.zeros((HEIGHT, WIDTH), dtype=np.float32)
    pole[:, 28:31] = 1
    mattes = soft_matte(np.stack([pole, 1 - pole]), matting_laplacian(flat, 1e-5))
    assert mattes[0, 5:-5, 29].min() > 0.7

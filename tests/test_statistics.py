"""The closed-form start: moments against numpy, and what a transport map must do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from photostyle.colors.statistics import Moments, blend, moments, transport_map


def some_moments(seed):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(3, 3)) * 0.2
    return Moments(rng.random(3), root @ root.T + 0.01 * np.eye(3))


def test_moments_are_numpys(rng):
    picture, weights = rng.random((6, 7, 3)), rng.integers(0, 4, (6, 7))
    found = moments(picture, weights)
    colors = np.repeat(picture.reshape(-1, 3), weights.ravel(), axis=0)
    np.testing.assert_allclose(found.mean, colors.mean(0))
    np.testing.assert_allclose(found.covariance, np.cov(colors.T, bias=True))
    extended = np.column_stack([colors, np.ones(len(colors))])
    np.testing.assert_allclose(found.second(), extended.T @ extended / len(colors))


def test_equal_moments_give_the_identity():
    np.testing.assert_allclose(transport_map(some_moments(1), some_moments(1)), np.eye(3, 4), atol=1e-9)


def test_the_map_carries_mean_and_covariance_over():
    content, style = some_moments(2), replace(some_moments(3), covariance=0.3 * some_moments(3).covariance)
    matrix, offset = np.split(transport_map(content, style), [3], axis=1)
    np.testing.assert_allclose(matrix @ content.mean + offset[:, 0], style.mean)
    ridge = 1e-5 * np.eye(3)
    np.testing.assert_allclose(matrix @ (content.covariance + ridge) @ matrix.T, style.covariance + ridge, atol=1e-9)


def test_the_map_is_symmetric_and_positive():
    matrix = transport_map(some_moments(4), some_moments(5))[:, :3]
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-9)
    assert np.linalg.eigvalsh(matrix).min() > 0


def test_a_recolouring_by_a_symmetric_map_is_recovered(rng):
    picture = rng.random((20, 20, 3))
    recolouring = np.array([[1.2, 0.1, 0], [0.1, 0.7, 0.05], [0, 0.05, 0.9]])
    mask = np.ones((20, 20))
    found = transport_map(moments(picture, mask), moments(picture @ recolouring.T + 0.1, mask))
    np.testing.assert_allclose(found, np.column_stack([recolouring, [0.1] * 3]), atol=0.01)


def test_a_flat_region_is_not_stretched():
    flat = Moments(np.full(3, 0.5), np.zeros((3, 3)))
    gains = np.linalg.eigvalsh(transport_map(flat, some_moments(6))[:, :3])
    assert gains.max() == pytest.approx(4)
    assert np.isfinite(transport_map(some_moments(6), flat)).all()


def test_a_grey_style_takes_all_colours_away():
    grey = Moments(np.full(3, 0.6), np.full((3, 3), 0.04))
    matrix = transport_map(some_moments(6), grey)[:, :3]
    assert np.abs(np.diff(matrix, axis=0)).max() < 0.1


def test_a_blend_is_the_weighted_mean():
    one, two = some_moments(7), some_moments(8)
    mixed = blend([(1.0, one), (3.0, two)])
    np.testing.assert_allclose(mixed.mean, 0.25 * one.mean + 0.75 * two.mean)
    np.testing.assert_allclose(mixed.covariance, 0.25 * one.covariance + 0.75 * two.covariance)
    assert blend([(2.0, one)]).mean == pytest.approx(one.mean)

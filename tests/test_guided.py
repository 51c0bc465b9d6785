"""The guided filter of a plane by itself, and the local contrast that it leaves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from photostyle.filters.guided import local_contrast, self_guided


def test_it_is_the_formula(rng):
    plane = rng.random((30, 40)).astype(np.float32)

    def mean(values):
        return uniform_filter(values.astype(np.float64), 5, mode="reflect")

    average = mean(plane)
    variance = mean(plane.astype(np.float64) ** 2) - average**2
    gain = variance / (variance + 0.02)
    inside = (slice(5, -5), slice(5, -5))  # the two libraries reflect differently at the border
    expected = mean(gain) * plane + mean((1 - gain) * average)
    np.testing.assert_allclose(self_guided(plane, 2, 0.02)[inside], expected[inside], atol=1e-5)


def test_an_edge_stays_and_noise_goes(rng):
    edge = np.zeros((40, 60), dtype=np.float32)
    edge[:, 30:] = 0.8
    noisy = edge + rng.normal(0, 0.01, edge.shape).astype(np.float32)
    smooth = self_guided(noisy, 4, 0.005)
    assert (smooth - edge)[:, :20].std() < 0.4 * 0.01
    assert np.abs(smooth - edge).max() < 0.05


def test_local_contrast_is_texture_but_no_edge_and_no_ramp(rng):
    picture = np.zeros((60, 80, 3), dtype=np.float32)
    picture[:, 40:] = 0.8
    assert np.abs(local_contrast(picture)).max() < 0.1
    ramp = np.broadcast_to(np.linspace(0.2, 0.7, 80, dtype=np.float32)[None, :, None], picture.shape)
    assert np.abs(local_contrast(ramp)[:, 5:-5]).max() < 1e-4
    texture = 0.5 + 0.05 * rng.standard_normal((60, 80, 1)).astype(np.float32).repeat(3, axis=2)
    assert 0.15 < local_contrast(texture).std() < 0.3  # five times nearly all of it


def test_local_contrast_means_the_same_at_every_size():
    y, x = np.mgrid[0:400, 0:600] / 600
    waves = (0.5 + 0.08 * np.sin(2 * np.pi * 40 * x) * np.sin(2 * np.pi * 40 * y)).astype(np.float32)
    large = waves[..., None].repeat(3, axis=2)
    small = large.reshape(200, 2, 300, 2, 3).mean((1, 3))
    assert local_contrast(small).std() == pytest.approx(local_contrast(large).std(), rel=0.15)

"""Debanding and automatic contrast."""

from __future__ import annotations

import numpy as np
import pytest

from photostyle.finish.contrast import auto_contrast
from photostyle.finish.deband import deband

STEP = 1 / 255


def gradient(height=120, width=180):
    """A soft sky: two levels of 8 bits over its whole height."""
    ramp = np.linspace(100.2, 104.8, height) / 255
    return np.broadcast_to(ramp[:, None, None], (height, width, 3)).astype(np.float32)


def rounded(picture):
    return (np.round(picture * 255) / 255).astype(np.float32)


def test_a_gradient_gets_back_what_was_rounded_away():
    true = gradient()
    banded = rounded(true)
    inside = slice(15, -15)
    before = np.abs(np.diff(banded[inside, 90, 0])).max()
    after = np.abs(np.diff(deband(banded)[inside, 90, 0])).max()
    assert before == pytest.approx(STEP, rel=1e-3)
    assert after < 0.4 * STEP
    assert np.abs(deband(banded) - true)[inside].mean() < np.abs(banded - true)[inside].mean()


def test_noise_of_a_flat_part_shrinks_and_nothing_changes_by_more_than_two_steps(rng):
    noisy = np.clip(gradient() + rng.normal(0, STEP, (120, 180, 3)), 0, 1).astype(np.float32)
    smooth = deband(noisy)
    assert np.abs(smooth - noisy).max() <= 2 * STEP + 1e-6
    assert (smooth - gradient()).std() < 0.5 * (noisy - gradient()).std()


def test_edges_and_texture_stay(rng):
    texture = rng.random((60, 60, 3)).astype(np.float32)
    assert np.abs(deband(texture) - texture).max() < 0.5 * STEP
    edge = np.zeros((60, 60, 3), dtype=np.float32)
    edge[:, 30:] = 0.8
    assert np.abs(deband(edge) - edge).max() < 0.2 * STEP


def test_contrast_covers_the_range_and_keeps_grey_grey():
    picture = np.linspace(0.3, 0.7, 1000, dtype=np.float32).reshape(20, 50, 1).repeat(3, axis=2)
    stretched = auto_contrast(picture, clipped=0.0, most=10.0)
    assert stretched.min() == pytest.approx(0, abs=1e-4)
    assert stretched.max() == pytest.approx(1, abs=1e-4)
    assert np.ptp(stretched, axis=2).max() < 1e-6


def test_contrast_is_stretched_no_more_than_allowed():
    picture = np.linspace(0.1, 0.2, 1000, dtype=np.float32).reshape(20, 50, 1).repeat(3, axis=2)
    stretched = auto_contrast(picture, clipped=0.0, most=2.0)
    assert np.ptp(stretched) == pytest.approx(0.2, abs=1e-4)
    assert stretched.mean() == pytest.approx(0.15, abs=0.01)  # night stays night


def test_contrast_leaves_a_full_range_and_a_flat_picture_alone(rng):
    full = rng.random((40, 40, 3)).astype(np.float32)
    full[0], full[1] = 0, 1
    np.testing.assert_allclose(auto_contrast(full), full, atol=0.06)
    flat = np.full((8, 8, 3), 0.4, dtype=np.float32)
    np.testing.assert_allclose(auto_contrast(flat), flat, atol=1e-6)


def test_few_pixels_are_clipped(rng):
    picture = (0.3 + 0.2 * rng.random((100, 100, 3))).astype(np.float32)
    stretched = auto_contrast(picture, clipped=0.01, most=10.0)
    luma = stretched @ np.array([0.299, 0.587, 0.114])
    assert (luma < 0.001).mean() < 0.02
    assert (luma > 0.999).mean() < 0.02

"""Local affine maps, against one window's regression in loops, and carried over to another size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from photostyle.filters import local_affine
from photostyle.filters.local_affine import apply_affine, fit_affine, lift, smoothing_radius


def brute_window(guide, target, row, column, radius, epsilon):
    """Minimise Σ ‖Aᵀ I + b − R‖² + ε |w| ‖A‖² over the window around a pixel, as one least-squares problem."""
    rows, wanted = [], []
    for y in range(row - radius, row + radius + 1):
        for x in range(column - radius, column + radius + 1):
            rows.append([*guide[y, x], 1.0])
            wanted.append(target[y, x])
    for k in range(3):  # the ridge, as three more rows
        rows.append([np.sqrt(epsilon * (2 * radius + 1) ** 2) * (k == i) for i in range(3)] + [0.0])
        wanted.append([0.0] * 3)
    return np.linalg.lstsq(np.array(rows), np.array(wanted), rcond=None)[0]


def affine(rng, picture):
    a, b = rng.normal(size=(3, 3)), rng.normal(size=3)
    return picture @ a + b, a, b


@pytest.mark.parametrize("radius", [1, 2])
@pytest.mark.parametrize("epsilon", [1e-4, 1e-1])
def test_the_map_of_a_pixel_is_the_mean_of_its_windows_regressions(rng, radius, epsilon):
    size = 4 * radius + 3
    guide, target = rng.uniform(size=(size, size + 1, 3)), rng.uniform(size=(size, size + 1, 3))
    middle = 2 * radius + 1
    windows = [
        brute_window(guide, target, y, x, radius, epsilon)
        for y in range(middle - radius, middle + radius + 1)
        for x in range(middle - radius, middle + radius + 1)
    ]
    found = fit_affine(guide, target, radius, epsilon)
    assert found.shape == (size, size + 1, 4, 3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[middle, middle], np.mean(windows, axis=0), rtol=1e-4, atol=1e-5)


def test_a_globally_affine_result_is_recovered(rng, natural):
    target, a, b = affine(rng, natural)
    maps = fit_affine(natural, target, 2, 1e-9)
    np.testing.assert_allclose(apply_affine(maps, natural), target, atol=1e-3)
    guide = rng.uniform(size=(9, 10, 3))
    maps = fit_affine(guide, guide @ a + b, 2, 1e-9)
    np.testing.assert_allclose(maps[..., :3, :], np.broadcast_to(a, (9, 10, 3, 3)), atol=1e-4)
    np.testing.assert_allclose(maps[..., 3, :], np.broadcast_to(b, (9, 10, 3)), atol=1e-4)


def test_apply_is_the_equation(rng):
    maps, guide = rng.normal(size=(2, 3, 4, 3)), rng.uniform(size=(2, 3, 3))
    found = apply_affine(maps, guide)
    assert found.dtype == np.float32
    for y in range(2):
        for x in range(3):
            for j in range(3):
                expected = sum(maps[y, x, i, j] * guide[y, x, i] for i in range(3)) + maps[y, x, 3, j]
                assert found[y, x, j] == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_epsilon_pulls_towards_the_mean_of_the_window(rng):
    guide, target = rng.uniform(size=(9, 9, 3)), rng.uniform(size=(9, 9, 3))
    stiff = fit_affine(guide, target, 2, 1e8)
    assert np.abs(stiff[..., :3, :]).max() < 1e-6
    # The windows whose middles are rows and columns 4 … 6, those that hold pixel (5, 5) with radius 1.
    loose = fit_affine(guide, target, 1, 1e8)[5, 5, 3]
    inner = [target[y - 1 : y + 2, x - 1 : x + 2].mean((0, 1)) for y in (4, 5, 6) for x in (4, 5, 6)]
    np.testing.assert_allclose(loose, np.mean(inner, axis=0), rtol=1e-5)


def test_edges_of_the_guide_stay_and_noise_goes(rng):
    """A step in the guide is a step in the output; noise in the target that the guide hasn't is averaged out."""
    guide = np.full((24, 24, 3), [0.2, 0.3, 0.4])
    guide[:, 12:] += 0.4
    clean = guide @ np.diag([0.5, 1.0, 1.5]) + 0.1
    noise = 0.1 * rng.normal(size=clean.shape)
    out = apply_affine(fit_affine(guide, clean + noise, 3, 1e-4), guide)
    assert np.abs(out - clean).mean() < 0.3 * np.abs(noise).mean()
    step = out[:, 12] - out[:, 11]
    np.testing.assert_allclose(step.mean(0), (clean[:, 12] - clean[:, 11]).mean(0), atol=0.05)


@pytest.mark.parametrize("size", [(38, 52), (57, 78), (19, 26), (13, 20), (300, 20)])
def test_an_affine_result_is_carried_to_any_size(rng, natural, size):
    """Larger, the same, and smaller: the affine function of the large picture, with details it alone has."""
    large = rng.uniform(size=(*size, 3)) if size != (19, 26) else natural
    small = rng.uniform(size=natural.shape) if size != (19, 26) else natural
    result, a, b = affine(rng, small)
    found = lift(result, small, large, radius=2, epsilon=1e-9)
    assert found.shape == large.shape
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, large @ a + b, atol=2e-3)


@pytest.mark.parametrize("rows", [1, 7, 16, 37])
def test_blocks_leave_no_trace(rng, natural, monkeypatch, rows):
    large, result = rng.uniform(size=(37, 41, 3)), rng.uniform(size=natural.shape)
    whole = lift(result, natural, large, 3, 1e-4)
    monkeypatch.setattr(local_affine, "_ROWS", rows)
    np.testing.assert_allclose(lift(result, natural, large, 3, 1e-4), whole, atol=1e-4)


def test_the_maps_are_enlarged_bilinearly(rng, natural):
    """Plane by plane, the same as one resize of the whole map."""
    large, result = rng.uniform(size=(40, 60, 3)).astype(np.float32), rng.uniform(size=natural.shape)
    maps = fit_affine(natural, result, 3, 1e-4)
    planes = [
        np.asarray(Image.fromarray(maps[..., i, j].copy()).resize((60, 40), Image.Resampling.BILINEAR))
        for i in range(4)
        for j in range(3)
    ]
    expected = apply_affine(np.stack(planes, -1).reshape(40, 60, 4, 3), large)
    np.testing.assert_allclose(lift(result, natural, large, radius=3, epsilon=1e-4), expected, atol=1e-4)


def test_the_same_size_is_plain_smoothing(rng, natural):
    result = rng.uniform(size=natural.shape)
    expected = apply_affine(fit_affine(natural, result, 3, 1e-4), natural)
    np.testing.assert_array_equal(lift(result, natural, natural, 3, 1e-4), expected)


def test_smooth_changes_keep_their_place():
    """A result whose colours change from left to right: enlarged, the middle of each pixel stays where it is."""
    small = np.random.default_rng(0).uniform(size=(8, 32, 3))
    ramp = np.linspace(0, 1, 32)[None, :, None]
    large = small.repeat(4, 0).repeat(4, 1)
    found = lift(ramp * np.ones_like(small), small, large, radius=1, epsilon=10.0).mean((0, 2))
    expected = np.interp((np.arange(128) + 0.5) / 4 - 0.5, np.arange(32), ramp[0, :, 0])
    np.testing.assert_allclose(found[16:-16], expected[16:-16], atol=0.01)


@settings(max_examples=25, deadline=None)
@given(
    level=st.floats(0, 1),
    radius=st.integers(1, 4),
    height=st.integers(2, 9),
    width=st.integers(2, 9),
    epsilon=st.sampled_from([1e-8, 1e-4, 1.0]),
)
def test_finite_on_flat_pictures(level, radius, height, width, epsilon):
    """No colour to regress on: the window's mean result."""
    guide, target = np.full((height, width, 3), level), np.full((height, width, 3), 0.25)
    found = apply_affine(fit_affine(guide, target, radius, epsilon), guide)
    np.testing.assert_allclose(found, 0.25, atol=1e-4)


def test_finite_on_grey_pictures_and_in_single_precision(rng, natural):
    grey = natural.mean(2, keepdims=True).repeat(3, 2)
    target = rng.uniform(size=natural.shape)
    single = fit_affine(grey.astype(np.float32), target.astype(np.float32), 3, 1e-4)
    assert np.isfinite(single).all()
    np.testing.assert_allclose(single, fit_affine(grey, target, 3, 1e-4), atol=1e-2)
    assert np.isfinite(lift(target, grey, rng.uniform(size=(50, 40, 3)), 3, 1e-4)).all()


def test_inputs_are_left_alone(rng):
    guide, target = rng.uniform(size=(6, 7, 3)), rng.uniform(size=(6, 7, 3))
    before = guide.copy(), target.copy()
    lift(target, guide, rng.uniform(size=(9, 9, 3)), 2, 1e-4)
    np.testing.assert_array_equal(guide, before[0])
    np.testing.assert_array_equal(target, before[1])


@pytest.mark.parametrize(("shape", "radius"), [((10, 12), 1), ((512, 384, 3), 13), ((400, 800), 20)])
def test_the_radius_grows_with_the_picture(shape, radius):
    assert smoothing_radius(shape) == radius

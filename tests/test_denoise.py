"""Denoising: the ROF model against a brute-force minimiser, non-local means, the estimate of the noise, strips."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from helpers import picture
from scipy.optimize import minimize

from photostyle.finish import denoise, rof
from photostyle.finish.denoise import denoised, noise_level, nonlocal_means
from photostyle.finish.rof import rof_objective, tv_denoised

METHODS = ["tv", "nlm"]


def noisy(clean, deviation, rng):
    return (clean + rng.normal(0, deviation, clean.shape)).astype(np.float32)


def edge(height=60, width=80):
    clean = np.full((height, width, 3), 0.3, np.float32)
    clean[:, width // 2 :] = (0.7, 0.5, 0.6)
    return clean


def brute_objective(u, g, weight):
    """Written out pixel by pixel."""
    total = 0.0
    for y in range(g.shape[0]):
        for x in range(g.shape[1]):
            down = u[y + 1, x] - u[y, x] if y + 1 < g.shape[0] else np.zeros(3)
            right = u[y, x + 1] - u[y, x] if x + 1 < g.shape[1] else np.zeros(3)
            total += weight * np.sqrt((down**2).sum() + (right**2).sum())
    return total + 0.5 * ((u - g) ** 2).sum()


def test_the_objective_is_that_of_the_docstring(rng):
    g, u = rng.random((2, 5, 6, 3))
    assert rof_objective(u, g, 0.3) == pytest.approx(brute_objective(u, g, 0.3), rel=1e-12)


@pytest.mark.parametrize("weight", [0.05, 0.2])
def test_tv_finds_the_minimum_that_a_general_minimiser_finds(rng, monkeypatch, weight):
    """The minimiser smooths the norm a little; its minimum can't lie below ours by more than what is proved."""
    monkeypatch.setattr(rof, "_TOLERANCE", 1e-3)
    g = np.round(rng.random((5, 6, 3)), 2)
    g[:, 3:] += 0.5

    def smoothed(flat):
        u = flat.reshape(g.shape)
        down, right = np.zeros_like(g), np.zeros_like(g)
        down[:-1], right[:, :-1] = np.diff(u, axis=0), np.diff(u, axis=1)
        length = np.sqrt((down**2 + right**2).sum(2, keepdims=True) + 1e-10)
        slope = np.zeros_like(g)
        for step, axis in ((weight * down / length, 0), (weight * right / length, 1)):
            slope += np.roll(step, 1, axis) - step  # the last difference is zero, so nothing comes around
        return weight * length.sum() + 0.5 * ((u - g) ** 2).sum(), (slope + u - g).ravel()

    best = minimize(smoothed, g.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 20000, "maxfun": 40000})
    ours = tv_denoised(g, weight)
    assert rof_objective(ours, g, weight) <= rof_objective(best.x.reshape(g.shape), g, weight) + 1e-4
    np.testing.assert_allclose(ours, best.x.reshape(g.shape), atol=0.01)


def test_more_iterations_come_nearer_and_the_bound_holds(rng, monkeypatch):
    g = noisy(edge(), 0.1, rng)
    monkeypatch.setattr(rof, "_TOLERANCE", 0.0)
    results = {}
    for count in (1, 3, 10, 30, 100, 1000):
        monkeypatch.setattr(rof, "_MOST_ITERATIONS", count)
        results[count] = tv_denoised(g, 0.1)
    objective = [rof_objective(result, g, 0.1) for result in results.values()]
    assert objective[0] < rof_objective(g, g, 0.1)
    assert all(after < before for before, after in pairwise(objective[:-1]))
    assert objective[-1] <= objective[-2] * (1 + 1e-5)
    monkeypatch.undo()
    apart = np.sqrt(((tv_denoised(g, 0.1) - results[1000]) ** 2).mean())
    assert apart < rof._TOLERANCE * 0.1


def test_tv_keeps_the_mean_of_each_channel_and_constants(rng):
    g = rng.random((17, 23, 3)).astype(np.float32)
    np.testing.assert_allclose(tv_denoised(g, 0.2).mean((0, 1)), g.mean((0, 1)), atol=1e-5)
    flat = np.full((9, 8, 3), (0.1, 0.4, 1.0), np.float32)
    assert np.array_equal(tv_denoised(flat, 0.5), flat)
    np.testing.assert_allclose(tv_denoised(g, 10.0), np.broadcast_to(g.mean((0, 1)), g.shape), atol=0.01)


def test_a_speck_loses_what_the_docstring_says():
    g = np.full((15, 15, 3), 0.5, np.float32)
    g[7, 7] += 0.4 / np.sqrt(3)
    lost = np.linalg.norm((g - tv_denoised(g, 0.02))[7, 7])
    assert 3 * 0.02 < lost < 4.5 * 0.02


@pytest.mark.parametrize("method", [tv_denoised, nonlocal_means])
def test_weight_0_is_the_identity(method):
    g = picture(40, 30)
    result = method(g, 0.0)
    assert np.array_equal(result, g)
    assert result is not g


@pytest.mark.parametrize("how", METHODS)
def test_strength_0_and_none_are_the_identity_and_nothing_is_done_in_place(how, rng):
    g = noisy(picture(40, 30), 0.03, rng).clip(0, 1)
    before = g.copy()
    assert np.array_equal(denoised(g, how, 0.0), g)
    assert np.array_equal(denoised(g, "none"), g)
    denoised(g, how)
    assert np.array_equal(g, before)


@pytest.mark.parametrize("how", METHODS)
@pytest.mark.parametrize("deviation", [0.01, 0.03, 0.1])
def test_noise_shrinks_and_an_edge_stays(how, deviation, rng):
    clean = edge()
    result = denoised(noisy(clean, deviation, rng).clip(0, 1), how)
    inside = np.r_[3:36, 44:77]
    assert (result - clean)[:, inside].std() < 0.45 * deviation
    step = result[:, 42:46].mean((0, 1)) - result[:, 34:38].mean((0, 1))
    np.testing.assert_allclose(step, clean[0, -1] - clean[0, 0], atol=max(0.02, 0.6 * deviation))
    assert np.abs(np.diff(result.mean((0, 2)))).argmax() == 39  # as sharp as it was, between the same columns
    assert np.abs(np.diff(result.mean((0, 2)))).max() > 0.75 * (clean[0, -1] - clean[0, 0]).mean()


@pytest.mark.parametrize("how", METHODS)
def test_strength_does_more(how, rng):
    g = noisy(edge(), 0.05, rng).clip(0, 1)
    changes = [np.abs(denoised(g, how, strength) - g).mean() for strength in (0.5, 1.0, 2.0)]
    assert changes == sorted(changes)
    assert changes[2] > 1.02 * changes[1] > 1.02**2 * changes[0]


@pytest.mark.parametrize("how", METHODS)
def test_a_clean_picture_stays_nearly_as_it_is(how):
    clean = edge()
    assert np.array_equal(denoised(clean, how), clean)
    smooth = picture(96, 72, 3)
    assert np.abs(denoised(smooth, how) - smooth).mean() < 0.01


@pytest.mark.parametrize("deviation", [0.01, 0.05, 0.1])
def test_the_noise_is_measured_in_spite_of_edges(deviation, rng):
    clean = edge(120, 160)
    clean[40:60, 20:100] = 0.9
    assert noise_level(clean) == 0
    assert noise_level(noisy(clean, deviation, rng)) == pytest.approx(deviation, rel=0.05)
    ramp = np.linspace(0, 1, 160, dtype=np.float32)[None, :, None] * np.ones((120, 1, 3), np.float32)
    assert noise_level(ramp) < 1e-6


def test_nonlocal_means_rounds_nothing_but_its_change(rng):
    """16 bits stay: a constant that no 8 or 16 bits can hold comes back as it is."""
    flat = np.full((30, 30, 3), 1 / 3 + 1e-6, np.float32)
    assert np.array_equal(nonlocal_means(flat, 0.05), flat)
    fine = noisy(np.full((40, 40, 3), 0.5, np.float32), 0.001, rng)  # a quarter of a step of 8 bits
    assert (nonlocal_means(fine, 0.00125)).std() < 0.5 * fine.std()


@pytest.mark.parametrize("how", METHODS)
def test_strips_leave_no_seam_and_tell_how_far_they_are(how, rng, monkeypatch):
    g = noisy(picture(64, 160), 0.03, rng).clip(0, 1)
    in_one = denoised(g, how)
    monkeypatch.setattr(denoise, "_STRIP_PIXELS", 64 * 45)
    told = []
    strips = denoised(g, how, 1.0, lambda done, total: told.append((done, total)))
    assert told == [(45, 160), (90, 160), (135, 160), (160, 160)]
    assert np.abs(strips - in_one).max() < 0.003
    assert np.abs(in_one - g).max() > 0.03


@pytest.mark.parametrize("how", METHODS)
def test_narrow_pictures_and_single_rows_of_strips(how, rng, monkeypatch):
    monkeypatch.setattr(denoise, "_STRIP_PIXELS", 1)
    g = rng.random((5, 4, 3)).astype(np.float32)
    result = denoised(g, how)
    assert result.shape == g.shape
    assert 0 <= result.min() <= result.max() <= 1

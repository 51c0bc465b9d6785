"""The Wasserstein style loss against scipy's roots, closed forms, and sums written from the equations."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from photostyle.objective.gram import masked_grams, region_of
from photostyle.objective.wasserstein import (
    masked_moments,
    newton_schulz,
    prepare_target,
    trace_and_inverse,
    wasserstein_distance,
)

KINDS = ("relative", "papers")
FLOOR = 1e-4


def random(rng, *shape):
    return torch.from_numpy(rng.normal(size=shape))


def layer(rng, channels, height, width, dead=0):
    """Features as a layer gives them: rectified, correlated, of very different strengths, some channels dead."""
    sources = rng.normal(size=(max(2, channels // 4), height * width))
    mixing = rng.normal(size=(channels, len(sources))) * np.exp(1.5 * rng.normal(size=(channels, 1)))
    features = 20 * np.maximum(mixing @ sources + 0.3 * rng.normal(size=(channels, 1)), 0)
    features[:dead] = 0
    return torch.from_numpy(features.reshape(channels, height, width))


def gaussian(rng, count, channels, scale=1.0):
    """Moments of K well-conditioned Gaussians."""
    factors = random(rng, count, channels, 2 * channels) / (2 * channels) ** 0.5
    return scale**2 * (factors @ factors.mT), scale * random(rng, count, channels)


def moments_of(covariances, means):
    return torch.cat([covariances, means[..., None]], -1)


def whole(features):
    return [region_of(torch.ones(features.shape[1:], dtype=features.dtype))]


def mean_and_covariance(features, mask):
    """One number after the other."""
    cells = [
        (float(m), f.numpy()) for m, f in zip(mask.reshape(-1), features.reshape(len(features), -1).T, strict=True)
    ]
    area = max(sum(m for m, _ in cells), 4.0)
    mean = sum(m * f for m, f in cells) / area
    return mean, sum(m * np.outer(f, f) for m, f in cells) / area - np.outer(mean, mean)


def brute_distance(one, two, kind="papers"):
    """The equation with scipy's root of a matrix, each covariance with its floor."""
    (sigma, mu), (s, nu) = ((np.asarray(c), np.asarray(m)) for c, m in (one, two))
    channels = len(mu)
    own, other = (FLOOR * np.trace(c) / channels for c in (sigma, s))
    sigma = sigma + (own + other) / 2 * np.eye(channels)
    s = s + other * np.eye(channels)

    def squared(a, mean):
        root = scipy.linalg.sqrtm(s)
        cross = scipy.linalg.sqrtm(root @ a @ root)
        return float(((mean - nu) ** 2).sum() + np.trace(a + s - 2 * np.real(cross)))

    size = channels if kind == "papers" else squared(other / 2 * np.eye(channels), 0 * nu)
    return squared(sigma, mu) / size


def soft_masks(rng, count, height, width):
    masks = rng.uniform(size=(count, height, width)) * (rng.uniform(size=(count, height, width)) > 0.4)
    masks[0] += 1e-3
    return torch.from_numpy(masks / masks.sum(0))


def test_moments_are_the_equations(rng):
    features, masks = random(rng, 4, 6, 5) + 3, soft_masks(rng, 3, 6, 5)
    found = masked_moments(features, [region_of(mask) for mask in masks])
    assert found.shape == (3, 4, 5)
    for moments, mask in zip(found, masks, strict=True):
        mean, covariance = mean_and_covariance(features, mask)
        np.testing.assert_allclose(moments[:, -1], mean, rtol=1e-12)
        np.testing.assert_allclose(moments[:, :-1], covariance, rtol=1e-10, atol=1e-12)


def test_moments_of_a_region_are_those_of_its_cells_alone(rng):
    features = layer(rng, 6, 9, 10)
    mask = torch.zeros(9, 10, dtype=torch.float64)
    mask[2:7, 3:8] = 1
    inside = features[:, 2:7, 3:8]
    np.testing.assert_allclose(masked_moments(features, [region_of(mask)]), masked_moments(inside, whole(inside)))
    flat = inside.reshape(6, -1).numpy()
    np.testing.assert_allclose(masked_moments(features, [region_of(mask)])[0, :, :-1], np.cov(flat, bias=True))


def test_moments_and_gram_matrices_are_the_same_numbers(rng):
    features, masks = layer(rng, 5, 7, 8), soft_masks(rng, 2, 7, 8)
    regions = [region_of(mask) for mask in masks]
    moments = masked_moments(features, regions)
    mean = moments[..., -1]
    np.testing.assert_allclose(
        moments[..., :-1] + mean[:, :, None] * mean[:, None], masked_grams(features, regions), rtol=1e-10
    )


def test_moments_of_many_cells_are_summed_in_blocks(rng):
    features = layer(rng, 3, 200, 170)
    mask = torch.from_numpy(rng.uniform(size=(200, 170)) * (rng.uniform(size=(200, 170)) > 0.1))
    for weights in (mask, torch.ones_like(mask)):
        flat = features.reshape(3, -1).numpy()
        expected = np.cov(flat, bias=True, aweights=weights.reshape(-1).numpy())
        np.testing.assert_allclose(masked_moments(features, [region_of(weights)])[0, :, :-1], expected, rtol=1e-9)


def test_moments_of_a_nearly_flat_region_are_right_in_float32(rng):
    """G - μμᵀ in float32 is wrong here by ten times the covariance, and not positive semi-definite."""
    features = (30 * torch.from_numpy(rng.uniform(size=(8, 1, 1))) + 0.01 * random(rng, 8, 256, 256)).float()
    exact = masked_moments(features.double(), whole(features.double()))
    found = masked_moments(features, whole(features))
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-9)
    assert torch.linalg.eigvalsh(found[0, :, :-1].double()).min() > 0


def test_the_moments_of_few_cells_have_the_normaliser_of_gram_matrices():
    mask = torch.zeros(3, 3, dtype=torch.float64)
    mask[0, 0] = 1
    moments = masked_moments(torch.full((2, 3, 3), 4.0, dtype=torch.float64), [region_of(mask)])[0]
    np.testing.assert_allclose(moments[:, -1], [1, 1])
    np.testing.assert_allclose(moments[:, :-1], np.full((2, 2), 16 / 4 - 1))


@pytest.mark.parametrize("kind", KINDS)
def test_distance_is_the_equation(rng, kind):
    (sigma, mu), (s, nu) = gaussian(rng, 3, 5), gaussian(rng, 3, 5, 2.0)
    found = wasserstein_distance(moments_of(sigma, mu), prepare_target(moments_of(s, nu)), kind)
    assert found.shape == (3,)
    for k in range(3):
        assert found[k].item() == pytest.approx(brute_distance((sigma[k], mu[k]), (s[k], nu[k]), kind), rel=1e-9)


@pytest.mark.parametrize(("channels", "cells", "dead"), [(16, 400, 0), (48, 300, 5), (48, 20, 0), (48, 6, 8)])
def test_distance_in_float32_of_features_as_layers_give_them(rng, channels, cells, dead):
    """Ill-conditioned, with dead channels, and with fewer cells than channels."""
    one, two = layer(rng, channels, cells, 1), layer(rng, channels, cells, 1, dead)
    exact = [masked_moments(x, whole(x))[0] for x in (one, two)]
    expected = brute_distance(*((m[:, :-1], m[:, -1]) for m in exact), "relative")
    single = [x.float() for x in (one, two)]
    found = wasserstein_distance(
        masked_moments(single[0], whole(single[0])), prepare_target(masked_moments(single[1], whole(single[1])))
    )
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("channels", [4, 24])
def test_gradient_in_float32_is_that_in_float64(rng, channels):
    one, two = layer(rng, channels, 8, 8, 1), layer(rng, channels, 8, 8)
    gradients = []
    for dtype in (torch.float64, torch.float32):
        x = one.to(dtype).requires_grad_()
        target = prepare_target(masked_moments(two.to(dtype), whole(two.to(dtype))))
        (gradient,) = torch.autograd.grad(wasserstein_distance(masked_moments(x, whole(x)), target).sum(), x)
        gradients.append(gradient.double())
    assert (gradients[0] - gradients[1]).norm() < 1e-4 * gradients[0].norm()


def test_closed_form_of_one_channel():
    """(μ - ν)² + (σ - s)², each variance with its floor."""
    sigma, s, mu, nu = 1.5, 0.4, 2.0, -1.0
    one, two = (torch.tensor([[[v * v, m]]], dtype=torch.float64) for v, m in ((sigma, mu), (s, nu)))
    with_floor = np.sqrt(sigma**2 + FLOOR * (sigma**2 + s**2) / 2) - s * np.sqrt(1 + FLOOR)
    expected = (mu - nu) ** 2 + with_floor**2
    assert wasserstein_distance(one, prepare_target(two), "papers").item() == pytest.approx(expected, rel=1e-9)


def test_closed_form_of_covariances_that_commute(rng):
    """With common axes the distance is that of the standard deviations along them; the identity are the channels."""
    rotation = torch.linalg.qr(random(rng, 6, 6)).Q
    a, b = torch.from_numpy(rng.uniform(0.1, 9, 6)), torch.from_numpy(rng.uniform(0.1, 9, 6))
    floor = FLOOR * b.mean(), FLOOR * (a.mean() + b.mean()) / 2
    expected = ((a + floor[1]).sqrt() - (b + floor[0]).sqrt()).square().sum().item() / 6
    for axes in (torch.eye(6, dtype=torch.float64), rotation):
        one, two = (moments_of(axes @ torch.diag(v) @ axes.T, torch.zeros(6).to(v))[None] for v in (a, b))
        assert wasserstein_distance(one, prepare_target(two), "papers").item() == pytest.approx(expected, rel=1e-9)


def test_a_shift_costs_its_square(rng):
    features, shift = layer(rng, 5, 6, 7), random(rng, 5)
    target = prepare_target(masked_moments(features, whole(features)))
    moved = masked_moments(features + shift[:, None, None], whole(features))
    expected = shift.square().mean().item()
    assert wasserstein_distance(moved, target, "papers").item() == pytest.approx(expected, rel=1e-7)


def test_symmetry(rng):
    """Exact but for the floors, which are equal where the variances are."""
    (sigma, mu), (s, nu) = gaussian(rng, 4, 6), gaussian(rng, 4, 6)
    s = s * (sigma.diagonal(dim1=1, dim2=2).sum(1) / s.diagonal(dim1=1, dim2=2).sum(1))[:, None, None]
    one, two = moments_of(sigma, mu), moments_of(s, nu)
    there = wasserstein_distance(one, prepare_target(two), "papers")
    back = wasserstein_distance(two, prepare_target(one), "papers")
    np.testing.assert_allclose(there, back, rtol=1e-9)
    two = moments_of(50 * s, nu)
    there = wasserstein_distance(one, prepare_target(two), "papers")
    np.testing.assert_allclose(there, wasserstein_distance(two, prepare_target(one), "papers"), rtol=5e-3)


def test_the_square_root_obeys_the_triangle_inequality(rng):
    for _ in range(10):
        a, b, c = (moments_of(*gaussian(rng, 1, 4, scale)) for scale in (1.0, 0.5, 2.0))
        ab, bc, ac = (
            wasserstein_distance(x, prepare_target(y), "papers").sqrt().item() for x, y in ((a, b), (b, c), (a, c))
        )
        assert ac <= (ab + bc) * (1 + 1e-3)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([1e-3, 1.0, 1e3]), single=st.booleans())
def test_distance_is_never_negative_and_zero_at_the_target(kind, seed, scale, single):
    rng = np.random.default_rng(seed)
    one, two = (scale * layer(rng, 6, 3, 3, dead) for dead in (0, 2))
    if single:
        one, two = one.float(), two.float()
    here, there = masked_moments(one, whole(one)), masked_moments(two, whole(two))
    assert wasserstein_distance(here, prepare_target(there), kind) >= 0
    size = float(here[..., -1].square().mean() + here.diagonal(dim1=1, dim2=2).mean())
    assert wasserstein_distance(here, prepare_target(here), kind) <= 1e-9 * (size if kind == "papers" else 1)


def test_relative_distance_does_not_depend_on_the_scale_of_features(rng):
    one, two = layer(rng, 6, 5, 5), layer(rng, 6, 5, 5)
    plain = wasserstein_distance(masked_moments(one, whole(one)), prepare_target(masked_moments(two, whole(two))))
    for factor in (1e-3, 1e3):
        target = prepare_target(masked_moments(factor * two, whole(two)))
        scaled = wasserstein_distance(masked_moments(factor * one, whole(one)), target)
        assert scaled.item() == pytest.approx(plain.item(), rel=1e-5)
        zero = wasserstein_distance(masked_moments(0 * one, whole(one)), target)
        assert zero.item() == pytest.approx(1, rel=1e-9)
        size = target.means.square().sum() + target.traces
        assert 0.97 < (target.scales / size).item() <= 1


def test_the_mean_over_channels_does_not_depend_on_their_number(rng):
    """Two copies of each channel, so twice the channels, at the distance of one."""
    (sigma, mu), (s, nu) = gaussian(rng, 1, 3), gaussian(rng, 1, 3)
    once = wasserstein_distance(moments_of(sigma, mu), prepare_target(moments_of(s, nu)), "papers").item()
    apart = [moments_of(torch.block_diag(c[0], c[0])[None], m.repeat(1, 2)) for c, m in ((sigma, mu), (s, nu))]
    assert wasserstein_distance(apart[0], prepare_target(apart[1]), "papers").item() == pytest.approx(once, rel=1e-9)


def test_the_default_normalisation_is_relative(rng):
    one, two = moments_of(*gaussian(rng, 2, 3)), prepare_target(moments_of(*gaussian(rng, 2, 3)))
    assert torch.equal(wasserstein_distance(one, two), wasserstein_distance(one, two, "relative"))
    assert not torch.equal(wasserstein_distance(one, two), wasserstein_distance(one, two, "papers"))


@pytest.mark.parametrize("kind", KINDS)
def test_gradcheck(rng, kind):
    """From features to the distance: whole, hard and soft regions, one of them with fewer cells than channels."""
    masks = soft_masks(rng, 3, 4, 4)
    masks[1], masks[2] = 1, torch.eye(4)
    regions = [region_of(mask) for mask in masks]
    target = prepare_target(masked_moments(random(rng, 5, 4, 4), regions))
    features = random(rng, 5, 4, 4).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: wasserstein_distance(masked_moments(x, regions), target, kind), (features,), atol=1e-6
    )


def test_gradcheck_of_moments(rng):
    regions = [region_of(mask) for mask in [*soft_masks(rng, 2, 4, 3), torch.ones(4, 3, dtype=torch.float64)]]
    features = random(rng, 2, 4, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: masked_moments(x, regions), (features,))


def test_the_gradient_points_where_the_optimal_transport_goes(rng):
    """Of W² with respect to f_p: 2 (f_p - T f_p) / M, with T the map that makes one Gaussian the other."""
    one, two = random(rng, 3, 40, 5), 2 * random(rng, 3, 40, 5) + 1
    x = one.clone().requires_grad_()
    target = prepare_target(masked_moments(two, whole(two)))
    (gradient,) = torch.autograd.grad(3 * wasserstein_distance(masked_moments(x, whole(x)), target, "papers").sum(), x)
    moved = (one - 100 * gradient).detach()  # M / 2
    np.testing.assert_allclose(masked_moments(moved, whole(moved)), masked_moments(two, whole(two)), atol=2e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_finite(rng, kind, dtype):
    """At the target, at zero features, at a zero or constant target, far from it, and for a region without a cell."""
    features = layer(rng, 6, 4, 5).to(dtype)
    masks = torch.stack([torch.ones(4, 5), torch.zeros(4, 5)]).to(dtype)
    regions = list(map(region_of, masks))
    flat = torch.full_like(features, 3.0)
    for at in (features, features * 0, flat, features * 1e4):
        for target in (features, features * 0, flat, features * 1e-4):
            x = at.clone().requires_grad_()
            loss = wasserstein_distance(
                masked_moments(x, regions), prepare_target(masked_moments(target, regions)), kind
            )
            (gradient,) = torch.autograd.grad(loss.sum(), x)
            assert torch.isfinite(loss).all()
            assert torch.isfinite(gradient).all()
            assert gradient.dtype == loss.dtype == dtype


def test_the_gradient_vanishes_at_the_target(rng):
    features = layer(rng, 6, 5, 5)
    target = prepare_target(masked_moments(features, whole(features)))

    def gradient(x):
        x = x.clone().requires_grad_()
        (found,) = torch.autograd.grad(wasserstein_distance(masked_moments(x, whole(x)), target).sum(), x)
        return found.norm()

    assert gradient(features) < 1e-7 * gradient(2 * features)


def test_no_gradient_outside_the_region(rng):
    mask = torch.zeros(4, 5, dtype=torch.float64)
    mask[:2] = 0.5
    features = layer(rng, 3, 4, 5).requires_grad_()
    target = prepare_target(moments_of(*gaussian(rng, 1, 3)))
    loss = wasserstein_distance(masked_moments(features, [region_of(mask)]), target)
    (gradient,) = torch.autograd.grad(loss.sum(), features)
    assert gradient[:, :2].abs().min() > 0
    assert gradient[:, 2:].abs().max() == 0


def test_descent_reaches_the_target(rng):
    """A loss whose gradient was wrong wouldn't."""
    x, two = layer(rng, 4, 6, 6), layer(rng, 4, 6, 6)
    target = prepare_target(masked_moments(two, whole(two)))
    for _ in range(60):
        x = x.clone().requires_grad_()
        loss = wasserstein_distance(masked_moments(x, whole(x)), target, "papers").sum()
        (gradient,) = torch.autograd.grad(loss, x)
        x = (x - 0.5 * 36 * 4 / 2 * gradient).detach()
    assert wasserstein_distance(masked_moments(x, whole(x)), target).item() < 1e-6


@pytest.mark.parametrize("channels", [1, 7, 40])
@pytest.mark.parametrize("least", [1e-2, 1e-6, 1e-12])
def test_roots_are_scipy_s(rng, channels, least):
    axes = torch.linalg.qr(random(rng, 2, channels, channels)).Q
    values = torch.logspace(np.log10(least), 0, channels, dtype=torch.float64)
    matrices = 7 * (axes * values) @ axes.mT
    matrices = (matrices + matrices.mT) / 2
    floor = torch.full((2,), 7 * min(least, float(values.min())), dtype=torch.float64)
    trace, inverse = trace_and_inverse(matrices, floor)
    root, other = newton_schulz(matrices, floor)
    for k in range(2):
        expected = np.real(scipy.linalg.sqrtm(matrices[k].numpy()))
        assert trace[k].item() == pytest.approx(np.trace(expected), rel=1e-8)
        np.testing.assert_allclose(root[k], expected, atol=1e-7 * np.abs(expected).max())
    np.testing.assert_allclose(root @ root, matrices, atol=1e-8)
    assert (root @ other - torch.eye(channels)).norm() < 1e-4
    np.testing.assert_allclose(other, inverse, rtol=1e-3, atol=1e-3 * float(inverse.abs().max()))


def test_roots_of_matrices_of_very_different_condition_in_one_batch():
    matrices = torch.stack([torch.diag(torch.tensor(d, dtype=torch.float64)) for d in ([4.0, 9.0], [1e-8, 1e4])])
    least = torch.tensor([1.0, 1e-8], dtype=torch.float64)
    root, inverse = newton_schulz(matrices, least)
    np.testing.assert_allclose(root.diagonal(dim1=1, dim2=2), [[2, 3], [1e-4, 100]], rtol=1e-6)
    np.testing.assert_allclose(inverse.diagonal(dim1=1, dim2=2), [[1 / 2, 1 / 3], [1e4, 0.01]], rtol=1e-6)

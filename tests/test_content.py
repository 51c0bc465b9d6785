"""The content loss, against loops written from the equation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from photostyle.objective.content import content_loss

KINDS = ("relative", "papers")


def brute_content(features, target, kind):
    """½ mean (F − P)², or Σ (F − P)² / Σ P²."""
    f, p = features.reshape(-1).tolist(), target.reshape(-1).tolist()
    squared = sum((a - b) ** 2 for a, b in zip(f, p, strict=True))
    return squared / sum(b**2 for b in p) if kind == "relative" else 0.5 * squared / len(p)


def random(rng, *shape):
    return torch.from_numpy(rng.normal(size=shape))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 3, 4, 5), (1, 1, 1, 1), (1, 8, 2, 2)])
def test_content_loss_is_the_equation(rng, kind, shape):
    features, target = random(rng, *shape), random(rng, *shape)
    found = content_loss(features, target, kind)
    assert found.shape == ()
    assert found.item() == pytest.approx(brute_content(features, target, kind), rel=1e-12)


def test_values_by_hand():
    features, target = torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[[3.0, 1.0]]]])
    assert content_loss(features, target, "papers").item() == pytest.approx(0.5 * 5 / 2)
    assert content_loss(features, target, "relative").item() == pytest.approx(5 / 10)
    assert content_loss(features, target) == content_loss(features, target, "relative")


@pytest.mark.parametrize("kind", KINDS)
def test_gradcheck(rng, kind):
    target = random(rng, 1, 2, 3, 4)
    features = random(rng, 1, 2, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda f: content_loss(f, target, kind), (features,))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("factor", [2, 3])
def test_the_same_picture_over_more_cells_costs_the_same(rng, kind, factor):
    def enlarge(features):
        return features.repeat_interleave(factor, 2).repeat_interleave(factor, 3)

    features, target = random(rng, 1, 3, 4, 5), random(rng, 1, 3, 4, 5)
    expected = content_loss(features, target, kind).item()
    assert content_loss(enlarge(features), enlarge(target), kind).item() == pytest.approx(expected, rel=1e-12)
    tiled = content_loss(features.repeat(1, 1, factor, factor), target.repeat(1, 1, factor, factor), kind)
    assert tiled.item() == pytest.approx(expected, rel=1e-12)


def test_relative_loss_does_not_depend_on_the_scale_of_features(rng):
    features, target = random(rng, 1, 3, 4, 5), random(rng, 1, 3, 4, 5)
    expected = content_loss(features, target).item()
    assert content_loss(1e3 * features, 1e3 * target).item() == pytest.approx(expected, rel=1e-12)
    assert content_loss(0 * features, target).item() == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([1e-6, 1.0, 1e4]))
def test_never_negative_and_zero_at_the_target(kind, seed, scale):
    rng = np.random.default_rng(seed)
    features = scale * random(rng, 1, 2, 3, 3)
    assert content_loss(features, random(rng, 1, 2, 3, 3), kind) > 0
    assert content_loss(features, features.clone(), kind) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_finite(rng, kind):
    """At the target, and where the target has no response at all."""
    features = random(rng, 1, 2, 3, 3)
    for target in (features.clone(), torch.zeros_like(features)):
        for at in (features, torch.zeros_like(features)):
            x = at.clone().requires_grad_()
            loss = content_loss(x, target, kind)
            (gradient,) = torch.autograd.grad(loss, x)
            assert torch.isfinite(loss)
            assert torch.isfinite(gradient).all()

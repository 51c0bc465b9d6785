"""Masked Gram matrices and the style loss, against loops written from the equation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from photostyle.objective.gram import (
    MIN_CELLS,
    gram_distance,
    masked_gram,
    masked_grams,
    region_of,
    style_loss,
)

KINDS = ("relative", "papers")


def loss_of(features, regions, targets, shares, kind="relative"):
    """The style loss of a layer by Gram matrices."""
    return style_loss(gram_distance(masked_grams(features, regions), targets, kind), shares)


def brute_gram(features, mask):
    """G = Σ_p m(p) f_p f_pᵀ / max(Σ_p m(p), 4), one number after the other."""
    channels, height, width = features.shape
    gram = [[0.0] * channels for _ in range(channels)]
    area = 0.0
    for y in range(height):
        for x in range(width):
            area += float(mask[y, x])
            for c in range(channels):
                for d in range(channels):
                    gram[c][d] += float(mask[y, x]) * float(features[c, y, x]) * float(features[d, y, x])
    return np.array(gram) / max(area, 4.0)


def brute_distance(gram, target, kind):
    channels = len(gram)
    above = sum((gram[c][d] - target[c][d]) ** 2 for c in range(channels) for d in range(channels))
    below = sum(target[c][d] ** 2 for c in range(channels) for d in range(channels))
    return above / below if kind == "relative" else above / (4 * channels**2)


def random(rng, *shape):
    return torch.from_numpy(rng.normal(size=shape))


def soft_masks(rng, count, height, width):
    """Soft masks that sum to one, with zeros in places."""
    masks = rng.uniform(size=(count, height, width)) * (rng.uniform(size=(count, height, width)) > 0.4)
    masks[0] += 1e-3
    return torch.from_numpy(masks / masks.sum(0))


def some_masks(rng, height=5, width=6):
    return {
        "whole": torch.ones(height, width, dtype=torch.float64),
        "soft everywhere": torch.from_numpy(rng.uniform(0.1, 0.9, (height, width))),
        "soft with holes": soft_masks(rng, 3, height, width)[1],
        "hard": torch.from_numpy((rng.uniform(size=(height, width)) > 0.5).astype(float)),
        "few cells": torch.zeros(height, width, dtype=torch.float64).index_fill_(1, torch.tensor([2]), 0.3),
    }


MASKS = ("whole", "soft everywhere", "soft with holes", "hard", "few cells")


@pytest.mark.parametrize("name", MASKS)
def test_gram_is_the_equation(rng, name):
    features, mask = random(rng, 3, 5, 6), some_masks(rng)[name]
    np.testing.assert_allclose(masked_gram(features, mask), brute_gram(features, mask), rtol=1e-12, atol=1e-14)


def test_grams_of_several_regions_are_those_of_each(rng):
    features, masks = random(rng, 4, 6, 5), soft_masks(rng, 3, 6, 5)
    grams = masked_grams(features, [region_of(mask) for mask in masks])
    assert grams.shape == (3, 4, 4)
    for gram, mask in zip(grams, masks, strict=True):
        np.testing.assert_allclose(gram, brute_gram(features, mask), rtol=1e-12, atol=1e-14)


def test_soft_masks_that_sum_to_one_share_the_whole_gram_by_area(rng):
    features, masks = random(rng, 4, 8, 9), soft_masks(rng, 3, 8, 9)
    areas = masks.sum((1, 2))
    assert areas.min() > MIN_CELLS
    parts = masked_grams(features, [region_of(mask) for mask in masks]) * areas[:, None, None]
    whole = masked_gram(features, torch.ones(8, 9, dtype=torch.float64)) * 72
    np.testing.assert_allclose(parts.sum(0), whole, rtol=1e-12)


@pytest.mark.parametrize("level", [0.25, 0.5, 1.0])
def test_the_mask_enters_once(level):
    """Of constant features the matrix is f fᵀ, however soft the mask is."""
    f = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
    gram = masked_gram(f[:, None, None].expand(3, 6, 7), torch.full((6, 7), level, dtype=torch.float64))
    np.testing.assert_allclose(gram, torch.outer(f, f), rtol=1e-12)


def test_the_normaliser_is_the_region_s_own_area(rng):
    features = random(rng, 3, 9, 10)
    mask = torch.zeros(9, 10, dtype=torch.float64)
    mask[2:5, 3:8] = 1
    alone = masked_gram(features[:, 2:5, 3:8], torch.ones(3, 5, dtype=torch.float64))
    np.testing.assert_allclose(masked_gram(features, mask), alone, rtol=1e-12)


@pytest.mark.parametrize(("cells", "normaliser"), [(1, 4), (2, 4), (4, 4), (5, 5)])
def test_the_normaliser_is_never_below_four_cells(cells, normaliser):
    mask = torch.zeros(3, 3, dtype=torch.float64)
    mask.view(-1)[:cells] = 1
    gram = masked_gram(torch.full((2, 3, 3), 3.0, dtype=torch.float64), mask)
    np.testing.assert_allclose(gram, np.full((2, 2), 9.0 * cells / normaliser), rtol=1e-12)
    assert MIN_CELLS == 4


def test_what_lies_outside_the_mask_does_not_matter(rng):
    features, mask = random(rng, 3, 6, 6), torch.zeros(6, 6, dtype=torch.float64)
    mask[:3] = 1
    other = features.clone()
    other[:, 3:] = 1e6
    assert torch.equal(masked_gram(features, mask), masked_gram(other, mask))


@pytest.mark.parametrize("factor", [2, 3])
def test_the_same_texture_over_more_cells_has_the_same_gram(rng, factor):
    features, mask = random(rng, 3, 5, 6), torch.from_numpy(rng.uniform(size=(5, 6)))
    tiled = masked_gram(features.repeat(1, factor, factor), mask.repeat(factor, factor))
    enlarged = masked_gram(
        features.repeat_interleave(factor, 1).repeat_interleave(factor, 2),
        mask.repeat_interleave(factor, 0).repeat_interleave(factor, 1),
    )
    np.testing.assert_allclose(tiled, masked_gram(features, mask), rtol=1e-12)
    np.testing.assert_allclose(enlarged, masked_gram(features, mask), rtol=1e-12)


@pytest.mark.parametrize("name", MASKS)
def test_gram_is_symmetric_and_positive_semidefinite(rng, name):
    gram = masked_gram(random(rng, 4, 5, 6), some_masks(rng)[name])
    np.testing.assert_allclose(gram, gram.T, rtol=1e-12)
    assert torch.linalg.eigvalsh(gram).min() > -1e-12


@pytest.mark.parametrize("name", MASKS)
def test_gradcheck_of_one_gram(rng, name):
    mask = some_masks(rng, 4, 3)[name]
    features = random(rng, 2, 4, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda f: masked_gram(f, mask), (features,))


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 0, 3, 2)])
def test_gradcheck_of_several_grams(rng, order):
    """Whole and partial regions, in any order, overlapping or not."""
    masks = some_masks(rng, 4, 3)
    every = [masks[name] for name in ("whole", "hard", "soft everywhere", "few cells")]
    regions = [region_of(every[i]) for i in order]
    features = random(rng, 2, 4, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda f: masked_grams(f, regions), (features,))


@pytest.mark.parametrize("kind", KINDS)
def test_gradcheck_of_the_style_loss(rng, kind):
    regions = [region_of(mask) for mask in soft_masks(rng, 3, 5, 4)]
    targets, shares = random(rng, 3, 2, 2), torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)
    features = random(rng, 2, 5, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda f: loss_of(f, regions, targets, shares, kind), (features,))


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_is_that_of_automatic_differentiation(rng, kind):
    """The same loss from plain operations, which torch differentiates by itself."""
    masks, targets = soft_masks(rng, 2, 7, 6), random(rng, 2, 3, 3)
    shares = torch.tensor([0.7, 0.3], dtype=torch.float64)
    features = random(rng, 3, 7, 6).requires_grad_()
    (ours,) = torch.autograd.grad(loss_of(features, list(map(region_of, masks)), targets, shares, kind), features)
    loss = torch.zeros((), dtype=torch.float64)
    for mask, target, share in zip(masks, targets, shares, strict=True):
        gram = torch.einsum("hw,chw,dhw->cd", mask, features, features) / mask.sum().clamp_min(4)
        scale = (target**2).sum() if kind == "relative" else 4 * 3**2
        loss = loss + share * ((gram - target) ** 2).sum() / scale
    (theirs,) = torch.autograd.grad(loss, features)
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_distance_is_the_equation(rng, kind):
    grams, targets = random(rng, 3, 4, 4), random(rng, 3, 4, 4)
    found = gram_distance(grams, targets, kind)
    assert found.shape == (3,)
    for distance, gram, target in zip(found, grams, targets, strict=True):
        expected = brute_distance(gram.tolist(), target.tolist(), kind)
        assert distance.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_style_loss_is_the_equation(rng, kind):
    """Σ_k a_k d(G_k, A_k) with unequal shares."""
    features, masks, targets = random(rng, 3, 6, 5), soft_masks(rng, 3, 6, 5), random(rng, 3, 3, 3)
    shares = [0.6, 0.3, 0.1]
    expected = sum(
        share * brute_distance(brute_gram(features, mask).tolist(), target.tolist(), kind)
        for share, mask, target in zip(shares, masks, targets, strict=True)
    )
    found = loss_of(features, list(map(region_of, masks)), targets, torch.tensor(shares, dtype=torch.float64), kind)
    assert found.shape == ()
    assert found.item() == pytest.approx(expected, rel=1e-12)


def test_the_default_normalisation_is_relative(rng):
    gram, target = random(rng, 2, 2), random(rng, 2, 2)
    assert gram_distance(gram, target) == gram_distance(gram, target, "relative")
    assert gram_distance(gram, target) != gram_distance(gram, target, "papers")


def test_relative_distance_does_not_depend_on_the_scale_of_features(rng):
    features, other = random(rng, 3, 5, 5), random(rng, 3, 5, 5)
    mask = torch.ones(5, 5, dtype=torch.float64)
    plain = gram_distance(masked_gram(features, mask), masked_gram(other, mask))
    scaled = gram_distance(masked_gram(100 * features, mask), masked_gram(100 * other, mask))
    assert scaled.item() == pytest.approx(plain.item(), rel=1e-12)
    zero = torch.zeros(3, 3, dtype=torch.float64)
    assert gram_distance(zero, masked_gram(other, mask)).item() == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([1e-6, 1.0, 1e4]))
def test_style_loss_is_never_negative_and_zero_at_the_target(kind, seed, scale):
    rng = np.random.default_rng(seed)
    features, masks = scale * random(rng, 3, 4, 5), soft_masks(rng, 2, 4, 5)
    regions, shares = list(map(region_of, masks)), masks.mean((1, 2))
    assert loss_of(features, regions, random(rng, 2, 3, 3), shares, kind) >= 0
    assert loss_of(features, regions, masked_grams(features, regions), shares, kind) == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_finite(rng, kind, dtype):
    """At the target, at zero features, at a zero target, and for a region without a cell."""
    features = random(rng, 3, 4, 5).to(dtype)
    masks = torch.stack([torch.ones(4, 5), torch.zeros(4, 5)]).to(dtype)
    regions, shares = list(map(region_of, masks)), torch.tensor([0.5, 0.5], dtype=dtype)
    own = masked_grams(features, regions)
    for at, targets in ((features, own), (features * 0, own), (features, own * 0), (features * 0, own * 0)):
        x = at.clone().requires_grad_()
        loss = loss_of(x, regions, targets, shares, kind)
        (gradient,) = torch.autograd.grad(loss, x)
        assert torch.isfinite(loss)
        assert torch.isfinite(gradient).all()
        assert gradient.dtype == dtype


def test_no_gradient_outside_the_region(rng):
    mask = torch.zeros(4, 5, dtype=torch.float64)
    mask[:2] = 0.5
    features = random(rng, 3, 4, 5).requires_grad_()
    (gradient,) = torch.autograd.grad(masked_gram(features, mask).square().sum(), features)
    assert gradient[:, :2].abs().min() > 0
    assert gradient[:, 2:].abs().max() == 0


def test_gradient_goes_on_through_the_network_before(rng):
    """The features come from a picture; channels-last memory, as a VGG gives it, must not matter."""
    picture = random(rng, 1, 3, 4, 4).to(memory_format=torch.channels_last).requires_grad_()
    regions = [region_of(mask) for mask in soft_masks(rng, 2, 4, 4)]
    targets, shares = random(rng, 2, 3, 3), torch.tensor([0.5, 0.5], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: loss_of((x.sin())[0], regions, targets, shares), (picture,))


def test_region_of_keeps_the_cells_above_zero():
    region = region_of(torch.tensor([[0.0, 0.25, 0.0], [1.0, 0.0, 0.5]]))
    assert region.cells.tolist() == [1, 3, 5]
    assert region.weights.tolist() == [0.25, 1.0, 0.5]
    assert region.area == 1.75
    nothing = region_of(torch.zeros(2, 3))
    assert len(nothing.cells) == len(nothing.weights) == nothing.area == 0


def test_area_is_exact_for_many_cells():
    assert region_of(torch.full((2000, 1000), 0.1)).area == pytest.approx(2e5, rel=1e-6)

"""The colour loss: Lab against scikit-image, quantiles against brute force, and what a distance must do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab

from photostyle.colors.lab import to_lab, weighted_quantiles
from photostyle.objective.color import (
    DIRECTIONS,
    LEVELS,
    color_loss,
    color_quantiles,
)
from photostyle.objective.gram import region_of


def random_picture(seed=0, height=7, width=9):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def colors_of(picture):
    return to_lab(picture[0].permute(1, 2, 0).reshape(-1, 3))


def test_lab_is_that_of_scikit_image(rng):
    rgb = np.concatenate([rng.random((200, 3)), rng.random((50, 3)) * 0.05, np.eye(3), [[1, 1, 1], [0.5, 0.5, 0.5]]])
    np.testing.assert_allclose(100 * to_lab(torch.from_numpy(rgb)).numpy(), rgb2lab(rgb), atol=0.02)


def test_lab_has_finite_gradients_at_black_white_and_beyond():
    rgb = torch.tensor([[0.0, 0, 0], [1, 1, 1], [-0.5, 1.5, 0.3], [0.04045, 0.04, 0.041]], requires_grad=True)
    (gradient,) = torch.autograd.grad(to_lab(rgb).sum(), rgb)
    assert torch.isfinite(gradient).all()
    assert gradient[2, 0] == gradient[2, 1] == 0


def test_gradcheck_of_lab_and_of_the_loss():
    picture = random_picture(3) * 0.8 + 0.1
    region = region_of(torch.ones(7, 9, dtype=torch.float64))
    target = color_quantiles(colors_of(random_picture(4)), region)
    shares = torch.ones(1, dtype=torch.float64)
    assert torch.autograd.gradcheck(to_lab, (picture[0, :, 0].T.contiguous().requires_grad_(),))
    assert torch.autograd.gradcheck(
        lambda x: color_loss(x, [region], [target], shares), (picture.requires_grad_(),), eps=1e-7, atol=1e-6
    )


def test_equal_weights_give_numpys_quantiles(rng):
    values = rng.normal(size=(40, 3))
    levels = np.linspace(0, 1, 11)
    found = weighted_quantiles(torch.from_numpy(values), torch.ones(40, dtype=torch.float64), torch.from_numpy(levels))
    np.testing.assert_allclose(found.numpy(), np.quantile(values, levels, axis=0, method="hazen"), atol=1e-9)


def test_a_weight_of_three_is_three_samples(rng):
    values = rng.normal(size=(200, 1))
    weights = rng.integers(1, 4, 200)
    levels = torch.tensor([0.1, 0.35, 0.5, 0.9], dtype=torch.float64)
    found = weighted_quantiles(torch.from_numpy(values), torch.from_numpy(weights.astype(float)), levels)
    repeated = np.repeat(values, weights, axis=0)
    np.testing.assert_allclose(found.numpy(), np.quantile(repeated, levels.numpy(), axis=0, method="hazen"), atol=0.05)


def test_a_single_sample_is_all_quantiles():
    found = weighted_quantiles(torch.tensor([[2.0, 3.0]]), torch.ones(1), torch.linspace(0, 1, 5))
    assert torch.equal(found, torch.tensor([[2.0, 3.0]]).expand(5, 2))


def test_the_loss_is_zero_where_the_same_colours_lie_elsewhere():
    picture = random_picture()
    region = region_of(torch.ones(7, 9, dtype=torch.float64))
    target = color_quantiles(colors_of(picture.flip(2, 3)), region)
    assert target.shape == (LEVELS, DIRECTIONS)
    loss = color_loss(picture, [region], [target], torch.ones(1, dtype=torch.float64))
    assert float(loss) == pytest.approx(0, abs=1e-20)


def test_a_shift_along_the_lightness_costs_about_a_third_of_its_square():
    """Lines are evenly spread: E[(d·n)²] = d²/3 over directions n; sixteen of them come near."""
    grey = torch.full((1, 3, 4, 4), 0.5, dtype=torch.float64)
    lighter = torch.full((1, 3, 4, 4), 0.6, dtype=torch.float64)
    region = region_of(torch.ones(4, 4, dtype=torch.float64))
    target = color_quantiles(colors_of(lighter), region)
    squared = float((colors_of(lighter)[0] - colors_of(grey)[0]).square().sum())
    loss = float(color_loss(grey, [region], [target], torch.ones(1, dtype=torch.float64)))
    assert 0.15 * squared < loss < 0.6 * squared


def test_only_the_region_counts_and_by_its_share():
    picture, other = random_picture(1), random_picture(2)
    mask = torch.zeros(7, 9, dtype=torch.float64)
    mask[:, :4] = 1
    regions = [region_of(mask), region_of(1 - mask)]
    targets = [color_quantiles(colors_of(other), region) for region in regions]
    shares = torch.tensor([0.4, 0.6], dtype=torch.float64)
    whole = color_loss(picture, regions, targets, shares)
    parts = [
        color_loss(picture, [r], [t], shares[i : i + 1]) for i, (r, t) in enumerate(zip(regions, targets, strict=True))
    ]
    assert float(whole) == pytest.approx(float(sum(parts)))
    changed = picture.clone()
    changed[..., 4:] = 0.3
    assert float(color_loss(changed, regions[:1], targets[:1], shares[:1])) == pytest.approx(float(parts[0]))

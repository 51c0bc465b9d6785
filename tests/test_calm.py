"""The calm loss: nothing for what the content has, a price for what it hasn't, by hand and by gradcheck."""

from __future__ import annotations

import pytest
import torch

from photostyle.objective.calm import calm_loss, calm_targets, contrast_gain

FLAT = torch.full((1, 3, 40, 60), 0.5, dtype=torch.float64)
ONE = torch.ones(40, 60, dtype=torch.float64)


def ramp(low, high):
    return torch.linspace(low, high, 60, dtype=torch.float64).expand(1, 3, 40, 60).clone()


def loss(picture, content, gain=1.0):
    return float(calm_loss(picture, calm_targets(content, gain * ONE)))


@pytest.mark.parametrize("shift", [-0.2, 0.0, 0.2])
def test_flat_stays_flat_whatever_its_colour(shift):
    assert loss(FLAT + shift, FLAT) < 1e-6


def test_what_the_content_has_costs_nothing(rng):
    picture = torch.from_numpy(rng.random((1, 3, 40, 60)))
    assert loss(picture, picture) < 1e-6
    assert loss(ramp(0.45, 0.55), ramp(0.4, 0.6)) < 1e-6
    assert loss(ramp(0.4, 0.6), ramp(0.45, 0.55), gain=3.0) < 1e-6


def test_what_it_has_not_costs_about_as_much_as_there_is_of_it():
    """In greys a step of L* is one: about half of all cell differences, those along x, have the ramp's slope."""
    price = loss(ramp(0.4, 0.6), FLAT)
    assert price == pytest.approx(0.5 * ((0.2**2 + 0.2**2) ** 0.5 - 0.2), rel=0.15)  # 20 L* over 100 % of the width
    assert 2 * price < loss(ramp(0.3, 0.7), FLAT) < 4 * price


def test_where_the_content_is_steep_little_is_asked(rng):
    steep = ramp(0.1, 0.9)
    more = steep + 0.1 * (torch.arange(60) - 30) / 60
    assert 0 < loss(more, steep) < 0.7 * loss(FLAT + (more - steep), FLAT)


def test_the_gain_is_the_ratio_of_spreads_within_bounds():
    weak, strong = ramp(0.45, 0.55), ramp(0.35, 0.65)
    assert contrast_gain(weak, ONE, strong, ONE) == pytest.approx(2.5, rel=0.1)
    assert contrast_gain(strong, ONE, weak, ONE) == 1
    assert contrast_gain(FLAT, ONE, ramp(0, 1), ONE) == 4


def test_the_gain_is_of_the_regions():
    picture = torch.cat([FLAT, ramp(0.2, 0.8)], 2)
    half = torch.cat([ONE, 0 * ONE])
    assert contrast_gain(picture, half, picture, 1 - half) == 4
    assert contrast_gain(picture, 1 - half, picture, half) == 1


def test_gradcheck(rng):
    content = torch.from_numpy(rng.random((1, 3, 6, 8)) * 0.2 + 0.4)
    targets = calm_targets(content, torch.ones(6, 8, dtype=torch.float64))
    picture = torch.from_numpy(rng.random((1, 3, 6, 8)) * 0.6 + 0.2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: calm_loss(x, targets), (picture,))

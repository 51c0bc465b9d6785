"""The calm loss: nothing for what content or closed form have, a price for what they haven't, by hand and gradcheck."""

from __future__ import annotations

import pytest
import torch

from photostyle.objective.calm import calm_loss, calm_targets

FLAT = torch.full((1, 3, 40, 60), 0.5, dtype=torch.float64)


def ramp(low, high):
    return torch.linspace(low, high, 60, dtype=torch.float64).expand(1, 3, 40, 60).clone()


def loss(picture, content, closed_form):
    return float(calm_loss(picture, calm_targets(content, closed_form)))


@pytest.mark.parametrize("shift", [-0.2, 0.0, 0.2])
def test_flat_stays_flat_whatever_its_colour(shift):
    assert loss(FLAT + shift, FLAT, FLAT) < 1e-6


def test_the_closed_form_costs_nothing_and_what_is_near_it_neither(rng):
    content, picture = (torch.from_numpy(rng.random((1, 3, 40, 60))) for _ in range(2))
    assert loss(picture, content, picture) < 1e-6
    assert loss(ramp(0.45, 0.55), FLAT, ramp(0.4, 0.6)) < 1e-6
    assert loss(ramp(0.36, 0.64), FLAT, ramp(0.4, 0.6)) < 1e-6


def test_what_the_content_has_may_go_as_far_as_what_the_closed_form_has():
    content = ramp(0.4, 0.6)
    assert loss(ramp(0.45, 0.55), content, FLAT) < 1e-6
    assert loss(ramp(0.35, 0.65), content, FLAT) > 0.01


def test_what_neither_has_costs_about_as_much_as_there_is_of_it():
    """In greys a step of L* is one: about half of all cell differences, those along x, have the ramp's slope."""
    price = loss(ramp(0.4, 0.6), FLAT, FLAT)
    assert price == pytest.approx(0.5 * ((0.2**2 + 0.2**2) ** 0.5 - 0.2), rel=0.15)  # 20 L* over 100 % of the width
    assert 2 * price < loss(ramp(0.3, 0.7), FLAT, FLAT) < 4 * price


def test_a_gradient_the_wrong_way_round_costs():
    assert loss(ramp(0.6, 0.4), FLAT, ramp(0.4, 0.6)) > loss(FLAT, FLAT, ramp(0.4, 0.6))


def test_where_the_content_is_steep_little_is_asked():
    steep, flat = (loss(ramp(0.9, 0.1), content, ramp(0.4, 0.6)) for content in (torch.sqrt(ramp(0.0, 1.0)), FLAT))
    assert 0 < steep < 0.8 * flat


def test_gradcheck(rng):
    content, start = (torch.from_numpy(rng.random((1, 3, 6, 8)) * 0.2 + 0.4) for _ in range(2))
    targets = calm_targets(content, start)
    picture = torch.from_numpy(rng.random((1, 3, 6, 8)) * 0.6 + 0.2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: calm_loss(x, targets), (picture,))

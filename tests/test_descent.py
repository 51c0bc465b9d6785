"""Gradient descent in small steps: it goes down, never up, in steps of known size."""

from __future__ import annotations

import pytest
import torch
from helpers import Counted

from photostyle.solvers.descent import GradientDescent


def minimise(optimizer, objective, x, iterations):
    at = objective(x)
    totals = [at.total]
    for _ in range(iterations):
        x, at = optimizer.step(x, at, objective)
        totals.append(at.total)
    return x, totals


def test_quadratic():
    minimum = torch.tensor([0.3, -0.7, 0.1])
    objective = Counted(lambda x: (torch.tensor([1.0, 5.0, 15.0]) * (x - minimum) ** 2).sum())
    x, totals = minimise(GradientDescent(), objective, torch.zeros(3), 100)
    assert torch.allclose(x, minimum, atol=1e-3)
    assert totals == sorted(totals, reverse=True)


def test_steps_begin_small_grow_to_a_limit_and_are_multiples_of_the_gradient():
    slope = torch.tensor([1.0, -2.0])
    optimizer, x = GradientDescent(0.5), torch.zeros(2)
    objective = Counted(lambda x: (slope * x).sum())
    steps = []
    for _ in range(15):
        point, _ = optimizer.step(x, objective(x), objective)
        assert torch.allclose((point - x) / slope, (point - x)[0].expand(2))
        steps.append(float((x - point)[0]))
        x = point
    assert steps[:3] == pytest.approx([0.01, 0.011, 0.0121], rel=1e-4)
    assert steps[-1] == pytest.approx(0.025, rel=1e-4)


def test_a_step_that_would_raise_the_loss_is_halved():
    objective = Counted(lambda x: (500 * x**2).sum())
    _, totals = minimise(GradientDescent(), objective, torch.ones(2), 10)
    assert totals == sorted(totals, reverse=True)
    assert totals[-1] < 1e-3 * totals[0]


def test_it_tells_when_there_is_no_way_down():
    wrong = Counted(lambda x: -(x.detach() * x).sum() + (x.detach() ** 2).sum() * 2)  # its gradient has the wrong sign
    x = torch.ones(2)
    assert GradientDescent().step(x, wrong(x), wrong) is None


def test_it_goes_on_from_its_state():
    objective = Counted(lambda x: (30 * x**2).sum() + (x**4).sum())
    straight, _ = minimise(GradientDescent(), objective, torch.ones(3), 12)
    first = GradientDescent()
    half, _ = minimise(first, objective, torch.ones(3), 5)
    second = GradientDescent()
    second.load_state_dict(first.state_dict())
    resumed, _ = minimise(second, objective, half, 7)
    assert torch.equal(resumed, straight)

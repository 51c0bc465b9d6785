"""Adam behind the same face as L-BFGS."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from helpers import Counted

from photostyle.solvers.adam import Adam


def rosenbrock(x):
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


def minimise(optimizer, objective, x, iterations):
    at = objective(x)
    points = [x]
    for _ in range(iterations):
        x, at = optimizer.step(x, at, objective)
        points.append(x)
    return points, at


def test_quadratic():
    minimum = torch.tensor([0.3, -0.7, 0.1])
    objective = Counted(lambda x: (torch.tensor([1.0, 5.0, 20.0]) * (x - minimum) ** 2).sum())
    points, at = minimise(Adam(0.02), objective, torch.zeros(3), 500)
    assert torch.allclose(points[-1], minimum, atol=1e-3)
    assert at.total < 1e-5


def test_rosenbrock():
    points, at = minimise(Adam(0.02), Counted(rosenbrock), torch.tensor([-0.5, 0.5]), 3000)
    assert torch.allclose(points[-1], torch.ones(2), atol=0.02)
    assert at.total < 1e-3


def test_it_is_adam():
    """Brute force: Kingma & Ba 2015, algorithm 1."""
    objective = Counted(rosenbrock)
    x = torch.tensor([-1.2, 1.0], dtype=torch.float64)
    points, _ = minimise(Adam(0.05), objective, x, 6)
    theta, m, v = x.clone(), torch.zeros(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    for t in range(1, 7):
        g = objective(theta).gradient
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        theta = theta - 0.05 * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
        assert torch.allclose(points[t], theta, rtol=1e-9)


@pytest.mark.parametrize("rate", [0.001, 0.02, 0.5])
def test_the_first_step_is_the_learning_rate(rate):
    x = torch.full((1, 3, 4, 4), 0.5)
    points, _ = minimise(Adam(rate), Counted(lambda x: (x**2).sum()), x, 1)
    assert torch.allclose(points[1], x - rate, atol=1e-6)


def test_one_evaluation_an_iteration_and_it_belongs_to_the_point():
    objective = Counted(rosenbrock)
    points, at = minimise(Adam(), objective, torch.tensor([-1.2, 1.0]), 7)
    assert len(objective.points) == 8
    assert at.total == objective(points[-1]).total
    assert all(not point.requires_grad for point in points)


def test_earlier_points_are_not_changed():
    objective = Counted(rosenbrock)
    points, _ = minimise(Adam(), objective, torch.tensor([-1.2, 1.0]), 5)
    assert points[0].tolist() == pytest.approx([-1.2, 1.0])
    assert len({tuple(point.tolist()) for point in points}) == 6


def test_state_dict_round_trip():
    objective = Counted(rosenbrock)
    one = Adam(0.05)
    points, at = minimise(one, objective, torch.tensor([-1.2, 1.0]), 9)
    other = Adam(0.05)
    other.load_state_dict(copy.deepcopy(one.state_dict()))  # as a checkpoint on disk
    x, y, at_x, at_y = points[-1], points[-1], at, at
    for _ in range(5):
        x, at_x = one.step(x, at_x, objective)
        y, at_y = other.step(y, at_y, objective)
        assert torch.equal(x, y)


def test_a_saved_state_does_not_change_with_the_optimiser():
    """Else a Ctrl-C in the middle of the next iteration would save moments that are one step ahead."""
    objective = Counted(rosenbrock)
    optimizer = Adam(0.05)
    points, at = minimise(optimizer, objective, torch.tensor([-1.2, 1.0]), 3)
    state = optimizer.state_dict()
    saved = copy.deepcopy(state["state"][0])
    optimizer.step(points[-1], at, objective)
    for name, value in saved.items():
        assert torch.equal(state["state"][0][name], value), name


def test_before_the_first_step_the_state_is_empty():
    assert Adam().state_dict() == {}
    fresh = Adam(0.1)
    fresh.load_state_dict({})
    points, _ = minimise(fresh, Counted(lambda x: (x**2).sum()), torch.ones(2), 1)
    assert points[1].tolist() == pytest.approx([0.9, 0.9])


def test_a_nan_gradient_gives_a_point_that_is_not_finite():
    """So that whoever evaluates it can say so: nothing is hidden here."""
    objective = Counted(lambda x: (x * math.nan).sum())
    points, at = minimise(Adam(), objective, torch.ones(2), 1)
    assert not bool(torch.isfinite(points[1]).any())
    assert math.isnan(at.total)

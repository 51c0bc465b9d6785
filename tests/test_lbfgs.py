"""L-BFGS against known minima, a dense BFGS, and the conditions that its line search promises."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from helpers import Counted

from photostyle.solvers import lbfgs as module
from photostyle.solvers.lbfgs import LBFGS


def quadratic(size: int = 12, condition: float = 100.0, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    basis, _ = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))
    matrix = basis @ torch.diag(torch.logspace(0, math.log10(condition), size, dtype=torch.float64)) @ basis.T
    minimum = torch.randn(size, generator=generator, dtype=torch.float64)
    return matrix, minimum, Counted(lambda x: 0.5 * (x - minimum) @ matrix @ (x - minimum) + 3.0)


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def minimise(optimizer, objective, x, iterations):
    """Return all points with their evaluations, the start first."""
    path = [(x, objective(x))]
    for _ in range(iterations):
        found = optimizer.step(*path[-1], objective)
        if found is None:
            return path, True
        path.append(found)
    return path, False


def test_quadratic():
    _, minimum, objective = quadratic()
    path, _ = minimise(LBFGS(learning_rate=100.0), objective, torch.zeros(12, dtype=torch.float64), 60)
    assert torch.allclose(path[-1][0], minimum, atol=1e-5)
    assert path[-1][1].total == pytest.approx(3.0, abs=1e-9)


@pytest.mark.parametrize("size", [2, 6])
def test_rosenbrock(size):
    objective = Counted(rosenbrock)
    x = torch.tensor([-1.2, 1.0] * (size // 2), dtype=torch.float64)
    path, _ = minimise(LBFGS(), objective, x, 120)
    assert torch.allclose(path[-1][0], torch.ones(size, dtype=torch.float64), atol=1e-5)
    assert len(objective.points) < 2 * len(path), "about one evaluation an iteration, not many"


@pytest.mark.parametrize("function", ["quadratic", "rosenbrock"])
def test_the_loss_never_rises_and_accepted_steps_satisfy_the_weak_wolfe_conditions(function):
    objective = Counted(rosenbrock) if function == "rosenbrock" else quadratic()[2]
    x = torch.linspace(-1.5, 1.5, 12, dtype=torch.float64)
    path, _ = minimise(LBFGS(), objective, x, 40)
    assert len(path) > 10
    for (old, before), (new, after) in pairwise(path):
        if float(before.gradient.norm()) < 1e-6:
            break  # at the minimum rounding decides
        step = new - old
        slope = float(step @ before.gradient)  # of the direction, times the step length
        assert slope < 0
        assert after.total <= before.total + 1e-4 * slope + 1e-12
        assert float(step @ after.gradient) >= 0.9 * slope - 1e-12


def test_the_direction_is_that_of_a_dense_bfgs():
    """Brute force: the same updates on a full inverse Hessian (Nocedal & Wright 2006, equation 6.17)."""
    objective = Counted(rosenbrock)
    optimizer = LBFGS(history=50)
    path, _ = minimise(optimizer, objective, torch.linspace(-1, 1, 6, dtype=torch.float64), 7)
    gradient = path[-1][1].gradient
    pairs = [(s.numpy(), y.numpy()) for s, y in zip(optimizer.steps, optimizer.changes, strict=True)]
    assert len(pairs) == 7
    s, y = pairs[-1]
    inverse = np.eye(6) * (s @ y) / (y @ y)
    for s, y in pairs:
        rho = 1 / (s @ y)
        left = np.eye(6) - rho * np.outer(s, y)
        inverse = left @ inverse @ left.T + rho * np.outer(s, s)
    assert np.allclose(optimizer._direction(gradient).numpy(), -inverse @ gradient.numpy(), rtol=1e-8, atol=1e-10)
    assert np.allclose(inverse @ y, s), "the secant equation"


def test_the_direction_does_not_change_the_gradient():
    optimizer = LBFGS()
    optimizer.steps, optimizer.changes = [torch.ones(3)], [torch.ones(3)]
    gradient = torch.tensor([1.0, -2.0, 3.0])
    optimizer._direction(gradient)
    assert gradient.tolist() == [1, -2, 3]


def test_without_a_history_it_is_the_steepest_descent():
    gradient = torch.tensor([1.0, -2.0, 3.0])
    assert LBFGS()._direction(gradient).tolist() == [-1, 2, -3]


@pytest.mark.parametrize("rate", [0.5, 1.0, 4.0])
def test_the_first_trial_moves_by_the_learning_rate(rate):
    objective = Counted(lambda x: (x**2).sum() * 1e-3)
    x = torch.ones(1, 3, 4, 5)
    LBFGS(learning_rate=rate).step(x, objective(x), objective)
    moved = (objective.points[1] - x).square().mean().sqrt()
    assert float(moved) == pytest.approx(0.01 * rate, rel=1e-4)


def test_at_a_minimum_there_is_no_step():
    _, minimum, objective = quadratic()
    assert LBFGS().step(minimum, objective(minimum), objective) is None


def test_a_run_ends_with_none_when_nothing_is_left_to_gain():
    objective = Counted(lambda x: (x.square() * torch.tensor([1.0, 30.0, 900.0])).sum() + 1.0)
    path, converged = minimise(LBFGS(), objective, torch.tensor([1.0, -1.0, 1.0]), 200)
    assert converged
    assert path[-1][1].total == pytest.approx(1.0, abs=1e-5)
    assert objective(path[-1][0]).total == path[-1][1].total


def test_where_the_slope_lies_no_step_is_taken():
    """A gradient that points the wrong way: no lower loss exists along it."""
    objective = Counted(lambda x: x.square().sum())
    x = torch.tensor([1.0, 2.0])
    at = objective(x)
    wrong = type(at)(at.total, -at.gradient, at.losses)
    before = len(objective.points)
    assert LBFGS().step(x, wrong, objective) is None
    assert len(objective.points) - before == module._MAX_TRIALS


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_trial_that_is_not_finite_went_too_far(bad):
    """Beyond 0.9 the loss isn't finite, and the first step leads to 3."""
    objective = Counted(lambda x: ((x - 0.8).square() + torch.where(x > 0.9, bad, 0.0)).sum())
    x = torch.zeros(1, dtype=torch.float64)
    path, _ = minimise(LBFGS(learning_rate=300.0), objective, x, 20)
    assert objective.points[1].item() == pytest.approx(3.0)
    assert path[-1][0].item() == pytest.approx(0.8, abs=1e-6)
    assert all(math.isfinite(at.total) for _, at in path)


def test_where_no_trial_is_finite_the_last_one_that_is_not_is_returned():
    objective = Counted(lambda x: x.square().sum() if (x == 1).all() else x.sum() * math.nan)
    x = torch.ones(3)
    found = LBFGS().step(x, objective(x), objective)
    assert found is not None
    assert math.isnan(found[1].total)


def test_a_stale_history_is_thrown_away_before_giving_up():
    """Pairs of another objective give a useless direction; then the steepest descent is tried."""
    _, _, objective = quadratic()
    optimizer = LBFGS(learning_rate=10.0)
    x = torch.zeros(12, dtype=torch.float64)
    at = objective(x)
    optimizer.steps, optimizer.changes = [at.gradient.clone()], [-at.gradient.clone()]  # negative curvature
    found = optimizer.step(x, at, objective)
    assert found is not None
    assert found[1].total < at.total
    assert len(optimizer.steps) == 1
    assert torch.equal(optimizer.steps[0], found[0] - x)


def test_pairs_without_curvature_are_not_kept():
    objective = Counted(lambda x: x.sum())
    optimizer = LBFGS()
    x = torch.zeros(3)
    for _ in range(3):
        found = optimizer.step(x, objective(x), objective)
        assert found is not None
        x = found[0]
    assert optimizer.steps == []
    assert optimizer.changes == []


def test_the_history_is_bounded_and_keeps_the_latest():
    objective = Counted(rosenbrock)
    optimizer = LBFGS(history=4)
    path, _ = minimise(optimizer, objective, torch.linspace(-1, 1, 6, dtype=torch.float64), 9)
    assert len(optimizer.steps) == len(optimizer.changes) == 4
    for kept, index in zip(optimizer.steps, range(-5, -1), strict=True):
        assert torch.equal(kept, path[index + 1][0] - path[index][0])


def test_state_dict_round_trip():
    objective = Counted(rosenbrock)
    x = torch.linspace(-1, 1, 6, dtype=torch.float64)
    one = LBFGS(history=5)
    path, _ = minimise(one, objective, x, 8)
    other = LBFGS(history=5)
    other.load_state_dict(one.state_dict())
    ahead, _ = minimise(one, objective, path[-1][0], 5)
    again, _ = minimise(other, objective, path[-1][0], 5)
    for (a, _), (b, _) in zip(ahead, again, strict=True):
        assert torch.equal(a, b)


def test_a_saved_state_does_not_change_with_the_optimiser():
    objective = Counted(rosenbrock)
    optimizer = LBFGS(history=3)
    path, _ = minimise(optimizer, objective, torch.linspace(-1, 1, 6), 3)
    state = optimizer.state_dict()
    copies = [step.clone() for step in state["steps"]]
    minimise(optimizer, objective, path[-1][0], 3)
    assert len(state["steps"]) == 3
    assert all(torch.equal(a, b) for a, b in zip(state["steps"], copies, strict=True))


def test_the_inputs_are_not_changed():
    objective = Counted(rosenbrock)
    optimizer = LBFGS()
    path, _ = minimise(optimizer, objective, torch.linspace(-1, 1, 6), 3)
    x, at = path[-1]
    copies = x.clone(), at.gradient.clone()
    optimizer.step(x, at, objective)
    assert torch.equal(x, copies[0])
    assert torch.equal(at.gradient, copies[1])

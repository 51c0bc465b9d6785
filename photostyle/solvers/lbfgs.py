"""L-BFGS (Nocedal 1980; Nocedal & Wright 2006, chapter 7) with a weak Wolfe line search.

PyTorch's own can't be used here: its first step moves the pixels of a picture by a millionth, it evaluates the
objective twice at the point where an iteration ends, and its state doesn't tell which point was accepted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from photostyle.objective.total import Evaluation

_SUFFICIENT_DECREASE = 1e-4
_CURVATURE = 0.9
_MAX_TRIALS = 12
_FIRST_STEP = 0.01  # root mean square change of a pixel in the first step, at learning rate 1


class LBFGS:
    """Minimise over a picture, one iteration a call.

    Parameters
    ----------
    learning_rate : float
        The first step moves the pixels by 0.01 × this, root mean square; afterwards each step begins as the
        quasi-Newton step and the line search decides.
    history : int
        How many pairs of steps and gradient changes are kept.
    """

    def __init__(self, learning_rate: float = 1.0, history: int = 20) -> None:
        self.learning_rate = learning_rate
        self.history = history
        self.steps: list[Tensor] = []
        self.changes: list[Tensor] = []

    def step(
        self, x: Tensor, at: Evaluation, evaluate: Callable[[Tensor], Evaluation]
    ) -> tuple[Tensor, Evaluation] | None:
        """Make one iteration.

        Parameters
        ----------
        x : Tensor
            The current point.
        at : Evaluation
            The objective there.
        evaluate : callable
            From a point to its evaluation.

        Returns
        -------
        (Tensor, Evaluation) or None
            The next point with its evaluation; None where even the steepest descent finds no lower loss, so
            that the minimum is reached within the precision of the numbers. A point whose evaluation isn't finite is
            returned only where there is no other along the steepest descent, however near.
        """
        while True:
            direction = self._direction(at.gradient)
            slope = _dot(direction, at.gradient)
            first = 1.0
            if not self.steps:
                first = self.learning_rate * _FIRST_STEP / max(_rms(direction), 1e-30)
            found = _line_search(x, at, direction, slope, first, evaluate) if slope < 0 else None
            if found is not None and (is_finite(found[1]) or not self.steps):
                break
            if not self.steps:
                return None
            self.steps.clear()
            self.changes.clear()
        step, change = found[0] - x, found[1].gradient - at.gradient
        if _dot(step, change) > 1e-10 * _dot(change, change):
            self.steps.append(step)
            self.changes.append(change)
            del self.steps[: -self.history], self.changes[: -self.history]
        return found

    def _direction(self, gradient: Tensor) -> Tensor:
        """Return -H·gradient by the two-loop recursion (Nocedal & Wright 2006, algorithm 7.4).

        The products stay on the device: reading one of them would wait for all that was asked of a GPU before.
        """
        q = -gradient
        pairs = [(s, y, _product(s, y)) for s, y in zip(self.steps, self.changes, strict=True)]
        alphas = []
        for s, y, sy in reversed(pairs):
            alphas.append(_product(s, q) / sy)
            q = q.addcmul_(y, alphas[-1], value=-1)
        if pairs:
            s, y, sy = pairs[-1]
            q = q.mul_(sy / _product(y, y))
        for (s, y, sy), alpha in zip(pairs, reversed(alphas), strict=True):
            q = q.addcmul_(s, alpha - _product(y, q) / sy)
        return q

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to go on: the remembered pairs."""
        return {"steps": list(self.steps), "changes": list(self.changes)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that :meth:`state_dict` returned."""
        self.steps, self.changes = list(state["steps"]), list(state["changes"])


def _line_search(
    x: Tensor,
    at: Evaluation,
    direction: Tensor,
    slope: float,
    first: float,
    evaluate: Callable[[Tensor], Evaluation],
) -> tuple[Tensor, Evaluation] | None:
    """Find a step that satisfies the weak Wolfe conditions.

    A bracket is widened while the slope is still steep and narrowed while the loss hasn't fallen enough, by
    the minimum of a parabola kept inside the bracket (Lewis & Overton 2013 with interpolation). A trial that isn't
    finite went too far, and tells nothing of how far. After a dozen trials the lowest point found so far is taken; None
    if there is no lower one, or the last trial that wasn't finite, if there was any.
    """
    low, low_total, low_slope, high = 0.0, at.total, slope, math.inf
    t, best, bad = first, None, None
    for _ in range(_MAX_TRIALS):
        point = x + t * direction
        trial = evaluate(point)
        if not is_finite(trial):
            bad, high = (point, trial), t
            t = low + 0.1 * (high - low)
            continue
        if trial.total < (best[1].total if best else at.total):
            best = (point, trial)
        if trial.total > at.total + _SUFFICIENT_DECREASE * t * slope:
            high = t
            # The parabola through the loss and slope at `low` and the loss here.
            width = high - low
            curvature = (trial.total - low_total - low_slope * width) / width**2
            step = -low_slope / (2 * curvature) if curvature > 0 else width / 2
            t = low + min(max(step, 0.1 * width), 0.5 * width)
            continue
        trial_slope = _dot(direction, trial.gradient)
        if trial_slope >= _CURVATURE * slope:
            return point, trial
        low, low_total, low_slope = t, trial.total, trial_slope
        t = 4 * t if math.isinf(high) else (low + high) / 2
    return best or bad


def is_finite(at: Evaluation) -> bool:
    """Whether a loss and its gradient are finite numbers."""
    return math.isfinite(at.total) and math.isfinite(float(at.gradient.sum()))


def _product(a: Tensor, b: Tensor) -> Tensor:
    return torch.dot(a.reshape(-1), b.reshape(-1))


def _dot(a: Tensor, b: Tensor) -> float:
    return float(_product(a, b))


def _rms(a: Tensor) -> float:
    return float(a.norm()) / math.sqrt(a.numel())

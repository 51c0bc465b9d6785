"""Gradient descent in small steps, with the same face as our L-BFGS, for a start that doesn't hang by a hair.

L-BFGS strides along directions in which the loss hardly changes. Far from a minimum that makes it chaotic: of two
copies of one picture that differ by a hundredth of a grey level, one sunset turns red on the left and one on the right.
Small steps down the gradient leave such directions alone, so that pictures which begin alike stay alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from photostyle.objective.total import Evaluation

__all__ = ["GradientDescent"]

_FIRST, _MOST = 0.02, 0.05  # steps as multiples of the gradient, at learning rate 1, in whitened coordinates
_GROWTH, _SHRINKAGE = 1.1, 0.5
_MAX_TRIALS = 12


class GradientDescent:
    """Minimise over a field's coordinates, one iteration a call.

    Parameters
    ----------
    learning_rate : float
        Steps begin as 0.02 × this times the gradient, and grow by a tenth with each iteration up to 0.05 × this. A step
        that would raise the loss is halved.
    """

    def __init__(self, learning_rate: float = 1.0) -> None:
        self.step_size = _FIRST * learning_rate
        self.most = _MOST * learning_rate

    def step(
        self, x: Tensor, at: Evaluation, evaluate: Callable[[Tensor], Evaluation]
    ) -> tuple[Tensor, Evaluation] | None:
        """Make one iteration from ``x``, where the objective is ``at``; see :meth:`LBFGS.step`."""
        for _ in range(_MAX_TRIALS):
            point = x - self.step_size * at.gradient
            found = evaluate(point)
            if found.total <= at.total:
                self.step_size = min(self.most, _GROWTH * self.step_size)
                return point, found
            self.step_size *= _SHRINKAGE
        return None

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to go on: the size of the next step."""
        return {"step_size": self.step_size}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that :meth:`state_dict` returned."""
        self.step_size = state["step_size"]

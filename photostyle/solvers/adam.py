"""Adam (Kingma & Ba 2015) with the same face as our L-BFGS."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from photostyle.objective.total import Evaluation


class Adam:
    """Minimise over a picture, one iteration a call, with PyTorch's Adam.

    Parameters
    ----------
    learning_rate : float
        About the change of a pixel in one iteration.
    """

    def __init__(self, learning_rate: float = 0.02) -> None:
        self.learning_rate = learning_rate
        self.optimizer: torch.optim.Adam | None = None
        self.loaded: dict[str, Any] | None = None

    def step(
        self, x: Tensor, at: Evaluation, evaluate: Callable[[Tensor], Evaluation]
    ) -> tuple[Tensor, Evaluation] | None:
        """Make one iteration from ``x``, where the objective is ``at``; see :meth:`LBFGS.step`."""
        if self.optimizer is None:
            self.optimizer = torch.optim.Adam([x.clone()], lr=self.learning_rate)
            if self.loaded:
                self.optimizer.load_state_dict(self.loaded)
        parameter = self.optimizer.param_groups[0]["params"][0]
        parameter.copy_(x)
        parameter.grad = at.gradient
        self.optimizer.step()
        point = parameter.clone()
        return point, evaluate(point)

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to go on: the moments, as they are now."""
        return copy.deepcopy(self.optimizer.state_dict()) if self.optimizer else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that :meth:`state_dict` returned."""
        self.optimizer, self.loaded = None, state

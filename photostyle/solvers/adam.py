"""Adam (Kingma & Ba 2015) with the same face as our L-BFGS, and the average of its iterates.

Adam's steps don't become smaller near a minimum: it walks about it, and each iterate has some noise. The average of the
iterates is closer to the minimum than they are (Polyak & Juditsky 1992). The recent ones count most here, those of n
iterations ago by β^n, so that the way to the minimum is forgotten.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from photostyle.objective.total import Evaluation

__all__ = ["Adam"]


class Adam:
    r"""Minimise over a picture, one iteration a call, with PyTorch's Adam.

    The average of the iterates :math:`x_1 \ldots x_t` is :math:`\sum_i \beta^{t-i} x_i / \sum_i \beta^{t-i}`: an
    exponential moving average without the bias of its start, as Adam's own moments have none.

    Parameters
    ----------
    learning_rate : float
        About the change of a pixel in one iteration.
    averaging : float
        β, in [0, 1); 0: there is no average.
    """

    def __init__(self, learning_rate: float = 0.02, averaging: float = 0.0) -> None:
        self.learning_rate, self.averaging = learning_rate, averaging
        self.optimizer: torch.optim.Adam | None = None
        self.loaded: dict[str, Any] | None = None
        self.average: Tensor | None = None
        self.averaged = 0  # iterates in the average

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
        if self.averaging:
            self.averaged += 1
            share = (1 - self.averaging) / (1 - self.averaging**self.averaged)
            self.average = point if self.average is None else torch.lerp(self.average, point, share)
        return point, evaluate(point)

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to go on, as it is now: the moments, and the average with its count."""
        if self.optimizer is None:
            return {}
        moments = copy.deepcopy(self.optimizer.state_dict())
        return {"moments": moments, "average": self.average, "averaged": self.averaged}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that :meth:`state_dict` returned."""
        self.optimizer, self.loaded = None, state.get("moments")
        self.average, self.averaged = state.get("average"), state.get("averaged", 0)

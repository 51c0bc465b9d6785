"""The pixel solver: from a picture to one with a lower loss, iteration by iteration."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from photostyle.errors import DivergedError
from photostyle.objective.total import Evaluation, Objective
from photostyle.options.config import Resolved
from photostyle.solvers.adam import Adam
from photostyle.solvers.lbfgs import LBFGS, is_finite

_RUNAWAY = 100.0
_WINDOW = 10  # iterations over which a loss is watched


@dataclass
class LevelState:
    """Where the optimisation at one size stands, between two iterations.

    Attributes
    ----------
    x : Tensor, shape (1, 3, H, W)
        The current picture; not yet clipped to [0, 1].
    best : Tensor, shape (1, 3, H, W)
        The picture with the lowest loss so far at this level.
    best_total : float
        That loss.
    iteration : int
        Iterations done at this level.
    first_total : float
        The loss at the start of the level.
    optimizer : mapping
        The state of the optimiser.
    converged : bool
        Whether no lower loss could be found.
    recent : list of float
        The lowest losses after the last ten iterations and the one before them.
    """

    x: Tensor
    best: Tensor
    best_total: float = math.inf
    iteration: int = 0
    first_total: float = math.nan
    optimizer: dict[str, Any] = field(default_factory=dict)
    converged: bool = False
    recent: list[float] = field(default_factory=list)

    def settled(self, share: float) -> bool:
        """Whether the last ten iterations lowered the loss by less than a share of it."""
        return len(self.recent) > _WINDOW and self.recent[0] - self.recent[-1] < share * self.recent[-1]

    def expected_end(self, iterations: int, share: float) -> int:
        """Return about at which iteration this level ends: at the last of its iterations, or where it has settled.

        What ten iterations gain falls about with the square of how many there were before, as long as the loss is far
        from its minimum. Before there are ten, half of the iterations are expected.
        """
        if not share:
            return iterations
        if len(self.recent) <= _WINDOW:
            return max(self.iteration, iterations // 2)
        gain = max(0.0, self.recent[0] / max(self.recent[-1], 1e-30) - 1)
        return min(iterations, max(self.iteration, round(self.iteration * math.sqrt(gain / share))))


def optimise(
    objective: Objective,
    state: LevelState,
    iterations: int,
    config: Resolved,
    on_iteration: Callable[[LevelState, Evaluation], None],
) -> LevelState:
    """Minimise an objective over the pixels, or over a field's coordinates.

    Parameters
    ----------
    objective : Objective
    state : LevelState
        Where to begin, or to go on; changed in place, consistent whenever ``on_iteration`` is called.
    iterations : int
        The iteration of this level at which to stop.
    config : Resolved
        Of it: optimiser, learning rate, history, and when a level has settled.
    on_iteration : callable
        Called after each iteration; what it raises ends the run.

    Returns
    -------
    LevelState
        The same object.

    Raises
    ------
    DivergedError
        If the loss becomes NaN or infinite, or exceeds a hundred times what it was at the start.
    """
    optimizer = _optimizer(config)
    if state.optimizer:
        optimizer.load_state_dict(state.optimizer)
    at = _checked(objective(state.x), config)
    if state.iteration == 0:
        state.first_total = at.total
        state.best, state.best_total = state.x.clone(), at.total
    limit = _RUNAWAY * max(state.first_total, 0.01 * objective.scale)
    while state.iteration < iterations and not state.converged and not state.settled(config.settle):
        found = optimizer.step(state.x, at, objective)
        if found is None:
            state.converged = True
            break
        point, at = found[0], _checked(found[1], config)
        if at.total > limit:
            raise DivergedError(
                f"the loss ran away from {state.first_total:.3g} to {at.total:.3g} in iteration "
                f"{state.iteration + 1} of this level: {_remedy(config)}"
            )
        state.x = point
        state.iteration += 1
        state.optimizer = optimizer.state_dict()
        if at.total < state.best_total:
            state.best, state.best_total = point.clone(), at.total
        state.recent = [*state.recent[-_WINDOW:], state.best_total]
        on_iteration(state, at)
    return state


def _optimizer(config: Resolved) -> LBFGS | Adam:
    if config.optimizer == "adam":
        return Adam(config.learning_rate)
    return LBFGS(config.learning_rate, config.history)


def _checked(at: Evaluation, config: Resolved) -> Evaluation:
    """Return an evaluation whose loss and gradient are finite; a `DivergedError` if they aren't."""
    if not is_finite(at):
        terms = ", ".join(f"{name} {value:.3g}" for name, value in at.losses.items())
        raise DivergedError(f"the loss or its gradient isn't finite any more ({terms}): {_remedy(config)}")
    return at


def _remedy(config: Resolved) -> str:
    return f"lower --learning-rate (it is {config.learning_rate:g}), or the largest of the weights"

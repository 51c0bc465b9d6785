"""One optimisation that goes on from another: a key frame's field, or a frame's pixels, with a temporal term."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from photostyle.errors import MemoryLimitError
from photostyle.objective.build import Problem, objective_at
from photostyle.objective.total import Evaluation, Objective
from photostyle.options.config import Resolved
from photostyle.progress import Callback, Step
from photostyle.solvers.estimate import tiled_choices
from photostyle.solvers.memory import is_out_of_memory
from photostyle.solvers.optimise import LevelState, optimise
from photostyle.solvers.schedule import Stage


def solve_from(
    problem: Problem,
    stage: Stage,
    config: Resolved,
    start: Tensor,
    extended: Callable[[Objective], Objective],
    callback: Callback,
) -> tuple[Tensor, dict[str, Any]]:
    """Optimise at a single stage, from a given start."""
    began = time.monotonic()
    losses: dict[str, Any] = {"iteration": 0}

    def on_iteration(state: LevelState, at: Evaluation) -> None:
        losses.update(at.losses, iteration=state.iteration)
        elapsed = time.monotonic() - began
        left = elapsed / state.iteration * (stage.iterations - state.iteration)
        callback(Step(stage.name, stage.size, state.iteration, stage.iterations, at.losses, elapsed, left))

    choices = tiled_choices(problem.backbone, stage, config, problem.device)
    for blocks in choices:
        try:
            with torch.backends.cudnn.flags(enabled=True, deterministic=True, benchmark=False):
                objective = extended(objective_at(problem, stage, config, blocks))
                state = optimise(objective, LevelState(start, start.clone()), stage.iterations, config, on_iteration)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            continue
        if not math.isfinite(losses.get("total", math.nan)):  # there was nothing to gain
            losses["total"] = state.best_total
        return state.best, losses
    width, height = stage.size
    raise MemoryLimitError(
        f"the memory of {problem.device} doesn't suffice for frames of {width}×{height}: pass a smaller --size"
    )

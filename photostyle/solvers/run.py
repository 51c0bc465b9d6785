"""A run: through the stages of the schedule, with progress, snapshots, checkpoints and an orderly end."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from photostyle.errors import DivergedError, MemoryLimitError, OutputError
from photostyle.images import resize
from photostyle.images.tensors import to_array
from photostyle.objective.total import Evaluation, Objective
from photostyle.options.config import Resolved, affine_start
from photostyle.progress import Callback, Message, Snapshot, Step
from photostyle.solvers.checkpoint import load_checkpoint, save_checkpoint
from photostyle.solvers.memory import is_out_of_memory, keep_freed_memory, return_freed_memory
from photostyle.solvers.optimise import LevelState, optimise
from photostyle.solvers.schedule import Stage
from photostyle.solvers.start import Source

ObjectiveAt = Callable[[Stage, Resolved, int], Objective]
"""From a stage, the options, and how many blocks of the network to tile, to what is minimised."""


@dataclass(frozen=True)
class Checkpoint:
    """Where a run's checkpoint lies, and the hash of what the run depends on."""

    path: Path
    fingerprint: str
    resume: bool = False


@dataclass
class Solution:
    """What a run has reached.

    Attributes
    ----------
    image : ndarray of float32, shape (h, w, 3), or None
        The best picture, clipped to [0, 1], at the size of the last stage; None if nothing was reached, or if what was
        reached is a field.
    field : ndarray of float32, shape (K, D, N, N, 15), or None
        The best affine field, where the run ended in one.
    history : list of dict
        For each iteration its number, stage, size and losses.
    notes : list of str
        Decisions, one line each.
    elapsed : float
        Seconds, over all parts of a resumed run.
    stopped : BaseException or None
        What ended the run before its time: KeyboardInterrupt, DivergedError or MemoryLimitError.
    """

    image: NDArray[np.float32] | None = None
    field: NDArray[np.float32] | None = None
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    elapsed: float = 0.0
    stopped: BaseException | None = None


def solve(
    stages: Sequence[Stage],
    objective_at: ObjectiveAt,
    source: Source,
    callback: Callback,
    *,
    tilings: Callable[[Stage], Sequence[int]] = lambda _stage: [0],
    checkpoint: Checkpoint | None = None,
) -> Solution:
    """Optimise through all stages.

    Parameters
    ----------
    stages : sequence of Stage
        None for statistics and grades: the field's start is the result.
    objective_at : callable
        Builds the objective of a stage: a solver knows neither regions nor networks.
    source : Source
        What the first stage starts from, with the options, resolved.
    callback : callable
        Receives a Step after each iteration, Snapshots and Messages.
    tilings : callable
        How many blocks of the network to tile at a stage, and what to try next where the memory doesn't suffice.
    checkpoint : Checkpoint, optional
        Where to write checkpoints, and whether to go on from one.

    Returns
    -------
    Solution
        Also after Ctrl-C, divergence, or where the memory doesn't suffice for a later stage; with what was reached.

    Raises
    ------
    MemoryLimitError
        If the memory of the device doesn't suffice for the first iteration.
    UsageError, OutputError
        If a checkpoint is to be resumed and can't be.
    """
    run = _Run(stages, objective_at, source, callback, tilings, checkpoint)
    try:
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, benchmark=False):
            run.go()
    except (KeyboardInterrupt, DivergedError) as ended:
        run.solution.stopped = ended
        if isinstance(ended, KeyboardInterrupt):
            run.save()
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        width, height = stages[run.index].size if stages else source.content.shape[1::-1]
        stop = MemoryLimitError(
            f"the memory of {source.device} doesn't suffice for {width}×{height}: pass a smaller --size"
        )
        if not run.solution.history:
            raise stop from None
        run.solution.stopped, run.objective = stop, None  # what the objective holds is needed to keep the rest
        run.save()
    run.keep()
    run.solution.elapsed = run.elapsed()
    return run.solution


class _Run:
    """The state of a run: which stage, where it stands, and what it has told."""

    def __init__(
        self,
        stages: Sequence[Stage],
        objective_at: ObjectiveAt,
        source: Source,
        callback: Callback,
        tilings: Callable[[Stage], Sequence[int]],
        checkpoint: Checkpoint | None,
    ) -> None:
        self.stages, self.objective_at, self.source, self.config = stages, objective_at, source, source.config
        self.callback, self.tilings, self.checkpoint = callback, tilings, checkpoint
        self.solution = Solution()
        self.index = 0
        self.level: LevelState | None = None
        self.previous: Tensor | None = None  # what the stage before ended with: pixels, or coordinates of a field
        self.objective: Objective | None = None
        self.began, self.before = time.monotonic(), 0.0

    def go(self) -> None:
        """Go through the stages that are left."""
        if self.checkpoint is not None and self.checkpoint.resume:
            self._load(load_checkpoint(self.checkpoint.path, self.checkpoint.fingerprint, self.source.device))
        if not self.stages:
            self.previous = self.source.closed_form()
        while self.index < len(self.stages):
            stage = self.stages[self.index]
            config = affine_start(self.config) if stage.grid and self.config.solver == "pixels" else self.config
            self._within_memory(stage, config)
            assert self.level is not None
            if self.level.converged and self.level.iteration < stage.iterations:
                self._note(
                    f"no lower loss can be found at {stage.size[0]}×{stage.size[1]} after "
                    f"{self.level.iteration} of {stage.iterations} iterations"
                )
            self.previous = self.level.best
            if self.index + 1 == len(self.stages):
                break
            self.index, self.level = self.index + 1, None

    def _within_memory(self, stage: Stage, config: Resolved) -> None:
        """Optimise at one stage; where a GPU has less memory than was thought, go on with more tiled blocks."""
        device, choices = self.source.device, self.tilings(stage)
        for blocks in choices:
            try:
                self._optimise(stage, config, blocks)
                return
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error) or blocks == choices[-1]:
                    raise
            self.objective = None
            if device == "cuda":
                torch.cuda.empty_cache()
            how = f"with {blocks} tiled blocks: going on with more" if blocks else "as a whole: going on tile by tile"
            self._note(f"the memory of {device} doesn't suffice for {stage.size[0]}×{stage.size[1]} {how}")
        raise AssertionError("there is always a last choice")

    def _optimise(self, stage: Stage, config: Resolved, tiled_blocks: int) -> None:
        return_freed_memory()
        keep_freed_memory()
        self.objective = objective = self.objective_at(stage, config, tiled_blocks)
        for note in objective.notes:
            self._note(note, "detail")
        if self.level is None:
            before = None if self.previous is None else (self.stages[self.index - 1], self.previous)
            x = self.source.at(stage, before)
            self.level = LevelState(x, x.clone())
        optimise(objective, self.level, stage.iterations, config, self._on_iteration)

    def elapsed(self) -> float:
        """Seconds of work, over all parts of a resumed run."""
        return self.before + time.monotonic() - self.began

    def keep(self) -> None:
        """Put the best so far into the solution; nothing if it ended before any iteration."""
        if self.solution.stopped is not None and not self.solution.history:
            return
        if self.level is not None:
            image, self.solution.field = self.source.result(self.stages[self.index], self.level.best)
        elif self.previous is not None:
            before = self.stages[self.index - 1] if self.stages else None
            image, self.solution.field = self.source.result(before, self.previous)
        else:
            return
        if image is not None:
            self.solution.image = resize(image, self.stages[-1].size, wraps=self.config.tiles)

    def save(self) -> None:
        """Write a checkpoint, if there is a place for it and something to keep."""
        if self.checkpoint is None or not self.solution.history:
            return
        state = {
            "stage": self.index,
            "level": None if self.level is None else {**vars(self.level)},
            "previous": self.previous,
            "history": self.solution.history,
            "notes": self.solution.notes,
            "elapsed": self.elapsed(),
        }
        try:
            save_checkpoint(self.checkpoint.path, self.checkpoint.fingerprint, state)
        except OutputError as error:
            self.callback(Message(f"no checkpoint was written: {error}", "warning"))

    def _load(self, state: Mapping[str, Any]) -> None:
        self.index, self.previous = state["stage"], state["previous"]
        if state["level"] is not None:
            self.level = LevelState(**state["level"])
        self.solution.history = list(state["history"])
        self.solution.notes = list(state["notes"])
        self.before = state["elapsed"]
        self.callback(Message(f"resumed after iteration {len(self.solution.history)}"))

    def _on_iteration(self, level: LevelState, at: Evaluation) -> None:
        stage = self.stages[self.index]
        solution, config = self.solution, self.config
        done = len(solution.history) + 1
        solution.history.append({"iteration": done, "stage": stage.name, "size": list(stage.size), **at.losses})
        if done in config.snapshots or (config.snapshot_every and done % config.snapshot_every == 0):
            assert self.objective is not None
            self.callback(Snapshot(done, to_array(self.objective.picture(level.x))))
        if config.checkpoint_every and done % config.checkpoint_every == 0:
            self.save()
        total = done + sum(left for _, left in self._left(level))
        self.callback(Step(stage.name, stage.size, done, total, at.losses, self.elapsed(), self._remaining(level)))

    def _remaining(self, level: LevelState) -> float:
        """Estimate the seconds left: an iteration costs as its pixels, later levels settle as this one."""
        settle = self.config.settle or 0.0
        (stage, _), *later = self._left(level)
        end = level.expected_end(stage.iterations, settle)
        expected = [(stage, end - level.iteration), *((s, min(n, end) if settle else n) for s, n in later)]
        done = sum(math.prod(entry["size"]) for entry in self.solution.history)
        return float(self.elapsed() * sum(math.prod(s.size) * n for s, n in expected) / done)

    def _left(self, level: LevelState) -> list[tuple[Stage, int]]:
        """Return the iterations left at each stage from this one on; there are fewer where the loss settles."""
        stage = self.stages[self.index]
        later = [(s, s.iterations) for s in self.stages[self.index + 1 :]]
        return [(stage, stage.iterations - level.iteration), *later]

    def _note(self, text: str, kind: str = "note") -> None:
        if text not in self.solution.notes:
            self.solution.notes.append(text)
            self.callback(Message(text, kind))

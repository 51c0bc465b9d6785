"""What a user sees of a batch: one bar for all jobs and one for each worker; lines where there is no terminal."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

from rich.progress import BarColumn, Progress, TaskID, TextColumn

from photostyle.apps.cli.screen import Screen
from photostyle.batches import JobEnded, JobLost, JobStarted, JobStep, Plan
from photostyle.progress import Event


class BatchScreen:
    """Receives the events of a batch and shows them on standard error."""

    def __init__(self, total: int, *, quiet: bool = False) -> None:
        self.screen = Screen(quiet=quiet)
        self.total, self.final, self.run = total, 0, 0
        self.began: float | None = None
        self.plan: Plan | None = None
        columns = (TextColumn("{task.description}"), BarColumn(20), TextColumn("{task.fields[info]}"))
        self.progress = Progress(*columns, console=self.screen.console, transient=True)
        self.bars: dict[int, TaskID] = {}
        self.shown = not quiet and self.screen.console.is_terminal

    def __enter__(self) -> BatchScreen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bars:
            self.progress.stop()
        self.screen.__exit__(kind, error, trace)

    def event(self, event: Event) -> None:
        """Show an event of the preparation."""
        self.screen(event)

    def say(self, text: str) -> None:
        """Write one line."""
        self.screen.say(text)

    def __call__(self, event: JobStarted | JobStep | JobLost | JobEnded) -> None:
        """Show an event of the run."""
        if self.began is None and not (isinstance(event, JobEnded) and event.worker is None):
            self.began = time.monotonic()
            if self.shown:
                self.bars[-1] = self.progress.add_task(f"{self.total} jobs", total=self.total, info="")
                self.progress.start()
        if isinstance(event, JobStarted):
            again = f" (try {event.attempt})" if event.attempt > 1 else ""
            self._bar(event.worker, f"{self._name(event.number)}{again}", 0, None, "preparing")
        elif isinstance(event, JobStep):
            step = event.step
            info = f"{step.iteration}/{step.iterations}  {_clock(step.remaining)} left"
            self._bar(event.worker, self._name(event.number), step.iteration, step.iterations, info)
        elif isinstance(event, JobLost):
            self.say(f"again: {self._name(event.number)}: {event.reason}")
        else:
            self._ended(event)

    def _ended(self, event: JobEnded) -> None:
        outcome = event.outcome
        self.final += 1
        if event.worker is not None:
            self.run += 1
            detail = f" in {outcome.seconds:.1f} s" if outcome.error is None else f": {outcome.error}"
            self.say(f"{self.final} of {self.total}: {outcome.status} {self._name(outcome.number)}{detail}")
        if -1 in self.bars and self.began is not None:
            left = (time.monotonic() - self.began) / max(1, self.run) * (self.total - self.final)
            info = f"{self.final}/{self.total}  {_clock(left)} left"
            self.progress.update(self.bars[-1], completed=self.final, info=info)

    def _bar(self, worker: int, text: str, done: int, total: int | None, info: str) -> None:
        if not self.shown:
            return
        if worker not in self.bars:
            self.bars[worker] = self.progress.add_task("", total=None, info="")
        self.progress.update(self.bars[worker], description=text, completed=done, total=total, info=info)

    def _name(self, number: int) -> str:
        assert self.plan is not None
        return self.plan.batch.name_of(self.plan.batch.jobs[number])


def _clock(seconds: float) -> Any:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

"""The loop of a batch: open jobs go to workers, what is finished becomes final, what failed or was lost runs again."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from photostyle.batches.engine import Engine, Lost, Report
from photostyle.batches.interrupts import deferred_interrupt
from photostyle.batches.journal import Journal
from photostyle.batches.plan import Plan
from photostyle.batches.publish import publish
from photostyle.batches.task import Failed, Finished
from photostyle.errors import PhotostyleError
from photostyle.progress import Step

MOST_TRIES = 2
"""How often a job is run that fails."""
MOST_LOSSES = 5
"""How many workers a job may lose before it counts as what kills them."""

_WAIT = 0.5  # seconds


@dataclass(frozen=True)
class JobStarted:
    """A worker began a job; which try it is, from 1 on."""

    worker: int
    number: int
    attempt: int


@dataclass(frozen=True)
class JobStep:
    """A worker made a step of a job."""

    worker: int
    number: int
    step: Step


@dataclass(frozen=True)
class JobLost:
    """A worker failed with a job or died over it, and the job will be run again."""

    worker: int
    number: int
    reason: str


@dataclass(frozen=True)
class JobEnded:
    """A job is final or given up; the worker is None where none was needed."""

    worker: int | None
    outcome: Outcome


@dataclass
class Outcome:
    """How a job stands.

    Attributes
    ----------
    number : int
        In the batch.
    status : str
        "open", "done" (now), "kept" (done before) or "failed".
    sha256 : str or None
        Of the picture, where it is final.
    seconds : float
        Of the run that made it, or that failed last.
    tries, losses : int
        How often it was started, and how often its worker died.
    error : str or None
        Why it failed last.
    """

    number: int
    status: str = "open"
    sha256: str | None = None
    seconds: float = 0.0
    tries: int = 0
    losses: int = 0
    error: str | None = None


BatchEvent = JobStarted | JobStep | JobLost | JobEnded


def run_batch(
    plan: Plan,
    start_engine: Callable[[], Engine],
    callback: Callable[[BatchEvent], Any],
    outcomes: list[Outcome],
) -> None:
    """Run what is open, within :func:`photostyle.batches.journal.alone`.

    Only this process writes files, one finished job at a time. A job that fails goes to the end of the queue once more;
    one whose worker dies does so up to five times.
    """
    outcomes[:] = [Outcome(number) for number in range(len(plan.keys))]
    journal = Journal(plan.batch.folder)
    try:
        _settle(plan, journal, outcomes, callback)
        queue = deque(outcome for outcome in outcomes if outcome.status == "open")
        if queue:
            engine = start_engine()
            try:
                _Loop(plan, journal, engine, queue, callback).go()
            finally:
                engine.close()
    finally:
        journal.close()


def _settle(plan: Plan, journal: Journal, outcomes: list[Outcome], callback: Callable[[BatchEvent], Any]) -> None:
    """Make final what needs no run, being done; add lines that the journal lacks."""
    for number, sha256 in plan.done.items():
        outcomes[number].status, outcomes[number].sha256 = "kept", sha256
        if number in plan.adopted:
            journal.append("done", _name(plan, number), plan.keys[number], sha256=sha256, adopted=True)
        callback(JobEnded(None, outcomes[number]))


def _name(plan: Plan, number: int) -> str:
    return plan.batch.name_of(plan.batch.jobs[number])


class _Loop:
    """The queue, and which worker has which job since when."""

    def __init__(
        self,
        plan: Plan,
        journal: Journal,
        engine: Engine,
        queue: deque[Outcome],
        callback: Callable[[BatchEvent], Any],
    ) -> None:
        self.plan, self.journal, self.engine, self.queue, self.callback = plan, journal, engine, queue, callback
        self.running: dict[int, tuple[Outcome, float]] = {}

    def go(self) -> None:
        while self.queue or self.running:
            for worker in self.engine.ready():
                if self.queue:
                    self.start(worker, self.queue.popleft())
            for report in self.engine.wait(_WAIT):
                self.heed(report)

    def start(self, worker: int, outcome: Outcome) -> None:
        number = outcome.number
        outcome.tries += 1
        self.journal.append("start", _name(self.plan, number), self.plan.keys[number], **{"try": outcome.tries})
        self.callback(JobStarted(worker, number, outcome.tries))
        self.running[worker] = outcome, time.monotonic()
        try:
            self.engine.submit(worker, number, self.plan.batch.jobs[number])
        except PhotostyleError as error:
            self.heed(Report(worker, Failed(str(error))))

    def heed(self, report: Report) -> None:
        worker, news = report.worker, report.news
        outcome, began = self.running[worker]
        if isinstance(news, Step):
            self.callback(JobStep(worker, outcome.number, news))
            return
        del self.running[worker]
        outcome.seconds = round(time.monotonic() - began, 3)
        if isinstance(news, Finished):
            with deferred_interrupt():
                outcome.sha256 = self.publish(outcome, news)
                outcome.status, outcome.error = "done", None
            self.callback(JobEnded(worker, outcome))
            return
        self.repeat(worker, outcome, news)

    def repeat(self, worker: int, outcome: Outcome, news: Failed | Lost) -> None:
        """Put a job back into the queue, or give it up."""
        name, key = _name(self.plan, outcome.number), self.plan.keys[outcome.number]
        if isinstance(news, Lost):
            outcome.losses += 1
            outcome.error, again = news.reason, outcome.losses <= MOST_LOSSES
            if not again:
                outcome.error += f", as {outcome.losses} did before it was given up: is there memory enough?"
            self.journal.append("lost", name, key, reason=news.reason)
        else:
            outcome.error, again = news.message, outcome.tries - outcome.losses < MOST_TRIES
        if again:
            self.queue.append(outcome)
            self.callback(JobLost(worker, outcome.number, outcome.error))
            return
        outcome.status = "failed"
        self.journal.append("failed", name, key, error=outcome.error, tries=outcome.tries)
        self.callback(JobEnded(worker, outcome))

    def publish(self, outcome: Outcome, finished: Finished) -> str:
        number = outcome.number
        return publish(
            finished,
            self.plan.batch.jobs[number].output,
            self.journal,
            _name(self.plan, number),
            self.plan.keys[number],
            seconds=outcome.seconds,
            tries=outcome.tries,
        )

"""What the loop of a batch asks of those who do the work, whether on this machine or on a cluster."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Protocol

from photostyle.batches.job import Job
from photostyle.batches.task import Failed, Finished
from photostyle.progress import Step

MOST_START_FAILURES = 3
"""After how many workers in a row that end before they are ready an engine gives up."""

MOST_START_KILLS = 20
"""The same of workers that were killed, which says little of whether they could start."""


@dataclass(frozen=True)
class Lost:
    """A worker died over its task, which may well be sound."""

    reason: str


@dataclass(frozen=True)
class Report:
    """What a worker tells of its task: how far it is, or how it ended."""

    worker: int
    news: Step | Finished | Failed | Lost


class Engine(Protocol):
    """Workers by number, from 0 on, each with one task at a time; a worker that dies is replaced."""

    def ready(self) -> list[int]:
        """Return the workers that wait for a task."""

    def submit(self, worker: int, number: int, job: Job) -> None:
        """Give a job to a worker that is ready; an OutputError if its files can't be read any more."""

    def wait(self, seconds: float) -> list[Report]:
        """Return what the workers tell, at the latest after some seconds; a PhotostyleError if none can start."""

    def close(self) -> None:
        """End all workers at once, and what was started with them."""


def default_threads(workers: int) -> int:
    """Return the threads of each worker if the processors are divided among them."""
    affinity = getattr(os, "sched_getaffinity", None)
    processors = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, processors // workers)

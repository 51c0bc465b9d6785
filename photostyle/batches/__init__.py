"""Batches: many transfers from one YAML file, on local processes or a Ray cluster, each finished one final.

::

    jobs_file (YAML, with its lines) → expand (jobs, matrix, names) → plan (what is done, what is open)
        → run (one loop) → engine: local or Ray (both call task.run_task) → publish (files, journal)
"""

from __future__ import annotations

from photostyle.batches.expand import read_batch
from photostyle.batches.job import Batch, Job
from photostyle.batches.plan import Plan, plan_batch
from photostyle.batches.run import JobEnded, JobLost, JobStarted, JobStep, Outcome, run_batch

__all__ = [
    "Batch",
    "Job",
    "JobEnded",
    "JobLost",
    "JobStarted",
    "JobStep",
    "Outcome",
    "Plan",
    "plan_batch",
    "read_batch",
    "run_batch",
]

"""``photostyle batch``: the jobs of a YAML file on several workers; what is finished stays, and is never run again."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from photostyle._version import __version__
from photostyle.apps.cli.arguments import JsonOption, OverwriteOption, QuietOption
from photostyle.errors import Interrupted, PhotostyleError, UsageError
from photostyle.options.variations import value_text

if TYPE_CHECKING:
    from photostyle.batches import Outcome, Plan
    from photostyle.batches.engine import Engine

SUMMARY = "batch.json"


def batch_command(
    jobs: Annotated[Path, typer.Argument(metavar="JOBS.yaml", help="The jobs.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder that the outputs start from. Default: that of JOBS.yaml.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, max=256, metavar="N", help="Jobs at a time.")] = 1,
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads",
            min=1,
            metavar="N",
            help="Threads of each worker; the same number gives the same bytes. Default: the processors divided by "
            "--workers.",
            show_default=False,
        ),
    ] = None,
    engine: Annotated[
        str, typer.Option("--engine", metavar="local|ray", help="Processes of this machine, or a Ray cluster.")
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            metavar="HOST:PORT",
            help="Head of the Ray cluster, or auto. Default: Ray on this machine, for this batch.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything and list the jobs; run none.")] = False,
    overwrite: OverwriteOption = False,
    json_: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Run the jobs of a YAML file; run it again to go on where it ended, with all that is finished kept."""
    from photostyle.apps.cli.batch_screen import BatchScreen
    from photostyle.apps.cli.files import write_json
    from photostyle.batches import plan_batch, read_batch, run_batch
    from photostyle.batches.engine import default_threads
    from photostyle.batches.journal import JOURNAL, alone
    from photostyle.batches.local_engine import LocalEngine

    if engine not in ("local", "ray"):
        raise UsageError(f"--engine is {engine!r}, but must be one of: local, ray")
    if address is not None and engine != "ray":
        raise UsageError("--address belongs to --engine ray: pass that with it, or leave it out")
    if engine == "ray":
        from photostyle.batches.ray_engine import check_address

        check_address(address)
    each = threads or default_threads(workers)
    batch = read_batch(jobs, output=output)
    began = time.monotonic()
    with BatchScreen(len(batch.jobs), quiet=quiet) as screen:
        if dry_run:
            _list(plan_batch(batch, overwrite=overwrite, callback=screen.event), json_=json_)
            return
        with alone(batch.folder):
            plan = plan_batch(batch, overwrite=overwrite, callback=screen.event)
            screen.plan = plan
            count = min(workers, max(1, len(plan.open)))

            def start_engine() -> Engine:
                screen.say(f"{len(plan.open)} of {len(batch.jobs)} jobs to run; starting {count} × {each} threads")
                if engine == "local":
                    return LocalEngine(count, each, plan.hashes)
                from photostyle.batches.ray_engine import RayEngine

                gpus = any(job.config.device not in ("cpu", "mps") for job in batch.jobs)
                return RayEngine(count, each, plan.hashes, address=address, gpus=gpus)

            outcomes: list[Outcome] = []
            summary: dict[str, Any] = {}
            try:
                run_batch(plan, start_engine, screen, outcomes)
            except KeyboardInterrupt:
                final = sum(outcome.sha256 is not None for outcome in outcomes)
                raise Interrupted(
                    f"interrupted with {final} of {len(batch.jobs)} jobs finished, which stay; the same command goes on"
                ) from None
            finally:
                summary = _summary(plan, outcomes, engine, workers, each, time.monotonic() - began)
                write_json(batch.folder / SUMMARY, summary)
    counts = Counter(outcome.status for outcome in outcomes)
    told = ", ".join(f"{counts[status]} {text}" for status, text in _COUNTS.items() if counts[status])
    screen.say(f"{told}, in {summary['seconds']:.0f} s; {batch.folder / SUMMARY}")
    if json_:
        typer.echo(json.dumps(summary, ensure_ascii=False))
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    for outcome in failed:
        job = batch.jobs[outcome.number]
        screen.say(f"failed: {batch.name_of(job)} ({job.place}): {outcome.error}")
    if failed:
        raise PhotostyleError(
            f"{len(failed)} of {len(batch.jobs)} jobs failed, the first {batch.name_of(batch.jobs[failed[0].number])}: "
            f"{failed[0].error}; all reasons are in {batch.folder / JOURNAL}"
        )


_COUNTS = {"done": "done", "kept": "done before", "failed": "failed"}


def _summary(
    plan: Plan, outcomes: list[Outcome], engine: str, workers: int, threads: int, seconds: float
) -> dict[str, Any]:
    """Return how all jobs stand, as plain data."""
    rows = [_row(plan, outcome.number) | _standing(outcome) for outcome in outcomes]
    return {
        "photostyle": __version__,
        "batch": str(plan.batch.path),
        "engine": engine,
        "workers": workers,
        "threads": threads,
        "seconds": round(seconds, 3),
        "counts": dict(Counter(outcome.status for outcome in outcomes)),
        "jobs": rows,
    }


def _standing(outcome: Outcome) -> dict[str, Any]:
    names = ("status", "sha256", "seconds", "tries", "losses", "error")
    return {name: getattr(outcome, name) for name in names}


def _row(plan: Plan, number: int) -> dict[str, Any]:
    job = plan.batch.jobs[number]
    styles = [*job.arguments["style"], *job.arguments["map"].values()]
    return {
        "output": plan.batch.name_of(job),
        "line": job.place.line,
        "content": job.arguments["content"].name,
        "style": [style.name for style in styles],
        "options": dict(job.given),
        "key": plan.keys[number],
    }


def _list(plan: Plan, *, json_: bool) -> None:
    """Write what would be done on standard output."""
    rows = []
    for number in range(len(plan.keys)):
        status = "done" if number in plan.done else "open"
        rows.append(_row(plan, number) | {"status": status})
    if json_:
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    for row in rows:
        options = "".join(f"  {name}={value_text(value)}" for name, value in row["options"].items())
        typer.echo(f"{row['status']}  {row['output']}  {row['content']} ← {' + '.join(row['style'])}{options}")

"""Workers that are processes of this machine, each at one end of a pipe.

A pool of the standard library is broken as a whole when one of its processes is killed; here the others don't notice. A
worker ends by itself when the other end of its pipe is gone, so that none is left behind by whatever ends the batch.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from photostyle.batches.engine import MOST_START_FAILURES, MOST_START_KILLS, Lost, Report
from photostyle.batches.inputs import Hashes
from photostyle.batches.job import Job
from photostyle.batches.task import Failed, Finished, Worker, make_task
from photostyle.errors import PhotostyleError
from photostyle.progress import Event, Step

_READY = "ready"
_TELL = 0.1  # seconds between two steps that are told
_GRACE = 3.0  # seconds that a worker has to end
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_GONE = (EOFError, OSError, pickle.UnpicklingError)


class _Process:
    """One worker as its parent sees it."""

    def __init__(self, process: BaseProcess, pipe: Connection, folder: str) -> None:
        self.process, self.pipe, self.folder = process, pipe, folder
        self.is_ready = self.is_busy = False
        self.known: set[str] = set()  # what it keeps of earlier tasks


class LocalEngine:
    """A number of worker processes."""

    def __init__(self, workers: int, threads: int, hashes: Hashes) -> None:
        self.threads, self.hashes = threads, hashes
        self.context = multiprocessing.get_context("spawn")
        self.folder = tempfile.mkdtemp(prefix="photostyle-batch-")
        self.failures = self.kills = 0  # of starts, in a row
        self.processes: list[_Process] = []
        try:
            for _ in range(workers):
                self.processes.append(self._started())
        except BaseException:
            self.close()
            raise

    def ready(self) -> list[int]:
        """Return the workers that wait for a task."""
        return [number for number, each in enumerate(self.processes) if each.is_ready and not each.is_busy]

    def submit(self, worker: int, number: int, job: Job) -> None:
        """Send a job to a worker; if that is dead, the next `wait` tells so."""
        each = self.processes[worker]
        task = make_task(number, job, self.hashes, self.threads, each.known)
        each.is_busy = True
        each.known |= {f"kept/{self.hashes.of_input(found)}" for found in job.inputs if found.kept}
        with contextlib.suppress(OSError):
            each.pipe.send(task)

    def wait(self, seconds: float) -> list[Report]:
        """Return what the workers tell, and start another for each that died."""
        told = wait([each.pipe for each in self.processes], seconds)
        reports: list[Report] = []
        for number, each in enumerate(self.processes):
            if each.pipe in told:
                try:
                    news = each.pipe.recv()
                except _GONE:
                    reports += self._replace(number)
                    continue
                if news == _READY:
                    each.is_ready, self.failures, self.kills = True, 0, 0
                    continue
                each.is_busy = isinstance(news, Step)
                if isinstance(news, Failed):
                    each.known.clear()  # its disk may be full: who knows what it could keep
                reports.append(Report(number, news))
        return reports

    def close(self) -> None:
        """Kill all workers; what they were doing is lost, and nothing else."""
        for each in self.processes:
            each.pipe.close()
            each.process.kill()
        for each in self.processes:
            each.process.join(_GRACE)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _replace(self, number: int) -> list[Report]:
        """Start another worker for one that died; its task, if it had one, is lost."""
        dead = self.processes[number]
        dead.pipe.close()
        dead.process.join(_GRACE)
        dead.process.kill()  # if its end of the pipe alone was closed
        dead.process.join()
        shutil.rmtree(dead.folder, ignore_errors=True)
        how = _ending(dead.process.exitcode)
        if not dead.is_ready:
            if (dead.process.exitcode or 0) < 0:
                self.kills += 1
                many, given_up = self.kills, self.kills >= MOST_START_KILLS
            else:
                self.failures += 1
                many, given_up = self.failures, self.failures >= MOST_START_FAILURES
            if given_up:
                raise PhotostyleError(f"workers can't be started: {many} in a row {how} at their start")
        self.processes[number] = self._started()
        return [Report(number, Lost(f"its worker {how}"))] if dead.is_busy else []

    def _started(self) -> _Process:
        folder = tempfile.mkdtemp(dir=self.folder)
        ours, theirs = self.context.Pipe()
        process = self.context.Process(target=_serve, args=(theirs, folder), name="photostyle worker", daemon=True)
        with _environment(self.threads), _no_interrupt():
            process.start()
        theirs.close()
        return _Process(process, ours, folder)


def _serve(pipe: Connection, folder: str) -> None:
    """Work until the other end of the pipe is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    worker = Worker(folder)
    last = 0.0

    def tell(event: Event) -> Any:
        nonlocal last
        if isinstance(event, Step) and time.monotonic() >= last + _TELL:
            pipe.send(event)
            last = time.monotonic()

    try:
        pipe.send(_READY)
        while True:
            news: Finished | Failed = worker.run(pipe.recv(), tell)
            pipe.send(news)
    except _GONE:
        pass
    finally:
        worker.close()
        with contextlib.suppress(OSError):  # if the parent is gone, the last worker takes its folder away
            Path(folder).rmdir()
            Path(folder).parent.rmdir()


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


@contextlib.contextmanager
def _environment(threads: int) -> Iterator[None]:
    """Give a process that is started here its number of threads, which libraries read when they are loaded."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _no_interrupt() -> Iterator[None]:
    """Start a process that Ctrl-C, which goes to all processes of a terminal, never reaches."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

"""Workers that are actors of a Ray cluster: one that is there, or one on this machine for the time of the batch.

Every node needs this version of photostyle; a shared disk is not needed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import subprocess
import sys
import time
from typing import Any

from photostyle.batches.engine import MOST_START_FAILURES, Lost, Report
from photostyle.batches.inputs import Hashes
from photostyle.batches.job import Job
from photostyle.batches.task import Failed, Finished, Task, Worker, make_task
from photostyle.errors import PhotostyleError, UsageError
from photostyle.progress import Event, Step

_CONNECT = 3.0  # seconds for a port to answer
_PROBE = 15.0  # seconds for Ray to answer behind it
_START = 180.0  # seconds for the first worker
_POLL = 1.0  # seconds between two questions how far a job is
_INSTALL = "--engine ray needs Ray: pip install 'photostyle[batch]'"
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class _Actor:
    """A worker on a node of the cluster; Ray lets `latest` answer while `run` works."""

    def __init__(self) -> None:
        self.worker = Worker()
        self.step: Step | None = None

    def version(self) -> str:
        return self.worker.version

    def latest(self) -> Step | None:
        return self.step

    def run(self, task: Task) -> Finished | Failed:
        def keep(event: Event) -> None:
            if isinstance(event, Step):
                self.step = event

        self.step = None
        return self.worker.run(task, keep)

    def close(self) -> None:
        self.worker.close()


class RayEngine:
    """A number of actors."""

    def __init__(
        self, workers: int, threads: int, hashes: Hashes, *, address: str | None = None, gpus: bool = False
    ) -> None:
        self.ray = _import_ray()
        self.threads, self.hashes = threads, hashes
        self.count, self.began, self.failures = workers, time.monotonic(), 0
        self.began_ray = not self.ray.is_initialized()
        if self.began_ray:
            self._connect(address, workers)
        try:
            self.share = self._shares(workers, gpus)
            self.actors: list[Any] = [None] * workers
            self.refs: dict[Any, tuple[int, str]] = {}  # what is awaited: of which worker, and what it will tell
            self.known: list[set[str]] = [set() for _ in range(workers)]
            self.idle: set[int] = set()
            self.busy: set[int] = set()
            self.polled = 0.0
            for worker in range(workers):
                self._start(worker)
        except BaseException:
            if self.began_ray:
                self.ray.shutdown()
            raise

    def ready(self) -> list[int]:
        """Return the workers that wait for a task."""
        return sorted(self.idle)

    def submit(self, worker: int, number: int, job: Job) -> None:
        """Send a job to a worker."""
        task = make_task(number, job, self.hashes, self.threads, self.known[worker])
        self.known[worker] |= {f"kept/{self.hashes.of_input(found)}" for found in job.inputs if found.kept}
        self.idle.discard(worker)
        self.busy.add(worker)
        self.refs[self.actors[worker].run.remote(task)] = worker, "run"

    def wait(self, seconds: float) -> list[Report]:
        """Return what the workers tell, and start another for each that died."""
        self._ask()
        if not self.idle and not self.busy and time.monotonic() > self.began + _START:
            raise PhotostyleError(
                f"no worker of the Ray cluster was ready within {_START:.0f} s: has it {self.threads} processors free "
                "for one? Pass fewer --threads, or wait for its other work"
            )
        found, _ = self.ray.wait(list(self.refs), num_returns=len(self.refs), timeout=seconds)
        reports: list[Report] = []
        for ref in found:
            if ref not in self.refs:
                continue  # of an actor that was replaced meanwhile
            worker, kind = self.refs.pop(ref)
            try:
                told = self.ray.get(ref)
            except self.ray.exceptions.RayError as error:
                if kind != "step":
                    reports += self._replace(worker, kind, error)
                continue
            if kind == "start":
                _check_version(told)
                self.idle.add(worker)
                self.failures = 0
            elif kind == "run":
                self.busy.discard(worker)
                self.idle.add(worker)
                if isinstance(told, Failed):
                    self.known[worker].clear()  # its disk may be full: who knows what it could keep
                reports.append(Report(worker, told))
            elif told is not None and worker in self.busy and not any(r.worker == worker for r in reports):
                reports.append(Report(worker, told))
        return reports

    def close(self) -> None:
        """End all workers, and Ray itself if it was started here."""
        with contextlib.suppress(Exception):  # a cluster that is gone has ended them
            living = [self.actors[worker] for worker in self.idle | self.busy]
            if living:
                self.ray.wait([each.close.remote() for each in living], num_returns=len(living), timeout=2)
            for each in self.actors:
                self.ray.kill(each)
        if self.began_ray:
            self.ray.shutdown()

    def _connect(self, address: str | None, workers: int) -> None:
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        if address is None:
            processors = workers * self.threads
            self.ray.init(address="local", num_cpus=processors, include_dashboard=False, **quiet)
            return
        try:
            self.ray.init(address=address, **quiet)
        except Exception as error:  # another version, a lost network: Ray has many kinds
            raise PhotostyleError(f"the Ray cluster at {address} can't be used: {_line(error)}") from None

    def _shares(self, workers: int, gpus: bool) -> float:
        """Return each worker's share of a GPU, after a look at what the cluster has."""
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        largest = max((node.get("CPU", 0) for node in nodes), default=0)
        if largest < self.threads:
            raise PhotostyleError(
                f"no node of the Ray cluster has {self.threads} processors for a worker, the largest has {largest:g}: "
                f"pass --threads {max(1, int(largest))}"
            )
        return min(1.0, sum(node.get("GPU", 0) for node in nodes) / workers) if gpus else 0.0

    def _start(self, worker: int) -> None:
        actor = self.ray.remote(_Actor).options(
            num_cpus=self.threads,
            num_gpus=self.share,
            max_concurrency=2,
            runtime_env={"env_vars": dict.fromkeys(_THREADS, str(self.threads))},
        )
        self.actors[worker] = actor.remote()
        self.known[worker] = set()
        self.refs[self.actors[worker].version.remote()] = worker, "start"

    def _ask(self) -> None:
        """Ask the workers at times how far they are."""
        if time.monotonic() < self.polled + _POLL:
            return
        self.polled = time.monotonic()
        asked = {worker for worker, kind in self.refs.values() if kind == "step"}
        for worker in self.busy - asked:
            self.refs[self.actors[worker].latest.remote()] = worker, "step"

    def _replace(self, worker: int, kind: str, error: Exception) -> list[Report]:
        """Start another worker for one that died; its task, if it had one, is lost."""
        if kind == "start":
            self.failures += 1
            if self.failures >= MOST_START_FAILURES:
                raise PhotostyleError(
                    f"workers can't be started on the Ray cluster: {_line(error)} (every node needs this version of "
                    "photostyle)"
                )
        self.refs = {ref: told for ref, told in self.refs.items() if told[0] != worker}
        self.busy.discard(worker)
        self.idle.discard(worker)
        with contextlib.suppress(Exception):
            self.ray.kill(self.actors[worker])
        self._start(worker)
        return [Report(worker, Lost(f"its worker died ({type(error).__name__})"))] if kind == "run" else []


def check_address(address: str | None) -> None:
    """Find out within seconds whether a Ray cluster answers; Ray itself would wait for minutes."""
    _import_ray()
    if address is None or address == "auto":
        return
    host, separator, port = address.rpartition(":")
    if not separator or not host or "/" in host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"--address is {address!r}, but must be HOST:PORT of the cluster's head, or auto")
    host = host.strip("[]")
    advice = "start it with `ray start --head`, check the address, or leave --address out for Ray on this machine"
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT).close()
    except OSError as error:
        raise PhotostyleError(f"no Ray cluster answers at {address} ({error.strerror or error}): {advice}") from None
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    try:
        done = subprocess.run(command, timeout=_PROBE, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        sound = done.returncode == 0
    except subprocess.TimeoutExpired:
        sound = False
    if not sound:
        raise PhotostyleError(f"what answers at {address} is no Ray cluster, or a sick one: {advice}")


def _import_ray() -> Any:
    try:
        import ray
        import ray.exceptions
    except ModuleNotFoundError as error:
        raise UsageError(f"{_INSTALL} ({error})") from None
    return ray


def _check_version(found: str) -> None:
    if found != Worker.version:
        raise PhotostyleError(
            f"a node of the Ray cluster has photostyle {found}, but this is {Worker.version}: install the same on all"
        )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]

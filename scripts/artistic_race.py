"""One timed run of the classic algorithm or of ours, for scripts/benchmark_artistic.py: each in its own process.

Both begin when the pictures are read and the network is loaded, and both build their objective within the time. The
pictures on the way are put aside outside the time, and judged after it by what neither side has in its loss: AlexNet's
distances from the style and from the content (photostyle/measure/alex.py), of the picture in 8 bits as it would be
written.
"""

from __future__ import annotations

import contextlib
import math
import os
import platform
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from classic_algorithm import HISTORY, OPTIONS, minimise, plain_problem
from numpy.typing import NDArray
from PIL import Image, ImageOps

from photostyle.errors import Interrupted, MemoryLimitError, SavablePicture, UsageError
from photostyle.images import Picture, resize, write_picture
from photostyle.images.tensors import to_array, to_tensor
from photostyle.objective.build import objective_at
from photostyle.objective.total import Evaluation
from photostyle.options.config import TransferConfig
from photostyle.options.parsing import parse_text
from photostyle.pipeline import run_prepared
from photostyle.preparation import Prepared, prepare
from photostyle.progress import Event, Snapshot, Step
from photostyle.solvers.schedule import STYLE, plan
from photostyle.solvers.start import start_picture
from photostyle.studies.measure import load_networks
from photostyle.studies.measure.alex import AlexScores
from photostyle.studies.measure.views import eight_bit

__all__ = ["Job", "Mark", "Run", "describe", "fits", "run_classic", "run_ours"]

_MOST_MARKS = 100  # about, of the full size
_COARSE_STEP = 10  # iterations between the marks of the levels before it, whose pictures are judged enlarged
_TELL_EVERY = 20.0  # seconds
_FEW = 4  # iterations that fill the memory, the history apart


@dataclass(frozen=True)
class Job:
    """What both sides get: files, the longest side, the device; and each its own options, as NAME=VALUE."""

    content: str
    style: str
    size: int
    device: str
    options: tuple[str, ...] = ()
    classic_options: tuple[str, ...] = ()


class Mark(NamedTuple):
    """A picture on the way: when it was there, how wide it was in pixels, and its scores; lower is better."""

    seconds: float
    width: int
    style_alex: float
    lpips: float


@dataclass(frozen=True)
class Run:
    """What came of a run.

    Attributes
    ----------
    curve : list of Mark
        The pictures on the way, and the last.
    cpu_seconds : float
        Of the process, all threads together: where they are few for the seconds, the machine had other work.
    iterations : int
        As many as it made.
    peak_bytes : int
        Memory of the process, or of the GPU.
    note : str
        How it ended, where it didn't end as it should.
    """

    curve: list[Mark]
    cpu_seconds: float
    iterations: int
    peak_bytes: int
    note: str = ""

    @property
    def end(self) -> Mark:
        """The last picture's."""
        return self.curve[-1]


class _Clock:
    """The seconds since it was made, without those of pauses; the GPU has finished what it was given."""

    def __init__(self, device: str) -> None:
        self.device, self.paused = device, 0.0
        self.began = self.told = self._read()
        self.cpu_began = time.process_time()

    def now(self) -> float:
        return self._read() - self.began - self.paused

    def cpu(self) -> float:
        return time.process_time() - self.cpu_began

    @contextlib.contextmanager
    def pause(self) -> Iterator[float]:
        """Give the time at which the pause begins."""
        began = self._read()
        yield began - self.began - self.paused
        self.paused += self._read() - began

    def tell(self, text: str) -> None:
        """Write how far a run is, now and then."""
        if time.perf_counter() - self.told > _TELL_EVERY:
            self.told = time.perf_counter()
            print(f"  {text}, {self.told - self.began - self.paused:.0f} s", file=sys.stderr, flush=True)

    def _read(self) -> float:
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()


class _Marks:
    """Pictures on the way, put aside in a folder until they are judged."""

    def __init__(self, folder: str) -> None:
        self.folder, self.times = Path(folder), list[float]()

    def add(self, seconds: float, picture: NDArray[np.float32]) -> None:
        np.save(self.folder / f"{len(self.times)}.npy", picture)
        self.times.append(seconds)

    def judged(self, content: Picture, style: Picture) -> list[Mark]:
        judge = AlexScores(load_networks().alexnet, eight_bit(content.rgb), [eight_bit(style.rgb)], [1.0])
        curve = []
        for number, seconds in enumerate(self.times):
            image = eight_bit(np.load(self.folder / f"{number}.npy"))
            curve.append(Mark(seconds, image.width, **judge(image)))
        return curve


def run_classic(job: Job, iterations: int, picture: str) -> Run:
    """Run the classic algorithm from white noise, and write its last picture."""
    prepared = _prepared(job, classic=True)
    problem, config, size = plain_problem(prepared), prepared.config, prepared.size
    pictures = (prepared.content, *prepared.styles)
    del prepared  # and with it the network that isn't used here
    step = math.ceil(iterations / _MOST_MARKS)
    _warm_up(problem.backbone.network, job.device)
    minimise(lambda x: Evaluation(0.0, x.detach(), {}), torch.zeros(1), 1, lambda *_: None)  # torch.optim loads
    note, done = "", 0
    with tempfile.TemporaryDirectory() as folder:
        marks, clock = _Marks(folder), _Clock(job.device)

        def visit(number: int, x: torch.Tensor) -> None:
            nonlocal done
            done = number
            clock.tell(f"classic: {number} of {iterations} iterations")
            if number % step == 0 or number == iterations:
                with clock.pause() as seconds:
                    marks.add(seconds, to_array(x))

        objective = objective_at(problem, replace(STYLE, size=size), config)
        content = to_tensor(resize(problem.content, size), problem.device)
        try:
            minimise(objective, start_picture("noise", content, content, seed=config.seed), iterations, visit)
        except FloatingPointError as error:
            note = str(error)
        cpu, peak = clock.cpu(), _peak_bytes(job.device)
        curve = marks.judged(*pictures)
        write_picture(picture, np.load(marks.folder / f"{len(curve) - 1}.npy"), overwrite=True)
    return Run(curve, cpu, done, peak, note)


def run_ours(job: Job, limit: float, picture: str) -> Run:
    """Run a transfer until it ends or a time is over, and write its picture."""
    prepared = _prepared(job, snapshot_every=1)
    step = math.ceil(plan(prepared.config, prepared.solve_size)[-1].iterations / _MOST_MARKS)
    _warm_up(prepared.problem.backbone.network, job.device)
    note, done = "", 0
    with tempfile.TemporaryDirectory() as folder:
        marks, clock, seen = _Marks(folder), _Clock(job.device), Counter[tuple[int, ...]]()

        def on_event(event: Event) -> None:
            nonlocal note, done
            if isinstance(event, Snapshot):
                with clock.pause() as seconds:
                    size = event.image.shape[1::-1]
                    if seen[size] % (step if size == prepared.solve_size else _COARSE_STEP) == 0:
                        marks.add(seconds, event.image)
                    seen[size] += 1
            elif isinstance(event, Step):
                done = event.iteration
                clock.tell(f"ours: {done} of {event.iterations} iterations, {event.size[0]}×{event.size[1]}")
                if clock.now() > limit:
                    note = f"stopped after {limit:.0f} s, the time of the classic algorithm"
                    raise KeyboardInterrupt

        try:
            result: SavablePicture = run_prepared(prepared, callback=on_event)
        except Interrupted as stop:
            if not note or stop.result is None:
                raise
            result = stop.result
        marks.add(clock.now(), result.rgb)
        cpu, peak = clock.cpu(), _peak_bytes(job.device)
        curve = marks.judged(prepared.content, *prepared.styles)
        write_picture(picture, result.rgb, overwrite=True)
    return Run(curve, cpu, done, peak, note)


def fits(job: Job, side: int, classic: bool) -> dict[str, Any]:
    """Try a square of a side: whether the memory of the device holds it, and what an iteration takes.

    Ours runs until its history is full. The classic algorithm makes a few steps beside as much memory as the rest of
    its history will need.
    """
    squares = [_square(path, side) for path in (job.content, job.style)]
    try:
        prepared = _prepared(job, squares, classic=classic, size=side)
        if classic:
            seconds, iterations = _few_classic_steps(prepared), _FEW
        else:
            iterations = prepared.config.history + 2
            single = replace(prepared.config, schedule="single", iterations=iterations)
            clock = _Clock(job.device)
            run_prepared(replace(prepared, config=single))
            seconds = clock.now()
    except (MemoryLimitError, torch.OutOfMemoryError, RuntimeError) as error:
        return {"side": side, "fits": False, "why": str(error).splitlines()[0][:200]}
    return {
        "side": side, "fits": True, "seconds_an_iteration": seconds / iterations, "peak_bytes": _peak_bytes(job.device)
    }  # fmt: skip


def _few_classic_steps(prepared: Prepared) -> float:
    problem = plain_problem(prepared)
    clock = _Clock(problem.device)
    objective = objective_at(problem, replace(STYLE, size=prepared.size), prepared.config)
    content = to_tensor(resize(problem.content, prepared.size), problem.device)
    rest = torch.empty((2 * (HISTORY - _FEW), *content.shape), device=problem.device)
    minimise(objective, content, _FEW, lambda _number, _x: None)
    del rest
    return clock.now()


def describe(job: Job) -> dict[str, Any]:
    """Return the machine, the versions and the options of a job."""
    ours, classic = _prepared(job), _prepared(job, classic=True)
    names = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    models = [line.partition(":")[2].strip() for line in names.splitlines() if line.startswith("model name")]
    device = ours.problem.device
    return {
        "cpu": models[0] if models else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if device == "cuda" else device,
        "torch": torch.__version__,
        "cuda": torch.version.cuda if device == "cuda" else None,
        "python": platform.python_version(),
        "config": asdict(ours.config),
        "classic_config": asdict(classic.config),
    }


def _prepared(job: Job, pictures: Any = None, /, *, classic: bool = False, **more: Any) -> Prepared:
    chosen = OPTIONS | _parsed("--classic-set", job.classic_options) if classic else _parsed("--set", job.options)
    content, style = pictures or (job.content, job.style)
    return prepare(content, style, **{"size": job.size, "device": job.device, **chosen, **more})


def _parsed(flag: str, settings: Sequence[str]) -> dict[str, Any]:
    options = {}
    for each in settings:
        name, found, value = each.partition("=")
        name = name.replace("-", "_")
        if not found or name not in TransferConfig.__dataclass_fields__:
            raise UsageError(f"{flag} is {each!r}, but must be NAME=VALUE with an option of transfer")
        options[name] = parse_text(name, value.replace(",", "+"))
    return options


def _warm_up(network: torch.nn.Module, device: str) -> None:
    """Let the device load what it computes with, on a small picture."""
    x = torch.rand(1, 3, 64, 64, device=device, requires_grad=True)
    torch.stack([features.sum() for features in network(x).values()]).sum().backward()  # type: ignore[no-untyped-call]


def _square(path: str, side: int) -> Image.Image:
    with Image.open(path) as picture:
        return ImageOps.fit(picture.convert("RGB"), (side, side), Image.Resampling.LANCZOS)


def _peak_bytes(device: str) -> int:
    if device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    status = Path("/proc/self/status")
    if status.exists():  # Linux: what getrusage tells begins with the peak of the process that started this one
        lines = status.read_text(encoding="utf-8").splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024

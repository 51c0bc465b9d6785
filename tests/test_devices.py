"""What a device other than the CPU asks of the code, checked on the CPU: the choice, no float64, few waits."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from helpers import LAYERS, built, picture, tiny_network
from torch.utils._python_dispatch import TorchDispatchMode

from photostyle.errors import UsageError
from photostyle.networks import Backbone
from photostyle.objective import wasserstein
from photostyle.objective.build import Problem
from photostyle.options.config import TransferConfig, resolve
from photostyle.preparation import _device
from photostyle.regions.labels import whole
from photostyle.regions.match import match_labels
from photostyle.solvers import estimate
from photostyle.solvers.lbfgs import LBFGS
from photostyle.solvers.schedule import Stage

SIZE = (48, 40)


class Watch(TorchDispatchMode):
    """Counts the numbers that are read from a device, and the operations in float64."""

    def __init__(self):
        super().__init__()
        self.reads, self.doubles = 0, []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func.name() in ("aten::_local_scalar_dense", "aten::is_nonzero", "aten::item"):
            self.reads += 1
        if isinstance(out, torch.Tensor) and out.dtype == torch.float64:
            self.doubles.append(func.name())
        return out


def objective_and_start(**options):
    masks = whole(SIZE)
    assignments, _ = match_labels(masks, [None])
    backbone = Backbone(
        tiny_network("relu1_1", "relu2_1"), "vgg16", LAYERS["content_layers"], LAYERS["style_layers"], "0" * 64, "tests"
    )
    problem = Problem(picture(*SIZE, seed=1), masks, [picture(44, 52, seed=2)], [None], assignments, backbone)
    config = resolve(TransferConfig(iterations=5, **LAYERS, **options))
    objective, content = built(problem, Stage("style", SIZE, 5), config)
    return objective, content


def watched(history, iterations):
    """Run iterations of L-BFGS; return how many numbers were read outside of the evaluations of the last one."""
    objective, x = objective_and_start(tv_weight=0.3, gamut_weight=10.0, grain_weight=0.0)
    optimizer, at = LBFGS(history=history), objective(x)
    for _ in range(iterations):
        x, at = optimizer.step(x, at, objective)
    trials = []

    def evaluate(point):
        trials.append(1)
        return objective(point)

    with Watch() as watch:
        optimizer.step(x, at, evaluate)
    return watch, len(trials), len(optimizer.steps)


def test_a_step_has_no_float64():
    watch, trials, _ = watched(history=10, iterations=3)
    assert trials >= 1
    assert watch.doubles == []  # Apple's GPUs have none


def test_a_step_waits_for_the_device_as_often_with_a_long_history_as_with_a_short_one():
    counts = {}
    for history in (1, 10):
        watch, trials, kept = watched(history, iterations=10)
        assert kept == history
        counts[history] = watch.reads - trials  # the slope of each trial
    assert counts[1] == counts[10] <= 5


def test_the_watch_sees_what_it_should():
    with Watch() as watch:
        float(torch.ones(2).sum())
        torch.ones(2).double()
    assert watch.reads == 1
    assert watch.doubles


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen"),
    [(True, True, "cuda"), (False, True, "mps"), (True, False, "cuda"), (False, False, "cpu")],
)
def test_the_best_device_is_chosen(monkeypatch, cuda, mps, chosen):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert _device("auto") == chosen
    assert _device("cpu") == "cpu"
    if not mps:
        with pytest.raises(UsageError, match="--device mps is not available here; available: "):
            _device("mps")


def test_memory_of_an_apple_gpu(monkeypatch):
    fake = SimpleNamespace(recommended_max_memory=lambda: 12e9, current_allocated_memory=lambda: 2e9)
    monkeypatch.setattr(torch, "mps", fake)
    assert estimate.available_memory("mps") == 1e10


def test_moments_are_exact_where_the_device_has_float64_and_on_the_cpu_where_it_has_not():
    places = []

    def fake(device):
        return SimpleNamespace(device=torch.device(device), to=lambda place, dtype: places.append((str(place), dtype)))

    for device in ("cpu", "cuda", "mps"):
        wasserstein._exact(fake(device))
    assert places == [("cpu", torch.float64), ("cuda", torch.float64), ("cpu", torch.float64)]

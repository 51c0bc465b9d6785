"""A run through the stages: what it tells, how it ends, and how it is resumed."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from helpers import LAYERS, TERMS, Log, built, picture, tiny_network

from photostyle import pipeline
from photostyle.errors import DivergedError, MemoryLimitError, OutputError, UsageError
from photostyle.images import resize
from photostyle.networks import Backbone
from photostyle.objective.build import Problem, objective_at
from photostyle.objective.total import Evaluation, Objective
from photostyle.options.config import TransferConfig, resolve
from photostyle.pipeline import solve_problem
from photostyle.progress import Step
from photostyle.regions.labels import whole
from photostyle.regions.match import match_labels
from photostyle.solvers import run as run_module
from photostyle.solvers.optimise import LevelState, optimise
from photostyle.solvers.run import Checkpoint
from photostyle.solvers.schedule import Stage, plan

LARGE, SMALL = (64, 48), (40, 32)
ARTISTIC = [Stage("style", SMALL, 4), Stage("style", LARGE, 5)]
LUAN = {"mode": "photo", "solver": "pixels", "start": "content"}
PHOTO = [Stage("style", LARGE, 3), Stage("photorealism", LARGE, 4, matting=True)]


@pytest.fixture(scope="module")
def problem():
    content, style = picture(*LARGE, seed=1), picture(52, 44, seed=2)
    masks = whole(LARGE)
    assignments, _ = match_labels(masks, [None])
    backbone = Backbone(
        tiny_network("relu1_1", "relu2_1"), "vgg16", LAYERS["content_layers"], LAYERS["style_layers"], "0" * 64, "tests"
    )
    return Problem(content, masks, [style], [None], assignments, backbone)


def config_for(stages, **options):
    return resolve(TransferConfig(iterations=sum(stage.iterations for stage in stages), **LAYERS, **options))


def run(problem, stages=ARTISTIC, log=None, checkpoint=None, **options):
    log = log or Log()
    return solve_problem(problem, stages, config_for(stages, **options), log, checkpoint), log


def test_every_iteration_is_told_with_its_losses(problem):
    solution, log = run(problem, start="mix")
    assert [step.iteration for step in log.steps] == list(range(1, 10))
    assert {step.iterations for step in log.steps} == {9}
    assert [step.size for step in log.steps] == [SMALL] * 4 + [LARGE] * 5
    for step in log.steps:
        assert set(step.losses) <= TERMS | {"total"}
        assert step.losses["total"] == pytest.approx(
            sum(value for name, value in step.losses.items() if name != "total"), rel=1e-5
        )
        assert math.isfinite(step.losses["total"])
        assert step.stage == "style"
    elapsed = [step.elapsed for step in log.steps]
    assert elapsed == sorted(elapsed)
    assert elapsed[0] > 0
    assert min(step.remaining for step in log.steps[:-1]) > 0
    assert log.steps[-1].remaining == pytest.approx(0, abs=1e-9)
    assert solution.stopped is None
    assert solution.elapsed >= elapsed[-1]
    assert solution.image.shape == (48, 64, 3)
    assert solution.image.dtype == np.float32
    assert 0 <= solution.image.min() <= solution.image.max() <= 1


def test_the_history_is_what_the_steps_told(problem):
    solution, log = run(problem)
    assert [row["iteration"] for row in solution.history] == [step.iteration for step in log.steps]
    for row, step in zip(solution.history, log.steps, strict=True):
        assert row == {"iteration": step.iteration, "stage": step.stage, "size": list(step.size), **step.losses}
    json.dumps(solution.history)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_the_loss_falls(problem, optimizer):
    solution, _ = run(problem, [Stage("style", LARGE, 12)], optimizer=optimizer, start="noise")
    totals = [row["total"] for row in solution.history]
    assert totals[-1] < 0.5 * totals[0]
    if optimizer == "lbfgs":
        assert totals == sorted(totals, reverse=True)


def test_the_result_is_the_picture_with_the_lowest_loss(problem):
    """Adam at a high rate goes up and down; its best is kept."""
    solution, log = run(problem, [Stage("style", LARGE, 8)], optimizer="adam", learning_rate=0.3, snapshot_every=1)
    totals = [row["total"] for row in solution.history]
    best = int(np.argmin(totals))
    assert best < len(totals) - 1 or totals != sorted(totals, reverse=True)
    start_total = _start_total(problem)
    expected = log.snapshots[best].image if totals[best] < start_total else picture(*LARGE, seed=1)
    assert np.array_equal(solution.image, expected)


def _start_total(problem):
    stage = Stage("style", LARGE, 1)
    objective, image = built(problem, stage, config_for([stage]))
    return objective(image).total


def test_photorealism_has_the_matting_term_and_style_has_not(problem):
    solution, log = run(problem, PHOTO, **LUAN)
    assert [step.stage for step in log.steps] == ["style"] * 3 + ["photorealism"] * 4
    assert ["matting" in row for row in solution.history] == [False] * 3 + [True] * 4


@pytest.mark.parametrize("start", ["content", "style", "noise", "mix"])
def test_starts(problem, start):
    """The first evaluation happens at the picture that was asked for."""
    seen = []

    class Spy(Objective):
        def __call__(self, x):
            seen.append(x.clone())
            raise KeyboardInterrupt

    def spying(*arguments):
        objective = objective_at(*arguments)
        return Spy(objective.network, objective.terms)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "objective_at", spying)
        for seed in (1, 1, 2):
            assert run(problem, start=start, seed=seed)[0].image is None
    first, again, other = (x[0].permute(1, 2, 0).numpy() for x in seen)
    assert np.array_equal(first, again)
    assert np.array_equal(first, other) == (start in ("content", "style"))
    if start == "content":
        assert np.array_equal(first, resize(problem.content, SMALL))
    if start == "style":
        assert np.array_equal(first, resize(problem.styles[0], SMALL))


def test_the_next_level_goes_on_from_the_one_before(problem):
    _, log = run(problem, start="noise", snapshots=(4, 5))
    coarse, fine = (snapshot.image for snapshot in log.snapshots)
    assert coarse.shape == (32, 40, 3)
    assert fine.shape == (48, 64, 3)
    assert np.abs(resize(coarse, LARGE) - fine).mean() < 0.05


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"snapshots": (2, 5)}, [2, 5]),
        ({"snapshot_every": 3}, [3, 6, 9]),
        ({"snapshot_every": 4, "snapshots": (1, 4)}, [1, 4, 8]),
        ({}, []),
    ],
)
def test_snapshots(problem, options, expected):
    solution, log = run(problem, **options)
    assert [snapshot.iteration for snapshot in log.snapshots] == expected
    for snapshot in log.snapshots:
        size = SMALL if snapshot.iteration <= 4 else LARGE
        assert snapshot.image.shape == (size[1], size[0], 3)
        assert snapshot.image.dtype == np.float32
        assert 0 <= snapshot.image.min() <= snapshot.image.max() <= 1
    assert np.array_equal(solution.image, run(problem)[0].image), "looking changes nothing"


def test_a_snapshot_comes_before_the_step_of_its_iteration(problem):
    _, log = run(problem, snapshots=(3,))
    position = log.events.index(log.snapshots[0])
    assert isinstance(log.events[position + 1], Step)
    assert log.events[position + 1].iteration == 3


def test_the_same_seed_gives_the_same_bytes(problem):
    one, other, third = (run(problem, start="noise", seed=seed)[0] for seed in (5, 5, 6))
    assert one.image.tobytes() == other.image.tobytes()
    assert one.history == other.history
    assert one.image.tobytes() != third.image.tobytes()


CASES = [
    pytest.param(ARTISTIC, {"start": "mix"}, id="artistic"),
    pytest.param(PHOTO, LUAN, id="photo"),
    pytest.param(ARTISTIC, {"optimizer": "adam", "start": "noise"}, id="adam"),
    pytest.param(PHOTO, {**LUAN, "optimizer": "adam"}, id="photo-adam"),
]


@pytest.mark.parametrize(("stages", "options"), CASES)
def test_interrupted_and_resumed_ends_as_if_nothing_had_happened(problem, tmp_path, stages, options):
    whole_run, _ = run(problem, stages, **options)
    for after in (1, stages[0].iterations, stages[0].iterations + 1, len(whole_run.history) - 1):
        path = tmp_path / f"{after}.checkpoint"
        stopped, log = run(problem, stages, Log(stop_after=after), Checkpoint(path, "f"), **options)
        assert isinstance(stopped.stopped, KeyboardInterrupt)
        assert len(stopped.history) == after
        assert stopped.image.shape == (48, 64, 3)
        assert path.is_file()
        resumed, log = run(problem, stages, None, Checkpoint(path, "f", resume=True), **options)
        assert f"resumed after iteration {after}" in log.messages
        assert [step.iteration for step in log.steps] == list(range(after + 1, len(whole_run.history) + 1))
        assert resumed.history == whole_run.history
        assert resumed.image.tobytes() == whole_run.image.tobytes()
        assert resumed.notes == whole_run.notes
        assert resumed.stopped is None
        assert resumed.elapsed > stopped.elapsed


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
@pytest.mark.parametrize("calls", [3, 7, 11])
def test_a_real_ctrl_c_in_the_middle_of_an_iteration_resumes_exactly_too(
    problem, tmp_path, monkeypatch, optimizer, calls
):
    """Python's own KeyboardInterrupt comes at any time, not between two steps."""
    options = {"optimizer": optimizer, "start": "mix"}
    whole_run, _ = run(problem, **options)
    path = tmp_path / "a.checkpoint"
    original, left = Objective.__call__, [calls]

    def interrupted(self: Objective, x: torch.Tensor) -> Evaluation:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return original(self, x)

    with monkeypatch.context() as patch:
        patch.setattr(Objective, "__call__", interrupted)
        stopped, _ = run(problem, checkpoint=Checkpoint(path, "f"), **options)
    assert isinstance(stopped.stopped, KeyboardInterrupt)
    assert 0 < len(stopped.history) < len(whole_run.history)
    resumed, _ = run(problem, checkpoint=Checkpoint(path, "f", resume=True), **options)
    assert resumed.history == whole_run.history
    assert resumed.image.tobytes() == whole_run.image.tobytes()


def test_interrupted_twice(problem, tmp_path):
    whole_run, _ = run(problem)
    path = tmp_path / "a"
    run(problem, ARTISTIC, Log(stop_after=2), Checkpoint(path, "f"))
    run(problem, ARTISTIC, Log(stop_after=7), Checkpoint(path, "f", resume=True))
    resumed, _ = run(problem, ARTISTIC, None, Checkpoint(path, "f", resume=True))
    assert resumed.history == whole_run.history
    assert resumed.image.tobytes() == whole_run.image.tobytes()


def test_resumed_at_its_very_end(problem, tmp_path):
    whole_run, _ = run(problem, checkpoint=Checkpoint(tmp_path / "a", "f"), checkpoint_every=9)
    resumed, log = run(problem, checkpoint=Checkpoint(tmp_path / "a", "f", resume=True), checkpoint_every=9)
    assert log.steps == []
    assert resumed.image.tobytes() == whole_run.image.tobytes()
    assert resumed.history == whole_run.history


def test_the_best_so_far_is_what_an_interrupted_run_gives(problem):
    stopped, _ = run(problem, [Stage("style", LARGE, 8)], Log(stop_after=3))
    assert np.array_equal(stopped.image, run(problem, [Stage("style", LARGE, 3)])[0].image)


def test_interrupted_before_the_first_iteration_there_is_no_picture(problem, monkeypatch, tmp_path):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "objective_at", stop)
    solution, _ = run(problem, checkpoint=Checkpoint(tmp_path / "a", "f"))
    assert solution.image is None
    assert isinstance(solution.stopped, KeyboardInterrupt)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("every", "expected"), [(2, [2, 4, 6, 8]), (0, []), (5, [5])])
def test_checkpoints_on_the_way(problem, tmp_path, monkeypatch, every, expected):
    log, seen = Log(), []
    save = run_module.save_checkpoint

    def noted(path, fingerprint, state):
        seen.append(len(state["history"]))
        save(path, fingerprint, state)

    monkeypatch.setattr(run_module, "save_checkpoint", noted)
    run(problem, ARTISTIC, log, Checkpoint(tmp_path / "a", "f"), checkpoint_every=every)
    assert seen == expected


def test_a_checkpoint_that_cannot_be_written_is_a_warning_not_an_end(problem, tmp_path):
    solution, log = run(problem, checkpoint=Checkpoint(tmp_path / "gone" / "a", "f"), checkpoint_every=4)
    assert solution.stopped is None
    warnings = [event for event in log.events if getattr(event, "kind", "") == "warning"]
    assert len(warnings) == 2
    assert all("no checkpoint was written" in event.text for event in warnings)


def test_resume_needs_a_checkpoint_of_the_same_run(problem, tmp_path):
    path = tmp_path / "a"
    with pytest.raises(UsageError, match="nothing to resume"):
        run(problem, checkpoint=Checkpoint(path, "f", resume=True))
    path.write_bytes(b"no checkpoint")
    with pytest.raises(OutputError, match="damaged"):
        run(problem, checkpoint=Checkpoint(path, "f", resume=True))
    run(problem, ARTISTIC, Log(stop_after=2), Checkpoint(path, "f"))
    with pytest.raises(UsageError, match="other pictures, masks, weights or options"):
        run(problem, checkpoint=Checkpoint(path, "g", resume=True))


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_a_loss_that_becomes_nan(problem, monkeypatch, optimizer):
    original, calls = Objective.__call__, [0]

    def failing(self, x):
        calls[0] += 1
        at = original(self, x)
        bad = calls[0] > 6
        return Evaluation(math.nan, at.gradient * math.nan, {**at.losses, "total": math.nan}) if bad else at

    monkeypatch.setattr(Objective, "__call__", failing)
    solution, _ = run(problem, [Stage("style", LARGE, 20)], optimizer=optimizer)
    assert isinstance(solution.stopped, DivergedError)
    assert "--learning-rate" in str(solution.stopped)
    assert "isn't finite" in str(solution.stopped)
    assert 0 < len(solution.history) < 20
    assert np.isfinite(solution.image).all()
    assert all(math.isfinite(row["total"]) for row in solution.history)


def test_a_gradient_that_becomes_nan_counts_too(problem, monkeypatch):
    original = Objective.__call__

    def failing(self, x):
        at = original(self, x)
        at.gradient[0, 0, 0, 0] = math.nan
        return at

    monkeypatch.setattr(Objective, "__call__", failing)
    solution, _ = run(problem)
    assert isinstance(solution.stopped, DivergedError)
    assert solution.image is None, "nothing was reached"


def test_a_single_trial_that_is_not_finite_does_not_end_a_run(problem, monkeypatch):
    original, calls = Objective.__call__, [0]

    def failing(self, x):
        calls[0] += 1
        at = original(self, x)
        return Evaluation(math.nan, at.gradient * math.nan, at.losses) if calls[0] == 5 else at

    monkeypatch.setattr(Objective, "__call__", failing)
    solution, _ = run(problem, [Stage("style", LARGE, 8)])
    assert solution.stopped is None
    assert len(solution.history) == 8


@pytest.mark.parametrize("power", [0.5, 1.0, 1.5])
def test_where_a_level_will_settle_is_foreseen(power):
    """Losses that fall as a power of the iterations to a limit: half-way it is known within a half."""
    totals = [1 + 20 * (1 + n) ** -power for n in range(400)]

    def at(iteration):
        x = torch.zeros(1)
        return LevelState(x, x, iteration=iteration, recent=totals[max(0, iteration - 10) : iteration + 1])

    end = next(n for n in range(400) if at(n).settled(0.03))
    assert at(end // 2).expected_end(400, 0.03) == pytest.approx(end, rel=0.5)
    assert at(end).expected_end(400, 0.03) == end
    assert at(5).expected_end(400, 0.03) == 200
    assert at(5).expected_end(400, 0.0) == 400


def test_adam_with_a_huge_learning_rate_runs_away(problem):
    stage = Stage("style", LARGE, 30)
    solution, _ = run(problem, [stage], optimizer="adam", learning_rate=1000.0, start="mix")
    assert isinstance(solution.stopped, DivergedError)
    assert "--learning-rate (it is 1000)" in str(solution.stopped)
    assert solution.image is None or np.isfinite(solution.image).all()


def test_a_run_that_diverges_late_keeps_the_last_good_picture(problem, monkeypatch):
    original, calls = Objective.__call__, [0]

    def growing(self, x):
        at = original(self, x)
        calls[0] += 1
        factor = 1e9 if calls[0] > 4 else 1.0
        return Evaluation(at.total * factor, at.gradient, at.losses)

    monkeypatch.setattr(Objective, "__call__", growing)
    solution, log = run(problem, [Stage("style", LARGE, 9)], optimizer="adam", snapshot_every=1)
    assert "ran away" in str(solution.stopped)
    assert len(solution.history) == 3
    totals = [row["total"] for row in solution.history]
    assert np.array_equal(solution.image, log.snapshots[int(np.argmin(totals))].image)


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes")]
)
def test_too_little_memory(problem, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(Objective, "__call__", fail)
    with pytest.raises(MemoryLimitError, match=r"memory of cpu .* 40×32: pass a smaller --size"):
        run(problem)


def test_other_runtime_errors_are_not_hidden(problem, monkeypatch):
    def fail(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(Objective, "__call__", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        run(problem)


NO_STYLE = {"style_weight": 0.0, "content_weight": 1.0, "tv_weight": 0.0}


def test_a_level_that_converges_is_noted_and_left(problem):
    """Without a style the content itself is the minimum: the loss is zero from the start."""
    solution, log = run(problem, **NO_STYLE)
    assert solution.stopped is None
    (note,) = [note for note in solution.notes if "no lower loss can be found" in note]
    assert note in log.messages
    assert note == "no lower loss can be found at 40×32 after 0 of 4 iterations"
    assert {step.size for step in log.steps} == {LARGE}
    assert solution.image.shape == (48, 64, 3)


def test_a_run_whose_start_is_the_minimum_gives_the_start(problem):
    solution, _ = run(problem, [Stage("style", LARGE, 4)], **NO_STYLE)
    assert solution.stopped is None
    assert solution.image is not None, "no iteration was needed; that is no reason to give nothing"
    assert np.array_equal(solution.image, problem.content)


def test_interrupted_while_the_next_level_is_built(problem, tmp_path, monkeypatch):
    whole_run, _ = run(problem)
    calls = []

    def stop_at_the_second(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return objective_at(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "objective_at", stop_at_the_second)
        stopped, _ = run(problem, checkpoint=Checkpoint(tmp_path / "a", "f"))
    assert len(stopped.history) == 4
    assert stopped.image.shape == (48, 64, 3)
    resumed, _ = run(problem, checkpoint=Checkpoint(tmp_path / "a", "f", resume=True))
    assert resumed.history == whole_run.history
    assert resumed.image.tobytes() == whole_run.image.tobytes()


def test_optimise_stops_where_it_is_told_and_goes_on(problem):
    stage = Stage("style", LARGE, 6)
    config = config_for([stage])
    objective, image = built(problem, stage, config)
    straight = optimise(objective, LevelState(image, image.clone()), 6, config, lambda *_: None)
    halves = LevelState(image, image.clone())
    optimise(objective, halves, 3, config, lambda *_: None)
    assert halves.iteration == 3
    optimise(objective, halves, 6, config, lambda *_: None)
    assert torch.equal(straight.x, halves.x)
    assert straight.best_total == halves.best_total <= straight.first_total


def test_a_run_of_fewer_iterations_than_a_checkpoint_takes(problem, tmp_path):
    """plan() and solve_problem() together; nothing is written that nobody needs."""
    config = resolve(TransferConfig(iterations=2, **LAYERS))
    solution = solve_problem(problem, plan(config, LARGE), config, Log(), Checkpoint(tmp_path / "a", "f"))
    assert len(solution.history) == 2
    assert list(tmp_path.iterdir()) == []

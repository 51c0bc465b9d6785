"""What is said about memory and time before a run, and what is tiled for it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import picture

from photostyle.errors import MemoryLimitError, UsageError
from photostyle.images import resize
from photostyle.images.tensors import to_tensor
from photostyle.networks import Backbone
from photostyle.networks.vgg import VGG
from photostyle.objective.build import Problem
from photostyle.options.config import TransferConfig, resolve
from photostyle.pipeline import solve_problem
from photostyle.regions.labels import whole
from photostyle.regions.match import match_labels
from photostyle.solvers import estimate, run
from photostyle.solvers.estimate import announcement, available_memory, tiled_choices
from photostyle.solvers.optimise import LevelState
from photostyle.solvers.schedule import Stage, plan
from photostyle.solvers.start import Source

CONTENT, STYLE = ("relu3_1",), ("relu1_1", "relu2_1", "relu3_1")
SMALL, LARGE = (72, 56), (144, 112)


@pytest.fixture
def problem(narrow_weights):
    vgg = VGG(narrow_weights(count=5), (*CONTENT, *STYLE), padding="replicate")
    backbone = Backbone(vgg, "vgg16", CONTENT, STYLE, "0" * 64, "tests")
    masks = whole(LARGE)
    return Problem(picture(*LARGE), masks, [picture(96, 80, 1)], [None], match_labels(masks, [None])[0], backbone)


def config(**options):
    return resolve(TransferConfig(content_layers=CONTENT, style_layers=STYLE, **options))


def poster(width=3840, height=2160, iterations=5):
    return Stage("style", (width, height), iterations)


def choices(problem, stage, monkeypatch, memory, **options):
    monkeypatch.setattr(estimate, "available_memory", lambda _device: memory)
    return tiled_choices(problem.backbone, stage, config(**options), "cuda")


def deep(problem):
    """The same, as if its content layer lay behind the third block."""
    network = problem.backbone.network
    network.names = (*network.names, "conv4_1", "relu4_1", "conv4_2", "relu4_2", "conv5_1", "relu5_1")
    return Backbone(network, "vgg16", ("relu4_2",), STYLE, "0" * 64, "tests")


def test_as_little_is_tiled_as_the_memory_allows(problem, monkeypatch):
    backbone = deep(problem)
    found = []
    for memory in (80e9, 12e9, 8e9):
        monkeypatch.setattr(estimate, "available_memory", lambda _device, memory=memory: memory)
        found.append(tiled_choices(backbone, poster(), config(), "cuda"))
    assert found == [[0, 2, 3], [2, 3], [3]]


def test_a_cpu_tiles_though_its_memory_would_do(problem, monkeypatch):
    backbone = deep(problem)
    monkeypatch.setattr(estimate, "available_memory", lambda _device: 1e12)
    assert tiled_choices(backbone, poster(), config(), "cpu")[0] == 3
    assert tiled_choices(backbone, poster(640, 480), config(), "cpu")[0] == 0


def test_the_content_layer_is_never_within_the_tiles(problem, monkeypatch):
    assert choices(problem, poster(), monkeypatch, 1e9) == [2]


def test_a_second_network_for_edges_takes_memory_of_its_own():
    plain, edges, own = (
        estimate._memory(poster(), 0, config(**options))
        for options in ({}, {"edge_weight": 1.0}, {"edge_weight": 1.0, "backbone": "hed"})
    )
    assert own == plain
    assert 1.5 * plain < edges < 2 * plain


def test_the_user_decides(problem, monkeypatch):
    assert choices(problem, poster(), monkeypatch, 1e9, evaluation="whole") == [0]
    assert choices(problem, poster(100, 80), monkeypatch, 1e12, evaluation="tiles") == [2]
    with pytest.raises(UsageError, match="--evaluation tiles is for the pixels"):
        choices(problem, poster(), monkeypatch, 1e12, evaluation="tiles", padding="circular")


def test_what_does_not_fit_is_refused_with_the_largest_size_that_does(problem, monkeypatch):
    monkeypatch.setattr(estimate, "available_memory", lambda _device: 3e9)
    chosen = config()
    with pytest.raises(
        MemoryLimitError, match=r"3840×2160 needs about .* GB can be used on cpu: pass --size (\d+)"
    ) as e:
        announcement(problem, [poster()], chosen, (3840, 2160))
    largest = int(str(e.value).split("--size ")[1].split()[0])
    assert 500 < largest < 3840
    fitting = plan(chosen, (largest, largest * 9 // 16))
    announcement(problem, fitting, chosen, (largest, largest * 9 // 16))


def test_large_runs_are_announced_and_small_ones_are_not(problem, monkeypatch):
    monkeypatch.setattr(estimate, "available_memory", lambda _device: 1e11)
    assert announcement(problem, [poster(640, 480)], config(), (640, 480)) == []
    (line,) = announcement(problem, [poster(3840, 2160)], config(), (3840, 2160))
    assert line.startswith("3840×2160 will take at most ")
    assert "tile by tile in the first 2 blocks" in line


def test_memory_is_read_where_the_system_tells_it(tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 16 kB\nMemAvailable:    2048 kB\n")
    assert estimate._from_proc(meminfo) == [2048 * 1024]
    assert estimate._from_proc(tmp_path / "none") == []
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("400\n")
    assert estimate._from_cgroup(tmp_path) == [600]
    (tmp_path / "memory.max").write_text("max\n")
    assert estimate._from_cgroup(tmp_path) == []
    assert available_memory("cpu") > 1e6


def test_what_is_kept_is_returned_on_request():
    """With glibc; other libraries have no such switch, and nothing is told."""
    code = """
import torch
from photostyle.solvers.memory import keep_freed_memory, return_freed_memory
def pages():
    try:
        return int(open("/proc/self/statm").read().split()[1])
    except OSError:
        return 0
keeps, before, blocks = keep_freed_memory(), pages(), [torch.ones(10**7) for _ in range(4)]
full, last = pages(), torch.ones(1000)
del blocks
kept, told = pages(), return_freed_memory()
after = pages()
print(keeps == told, not keeps or kept - before > 0.9 * (full - before) > 30000 > 3 * (after - before))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]


def test_a_run_by_tiles_gives_the_picture_of_a_run_as_a_whole(problem, monkeypatch):
    monkeypatch.setattr("photostyle.objective.encoding._SIDE", 40)
    stages = [Stage("style", SMALL, 3), Stage("style", LARGE, 2)]
    pictures = [
        solve_problem(problem, stages, config(evaluation=evaluation, iterations=5), lambda _event: None).image
        for evaluation in ("whole", "tiles")
    ]
    np.testing.assert_allclose(*pictures, atol=2e-3)


def test_too_little_memory_as_a_whole_goes_on_by_tiles_and_says_so(problem, monkeypatch):
    """As a GPU answers; the iterations that were done are kept."""
    optimise, told = run.optimise, []

    def small_gpu(objective, level, iterations, *args, **options):
        if level.x.shape[-1] == LARGE[0] and not told:
            told.append(True)
            optimise(objective, level, 2, *args, **options)
            raise torch.OutOfMemoryError("CUDA out of memory")
        return optimise(objective, level, iterations, *args, **options)

    monkeypatch.setattr(run, "optimise", small_gpu)
    solution = solve_problem(problem, [Stage("style", LARGE, 4)], config(iterations=4), lambda _event: None)
    assert [row["iteration"] for row in solution.history] == [1, 2, 3, 4]
    assert solution.notes == ["the memory of cpu doesn't suffice for 144×112 as a whole: going on tile by tile"]


def test_too_little_memory_for_tiles_too_ends_the_run(problem, monkeypatch):
    def no_memory(*_args, **_options):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(run, "optimise", no_memory)
    with pytest.raises(MemoryLimitError, match=r"doesn't suffice for 144×112: pass a smaller --size"):
        solve_problem(problem, [Stage("style", LARGE, 4)], config(iterations=4), lambda _event: None)


def test_a_level_has_settled_after_ten_iterations_of_little_gain():
    x = torch.zeros(1, 3, 2, 2)
    level = LevelState(x, x, recent=[1.02 - 0.001 * i for i in range(10)])
    assert not level.settled(0.03), "ten losses are nine iterations"
    level.recent.append(1.01)
    assert level.settled(0.03)
    assert not level.settled(0.005)
    assert not level.settled(0.0)


def test_levels_that_settle_end_early_and_count_what_was_done(problem):
    log = []
    chosen = config()
    assert chosen.settle == 0.03
    solution = solve_problem(problem, plan(chosen, LARGE), chosen, log.append)
    done = len(solution.history)
    assert 22 <= done < 300
    assert [row["iteration"] for row in solution.history] == list(range(1, done + 1))
    totals = [row["total"] for row in solution.history]
    assert totals[-11] - totals[-1] < 0.03 * totals[-1]


def test_fixed_iterations_are_all_done(problem):
    chosen = config(iterations=30)
    assert chosen.settle == 0
    assert len(solve_problem(problem, plan(chosen, LARGE), chosen, lambda _event: None).history) == 30


def test_a_large_level_gets_few_iterations_unless_they_are_fixed():
    assert plan(config(), (3840, 2160))[-1].iterations == 6
    assert plan(config(), (512, 384))[-1].iterations == 50
    assert sum(stage.iterations for stage in plan(config(iterations=300), (3840, 2160))) == 300


def test_a_level_begins_with_the_detail_of_the_content(problem):
    """Enlarged from a level that had changed nothing, the start is the content again; not for a few iterations."""
    before, stage = Stage("style", SMALL, 1), Stage("style", LARGE, 30)
    source = Source(problem.content, problem.styles[0], config(iterations=2), "cpu", None)
    last = (before, to_tensor(resize(problem.content, SMALL)))
    content = to_tensor(problem.content)
    np.testing.assert_allclose(source.at(stage, last), content, atol=1e-6)
    plain = replace(source, config=config(iterations=2, content_weight=0.0))
    assert (plain.at(stage, last) - content).abs().max() > 0.01
    assert (source.at(Stage("style", LARGE, 29), last) - content).abs().max() > 0.01

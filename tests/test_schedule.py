"""The schedule of sizes and iterations."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photostyle.options.config import TransferConfig, resolve
from photostyle.solvers.schedule import COARSEST, Stage, plan

SIDES = st.integers(32, 3000)


def planned(size, **options):
    return plan(resolve(TransferConfig(**options)), size)


@given(
    st.tuples(SIDES, SIDES),
    st.integers(1, 400),
    st.sampled_from([{"mode": "artistic"}, {"mode": "photo", "solver": "pixels", "start": "content"}]),
    st.sampled_from(["coarse-to-fine", "single"]),
    st.sampled_from([0.0, 10.0]),
)
@settings(max_examples=300, deadline=None)
def test_rules_of_every_schedule_of_pixels(size, iterations, mode, schedule, matting):
    stages = planned(size, iterations=iterations, schedule=schedule, matting_weight=matting, **mode)
    assert sum(stage.iterations for stage in stages) == iterations
    assert min(stage.iterations for stage in stages) >= 1
    assert stages[-1].size == size
    names = [stage.name for stage in stages]
    assert names == sorted(names, key=["style", "photorealism"].index), "photorealism last"
    if matting:
        assert stages[-1].matting
    else:
        assert not any(stage.matting for stage in stages)
    for name in set(names):
        sizes = [stage.size for stage in stages if stage.name == name]
        assert sizes[-1] == size
        for small, large in pairwise(sizes):
            assert small == (-(-large[0] // 2), -(-large[1] // 2))
    if schedule == "single":
        assert {stage.size for stage in stages} == {size}
    assert all(min(stage.size) >= 32 for stage in stages)


@given(st.tuples(SIDES, SIDES))
@settings(max_examples=100, deadline=None)
def test_the_coarsest_level_is_as_small_as_makes_sense(size):
    coarsest = planned(size, iterations=300)[0].size
    assert max(coarsest) < 2 * COARSEST or min(coarsest) < 64
    assert coarsest == size or max(coarsest) >= COARSEST


def test_sizes_double():
    stages = planned((512, 384), iterations=300)
    assert [stage.size for stage in stages] == [(128, 96), (256, 192), (512, 384)]


LUAN = {"mode": "photo", "solver": "pixels", "start": "content"}


def test_photo_mode_from_the_content_has_both_stages():
    stages = planned((512, 384), **LUAN, iterations=100)
    assert [stage.size for stage in stages if not stage.matting] == [(128, 96), (256, 192), (512, 384)]
    assert [stage.size for stage in stages if stage.matting] == [(256, 192), (512, 384)]


def test_photo_mode_of_a_small_picture_has_both_stages_at_one_size():
    stages = planned((64, 48), **LUAN, iterations=10)
    assert [(stage.name, stage.size) for stage in stages] == [("style", (64, 48)), ("photorealism", (64, 48))]


def test_photo_mode_of_one_iteration_gives_it_to_the_matting_laplacian():
    assert planned((512, 384), **LUAN, iterations=1) == [Stage("photorealism", (512, 384), 1, matting=True)]


def test_artistic_mode_with_a_matting_weight():
    assert all(stage.matting for stage in planned((512, 384), matting_weight=1.0, iterations=30))


@given(st.tuples(SIDES, SIDES), st.integers(1, 400), st.sampled_from(["coarse-to-fine", "single"]))
@settings(max_examples=200, deadline=None)
def test_rules_of_every_schedule_of_a_field(size, iterations, schedule):
    stages = planned(size, iterations=iterations, schedule=schedule, mode="photo")
    assert sum(stage.iterations for stage in stages) == iterations
    assert min(stage.iterations for stage in stages) >= 1
    assert stages[-1].size == size
    assert {stage.name for stage in stages} == {"affine field"}
    assert all(stage.matting for stage in stages)
    assert len({stage.grid for stage in stages}) == 1  # the coordinates go on from level to level
    assert all(min(stage.size) >= 32 for stage in stages)
    assert len(stages) <= (1 if schedule == "single" else 2)
    for coarse, fine in pairwise(stages):
        assert coarse.size[0] < fine.size[0]


def test_pixels_of_photo_mode_start_from_a_field():
    stages = planned((512, 384), mode="photo", solver="pixels", iterations=100)
    assert [stage.size for stage in stages if stage.grid] == [(128, 96), (256, 192)]
    assert [stage.size for stage in stages if not stage.grid] == [(256, 192), (512, 384)]
    assert sum(stage.iterations for stage in stages) == 100
    assert planned((512, 384), mode="photo", solver="pixels", iterations=1)[0].grid
    without = planned((512, 384), mode="photo", solver="pixels", matting_weight=0.0, iterations=50)
    assert [stage.name for stage in without] == ["affine field", "affine field", "style", "style"]


def test_statistics_need_no_stage():
    assert planned((512, 384), mode="photo", solver="statistics") == []


@pytest.mark.parametrize(("options", "count"), [({}, 1), ({"mode": "photo"}, 1), (LUAN, 2)])
def test_single(options, count):
    stages = planned((512, 384), **options, schedule="single", iterations=20)
    assert {stage.size for stage in stages} == {(512, 384)}
    assert len(stages) == count


@pytest.mark.parametrize("iterations", [1, 2, 3])
def test_with_fewer_iterations_than_levels_the_finest_remain(iterations):
    stages = planned((1024, 768), iterations=iterations)
    assert [stage.size for stage in stages] == [(256, 192), (512, 384), (1024, 768)][-iterations:]
    assert [stage.iterations for stage in stages] == [1] * iterations

"""Optical flow against known shifts, what it carries, and the measure of flicker."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from helpers import picture
from video_helpers import panned

from photostyle.video.flicker import flicker
from photostyle.video.flow import composed, consistent, explained, optical_flow, warped
from photostyle.video.shots import plan_shots
from photostyle.video.tracking import carried_masks, present, tracked

INNER = np.s_[8:-8, 12:-12]


def constant_flow(right, down, height=48, width=64):
    return np.dstack([np.full((height, width), right, np.float32), np.full((height, width), down, np.float32)])


def test_the_flow_of_a_pan_is_its_shift():
    before, after = panned(2, step=3)
    flow = optical_flow(after, before)
    assert flow.shape == (48, 64, 2)
    assert np.abs(np.median(flow[INNER], axis=(0, 1)) - [3, 0]).max() < 0.1
    error = np.abs(warped(before.astype(np.float32), flow) - after)[INNER]
    assert np.median(error) < 2
    assert np.median(np.abs(before.astype(np.float32) - after)[INNER]) > 10


@pytest.mark.parametrize("shape", [(16, 20), (31, 64), (64, 17)])
def test_small_frames_have_a_flow_too(shape):
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert np.abs(optical_flow(frame, frame)).max() < 0.01


@pytest.mark.parametrize("sharp", [False, True])
def test_warping_by_whole_pixels_shifts(sharp):
    image = picture()
    moved = warped(image, constant_flow(3, -2), sharp=sharp)
    np.testing.assert_allclose(moved[2:, :-3], image[:-2, 3:], atol=1e-6)
    np.testing.assert_allclose(moved[2:, -1], image[:-2, -1], atol=1e-6)  # beyond the border its pixels again


def test_shifts_add_up():
    both = composed(constant_flow(2, 1), constant_flow(-5, 3))
    np.testing.assert_allclose(both, constant_flow(-3, 4), atol=1e-6)


def test_composition_reads_the_second_flow_where_the_first_leads():
    second = np.zeros((48, 64, 2), np.float32)
    second[:, 32:, 0] = 4  # only the right half moves
    both = composed(constant_flow(10, 0), second)
    assert np.all(both[:, 23:50, 0] == 14)
    assert np.all(both[:, :21, 0] == 10)


def test_what_comes_from_beyond_the_border_is_not_known():
    sure = consistent(constant_flow(5, 0), constant_flow(-5, 0))
    assert np.all(sure[:, :59] == 1)
    assert np.all(sure[:, 59:] == 0)


def test_what_does_not_come_home_is_not_known():
    back = constant_flow(-5, 0)
    back[10:20, 30:40] = 0  # what is there now was hidden before
    sure = consistent(constant_flow(5, 0), back)
    assert np.all(sure[11:19, 26:34] == 0)
    assert np.all(sure[22:, :50] == 1)


def test_the_strip_that_an_object_uncovers_is_not_known():
    rng = np.random.default_rng(1)
    ground, thing = (
        rng.integers(0, 256, (n, m, 3)).repeat(4, 0).repeat(4, 1).astype(np.uint8) for n, m in ((24, 32), (12, 12))
    )
    before, after = ground.copy(), ground.copy()
    before[24:72, 50:98] = thing
    after[24:72, 45:93] = thing  # it has gone left by five pixels, and uncovers 93 to 98
    sure = consistent(optical_flow(after, before), optical_flow(before, after))
    assert sure[30:66, 94:97].mean() < 0.2
    assert sure[4:18].mean() > 0.9
    assert sure[32:64, 56:82].mean() > 0.7


def test_what_looks_otherwise_is_not_explained():
    frame = panned(1)[0]
    noisy = np.clip(frame + np.random.default_rng(0).normal(0, 8, frame.shape), 0, 255).astype(np.uint8)
    assert explained(frame, noisy).all()
    other = frame.copy()
    other[10:30, 20:40] = 255 - other[10:30, 20:40]
    assert explained(frame, other)[12:28, 22:38].mean() < 0.3
    assert explained(frame, other)[:7].all()


def test_masks_are_carried_to_where_their_region_is():
    frames = panned(7, step=3)
    edges = [40 - 3 * index for index in range(7)]  # of a region that stands still in the scene

    def masks(edge):
        left = (np.arange(64) < edge).astype(np.float32)
        return np.stack([np.tile(left, (48, 1)), np.tile(1 - left, (48, 1))])

    carried = carried_masks(frames, masks(edges[0]), masks(edges[-1]))
    assert len(carried) == 7
    np.testing.assert_array_equal(carried[0], masks(edges[0]))
    np.testing.assert_array_equal(carried[-1], masks(edges[-1]))
    for each, edge in zip(carried, edges, strict=True):
        np.testing.assert_allclose(each.sum(0), 1, atol=1e-5)
        assert np.abs(each - masks(edge))[:, 6:-6].mean() < 0.02


def test_a_label_that_appears_fades_in():
    frames = [panned(1)[0]] * 5
    first, last = np.zeros((2, 48, 64), np.float32), np.zeros((2, 48, 64), np.float32)
    first[0] = 1
    last[1] = 1
    shares = [float(masks[1].mean()) for masks in carried_masks(frames, first, last)]
    np.testing.assert_allclose(shares, [0, 0.25, 0.5, 0.75, 1], atol=1e-5)


@pytest.mark.parametrize("begin", [0, 7])
def test_frames_are_decoded_twice_however_many_intervals_there_are(begin):
    frames, decoded = panned(25), []

    def read(start, stop):
        for number, frame in enumerate(frames[:stop]):
            decoded.append(number)
            if number >= start:
                yield frame

    shots = [*plan_shots([0.0] * 13, 3), *plan_shots([0.0], 3, 13), *plan_shots([0.0] * 11, 3, 14)]
    intervals = [interval for shot in shots for interval in shot.intervals]
    masks = {key: np.full((2, 48, 64), 0.5, np.float32) for shot in shots for key in shot.keys}
    reel = SimpleNamespace(labels=("a", "b"), masks=masks, small=(64, 48))
    found = list(tracked(SimpleNamespace(read=read), reel, intervals, begin))
    assert [each.number for each in found] == list(range(begin, 25))
    for each in found:
        np.testing.assert_array_equal(each.frame, frames[each.number])
        np.testing.assert_allclose(each.masks, 0.5, atol=1e-6)
    assert len(decoded) == 50


def test_only_regions_that_are_there_are_kept():
    masks = np.zeros((3, 48, 64), np.float32)
    masks[0, :, :32], masks[2, :, 32:] = 1, 1
    regions, places = present(("sky", "tree", "sea"), masks)
    assert regions.labels == ("sky", "sea")
    assert places == [0, 2]
    np.testing.assert_array_equal(regions.masks, masks[[0, 2]])


def test_a_result_that_moves_with_its_video_does_not_flicker():
    frames = panned(5)
    measured = flicker(frames, frames)
    assert measured["ratio"] == 1
    assert len(measured["pairs"]) == 4
    inverted = flicker(frames, [255 - frame for frame in frames])
    assert inverted["ratio"] == pytest.approx(1, abs=1e-4)


def test_light_that_comes_and_goes_is_flicker():
    frames = panned(6)
    flashing = [np.clip(frame.astype(int) + 20 * (i % 2), 0, 255).astype(np.uint8) for i, frame in enumerate(frames)]
    measured = flicker(frames, flashing)
    assert measured["ratio"] > 3
    assert measured["result"] == pytest.approx(20 / 255, rel=0.3)


def test_a_still_video_has_no_flicker_or_an_infinite_one():
    still = [panned(1)[0]] * 3
    assert flicker(still, still)["ratio"] == 0
    assert flicker(still, [still[0], 255 - still[0], still[0]])["ratio"] is None


def test_a_cut_is_no_flicker():
    frames = [*panned(3), *panned(3, seed=5)]
    assert flicker(frames, frames, cuts={0, 3})["input"] < 0.3 * flicker(frames, frames)["input"]
    assert len(flicker(frames, frames, cuts={0, 3})["pairs"]) == 4


def test_results_of_another_size_are_measured_at_the_size_of_the_video():
    frames = panned(3)
    large = [frame.repeat(2, 0).repeat(2, 1) for frame in frames]
    assert flicker(frames, large)["ratio"] == pytest.approx(1, abs=0.01)

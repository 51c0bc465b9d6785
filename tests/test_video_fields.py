"""Fields over time, shots and key frames, and the options that say how many."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from video_helpers import panned

from photostyle.errors import UsageError
from photostyle.options.config import TransferConfig, resolve
from photostyle.video.fields import fields_at, filled, smoothed
from photostyle.video.options import VideoOptions, check_transfer_options, key_distance, temporal_weight
from photostyle.video.photo import load_fields, packed_fields
from photostyle.video.shots import plan_shots, survey

SHAPE = (2, 3, 3, 15)


def constant(value):
    return np.full(SHAPE, value, np.float32)


def test_between_key_frames_fields_are_interpolated_and_at_them_exact():
    rng = np.random.default_rng(0)
    before, after = ({"sky": rng.normal(size=SHAPE).astype(np.float32)} for _ in range(2))
    np.testing.assert_array_equal(fields_at(before, after, 0)["sky"], before["sky"])
    np.testing.assert_array_equal(fields_at(before, after, 1)["sky"], after["sky"])
    np.testing.assert_allclose(
        fields_at(before, after, 0.25)["sky"], 0.75 * before["sky"] + 0.25 * after["sky"], atol=1e-6
    )


def test_an_absent_label_takes_the_field_of_its_neighbours_in_time():
    keys = [
        {"sea": constant(1)},
        {"sky": constant(0), "sea": constant(1)},
        {},
        {},
        {"sky": constant(3)},
        {"sea": constant(7)},
    ]
    found = filled(keys)
    assert [float(each["sky"].mean()) for each in found] == pytest.approx([0, 0, 1, 2, 3, 3])
    assert [float(each["sea"].mean()) for each in found] == pytest.approx([1, 1, 2.5, 4, 5.5, 7])


def test_smoothing_keeps_what_does_not_change_and_lessens_what_does():
    still = [{"a": constant(2.5)}] * 4
    shares = [{"a": 0.5}, {"a": 0.0}, {"a": 0.1}, {"a": 1.0}]
    for each in smoothed(still, [0, 10, 20, 25], shares):
        np.testing.assert_allclose(each["a"], 2.5, rtol=1e-6)
    jumping = [{"a": constant(i % 2)} for i in range(5)]
    even = [{"a": 1.0}] * 5
    values = [float(each["a"].mean()) for each in smoothed(jumping, [0, 1, 2, 3, 4], even)]
    assert np.abs(np.diff(values)).max() < 0.6
    assert values[1] > values[0]
    assert values == pytest.approx(values[::-1])


def test_the_field_of_a_region_that_hardly_is_there_says_little():
    keys = [{"a": constant(0)}, {"a": constant(1)}, {"a": constant(0)}]
    found = smoothed(keys, [0, 1, 2], [{"a": 0.5}, {"a": 0.0}, {"a": 0.5}])
    assert float(found[1]["a"].mean()) < 0.02


def test_one_key_frame_is_left_as_it_is():
    assert float(smoothed([{"a": constant(4)}], [0], [{"a": 1}])[0]["a"].mean()) == 4


def test_fields_survive_a_file():
    rng = np.random.default_rng(0)
    fields = {label: rng.normal(size=SHAPE).astype(np.float32) for label in ("sky", "Bäume")}
    again = load_fields(packed_fields(fields))
    assert list(again) == list(fields)
    for label, field in fields.items():
        np.testing.assert_array_equal(again[label], field)


def test_a_hard_cut_is_found():
    found = survey(iter([*panned(5), *panned(4, seed=3), *panned(1, seed=9)]))
    assert (found.size, found.count) == ((64, 48), 10)
    assert found.distances[0] == 0
    shots = plan_shots(found.distances, 3)
    assert [shot.frames for shot in shots] == [range(5), range(5, 9), range(9, 10)]
    assert [shot.keys for shot in shots] == [(0, 2, 4), (5, 8), (9,)]


def test_a_pan_a_fade_and_a_flicker_of_light_are_no_cuts():
    frame = panned(1)[0].astype(float)
    fade = [np.rint(frame * (1 - i / 12)).astype(np.uint8) for i in range(10)]
    for frames in (panned(10, step=4), fade):
        assert len(plan_shots(survey(iter(frames)).distances, 100)) == 1
    fire = [0.0, 0.5, 0.6, 0.5, 0.55, 0.6, 0.5, 0.5]
    assert len(plan_shots(fire, 100)) == 1


@pytest.mark.parametrize(("count", "apart"), [(1, 1), (2, 5), (10, 3), (31, 10), (30, 1)])
def test_key_frames_are_even_and_near_enough(count, apart):
    (shot,) = plan_shots([0.0] * count, apart, first=7)
    assert (shot.keys[0], shot.keys[-1]) == (7, 6 + count)
    gaps = np.diff(shot.keys)
    assert all(gap <= apart for gap in gaps)
    assert len(set(gaps.tolist())) <= 2
    frames = [n for interval in shot.intervals for n in interval.frames]
    assert frames == list(shot.frames)
    assert all(0 <= interval.share(n) <= 1 for interval in shot.intervals for n in interval.frames)


def test_the_digest_tells_videos_apart():
    one, other = panned(3), panned(3)
    assert survey(iter(one)).digest == survey(iter(other)).digest
    other[1] = 255 - other[1]
    assert survey(iter(one)).digest != survey(iter(other)).digest


@pytest.mark.parametrize(("text", "frames"), [("1s", 24), ("0.5s", 12), ("7", 7), (" 2 S", 48), ("0.001s", 1)])
def test_key_frames_by_seconds_or_frames(text, frames):
    assert key_distance(text, Fraction(24000, 1001)) == frames


@pytest.mark.parametrize("text", ["", "s", "0", "-1", "0s", "1.5", "nans", "infs", "one"])
def test_bad_distances_of_key_frames(text):
    with pytest.raises(UsageError, match=r"--key-every is .* but must be seconds"):
        VideoOptions(key_every=text)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"temporal_weight": -1}, "--temporal-weight"),
        ({"frame_iterations": 0}, "--frame-iterations"),
        ({"frames": (-1, None)}, "--frames"),
        ({"frames": (5, 5)}, "--frames is 5:5"),
        ({"fps": Fraction(0)}, "--fps"),
    ],
)
def test_bad_options(options, word):
    with pytest.raises(UsageError, match=word):
        VideoOptions(**options)


def test_the_temporal_weight_depends_on_the_mode():
    assert temporal_weight(VideoOptions(), "photo") != temporal_weight(VideoOptions(), "artistic")
    assert temporal_weight(VideoOptions(temporal_weight=0), "photo") == 0


@pytest.mark.parametrize(
    "options",
    [
        {"snapshots": (3,)},
        {"snapshot_every": 2},
        {"auto_contrast": True},
        {"padding": "circular"},
        {"mode": "photo", "solver": "pixels"},
    ],
)
def test_options_that_are_for_one_picture(options):
    with pytest.raises(UsageError, match="isn't for videos: leave it out"):
        check_transfer_options(resolve(TransferConfig(**options)))

"""Whole videos: both modes, regions, cuts, resuming, and what is refused."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import LAYERS, Log, picture
from PIL import Image
from video_helpers import folder_of, packets, panned, tone, video_of

from photostyle.errors import ImageError, Interrupted, OutputError, RegionError, UsageError
from photostyle.options.config import TransferConfig
from photostyle.progress import Step
from photostyle.regions.labels import LabelMasks
from photostyle.video import VideoOptions
from photostyle.video.artistic import moved, temporal_loss
from photostyle.video.film import stylize_video
from photostyle.video.footage import open_footage
from photostyle.video.work import work_folder

STYLE = picture(seed=1)
KEYS = VideoOptions(key_every="3", frame_iterations=2)


@pytest.fixture
def make(tmp_path, weights):
    """Stylise some frames as numbered pictures, with a tiny network."""

    def run(frames, output="out", *, iterations=2, video=KEYS, style=STYLE, **options):
        source = tmp_path / "in"
        if not source.exists():
            folder_of(frames, source)
        config = TransferConfig(
            weights=weights, **LAYERS, iterations=iterations, schedule="single", edge_weight=0.0, regions="none"
        )
        return stylize_video(source, style, output=tmp_path / output, config=config, video=video, **options)

    return run


def pictures(folder: Path):
    return [np.asarray(Image.open(path)) for path in sorted(folder.iterdir(), key=lambda p: int(p.stem[4:]))]


def halved(left):
    """Two regions, side by side."""
    mask = (np.arange(64) < left).astype(np.float32)
    return LabelMasks(("a", "b"), np.stack([np.tile(mask, (48, 1)), np.tile(1 - mask, (48, 1))]))


@pytest.mark.parametrize("mode", ["photo", "artistic"])
def test_each_frame_becomes_a_picture_of_its_name(make, tmp_path, mode):
    log = Log()
    found = make(panned(5), mode=mode, callback=log)
    assert sorted(path.name for path in found.path.iterdir()) == sorted(f"shot{n}.png" for n in range(8, 13))
    assert all(each.shape == (48, 64, 3) for each in pictures(found.path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out", "out.record.json"]
    record = json.loads((tmp_path / "out.record.json").read_text(encoding="utf-8"))
    assert record == json.loads(json.dumps(found.record))
    assert record["shots"] == [[0, 5]]
    assert [key["number"] for key in record["key_frames"]] == [0, 2, 4]
    assert record["video"]["rate"] == "25"
    assert record["config"]["mode"] == mode
    assert [frame["number"] for frame in record["frames"]] == [0, 1, 2, 3, 4]
    assert record["flicker"]["ratio"] > 0
    terms = (
        [key["losses"] for key in record["key_frames"]] if mode == "photo" else [f["losses"] for f in record["frames"]]
    )
    assert all("total" in each for each in terms)
    assert ["temporal" in each for each in terms] == [False] + [True] * (len(terms) - 1)
    done = [event for event in log.steps if event.stage == "frames"]
    assert [(event.iteration, event.iterations) for event in done] == [(n, 5) for n in range(1, 6)]
    assert done[-1].remaining == 0


@pytest.mark.parametrize("mode", ["photo", "artistic"])
def test_a_still_video_stays_still(make, mode):
    frame = panned(1)[0]
    found = make([frame] * 4, mode=mode, video=VideoOptions(key_every="3", frame_iterations=1, temporal_weight=1e4))
    results = pictures(found.path)
    most = max(np.abs(results[0].astype(int) - each).max() for each in results)
    assert most == 0 if mode == "photo" else most <= 12
    assert np.abs(results[0].astype(int) - frame).mean() > 2
    if mode == "photo":
        assert found.record["flicker"]["ratio"] == 0


@pytest.mark.parametrize("mode", ["photo", "artistic"])
@pytest.mark.parametrize("stop", ["in the first optimisation", "after two frames", "while it is measured"])
def test_a_resumed_video_is_the_same(make, tmp_path, mode, stop):
    frames = [*panned(4), *panned(3, seed=4)]
    whole = pictures(make(frames, "whole", mode=mode, content_mask=halved(24), regions=None).path)

    def stopping(event):
        if not isinstance(event, Step):
            return
        stage = {"after two frames": "frames", "while it is measured": "measuring flicker"}.get(stop)
        if event.stage == stage and event.iteration == 2:
            raise KeyboardInterrupt
        if stage is None and "frame 1 of" in event.stage:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="go on with --resume") as error:
        make(frames, mode=mode, callback=stopping, content_mask=halved(24), regions=None)
    done = {"after two frames": 2, "while it is measured": 7}.get(stop, 0)
    assert f"after {done} of 7 frames" in str(error.value)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.record.json").exists()
    with pytest.raises(UsageError, match="holds an interrupted run: go on with --resume"):
        make(frames, mode=mode, content_mask=halved(24), regions=None)
    with pytest.raises(UsageError, match="another video, other styles"):
        make(frames, mode=mode, content_mask=halved(24), regions=None, resume=True, iterations=3)
    log = Log()
    found = make(frames, mode=mode, content_mask=halved(24), regions=None, resume=True, callback=log)
    assert [event.iteration for event in log.steps if event.stage == "frames"] == list(range(done + 1, 8))
    for one, other in zip(whole, pictures(found.path), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(found.record["frames"]) == 7
    assert not work_folder(tmp_path / "out").exists()


def test_overwriting_begins_anew(make):
    def stopping(event):
        if isinstance(event, Step) and event.stage == "frames":
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        make(panned(3), mode="photo", callback=stopping)
    found = make(panned(3), mode="photo", overwrite=True)
    assert len(pictures(found.path)) == 3
    with pytest.raises(UsageError, match="is not empty"):
        make(panned(3), mode="photo")


@pytest.mark.parametrize("mode", ["photo", "artistic"])
def test_a_cut_begins_anew(make, mode):
    frames = [*panned(3), *panned(2, seed=4)]
    found = make(frames, mode=mode)
    assert found.record["shots"] == [[0, 3], [3, 5]]
    losses = [each["losses"] for each in found.record["key_frames" if mode == "photo" else "frames"]]
    expected = [False, True, False, True] if mode == "photo" else [False, True, True, False, True]
    assert ["temporal" in each for each in losses] == expected


def test_a_single_frame_is_a_video(make):
    assert len(pictures(make(panned(1), mode="photo").path)) == 1


def test_each_region_takes_its_own_style_on_every_frame(make):
    frames = panned(4, step=1)
    red, blue = (np.full((48, 64, 3), color, np.float32) for color in ((0.8, 0.2, 0.2), (0.2, 0.2, 0.8)))
    found = make(
        frames,
        style=(),
        map={"a": red, "b": blue},
        content_mask=halved(32),
        mode="photo",
        solver="statistics",
        edge_weight=None,
        regions=None,
        iterations=None,
    )
    for each in pictures(found.path):
        left, right = each[:, 4:24].mean((0, 1)), each[:, 40:60].mean((0, 1))
        assert left[0] > left[2] + 60
        assert right[2] > right[0] + 60
    assert [a["label"] for a in found.record["assignments"]] == ["a", "b"]


def test_a_grid_divides_every_frame(make):
    found = make(panned(3), mode="photo", regions="grid:1x2")
    assert [a["label"] for a in found.record["assignments"]] == ["r1c1", "r1c2"]


def test_preserving_luminance_keeps_the_colours(make):
    frames = panned(3)
    found = make(frames, preserve_color="luminance")
    for frame, each in zip(frames, pictures(found.path), strict=True):
        own, theirs = (x.astype(float) - x.astype(float).mean(2, keepdims=True) for x in (frame, each))
        assert np.corrcoef(own.ravel(), theirs.ravel())[0, 1] > 0.9


def test_results_may_have_another_size(make):
    found = make(panned(2), mode="photo", size=96)
    assert found.record["size"] == [96, 72]
    assert all(each.shape == (72, 96, 3) for each in pictures(found.path))


def test_a_part_of_a_video_file_with_its_sound(tmp_path, weights):
    source = video_of(panned(24), tmp_path / "in.mkv", Fraction(12), tone(tmp_path / "tone.wav", 2))
    config = TransferConfig(weights=weights, **LAYERS, mode="photo", solver="statistics", regions="none")
    video = VideoOptions(frames=(6, 18))
    found = stylize_video(source, STYLE, output=tmp_path / "out.mkv", config=config, video=video)
    assert (found.record["sound"], found.record["video"]["frames"]) == ("copied", [6, 18])
    footage = open_footage(found.path)
    assert footage.rate == 12
    assert len(list(footage.read(0, None))) == 12
    at, length = packets(found.path, "a")[-1]
    assert at + length == pytest.approx(1, abs=0.15)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv", "out.mkv", "out.record.json", "tone.wav"]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"output": "out.gif"}, UsageError, "has the suffix .gif; allowed are .mp4"),
        ({"output": "in"}, UsageError, "would replace the video itself"),
        ({"output": "nowhere/out"}, OutputError, "no folder that you may write to"),
        ({"resume": True}, UsageError, "nothing to resume"),
        ({"auto_contrast": True}, UsageError, "--auto-contrast"),
        ({"video": VideoOptions(frames=(9, None))}, UsageError, "--frames begins at 9"),
        ({"style": ()}, UsageError, "no style was given"),
        ({"map": {"sky": STYLE}, "content_mask": halved(9), "regions": None}, RegionError, "names the label 'sky'"),
        ({"content_mask": LabelMasks(("a",), np.ones((1, 9, 9), np.float32)), "regions": None}, RegionError, "9×9"),
    ],
)
def test_what_is_refused_leaves_nothing(make, tmp_path, options, error, words):
    with pytest.raises(error, match=words.replace("(", r"\(")):
        make(panned(2), **{"mode": "photo", **options})
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_folder_of_somebody_else_is_not_thrown_away(make, tmp_path):
    mine = tmp_path / "out.frames"
    mine.mkdir()
    (mine / "letter.txt").write_text("dear")
    for options in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(UsageError, match=r"out\.frames"):
            make(panned(2), mode="photo", **options)
    assert (mine / "letter.txt").read_text() == "dear"


def test_a_damaged_work_folder_is_named(make, tmp_path):
    def stopping(event):
        if isinstance(event, Step) and event.stage == "measuring flicker":
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        make(panned(2), mode="photo", callback=stopping)
    (work_folder(tmp_path / "out") / "frame-000001.png").write_bytes(b"")
    with pytest.raises(OutputError, match=r"frame-000001\.png is missing or damaged: delete"):
        make(panned(2), mode="photo", resume=True)


def test_frames_that_are_too_small_are_refused(make):
    with pytest.raises(ImageError, match="the video is"):
        make([np.zeros((48, 700, 3), np.uint8)[:20]] * 2, mode="photo")


def test_a_result_moves_as_its_video_moves():
    before, after = panned(2, step=3)
    last = np.random.default_rng(0).uniform(0, 1, (48, 64, 3)).astype(np.float32)
    start, sure = moved(last, before, after, after.astype(np.float32) / 255)
    known = sure[8:-8, 8:-8] > 0
    error = np.abs(start[8:-8, 8:-8] - last[8:-8, 11:-5])[known]
    assert known.mean() > 0.9
    assert np.median(error) < 0.05
    assert np.all(sure[:, -2:] == 0)  # came into view


def test_the_temporal_loss_is_the_mean_square_where_it_is_known():
    target, x = torch.zeros(1, 3, 4, 5), torch.full((1, 3, 4, 5), 0.5)
    sure = torch.zeros(4, 5)
    sure[0, :3] = 1
    assert float(temporal_loss(target, sure)(x, {})) == pytest.approx(0.25)
    x[..., 1:, :] = 100
    assert float(temporal_loss(target, sure)(x, {})) == pytest.approx(0.25)
    assert float(temporal_loss(target, torch.zeros(4, 5))(x, {})) == 0

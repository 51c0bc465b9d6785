"""``photostyle video`` on the command line."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
from cli_helpers import Workshop
from video_helpers import folder_of, packets, panned, tone, video_of

from photostyle.apps.cli.video import parse_frames, parse_rate
from photostyle.errors import UsageError
from photostyle.report.found import find_runs
from photostyle.report.page import html_page
from photostyle.video.footage import open_footage


@pytest.fixture
def shop(monkeypatch, capsys, tmp_path):
    return Workshop(monkeypatch, capsys, tmp_path)


@pytest.fixture
def film(shop):
    """Run a small video with its arguments, and others."""
    clip = video_of(panned(6), shop.folder / "clip.mp4", Fraction(24000, 1001), tone(shop.folder / "tone.wav", 0.3))
    network = (*shop.network, *shop.quick, "--edge-weight", 0, "--regions", "none", "--mode", "photo")

    def arguments(*more, source=clip, output="out/film.mp4"):
        return ("video", source, shop.style, "-o", shop.folder / output, "--key-every", 3, *network, *more)

    return arguments


def test_a_video_with_its_record(shop, film):
    outcome = shop(*film("--json"))
    assert outcome.code == 0, outcome.err
    assert shop.results() == ["film.mp4", "film.record.json"]
    record = json.loads(outcome.out)
    assert record == json.loads((shop.folder / "out" / "film.record.json").read_text(encoding="utf-8"))
    assert record["video"]["rate"] == "24000/1001"
    assert [key["number"] for key in record["key_frames"]] == [0, 2, 5]
    footage = open_footage(shop.folder / "out" / "film.mp4")
    assert footage.rate == Fraction(24000, 1001)
    assert len(list(footage.read(0, None))) == footage.count == 6
    assert packets(shop.folder / "out" / "film.mp4", "a")
    assert "wrote" in outcome.err
    assert f"sound {record['sound']}" in outcome.err
    assert f"flicker {record['flicker']['ratio']:.2f} times" in outcome.err
    assert shop(*film("--quiet", "--overwrite")).err == ""
    (run,) = find_runs(shop.folder / "out")
    assert (run.name, run.kind, run.status) == ("film", "video", "ok")
    assert run.scores["flicker"]["ratio"] == record["flicker"]["ratio"]
    assert [shot.title for shot in run.shots] == ["style"]
    assert "key every" in html_page([run], title="a")


def test_numbered_pictures_to_a_video_and_a_video_to_pictures(shop, film):
    folder = folder_of(panned(4), shop.folder / "frames")
    outcome = shop(*film("--fps", "30000/1001", source=folder / "shot%d.png"))
    assert outcome.code == 0, outcome.err
    assert open_footage(shop.folder / "out" / "film.mp4").rate == Fraction(30000, 1001)
    outcome = shop(*film("--frames", "1:4", output="out/pictures"))
    assert outcome.code == 0, outcome.err
    names = sorted(path.name for path in (shop.folder / "out" / "pictures").iterdir())
    assert names == ["frame-000001.png", "frame-000002.png", "frame-000003.png"]


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (("--key-every", "soon"), 2, "--key-every is 'soon', but must be seconds"),
        (("--frames", "7"), 2, "--frames is '7', but must be A:B"),
        (("--frames", "4:2"), 2, "--frames is 4:2, but must be A:B with 0 ≤ A < B"),
        (("--fps", "x"), 2, "--fps is 'x'"),
        (("--fps", "25"), 2, "--fps belongs to numbered pictures"),
        (("--temporal-weight", "-1"), 2, "--temporal-weight is -1.0"),
        (("--resume",), 2, "nothing to resume"),
        (("--auto-contrast",), 2, "--auto-contrast stretches each frame by itself"),
        (("--solver", "pixels"), 2, "isn't for videos"),
    ],
)
def test_mistakes_are_refused(shop, film, more, code, words):
    assert words in shop.refused(code, *film(*more))


def test_a_part_behind_the_end_is_refused(shop, film):
    outcome = shop(*film("--frames", "6:"))
    assert outcome.code == 2
    assert "--frames begins at 6" in outcome.err
    assert shop.results() == []


def test_bad_inputs_and_outputs_are_refused(shop, film):
    assert "there is no such video" in shop.refused(1, *film(source=shop.folder / "none.mp4"))
    for source, words in (("tone.wav", "has no video stream"), (shop.weights.name, "can't be read as a video")):
        outcome = shop(*film(source=shop.folder / source))
        assert outcome.code == 1
        assert words in outcome.err
    assert "has the suffix .png; allowed are .mp4" in shop.refused(2, *film(output="out/film.png"))
    assert "would replace the video itself" in shop.refused(2, *film("--overwrite", output="clip.mp4"))
    assert "no folder that you may write to" in shop.refused(1, *film(output="gone/film.mp4"))
    (shop.folder / "out" / "film.mp4").write_text("old")
    assert "exists already" in shop.refused(2, *film())


def test_ctrl_c_and_resume(shop, film, monkeypatch):
    from photostyle.apps.cli.screen import Screen

    draw = Screen.__call__

    def pressing(self, event):
        draw(self, event)
        if getattr(event, "stage", "") == "frames" and event.iteration == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Screen, "__call__", pressing)
        outcome = shop(*film())
    assert outcome.code == 130
    assert "interrupted after 2 of 6 frames, which are kept in" in outcome.err
    assert "go on with --resume" in outcome.err
    assert shop.results() == ["film.mp4.frames"]
    outcome = shop(*film("--resume"))
    assert outcome.code == 0, outcome.err
    assert "resumed after frame 2 of 6" in outcome.err
    once = (shop.folder / "out" / "film.mp4").read_bytes()
    assert shop(*film("--overwrite")).code == 0
    assert (shop.folder / "out" / "film.mp4").read_bytes() == once


@pytest.mark.parametrize(
    ("text", "frames"), [(None, (0, None)), (":", (0, None)), ("3:", (3, None)), (":9", (0, 9)), ("3:9", (3, 9))]
)
def test_parts(text, frames):
    assert parse_frames(text) == frames


@pytest.mark.parametrize("text", ["", "3", "a:b", "1:2:3", "1.5:2"])
def test_bad_parts(text):
    with pytest.raises(UsageError, match="must be A:B"):
        parse_frames(text)


def test_rates():
    assert parse_rate(None) is None
    assert parse_rate("30000/1001") == Fraction(30000, 1001)
    assert parse_rate("12.5") == Fraction(25, 2)
    for text in ("", "x", "1/0"):
        with pytest.raises(UsageError, match="--fps"):
            parse_rate(text)

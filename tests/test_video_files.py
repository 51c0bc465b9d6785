"""Frames in and out: video files, numbered pictures, rates, sound, and what is refused."""

from __future__ import annotations

import builtins
import sys
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image
from video_helpers import folder_of, packets, panned, psnr, tone, video_of

from photostyle.errors import ImageError, OutputError, PhotostyleError, UsageError
from photostyle.video.encode import Sound, encode_video
from photostyle.video.ffmpeg import executable, run
from photostyle.video.footage import open_footage
from photostyle.video.timing import constant_rate, timing


def frames_of(path, start=0, stop=None):
    return list(open_footage(path).read(start, stop))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".mov"])
def test_frames_go_out_and_come_back(tmp_path, suffix):
    frames = panned(5)
    path = video_of(frames, tmp_path / f"clip{suffix}", Fraction(30000, 1001))
    footage = open_footage(path)
    assert footage.rate == Fraction(30000, 1001)
    assert footage.start == 0
    again = list(footage.read(0, None))
    assert len(again) == 5
    assert all(psnr(one, other) > 28 for one, other in zip(frames, again, strict=True))
    for one, other in zip(frames_of(path, 2, 4), again[2:4], strict=True):
        np.testing.assert_array_equal(one, other)
    assert [path.name for path in tmp_path.iterdir()] == [f"clip{suffix}"]


def test_colours_come_back(tmp_path):
    flat = [np.full((48, 64, 3), color, np.uint8) for color in ((200, 30, 40), (20, 160, 60), (30, 40, 220))]
    for one, other in zip(flat, frames_of(video_of(flat, tmp_path / "flat.mp4")), strict=True):
        assert np.abs(one.astype(int) - other).max() <= 4


def test_odd_sides_get_one_more_pixel(tmp_path):
    frames = [np.ascontiguousarray(frame[:47, :63]) for frame in panned(2)]
    _, notes = encode_video(iter(frames), 2, tmp_path / "odd.mp4", Fraction(10))
    assert any("64×48 instead of 63×47" in note for note in notes)
    back = frames_of(tmp_path / "odd.mp4")
    assert back[0].shape == (48, 64, 3)
    assert psnr(back[0][:47, :63], frames[0]) > 28


def test_a_turned_video_is_upright(tmp_path):
    path = video_of(panned(2), tmp_path / "flat.mp4")
    turned = tmp_path / "turned.mp4"
    assert run(["-display_rotation", "90", "-i", str(path), "-c", "copy", str(turned)])[0] == 0
    assert frames_of(turned)[0].shape == (64, 48, 3)
    np.testing.assert_allclose(np.rot90(frames_of(path)[0]), frames_of(turned)[0], atol=2)


@pytest.mark.parametrize(
    ("rate", "tick"),
    [
        (Fraction(25), Fraction(1, 12800)),
        (Fraction(30000, 1001), Fraction(1, 1000)),
        (Fraction(24000, 1001), Fraction(1, 1000)),
        (Fraction(24), Fraction(1, 1000)),
        (Fraction(12), Fraction(1, 1000)),
        (Fraction(25, 2), Fraction(1, 100)),
    ],
)
def test_rates_are_exact_though_time_stamps_are_rounded(rate, tick):
    stamps = [round(Fraction(i) / rate / tick) + 7 for i in range(400)]
    assert constant_rate(stamps, tick) == rate


def test_a_variable_rate_is_none():
    assert constant_rate([0, 40, 80, 200, 240, 280], Fraction(1, 1000)) is None
    assert constant_rate([5], Fraction(1, 1000)) == 25


def test_a_variable_rate_is_evened_out(tmp_path):
    path = tmp_path / "variable.mkv"
    source = video_of(panned(12), tmp_path / "even.mp4", Fraction(12))
    expression = "setpts='if(lt(N,6),N,N+18)/12/TB'"
    arguments = ["-i", str(source), "-vf", expression, "-fps_mode", "vfr", "-enc_time_base", "1/1000"]
    assert run([*arguments, "-c:v", "libx264", str(path)])[0] == 0
    assert not timing(path).constant
    footage = open_footage(path)
    assert any("variable rate" in note for note in footage.notes)
    count = len(list(footage.read(0, None)))
    seconds = packets(path, "v")[-1][0]
    assert count / footage.rate == pytest.approx(seconds, abs=2 / float(footage.rate))


def test_pictures_are_read_in_the_order_of_their_numbers(tmp_path):
    frames = panned(4)
    folder = folder_of(frames, tmp_path / "in")
    for source in (folder, folder / "shot%d.png", folder / "shot*.png"):
        footage = open_footage(source, Fraction(24))
        assert footage.stems == ("shot8", "shot9", "shot10", "shot11")
        assert footage.rate == 24
        for one, other in zip(frames, footage.read(0, None), strict=True):
            np.testing.assert_array_equal(one, other)
    assert [frame.tobytes() for frame in frames_of(folder / "shot1%d.png")] == [f.tobytes() for f in frames[2:]]


def test_a_picture_of_another_size_is_named(tmp_path):
    folder = folder_of(panned(3), tmp_path / "in")
    Image.new("RGB", (50, 48)).save(folder / "shot9.png")
    with pytest.raises(ImageError, match=r"shot9\.png is 50×48, but shot8\.png is 64×48"):
        frames_of(folder)


def test_two_pictures_of_one_name_are_refused(tmp_path):
    folder = folder_of(panned(2), tmp_path / "in")
    Image.new("RGB", (64, 48)).save(folder / "shot9.jpg")
    with pytest.raises(ImageError, match="two pictures are called shot9"):
        open_footage(folder)


def test_alpha_is_left_out_with_a_note(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    Image.new("RGBA", (64, 48), (10, 20, 30, 128)).save(folder / "1.png")
    assert any("alpha" in note for note in open_footage(folder).notes)


def test_a_frame_of_another_size_in_a_video(tmp_path):
    parts = []
    for name, width in (("a", 64), ("b", 48)):
        frames = [np.ascontiguousarray(frame[:, :width]) for frame in panned(3)]
        parts.append(video_of(frames, tmp_path / f"{name}.mp4"))
    streams = []
    for part in parts:
        raw = part.with_suffix(".h264")
        assert run(["-i", str(part), "-c", "copy", "-bsf:v", "h264_mp4toannexb", str(raw)])[0] == 0
        streams.append(raw.read_bytes())
    path = tmp_path / "both.h264"
    path.write_bytes(b"".join(streams))
    with pytest.raises(ImageError, match="frame 3 has another size than those before, which are 64x48"):
        frames_of(path)


@pytest.mark.parametrize("kind", ["text", "cut off", "empty", "sound", "missing", "no pictures", "no match"])
def test_what_is_no_video(tmp_path, kind):
    path = tmp_path / "bad.mp4"
    if kind == "text":
        path.write_text("this is no video")
    elif kind == "cut off":
        path.write_bytes(video_of(panned(4), tmp_path / "good.mp4").read_bytes()[:700])
    elif kind == "empty":
        path.touch()
    elif kind == "sound":
        path = tone(tmp_path / "tone.wav", 0.2)
    elif kind == "no pictures":
        path = tmp_path / "folder"
        path.mkdir()
    elif kind == "no match":
        path = tmp_path / "frame%04d.png"
    words = {"sound": "has no video stream", "missing": "there is no such video", "no pictures": "holds no pictures"}
    words |= {"no match": "holds no pictures"}
    with pytest.raises(ImageError, match=words.get(kind, "can't be read as a video")) as error:
        frames_of(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def test_a_video_has_its_own_rate(tmp_path):
    with pytest.raises(UsageError, match="--fps belongs to numbered pictures"):
        open_footage(video_of(panned(2), tmp_path / "clip.mp4"), Fraction(24))


def test_sound_is_copied(tmp_path):
    source = tmp_path / "in.mkv"
    silent = video_of(panned(12), tmp_path / "silent.mp4")
    sound = tone(tmp_path / "tone.wav", 1)
    both = ["-i", str(silent), "-i", str(sound), "-c:v", "copy", "-c:a", "aac", str(source)]
    assert run(both)[0] == 0
    kept, notes = encode_video(
        iter(panned(12)), 12, tmp_path / "out.mp4", Fraction(12), sound=Sound(source, Fraction(0), True)
    )
    assert (kept, notes) == ("copied", [])
    was, now = (
        run(["-i", str(p), "-map", "0:a", "-c", "copy", "-f", "data", "-"])[1] for p in (source, tmp_path / "out.mp4")
    )
    assert was == now  # byte by byte
    assert len(was) > 1000


def test_sound_that_a_container_can_not_hold_is_converted(tmp_path):
    sound = Sound(tone(tmp_path / "tone.wav", 1), Fraction(0), whole=True)
    kept, notes = encode_video(iter(panned(12)), 12, tmp_path / "out.webm", Fraction(12), sound=sound)
    assert kept == "converted"
    assert any("converted to opus" in note for note in notes)
    assert sum(length for _, length in packets(tmp_path / "out.webm", "a")) == pytest.approx(1, abs=0.1)


def test_a_part_has_its_part_of_the_sound(tmp_path):
    loud = tone(tmp_path / "tone.wav", 2)
    sound = Sound(loud, Fraction(1, 2), whole=False)
    encode_video(iter(panned(12)), 12, tmp_path / "out.mkv", Fraction(12), sound=sound)
    at, length = packets(tmp_path / "out.mkv", "a")[-1]
    assert at + length == pytest.approx(1, abs=0.15)
    pictures = packets(tmp_path / "out.mkv", "v")
    assert len(pictures) == 12
    assert pictures[0][0] == pytest.approx(0, abs=0.03)


def test_sound_that_begins_before_the_pictures_stays_so(tmp_path):
    sound = Sound(tone(tmp_path / "tone.wav", 2), Fraction(1, 2), whole=True)
    encode_video(iter(panned(12)), 12, tmp_path / "out.mkv", Fraction(12), sound=sound)
    assert min(at for at, _ in packets(tmp_path / "out.mkv", "v")) == pytest.approx(0.5, abs=0.03)
    assert packets(tmp_path / "out.mkv", "a")[0][0] == pytest.approx(0, abs=0.03)
    assert open_footage(tmp_path / "out.mkv").start == pytest.approx(Fraction(1, 2), abs=0.03)


def test_a_source_without_sound_gives_none(tmp_path):
    source = video_of(panned(3), tmp_path / "in.mp4")
    sound = Sound(source, Fraction(0), whole=True)
    assert encode_video(iter(panned(3)), 3, tmp_path / "out.mp4", Fraction(12), sound=sound) == ("none", [])


def test_a_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / "out.mp4"
    path.write_bytes(b"old")

    def failing():
        yield from panned(2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_video(failing(), 3, path, Fraction(12))
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["out.mp4"]


def test_a_place_that_can_not_be_written(tmp_path):
    with pytest.raises(OutputError, match="go on with --resume"):
        encode_video(iter(panned(2)), 2, tmp_path / "nowhere" / "out.mp4", Fraction(12))


def test_the_missing_extra_is_named(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "imageio_ffmpeg":
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "imageio_ffmpeg", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(PhotostyleError, match=r"pip install 'photostyle\[video\]'"):
        executable()


def test_a_stream_without_time_stamps_is_read(tmp_path):
    path = video_of(panned(5), tmp_path / "clip.mp4")
    raw = tmp_path / "clip.h264"
    assert run(["-i", str(path), "-c", "copy", "-bsf:v", "h264_mp4toannexb", str(raw)])[0] == 0
    assert len(frames_of(raw)) == 5
    assert timing(raw).constant


def test_pixels_that_are_no_squares_stay_so(tmp_path):
    path = tmp_path / "wide.mp4"
    encode_video(iter(panned(2)), 2, path, Fraction(12), pixel_aspect=Fraction(16, 11))
    assert open_footage(path).pixel_aspect == Fraction(16, 11)


def test_a_damaged_video_is_read_with_a_note(tmp_path):
    frames = [np.random.default_rng(i).integers(0, 256, (48, 64, 3), dtype=np.uint8) for i in range(12)]
    path = video_of(frames, tmp_path / "clip.mkv")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(2000)
    path.write_bytes(data)
    footage = open_footage(path)
    assert any("is damaged" in note for note in footage.notes)
    assert 3 <= len(list(footage.read(0, None))) <= 12

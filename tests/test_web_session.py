"""What a tab has: its folder, its pictures, its files; the limits, and that all of it goes away."""

from __future__ import annotations

import os
import time
import zipfile

import numpy as np
import pytest
from helpers import image, png_header, save

from photostyle.apps.web.jobs import Job
from photostyle.apps.web.service import shown_name
from photostyle.apps.web.session import Limits, Regions, store_picture
from photostyle.apps.web.sessions import Sessions
from photostyle.errors import ImageError, UsageError
from photostyle.studies.segment import read_picture


@pytest.fixture
def sessions():
    made = Sessions(Limits(sessions=3, idle=50, grace=50, inbox=50))
    yield made
    made.end()


def test_tabs_have_folders_of_their_own_that_go_with_them(sessions):
    one, two = sessions.get("one"), sessions.get("two")
    assert sessions.get("one") is one
    assert one.folder != two.folder
    assert one.folder.stat().st_mode & 0o077 == 0
    (one.folder / "picture.png").write_bytes(b"x")
    sessions.close("one")
    assert not one.folder.exists()
    assert two.folder.exists()
    with pytest.raises(UsageError, match="load the page again"):
        sessions.get("one")
    assert sessions.get("three") is not one


def test_a_tab_without_a_name_and_one_too_many_are_refused(sessions):
    for name in (None, ""):
        with pytest.raises(UsageError, match="names no session"):
            sessions.get(name)
    for name in ("one", "two", "three"):
        sessions.get(name)
    with pytest.raises(UsageError, match="3 people are here"):
        sessions.get("four")
    sessions.close("never there")


def test_a_key_opens_one_file_of_a_tab_that_is_open(sessions):
    one = sessions.get("one")
    (one.folder / "a.png").write_bytes(b"x")
    key = one.offer(one.folder / "a.png", "result.png")
    assert len(key) >= 32
    assert sessions.file(key) == (one.folder / "a.png", "result.png")
    for wrong in ("", "../a.png", str(one.folder / "a.png"), key[:-1]):
        assert sessions.file(wrong) is None
    sessions.close("one")
    assert sessions.file(key) is None


def test_idle_tabs_end_but_not_those_that_run(sessions):
    ended = []
    sessions.on_close = ended.append
    idle, busy = sessions.get("idle"), sessions.get("busy")
    busy.job = Job(lambda callback: None)
    idle.used -= 60
    busy.used -= 60
    sessions.sweep()
    assert ended == [idle]
    assert busy.folder.exists()


def test_a_tab_whose_line_was_lost_ends_unless_it_is_heard_of(sessions):
    silent, heard, there = (sessions.get(name) for name in ("silent", "heard", "there"))
    for name in ("silent", "heard", "never there"):
        sessions.leave(name)
    silent.left -= 60
    heard.left -= 60
    silent.job = Job(lambda callback: None)  # a run doesn't keep a tab that is gone
    sessions.hear_of("heard")
    sessions.hear_of("never there")
    sessions.sweep()
    assert [each.folder.exists() for each in (silent, heard, there)] == [False, True, True]
    heard.left -= 60
    sessions.sweep()
    assert not heard.folder.exists()


def test_a_tab_that_is_loaded_again_has_what_it_had(sessions):
    one = sessions.get("one")
    key = one.offer(one.folder / "a.png", "a.png")
    sessions.leave("one")
    assert sessions.resume("one", "again") is one
    assert sessions.get("again") is one
    assert sessions.find("again") is one
    assert sessions.file(key) is not None
    sessions.leave("one")  # the old line's end is told late
    assert one.left is None
    with pytest.raises(UsageError, match="away for too long"):
        sessions.get("one")
    with pytest.raises(UsageError, match=r"away for too long.*choose them again"):
        sessions.resume("one", "third")


def test_there_is_nothing_to_resume_for_others(sessions):
    one, two = sessions.get("one"), sessions.get("two")
    for before, name in (("", "new"), ("never there", "new"), ("one", ""), ("one", None), ("one", "two")):
        assert sessions.resume(before, name) is None
    assert (sessions.find("one"), sessions.find("two"), sessions.find("new")) == (one, two, None)


def test_what_a_job_left_behind_is_swept(sessions):
    kept = sessions.get("one").folder
    late = sessions.root / "tab-late"
    (late / "run-0").mkdir(parents=True)
    sessions.sweep()
    assert (kept.exists(), late.exists()) == (True, False)


def test_old_uploads_leave_the_inbox(sessions):
    for name, age in (("old", 60), ("new", 0)):
        path = sessions.inbox / name / "picture.png"
        path.parent.mkdir()
        path.write_bytes(b"x")
        os.utime(path, (time.time() - age,) * 2)
        os.utime(path.parent, (time.time() - age,) * 2)
    sessions.sweep()
    os.utime(sessions.inbox / "old", (time.time() - 60,) * 2)  # it changed with what was removed
    sessions.sweep()
    assert [path.name for path in sessions.inbox.rglob("*")] == ["new", "picture.png"]


def test_a_link_in_the_inbox_is_as_old_as_itself(sessions):
    link = sessions.inbox / "link.png"
    link.symlink_to("/etc/passwd")
    sessions.sweep()
    assert link.is_symlink()
    link.unlink()


def test_the_end_removes_every_file():
    sessions = Sessions(Limits())
    (sessions.get("one").folder / "a").write_bytes(b"x")
    (sessions.inbox / "b").write_bytes(b"x")
    sessions.end()
    assert not sessions.root.exists()
    with pytest.raises(UsageError, match="stopping"):
        sessions.get("two")


def test_only_the_last_two_runs_are_kept(sessions):
    one = sessions.get("one")
    folders, keys = [], []
    for _ in range(12):
        folders.append(one.new_run())
        (folders[-1] / "a.png").write_bytes(b"x")
        keys.append(one.offer(folders[-1] / "a.png", "a.png"))
    assert [folder.exists() for folder in folders] == [False] * 10 + [True] * 2
    assert [key in one.files for key in keys] == [False] * 10 + [True] * 2


def test_the_name_of_a_tab_that_never_was_may_be_closed(sessions):
    sessions.close("one")
    assert sessions.get("one").folder.exists()


def test_a_picture_is_kept_no_larger_than_a_result_and_without_exif(tmp_path):
    exif = image().getexif()
    exif[271] = "a camera"
    image(300, 150).save(tmp_path / "a.jpg", exif=exif)
    stored = store_picture(tmp_path / "a.jpg", "a.jpg", tmp_path / "out.png", "content", Limits(side=100))
    kept = read_picture(stored.path)
    assert stored.rgb_size == kept.size == (100, 50)
    assert kept.exif is None
    whole = read_picture(tmp_path / "a.jpg").rgb
    np.testing.assert_allclose(kept.rgb.mean((0, 1)), whole.mean((0, 1)), atol=0.01)


def test_a_small_picture_is_kept_as_it_is(tmp_path):
    path = save(tmp_path / "a.png")
    stored = store_picture(path, "a.png", tmp_path / "out.png", "content", Limits())
    np.testing.assert_array_equal(read_picture(stored.path).rgb, read_picture(path).rgb)


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def bad_file(kind, path):
    if kind == "svg":
        path.write_bytes(SVG)
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.txt", "x")
    elif kind == "cut off":
        path.write_bytes(save(path).read_bytes()[:300])
    elif kind == "pixels":
        png_header(path, 10_000, 10_000)
    elif kind == "bytes":
        path.write_bytes(b"x" * 2000)
    elif kind == "tiny":
        save(path, 8, 8)
    elif kind == "narrow":
        image(2000, 40).save(path)
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("svg", "not a picture in a known format"),
        ("zip", "not a picture in a known format"),
        ("cut off", "damaged or cut off"),
        ("pixels", "10000"),
        ("bytes", "at most 0 MB"),
        ("tiny", "32"),
        ("narrow", "too narrow"),
        ("gone", "no such file|no longer there"),
    ],
)
def test_what_is_no_picture_is_refused_by_its_own_name(tmp_path, kind, words):
    limits = Limits(upload=1000 if kind == "bytes" else 10**6, pixels=10**6, side=512)
    path = bad_file(kind, tmp_path / "0123.png")
    with pytest.raises(ImageError, match=words) as caught:
        store_picture(path, "holiday.png", tmp_path / "out.png", "content", limits)
    assert "holiday.png" in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("castle.jpg", "castle.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\pictures\\a.png", "a.png"),
        ("<img onerror=x>.png", "img onerrorx.png"),
        ("{{evil}}${1}", "evil1"),
        ("Schloß in Grün.png", "Schloß in Grün.png"),
        ("../", "picture"),
        ("", "picture"),
        ("x" * 300, "x" * 40),
    ],
)
def test_names_are_shown_without_what_could_harm(name, shown):
    assert shown_name(name) == shown


def test_regions_know_their_shares_and_whether_they_were_mended():
    found = np.zeros((4, 5), dtype=np.uint8)
    regions = Regions(("sky", "water"), found, found.copy(), None)
    assert not regions.edited
    regions.label_map[0] = 1
    assert regions.edited
    assert regions.shares == {"sky": 0.75, "water": 0.25}

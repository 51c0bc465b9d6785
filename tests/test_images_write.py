"""Writing pictures: what is in the file, and that there is either the whole of it or nothing."""

from __future__ import annotations

import errno
import io
import os
import stat
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from photostyle.errors import OutputError, UsageError
from photostyle.images import check_writable, encode_picture, read_picture, write_atomically, write_picture
from photostyle.images.profiles import srgb_profile

RNG = np.random.default_rng(11)
RGB8 = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)
RGB16 = RNG.integers(0, 65536, (6, 9, 3), dtype=np.uint16)
ALPHA16 = RNG.integers(0, 65536, (6, 9), dtype=np.uint16)
FLOAT = RNG.random((6, 9, 3), dtype=np.float32)
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")


def exif_bytes() -> bytes:
    exif = Image.Exif()
    exif[271] = "Maker"
    exif[270] = "A scene"
    exif[306] = "2020:01:02 03:04:05"
    exif[33432] = "Someone"
    exif[34665] = {33434: IFDRational(1, 100), 36867: "2020:01:02 03:04:05"}
    exif[34853] = {1: "N", 2: (48.0, 30.0, 0.0)}
    return exif.tobytes()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


# ---------------------------------------------------------------------------------------------- content


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".PNG"])
@pytest.mark.parametrize("with_alpha", [False, True])
@pytest.mark.parametrize("bit_depth", [8, 16])
def test_round_trip_is_exact(tmp_path, suffix, with_alpha, bit_depth):
    full = 255 if bit_depth == 8 else 65535
    source = RGB8 if bit_depth == 8 else RGB16
    mask = (ALPHA16 // (65535 // full)).astype(source.dtype)
    rgb = source.astype(np.float32) / np.float32(full)
    alpha = mask.astype(np.float32) / np.float32(full) if with_alpha else None
    path = tmp_path / f"a{suffix}"
    write_picture(path, rgb, alpha=alpha, bit_depth=bit_depth, exif=exif_bytes())
    picture = read_picture(path)
    assert picture.bit_depth == bit_depth
    np.testing.assert_array_equal(np.rint(picture.rgb.astype(float) * full), source)
    assert (picture.alpha is None) == (not with_alpha)
    if picture.alpha is not None:
        np.testing.assert_array_equal(np.rint(picture.alpha.astype(float) * full), mask)
    assert picture.notes == ()


def test_16_bit_png_as_other_libraries_see_it():
    import cv2

    rgb = RGB16.astype(np.float64) / 65535
    data = encode_picture(rgb, suffix=".png", bit_depth=16, exif=exif_bytes())
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert decoded is not None
    np.testing.assert_array_equal(decoded[..., ::-1], RGB16)
    image = opened(data)
    assert image.info["icc_profile"] == srgb_profile()
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(encode_picture(rgb, suffix=".tif", bit_depth=16))), RGB16)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("bit_depth", [8, 16])
def test_profile_and_exif_are_embedded(suffix, bit_depth):
    for exif in (exif_bytes(), exif_bytes()[6:]):
        data = encode_picture(FLOAT, suffix=suffix, bit_depth=bit_depth, exif=exif)
        if suffix in (".tif", ".tiff"):
            with tifffile.TiffFile(io.BytesIO(data)) as tiff:
                assert tiff.pages[0].tags[34675].value == srgb_profile()
                assert tiff.pages[0].compression.name == "ADOBE_DEFLATE"
                assert not {34665, 34853} & set(tiff.pages[0].tags.keys())
            kept = Image.Exif()
            kept.load_from_fp(io.BytesIO(data))
        else:
            image = opened(data)
            assert image.info["icc_profile"] == srgb_profile()
            kept = image.getexif()
        assert (kept[271], kept[270], kept[306], kept[33432]) == (
            "Maker",
            "A scene",
            "2020:01:02 03:04:05",
            "Someone",
        )
        if suffix in (".tif", ".tiff"):
            continue
        assert kept.get_ifd(34665)[33434] == pytest.approx(0.01)
        assert kept.get_ifd(34665)[36867] == "2020:01:02 03:04:05"
        assert kept.get_ifd(34853)[1] == "N"
        assert [float(v) for v in kept.get_ifd(34853)[2]] == [48, 30, 0]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_exif_survives_a_round_trip_through_files(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    for depth in (8, 16):
        write_picture(path, FLOAT, exif=exif_bytes(), bit_depth=depth, overwrite=True)
        exif = Image.Exif()
        exif.load(read_picture(path).exif)
        assert exif[271] == "Maker"
        if suffix in (".tif", ".tiff"):
            assert not exif.get_ifd(34665)
        else:
            assert exif.get_ifd(34665)[33434] == pytest.approx(0.01)


def test_without_exif_there_is_none():
    for suffix in SUFFIXES:
        image = opened(encode_picture(FLOAT, suffix=suffix))
        assert 271 not in image.getexif()
        assert 305 not in image.getexif()  # no library names itself


def test_profile_says_srgb_and_has_no_time_in_it():
    assert srgb_profile()[36:40] == b"acsp"
    assert srgb_profile()[24:36] == bytes((7, 208, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0))
    assert read_picture(opened(encode_picture(FLOAT, suffix=".png"))).notes == ()


@pytest.mark.parametrize("bit_depth", [8, 16])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_bytes_are_the_same_each_time(suffix, bit_depth, monkeypatch):
    first = encode_picture(FLOAT, suffix=suffix, bit_depth=bit_depth, exif=exif_bytes())
    srgb_profile.cache_clear()
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert encode_picture(FLOAT.copy(), suffix=suffix, bit_depth=bit_depth, exif=exif_bytes()) == first


def test_srgb_profile_is_the_same_a_second_later():
    first = srgb_profile()
    time.sleep(1.05)
    srgb_profile.cache_clear()
    assert srgb_profile() == first


def sampling_factors(jpeg: bytes) -> list[int]:
    """Read the sampling factors from the frame header (SOF0 or SOF2)."""
    at = 2
    while jpeg[at + 1] not in (0xC0, 0xC2):
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return [jpeg[at + 11 + 3 * i] for i in range(jpeg[at + 9])]


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg"])
def test_jpeg_is_444_and_good(suffix):
    y, x = np.mgrid[0:32, 0:32] / 31
    rgb = np.stack([x, y, 1 - x], axis=-1)
    data = encode_picture(rgb, suffix=suffix, bit_depth=16)
    assert sampling_factors(data) == [0x11, 0x11, 0x11]
    assert opened(data).quantization[0][0] <= 2  # quality 95
    assert np.abs(np.array(opened(data)) / 255 - rgb).max() < 0.03


def test_jpeg_is_composited_over_white():
    rgb = np.zeros((8, 16, 3), np.float32)
    alpha = np.zeros((8, 16), np.float32)
    alpha[:, 8:] = 0.5
    out = np.array(opened(encode_picture(rgb, suffix=".jpg", alpha=alpha))).astype(int)
    assert np.abs(out[:, :8] - 255).max() <= 2
    assert np.abs(out[:, 8:] - 128).max() <= 2


def test_webp_keeps_alpha():
    rgb = np.full((8, 8, 3), 0.5, np.float32)
    alpha = np.zeros((8, 8), np.float32)
    alpha[:, 4:] = 1
    image = opened(encode_picture(rgb, suffix=".webp", alpha=alpha))
    np.testing.assert_array_equal(np.array(image)[..., 3], alpha * 255)
    assert np.abs(np.array(image)[..., :3].astype(int) - 128).max() <= 3


def test_rounding_and_clipping():
    rgb = np.array([[[-3.0, 0.4999 / 255, 0.5001 / 255], [1.4999 / 255, 254.5001 / 255, 7.0]]])
    assert np.array(opened(encode_picture(rgb, suffix=".png"))).tolist() == [[[0, 0, 1], [1, 255, 255]]]


def test_the_picture_is_not_changed():
    rgb, alpha = FLOAT * 2 - 0.5, FLOAT[..., 0].copy()
    before = rgb.copy()
    encode_picture(rgb, suffix=".jpg", alpha=alpha)
    np.testing.assert_array_equal(rgb, before)
    np.testing.assert_array_equal(alpha, FLOAT[..., 0])


# ----------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(tmp_path, value):
    bad = FLOAT.copy()
    bad[2, 3, 1] = value
    with pytest.raises(OutputError, match="holds 1 values that are NaN or infinite"):
        write_picture(tmp_path / "a.png", bad)
    with pytest.raises(OutputError, match="the alpha holds"):
        encode_picture(FLOAT, suffix=".jpg", alpha=bad[..., 1])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rgb", [FLOAT[..., 0], FLOAT[..., :2], FLOAT[:0], RGB8])
def test_shapes_and_types_that_are_not_allowed(rgb):
    with pytest.raises(OutputError, match=r"can't be written: allowed are floats \(H, W, 3\)"):
        encode_picture(rgb, suffix=".png")


def test_alpha_that_does_not_fit():
    with pytest.raises(OutputError, match="doesn't fit"):
        encode_picture(FLOAT, suffix=".png", alpha=FLOAT[1:, :, 0])


def test_what_a_format_cannot_hold():
    wide = np.zeros((1, 16384, 3), np.float32)
    with pytest.raises(OutputError, match="at most 16,383 pixels a side, but the picture has 16,384"):
        encode_picture(wide, suffix=".webp")
    assert opened(encode_picture(wide, suffix=".png")).size == (16384, 1)
    with pytest.raises(OutputError, match="a JPEG holds at most"):
        encode_picture(FLOAT, suffix=".jpg", exif=bytes(70_000))


@pytest.mark.parametrize("suffix", ["", ".gif", ".exe", "png"])
def test_unknown_suffix(tmp_path, suffix):
    with pytest.raises(UsageError, match=r"allowed are \.png, \.jpg, \.jpeg, \.webp, \.tif, \.tiff"):
        encode_picture(FLOAT, suffix=suffix)
    with pytest.raises(UsageError, match=r"allowed are \.png"):
        check_writable(tmp_path / "a.gif", overwrite=False)
    with pytest.raises(UsageError, match="has no suffix"):
        check_writable(tmp_path / "a", overwrite=False)


def test_unknown_bit_depth():
    with pytest.raises(UsageError, match="allowed are 8 and 16"):
        encode_picture(FLOAT, suffix=".png", bit_depth=12)


def test_check_writable(tmp_path, monkeypatch):
    check_writable(tmp_path / "a.png", overwrite=False)
    check_writable(str(tmp_path / "a.TIFF"), overwrite=True)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OutputError, match="doesn't exist: create it first"):
        check_writable(tmp_path / "no" / "a.png", overwrite=False)
    (tmp_path / "d.png").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        check_writable(tmp_path / "d.png", overwrite=True)
    (tmp_path / "old.png").write_bytes(b"old")
    with pytest.raises(UsageError, match="--overwrite"):
        check_writable(tmp_path / "old.png", overwrite=False)
    check_writable(tmp_path / "old.png", overwrite=True)
    with pytest.raises(OutputError, match="is not a folder"):
        check_writable(tmp_path / "old.png" / "a.png", overwrite=True)
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(OutputError, match="not a plain file"):
        check_writable(tmp_path / "pipe.png", overwrite=True)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(OutputError, match="you may not write to the folder"):
        check_writable(tmp_path / "a.png", overwrite=False)


def test_an_existing_file_is_not_overwritten_unasked(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    with pytest.raises(UsageError, match="--overwrite"):
        write_picture(path, FLOAT)
    assert path.read_bytes() == b"old"
    write_picture(path, FLOAT, overwrite=True)
    assert read_picture(path).size == (9, 6)


# ------------------------------------------------------------------------------------------ all or nothing


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize(
    ("error", "expected", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), OutputError, "No space left"),
        (OSError(errno.EROFS, "Read-only file system"), OutputError, "Read-only"),
        (PermissionError(errno.EACCES, "Permission denied"), OutputError, "Permission denied"),
        (KeyboardInterrupt(), KeyboardInterrupt, ""),
    ],
)
def test_a_failure_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, function, error, expected, words):
    def fail(*args, **kwargs):
        raise error

    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, function, fail)
    with pytest.raises(expected, match=words or None) as caught:
        write_picture(path, FLOAT, overwrite=True)
    assert "\n" not in str(caught.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]
    assert path.read_bytes() == b"old"
    with pytest.raises(expected):
        write_picture(tmp_path / "new.png", FLOAT)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


def test_the_temporary_file_cannot_be_made(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(OutputError, match=r"a\.png: can't be written \(Permission denied\)"):
        write_picture(tmp_path / "a.png", FLOAT)


def test_any_bytes_can_be_written_atomically(tmp_path, monkeypatch):
    path = tmp_path / "record.json"
    write_atomically(path, b"{}")
    write_atomically(str(path), b"[]")
    assert path.read_bytes() == b"[]"
    with pytest.raises(OutputError, match="No such file"):
        write_atomically(tmp_path / "no" / "a.json", b"")
    assert [entry.name for entry in tmp_path.iterdir()] == ["record.json"]


def test_the_data_are_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
    order = []
    fsync, replace = os.fsync, os.replace

    def spy_fsync(fd):
        order.append(("fsync", os.fstat(fd).st_size))
        fsync(fd)

    def spy_replace(source, target):
        order.append(("replace", Path(source).parent == Path(target).parent))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "replace", spy_replace)
    write_picture(tmp_path / "a.png", FLOAT)
    assert order == [("fsync", (tmp_path / "a.png").stat().st_size), ("replace", True)]


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_permissions_follow_the_umask(tmp_path, mask):
    previous = os.umask(mask)
    try:
        write_picture(tmp_path / "a.png", FLOAT)
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "a.png").stat().st_mode) == 0o666 & ~mask


def test_a_symbolic_link_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    real = tmp_path / "real" / "b.png"
    real.write_bytes(b"old")
    link = tmp_path / "a.png"
    link.symlink_to(real)
    write_picture(link, FLOAT, overwrite=True)
    assert link.is_symlink()
    assert read_picture(real).size == (9, 6)


def test_relative_path_and_very_long_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_picture("a.png", FLOAT)
    write_picture("n" * 251 + ".png", FLOAT)
    with pytest.raises(OutputError, match="too long"):
        write_picture("n" * 252 + ".png", FLOAT)
    with pytest.raises(OutputError, match="null"):
        write_picture("a\0b.png", FLOAT)
    assert len(list(tmp_path.iterdir())) == 2

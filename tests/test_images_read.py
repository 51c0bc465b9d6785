"""Reading pictures: every format and mode, orientation, colour profiles, and every way it can go wrong."""

from __future__ import annotations

import contextlib
import io
import os
import random
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageCms

from photostyle.errors import ImageError
from photostyle.images import read_picture
from photostyle.images.exif import tells_place
from photostyle.images.profiles import srgb_profile

RNG = np.random.default_rng(7)
RGB8 = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
RGB16 = RNG.integers(0, 65536, (5, 7, 3), dtype=np.uint16)
# 4 rows of gradients whose steps are far below 1/255
GRADIENT16 = np.broadcast_to((30000 + 3 * np.arange(64, dtype=np.uint16))[None, :, None], (4, 64, 3)).copy()
D50 = (0.9642, 1.0, 0.8249)
P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
SRGB_CURVE = struct.pack(
    ">4sIHH5i",
    b"para",
    0,
    3,
    0,
    *(round(v * 65536) for v in (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)),
)


def icc(space: bytes, tags: dict[bytes, bytes], *, pcs: bytes = b"XYZ ", kind: bytes = b"mntr") -> bytes:
    text = "test".encode("utf-16-be")
    desc = struct.pack(">4sIII2s2sII", b"mluc", 0, 1, 12, b"en", b"US", len(text), 28) + text
    tags = {b"desc": desc, b"cprt": desc, b"wtpt": xyz(D50), **tags}
    table, body = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += struct.pack(">4sII", name, start + len(body), len(data))
        body += data
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"none", 0x04200000, kind, space, pcs)
    head += struct.pack(">6H4s", 2020, 1, 1, 0, 0, 0, b"acsp") + bytes(28)
    head += struct.pack(">3i", *(round(v * 65536) for v in D50))
    head += bytes(128 - len(head))
    return head + struct.pack(">I", len(tags)) + table + body


def xyz(values: tuple[float, ...]) -> bytes:
    return struct.pack(">4sI3i", b"XYZ ", 0, *(round(v * 65536) for v in values))


def matrix_profile(columns: tuple[tuple[float, ...], ...], curve: bytes = SRGB_CURVE) -> bytes:
    names = zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return icc(b"RGB ", {name: xyz(column) for name, column in names} | curves)


def gamma_curve(gamma: float) -> bytes:
    return struct.pack(">4sIIH", b"curv", 0, 1, round(gamma * 256))


def table_profile(space: bytes, lab: np.ndarray) -> bytes:
    """A lut8 profile on a 2^n grid: ``lab`` has shape (2,) * n + (3,), as 8-bit L*, a*, b*."""
    inputs = lab.ndim - 1
    ramp = bytes(range(256))
    data = struct.pack(">4sI4B9i", b"mft1", 0, inputs, 3, 2, 0, *(65536 * v for v in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    data += ramp * inputs + lab.astype(np.uint8).tobytes() + ramp * 3
    return icc(space, {b"A2B0": data, b"A2B1": data}, pcs=b"Lab ", kind=b"prtr")


def cmyk_profile() -> bytes:
    """Black ink darkens; cyan alone is made a vivid green, which no plain formula gives."""
    lab = np.zeros((2, 2, 2, 2, 3))
    lab[..., 1:] = 128
    lab[:, :, :, 0, 0] = 255
    lab[1, 0, 0, 0] = (150, 60, 190)
    return table_profile(b"CMYK", lab)


def grey_table_profile_rgb() -> bytes:
    """An RGB table profile: L* is the mean of the channels."""
    lab = np.full((2, 2, 2, 3), 128.0)
    lab[..., 0] = 255 * np.indices((2, 2, 2)).mean(axis=0)
    return table_profile(b"RGB ", lab)


def save(path: Path, image: Image.Image, **options) -> Path:
    image.save(path, **options)
    return path


def png16(path: Path, array: np.ndarray, *, kind: int, chunks: tuple[tuple[bytes, bytes], ...] = ()) -> Path:
    """Write a 16-bit PNG by hand, so that decoding isn't tested against its own library."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = array.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    body = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))
    body += b"".join(chunk(*c) for c in chunks) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def exif_bytes(orientation: int, **more) -> bytes:
    exif = Image.Exif()
    exif[274] = orientation
    exif[271] = "Maker"
    exif[34665] = {33434: 0.01, 40962: 7}
    return exif.tobytes()


def as8(rgb: np.ndarray) -> np.ndarray:
    return np.rint(rgb * 255).astype(np.uint8)


def as16(rgb: np.ndarray) -> np.ndarray:
    return np.rint(rgb.astype(np.float64) * 65535).astype(np.uint16)


# ------------------------------------------------------------------------------------- formats and modes


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "webp", "ppm"])
def test_lossless_8_bit_formats(tmp_path, suffix):
    path = save(tmp_path / f"a.{suffix}", Image.fromarray(RGB8), **({"lossless": True} if suffix == "webp" else {}))
    picture = read_picture(path)
    assert picture.rgb.dtype == np.float32
    assert picture.rgb.flags.c_contiguous
    np.testing.assert_array_equal(as8(picture.rgb), RGB8)
    assert (picture.alpha, picture.bit_depth, picture.name) == (None, 8, str(path))
    assert (picture.size, picture.exif, picture.notes) == ((7, 5), None, ())


def test_jpeg_and_string_path(tmp_path):
    flat = Image.new("RGB", (9, 6), (200, 100, 50))
    picture = read_picture(str(save(tmp_path / "a.jpg", flat, quality=95)))
    assert np.abs(picture.rgb - np.array([200, 100, 50]) / 255).max() < 2.5 / 255


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_grey_and_palette(tmp_path, suffix, mode):
    source = Image.fromarray(RGB8).convert(mode)
    picture = read_picture(save(tmp_path / f"a.{suffix}", source))
    np.testing.assert_array_equal(as8(picture.rgb), np.array(source.convert("RGB")))
    assert picture.alpha is None


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_alpha_is_kept_apart_and_hidden_colours_survive(tmp_path, suffix):
    rgba = np.dstack([RGB8, RNG.integers(0, 256, (5, 7), dtype=np.uint8)])
    rgba[0, 0, 3] = 0
    options = {"lossless": True, "exact": True} if suffix == "webp" else {}
    picture = read_picture(save(tmp_path / f"a.{suffix}", Image.fromarray(rgba), **options))
    np.testing.assert_array_equal(as8(picture.rgb), RGB8)
    assert picture.alpha is not None
    np.testing.assert_array_equal(as8(picture.alpha), rgba[..., 3])


def test_opaque_alpha_is_none(tmp_path):
    assert read_picture(save(tmp_path / "a.png", Image.fromarray(RGB8).convert("RGBA"))).alpha is None


def test_grey_with_alpha(tmp_path):
    la = Image.merge("LA", Image.fromarray(RGB8).split()[:2])
    picture = read_picture(save(tmp_path / "a.png", la))
    np.testing.assert_array_equal(as8(picture.rgb), np.repeat(RGB8[..., :1], 3, axis=2))
    np.testing.assert_array_equal(as8(picture.alpha), RGB8[..., 1])


def test_palette_with_transparency(tmp_path):
    image = Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.putdata([0, 1, 2])
    picture = read_picture(save(tmp_path / "a.png", image, transparency=b"\x00\x80\xff"))
    np.testing.assert_array_equal(as8(picture.alpha), [[0, 128, 255]])
    np.testing.assert_array_equal(as8(picture.rgb), [[[10, 20, 30], [40, 50, 60], [70, 80, 90]]])
    picture = read_picture(save(tmp_path / "a.gif", image, transparency=1))
    np.testing.assert_array_equal(picture.alpha, [[1, 0, 1]])


@pytest.mark.parametrize(("mode", "key"), [("RGB", (1, 2, 3)), ("L", 7)])
def test_key_colour(tmp_path, mode, key):
    image = Image.new(mode, (2, 1), 99 if mode == "L" else (9, 9, 9))
    image.putpixel((1, 0), key)
    picture = read_picture(save(tmp_path / "a.png", image, transparency=key))
    np.testing.assert_array_equal(picture.alpha, [[1, 0]])
    np.testing.assert_array_equal(as8(picture.rgb)[0, 1], key if mode == "RGB" else [7, 7, 7])


def test_ycbcr_and_lab_tiff(tmp_path):
    flat = Image.new("RGB", (4, 4), (180, 90, 60))
    picture = read_picture(save(tmp_path / "y.tif", flat.convert("YCbCr")))
    assert np.abs(as8(picture.rgb).astype(int) - [180, 90, 60]).max() <= 2
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(flat, srgb, lab, outputMode="LAB")
    picture = read_picture(save(tmp_path / "l.tif", image))
    assert np.abs(as8(picture.rgb).astype(int) - [180, 90, 60]).max() <= 3
    assert "L*a*b*" in picture.notes[0]


def test_animation_gives_the_first_frame(tmp_path):
    frames = [Image.new("RGB", (4, 3), c) for c in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    for suffix in ("gif", "tif", "png"):
        path = save(tmp_path / f"a.{suffix}", frames[0], save_all=True, append_images=frames[1:])
        picture = read_picture(path)
        assert as8(picture.rgb)[0, 0].tolist() == [255, 0, 0]
        assert any("first of 3" in note for note in picture.notes)


# ---------------------------------------------------------------------------------------------- 16 bits


@pytest.mark.parametrize("array", [RGB16, GRADIENT16])
def test_16_bit_rgb_png_is_exact(tmp_path, array):
    picture = read_picture(png16(tmp_path / "a.png", array, kind=2))
    np.testing.assert_array_equal(as16(picture.rgb), array)
    assert picture.bit_depth == 16


def test_16_bit_png_of_the_other_kinds(tmp_path):
    grey, alpha = RGB16[..., 0], RGB16[..., 1]
    picture = read_picture(png16(tmp_path / "l.png", grey, kind=0))
    np.testing.assert_array_equal(as16(picture.rgb), np.repeat(grey[..., None], 3, axis=2))
    picture = read_picture(png16(tmp_path / "la.png", RGB16[..., :2], kind=4))
    np.testing.assert_array_equal(as16(picture.rgb), np.repeat(grey[..., None], 3, axis=2))
    np.testing.assert_array_equal(as16(picture.alpha), alpha)
    picture = read_picture(png16(tmp_path / "rgba.png", np.dstack([RGB16, alpha]), kind=6))
    np.testing.assert_array_equal(as16(picture.rgb), RGB16)
    np.testing.assert_array_equal(as16(picture.alpha), alpha)


def test_16_bit_png_with_a_key_colour(tmp_path):
    key = struct.pack(">3H", *RGB16[1, 2].tolist())
    picture = read_picture(png16(tmp_path / "a.png", RGB16, kind=2, chunks=((b"tRNS", key),)))
    assert picture.alpha is not None
    assert np.argwhere(picture.alpha == 0).tolist() == [[1, 2]]
    key = struct.pack(">H", int(RGB16[3, 4, 0]))
    picture = read_picture(png16(tmp_path / "g.png", RGB16[..., 0], kind=0, chunks=((b"tRNS", key),)))
    assert np.argwhere(picture.alpha == 0).tolist() == [[3, 4]]


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_16_bit_rgb_tiff_is_exact(tmp_path, compression, planar):
    data = RGB16 if planar == "contig" else np.moveaxis(RGB16, -1, 0)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, data, photometric="rgb", planarconfig=planar, compression=compression)
    picture = read_picture(path)
    np.testing.assert_array_equal(as16(picture.rgb), RGB16)
    assert picture.bit_depth == 16


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bit_lzw_tiff_is_exact(tmp_path, channels):
    data = np.dstack([RGB16, RGB16[..., :1]])[..., :channels]
    bgr = data if channels == 1 else data[..., [2, 1, 0, 3][:channels]]
    ok, encoded = cv2.imencode(".tif", np.ascontiguousarray(bgr), [cv2.IMWRITE_TIFF_COMPRESSION, 5])
    assert ok
    (tmp_path / "a.tif").write_bytes(encoded.tobytes())
    picture = read_picture(tmp_path / "a.tif")
    np.testing.assert_array_equal(as16(picture.rgb), data[..., :3] if channels > 1 else data.repeat(3, axis=2))


def test_16_bit_tiff_grey_both_ways_round(tmp_path):
    for photometric, expected in (("minisblack", RGB16[..., 0]), ("miniswhite", 65535 - RGB16[..., 0])):
        tifffile.imwrite(tmp_path / "a.tif", RGB16[..., 0], photometric=photometric)
        picture = read_picture(tmp_path / "a.tif")
        np.testing.assert_array_equal(as16(picture.rgb)[..., 1], expected)


def test_16_bit_tiff_alpha_straight_and_premultiplied(tmp_path):
    rgba = np.dstack([RGB16, np.full((5, 7), 32768, np.uint16)])
    tifffile.imwrite(tmp_path / "a.tif", rgba, photometric="rgb", extrasamples=["unassalpha"])
    picture = read_picture(tmp_path / "a.tif")
    np.testing.assert_array_equal(as16(picture.rgb), RGB16)
    np.testing.assert_array_equal(as16(picture.alpha), rgba[..., 3])
    rgba[..., :3] //= 2
    tifffile.imwrite(tmp_path / "a.tif", rgba, photometric="rgb", extrasamples=["assocalpha"])
    assert np.abs(as16(read_picture(tmp_path / "a.tif").rgb).astype(int) - RGB16).max() <= 3
    tifffile.imwrite(tmp_path / "a.tif", rgba, photometric="rgb", extrasamples=["unspecified"])
    picture = read_picture(tmp_path / "a.tif")
    assert picture.alpha is None
    assert "ignored" in picture.notes[0]


def test_float_tiff(tmp_path):
    values = RNG.random((4, 6, 3), dtype=np.float32)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb")
    picture = read_picture(tmp_path / "a.tif")
    np.testing.assert_array_equal(picture.rgb, values)
    assert picture.bit_depth == 16
    tifffile.imwrite(tmp_path / "a.tif", values * 300, photometric="rgb")
    with pytest.raises(ImageError, match=r"holds the value \d+.*\[0, 1\]"):
        read_picture(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "a.tif", (values * 2**31).astype(np.uint32), photometric="rgb")
    with pytest.raises(ImageError, match=r"32 bits.*allowed are 8 or 16"):
        read_picture(tmp_path / "a.tif")


# ------------------------------------------------------------------------------------------ orientation


def stored(upright: np.ndarray, orientation: int) -> np.ndarray:
    """The stored array whose correct display is ``upright``, from the EXIF table: row 0 is, column 0 is."""
    return {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),
        7: np.rot90(upright, 2).swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }[orientation]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, orientation):
    exif = exif_bytes(orientation)
    array8 = np.ascontiguousarray(stored(RGB8, orientation))
    image = Image.fromarray(array8)
    for name, options in (("a.png", {}), ("a.webp", {"lossless": True}), ("a.tif", {})):
        picture = read_picture(save(tmp_path / name, image, exif=exif, **options))
        np.testing.assert_array_equal(as8(picture.rgb), RGB8)
        kept = Image.Exif()
        kept.load(picture.exif)
        assert (kept[274], kept[271]) == (1, "Maker")
        assert kept.get_ifd(34665)[33434] == pytest.approx(0.01)
        assert 40962 not in kept.get_ifd(34665)
        assert 273 not in kept
    big = np.kron(np.array([[0, 255, 0], [60, 120, 180]], np.uint8), np.ones((16, 16), np.uint8))
    jpeg = save(tmp_path / "a.jpg", Image.fromarray(np.ascontiguousarray(stored(big, orientation))), exif=exif)
    assert np.abs(as8(read_picture(jpeg).rgb)[..., 0].astype(int) - big).max() < 12

    array16 = np.ascontiguousarray(stored(np.dstack([RGB16, RGB16[..., :1]]), orientation))
    path = png16(tmp_path / "d.png", array16, kind=6, chunks=((b"eXIf", exif[6:]),))
    picture = read_picture(path)
    np.testing.assert_array_equal(as16(picture.rgb), RGB16)
    np.testing.assert_array_equal(as16(picture.alpha), RGB16[..., 0])
    assert picture.exif is not None
    array16 = np.ascontiguousarray(array16[..., :3])
    tifffile.imwrite(
        tmp_path / "d.tif",
        array16,
        photometric="rgb",
        extratags=[(274, "H", 1, orientation, True), (271, "s", 0, "Me", True)],
    )
    picture = read_picture(tmp_path / "d.tif")
    np.testing.assert_array_equal(as16(picture.rgb), RGB16)
    kept.load(picture.exif)
    assert kept[271] == "Me"


def test_the_colour_space_of_exif_is_that_of_what_was_read(tmp_path):
    exif = Image.Exif()
    exif[34665] = {40961: 65535}  # not calibrated: a profile tells, and the picture is sRGB once it was heeded
    picture = read_picture(save(tmp_path / "a.png", Image.fromarray(RGB8), exif=exif.tobytes()))
    kept = Image.Exif()
    kept.load(picture.exif)
    assert kept.get_ifd(34665)[40961] == 1
    assert not tells_place(picture.exif)


def test_impossible_orientation_and_broken_exif_are_no_obstacle(tmp_path):
    picture = read_picture(save(tmp_path / "a.png", Image.fromarray(RGB8), exif=exif_bytes(77)))
    np.testing.assert_array_equal(as8(picture.rgb), RGB8)
    broken = b"Exif\0\0II*\0\x08\0\0\0\xff\x7f" + bytes(range(40))
    picture = read_picture(save(tmp_path / "a.jpg", Image.fromarray(RGB8), exif=broken))
    assert picture.size == (7, 5)
    assert picture.notes


def test_exif_that_no_jpeg_can_hold(tmp_path):
    exif = Image.Exif()
    exif[271] = "Maker"
    exif[34665] = {37500: bytes(70_000)}
    picture = read_picture(save(tmp_path / "a.png", Image.fromarray(RGB8), exif=exif.tobytes()))
    assert picture.exif is not None
    assert len(picture.exif) < 65_533
    assert any("maker note" in note for note in picture.notes)


# -------------------------------------------------------------------------------------- colour profiles


def p3_to_srgb(values: np.ndarray) -> np.ndarray:
    """An independent oracle in float64: both spaces share D50 here, and the sRGB curve."""
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ (np.linalg.inv(np.array(SRGB).T) @ np.array(P3).T).T, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp", "a.jpg"])
def test_profile_of_8_bit_pictures(tmp_path, name):
    image = Image.new("RGB", (16, 16), (200, 120, 60))
    options = {"lossless": True} if name == "a.webp" else {}
    picture = read_picture(save(tmp_path / name, image, icc_profile=matrix_profile(P3), **options))
    expected = p3_to_srgb(np.array([200, 120, 60]) / 255)
    assert np.abs(expected - np.array([200, 120, 60]) / 255).max() > 0.03
    assert np.abs(picture.rgb - expected).max() < 3 / 255
    assert picture.notes == ("colours converted from the ICC profile 'test' to sRGB",)


def test_profile_of_16_bit_pictures_is_exact(tmp_path):
    chunk = (b"iCCP", b"x\0\0" + zlib.compress(matrix_profile(P3)))
    picture = read_picture(png16(tmp_path / "a.png", RGB16, kind=2, chunks=(chunk,)))
    assert np.abs(picture.rgb - p3_to_srgb(RGB16 / 65535)).max() < 2e-3
    picture = read_picture(png16(tmp_path / "g.png", GRADIENT16, kind=2, chunks=(chunk,)))
    assert len(np.unique(as16(picture.rgb)[0, :, 0])) == 64
    tifffile.imwrite(tmp_path / "a.tif", RGB16, photometric="rgb", iccprofile=matrix_profile(P3, gamma_curve(1.8)))
    linear = np.clip((RGB16 / 65535) ** 1.8 @ (np.linalg.inv(np.array(SRGB).T) @ np.array(P3).T).T, 0, 1)
    expected = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(read_picture(tmp_path / "a.tif").rgb - expected).max() < 2e-3


def test_table_curves_and_deep_conversion_agree_with_littlecms(tmp_path):
    points = np.rint(65535 * np.linspace(0, 1, 1024) ** 2.2).astype(">u2").tobytes()
    profile = matrix_profile(P3, struct.pack(">4sII", b"curv", 0, 1024) + points)
    eight = read_picture(save(tmp_path / "a.png", Image.fromarray(RGB8), icc_profile=profile))
    deep = png16(
        tmp_path / "b.png",
        RGB8.astype(np.uint16) * 257,
        kind=2,
        chunks=((b"iCCP", b"x\0\0" + zlib.compress(profile)),),
    )
    assert np.abs(read_picture(deep).rgb - eight.rgb).max() < 1.6 / 255


@pytest.mark.parametrize("profile", [srgb_profile(), matrix_profile(SRGB)])
def test_srgb_profiles_change_nothing(tmp_path, profile):
    picture = read_picture(save(tmp_path / "a.png", Image.fromarray(RGB8), icc_profile=profile))
    np.testing.assert_array_equal(as8(picture.rgb), RGB8)
    assert picture.notes == ()
    tifffile.imwrite(tmp_path / "a.tif", RGB16, photometric="rgb", iccprofile=profile)
    np.testing.assert_array_equal(as16(read_picture(tmp_path / "a.tif").rgb), RGB16)


@pytest.mark.parametrize("profile", [grey_table_profile_rgb(), matrix_profile(P3)], ids=["table", "matrix"])
def test_deep_and_8_bit_conversions_of_the_same_colours_agree(tmp_path, profile):
    colors = RNG.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    eight = read_picture(save(tmp_path / "a.png", Image.fromarray(colors), icc_profile=profile))
    for deep in (colors.astype(np.uint16) * 257, colors.astype(np.float32) / 255):
        tifffile.imwrite(tmp_path / "a.tif", deep, photometric="rgb", iccprofile=profile)
        assert np.abs(read_picture(tmp_path / "a.tif").rgb - eight.rgb).max() < 1.2 / 255


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK", "LAB"])
def test_8_bits_are_converted_as_pillow_s_littlecms_does(mode):
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    grey = icc(b"GRAY", {b"kTRC": gamma_curve(1.0)})
    profile = {"L": grey, "RGB": matrix_profile(P3), "CMYK": cmyk_profile(), "LAB": lab}[mode]
    bands = len(Image.new(mode, (1, 1)).getbands())
    image = Image.frombytes(mode, (64, 50), RNG.integers(0, 256, (50, 64, bands), dtype=np.uint8).tobytes())
    image.info["icc_profile"] = profile
    source, srgb = (ImageCms.ImageCmsProfile(io.BytesIO(data)) for data in (profile, srgb_profile()))
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    expected = ImageCms.profileToProfile(image, source, srgb, ImageCms.Intent.RELATIVE_COLORIMETRIC, "RGB", flags=flags)
    assert np.abs(as8(read_picture(image).rgb).astype(int) - np.array(expected)).max() <= 1


def test_a_broken_profile_of_a_deep_png_is_a_note_and_nothing_else(tmp_path, capfd):
    chunk = (b"iCCP", b"x\0\0" + zlib.compress(b"no profile"))
    picture = read_picture(png16(tmp_path / "a.png", RGB16, kind=2, chunks=(chunk,)))
    np.testing.assert_array_equal(as16(picture.rgb), RGB16)
    assert "taken as sRGB" in picture.notes[0]
    assert capfd.readouterr() == ("", "")


def test_table_profile_of_16_bit_pictures_is_not_posterised(tmp_path):
    profile = grey_table_profile_rgb()
    ramp = np.broadcast_to(np.linspace(9000, 56000, 512).astype(np.uint16)[None, :, None], (2, 512, 3)).copy()
    tifffile.imwrite(tmp_path / "a.tif", ramp, photometric="rgb", iccprofile=profile)
    deep = read_picture(tmp_path / "a.tif")
    assert len(np.unique(deep.rgb[0, :, 0])) == 512
    eight = read_picture(save(tmp_path / "a.png", Image.fromarray((ramp // 257).astype(np.uint8)), icc_profile=profile))
    assert np.abs(deep.rgb - eight.rgb).max() < 3 / 255
    assert "converted" in deep.notes[0]


def test_grey_profile(tmp_path):
    profile = icc(b"GRAY", {b"kTRC": gamma_curve(1.0)})
    image = Image.new("L", (3, 2), 55)
    expected = 1.055 * (55 / 255) ** (1 / 2.4) - 0.055
    assert np.abs(read_picture(save(tmp_path / "a.png", image, icc_profile=profile)).rgb - expected).max() < 2 / 255
    tifffile.imwrite(
        tmp_path / "a.tif", np.full((2, 3), 55 * 257, np.uint16), iccprofile=profile, photometric="minisblack"
    )
    assert np.abs(read_picture(tmp_path / "a.tif").rgb - expected).max() < 1e-4


def test_profile_of_the_wrong_kind(tmp_path):
    picture = read_picture(
        save(tmp_path / "a.png", Image.fromarray(RGB8), icc_profile=icc(b"GRAY", {b"kTRC": gamma_curve(1)}))
    )
    np.testing.assert_array_equal(as8(picture.rgb), RGB8)
    assert "taken as sRGB" in picture.notes[0]
    grey = read_picture(save(tmp_path / "b.png", Image.new("L", (3, 2), 99), icc_profile=matrix_profile(P3)))
    assert np.abs(grey.rgb * 255 - 99).max() <= 1.01


def test_broken_profile(tmp_path):
    for broken in (b"not a profile at all", matrix_profile(P3)[:150]):
        picture = read_picture(save(tmp_path / "a.png", Image.fromarray(RGB8), icc_profile=broken))
        np.testing.assert_array_equal(as8(picture.rgb), RGB8)
        assert "taken as sRGB" in picture.notes[0]
        tifffile.imwrite(tmp_path / "a.tif", RGB16, photometric="rgb", iccprofile=broken)
        np.testing.assert_array_equal(as16(read_picture(tmp_path / "a.tif").rgb), RGB16)


def without_adobe_marker(jpeg: bytes) -> bytes:
    start = jpeg.index(b"\xff\xee")
    return jpeg[:start] + jpeg[start + 2 + int.from_bytes(jpeg[start + 2 : start + 4], "big") :]


def test_cmyk_without_profile(tmp_path):
    image = Image.new("CMYK", (16, 16), (0, 200, 100, 20))
    expected = np.array(image.convert("RGB"))
    for name in ("a.tif", "a.jpg"):
        picture = read_picture(save(tmp_path / name, image))
        assert np.abs(as8(picture.rgb).astype(int) - expected).max() <= (0 if name == "a.tif" else 4)
        assert "CMYK without a usable ICC profile" in picture.notes[0]
    data = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "b.jpg").write_bytes(without_adobe_marker(data))
    picture = read_picture(tmp_path / "b.jpg")
    inverted = np.array(Image.new("CMYK", (1, 1), (255, 55, 155, 235)).convert("RGB"))
    assert np.abs(as8(picture.rgb).astype(int) - inverted).max() <= 4
    assert "Adobe's marker" in picture.notes[0]


def test_cmyk_with_profile(tmp_path):
    image = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    for name in ("a.tif", "a.jpg"):
        picture = read_picture(save(tmp_path / name, image, icc_profile=cmyk_profile()))
        red, green, blue = picture.rgb[8, 8]
        assert green > 0.5 > max(red, blue)
        assert picture.notes == ("CMYK converted with its ICC profile 'test' to sRGB",)
    picture = read_picture(save(tmp_path / "a.tif", image, icc_profile=b"broken"))
    np.testing.assert_array_equal(as8(picture.rgb), np.array(image.convert("RGB")))
    assert len(picture.notes) == 2


# --------------------------------------------------------------------------------------- files that can't


def failure(source, **options) -> str:
    with pytest.raises(ImageError) as caught:
        read_picture(source, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_paths_that_are_no_pictures(tmp_path):
    missing = tmp_path / "no.jpg"
    assert failure(missing, role="content") == f"content picture {missing}: there is no such file: check the path"
    assert failure(missing, role="content picture") == failure(missing, role="content")
    assert failure(missing).startswith(f"picture {missing}: ")
    assert "is a folder" in failure(tmp_path)
    assert "can't be opened" in failure("a\0b.png")
    (tmp_path / "e.png").touch()
    assert "empty file" in failure(tmp_path / "e.png")
    (tmp_path / "t.jpg").write_text("just words\n")
    assert "not a picture in a known format" in failure(tmp_path / "t.jpg")
    assert "device" in failure(os.devnull)


def test_permission_denied(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png", Image.fromarray(RGB8))

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert "permission denied" in failure(path)


@pytest.mark.parametrize(
    "name", ["a.png", "a.jpg", "a.webp", "a.tif", "a.gif", "a.bmp", "deep.png", "deep.tif", "zip.tif"]
)
def test_truncated_and_mangled_files(tmp_path, name):
    path = tmp_path / name
    noise8 = RNG.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    noise16 = RNG.integers(0, 65536, (32, 32, 3), dtype=np.uint16)
    if name == "deep.png":
        png16(path, noise16, kind=2)
    elif name in ("deep.tif", "zip.tif"):
        tifffile.imwrite(path, noise16, photometric="rgb", compression="zlib" if name == "zip.tif" else None)
    else:
        save(path, Image.fromarray(noise8))
    whole = path.read_bytes()
    for keep in (10, 30, len(whole) // 2):
        path.write_bytes(whole[:keep])
        assert "damaged" in failure(path) or "known format" in failure(path)
    chance = random.Random(3)
    for _ in range(60):  # whatever happens, it's a Picture or an ImageError
        mangled = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            mangled[chance.randrange(min(len(whole), chance.choice((64, 400, len(whole)))))] = chance.randrange(256)
        path.write_bytes(mangled)
        with contextlib.suppress(ImageError):
            read_picture(path, max_pixels=100_000)


def test_lzw_tiff_cut_off(tmp_path):
    noise = RNG.integers(0, 65536, (64, 64, 3), dtype=np.uint16)
    _, encoded = cv2.imencode(".tif", noise, [cv2.IMWRITE_TIFF_COMPRESSION, 5])
    data = bytearray(encoded.tobytes())
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        last = tiff.pages[0].dataoffsets[-1]
    data[last : last + 60] = bytes(60)
    (tmp_path / "a.tif").write_bytes(data)
    assert "damaged" in failure(tmp_path / "a.tif")


def test_decompression_bomb_is_refused_from_its_header(tmp_path):
    def header(width: int, height: int, depth: int) -> bytes:
        data = b"IHDR" + struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
        idat = b"IDAT" + zlib.compress(bytes(100))
        parts = [struct.pack(">I", len(d) - 4) + d + struct.pack(">I", zlib.crc32(d)) for d in (data, idat, b"IEND")]
        return b"\x89PNG\r\n\x1a\n" + b"".join(parts)

    path = tmp_path / "bomb.png"
    for depth in (8, 16):
        path.write_bytes(header(30000, 30000, depth))
        message = failure(path)
        assert "30000×30000 = 900,000,000 pixels" in message
        assert "at most 200,000,000 pixels" in message
        assert "scale it down" in message
    tifffile.imwrite(tmp_path / "a.tif", shape=(9000, 9000), dtype=np.uint16, photometric="minisblack")
    assert "at most 1,000 pixels" in failure(tmp_path / "a.tif", max_pixels=1000)
    # Pillow's own, lower limit doesn't come in between: here the data are at fault
    path.write_bytes(header(14100, 14100, 8))
    assert "damaged" in failure(path)
    assert Image.MAX_IMAGE_PIXELS is not None


def test_too_small(tmp_path):
    path = save(tmp_path / "a.png", Image.fromarray(RGB8))
    assert failure(path, min_side=6).startswith(f"picture {path}: is 7×5 pixels, but each side needs at least 6")
    assert read_picture(path, min_side=5).size == (7, 5)
    assert "needs at least 1" in failure(np.zeros((0, 4, 3), np.uint8))


def test_a_pipe_can_be_read(tmp_path):
    import threading

    os.mkfifo(tmp_path / "pipe.png")
    data = io.BytesIO()
    Image.fromarray(RGB8).save(data, "PNG")
    writer = threading.Thread(target=(tmp_path / "pipe.png").write_bytes, args=(data.getvalue(),))
    writer.start()
    picture = read_picture(tmp_path / "pipe.png")
    writer.join()
    np.testing.assert_array_equal(as8(picture.rgb), RGB8)


# ------------------------------------------------------------------------------ PIL images, arrays, tensors


def test_pil_image_is_read_and_left_alone(tmp_path):
    image = Image.fromarray(np.ascontiguousarray(stored(RGB8, 6)))
    image.getexif()[274] = 6
    image.info["icc_profile"] = srgb_profile()
    before = image.tobytes()
    picture = read_picture(image, role="style")
    np.testing.assert_array_equal(as8(picture.rgb), RGB8)
    assert picture.name == "the style image"
    assert (image.tobytes(), image.getexif()[274]) == (before, 6)
    image.info["icc_profile"] = matrix_profile(P3)
    assert "converted" in read_picture(image).notes[0]
    with Image.open(save(tmp_path / "a.jpg", image, exif=exif_bytes(6))) as opened:
        picture = read_picture(opened)
        assert picture.size == (7, 5)
        assert picture.exif is not None


@pytest.mark.parametrize("mode", ["I;16", "I"])
def test_deep_pil_modes(mode):
    image = Image.fromarray(RGB16[..., 0] if mode == "I;16" else RGB16[..., 0].astype(np.int32))
    assert image.mode == mode
    picture = read_picture(image)
    np.testing.assert_array_equal(as16(picture.rgb)[..., 2], RGB16[..., 0])
    assert picture.bit_depth == 16


def test_float_and_32_bit_pil_modes():
    values = RNG.random((3, 4), dtype=np.float32)
    np.testing.assert_array_equal(read_picture(Image.fromarray(values)).rgb[..., 0], values)
    assert "holds the value 2" in failure(Image.fromarray(values * 0 + 2))
    assert "70000" in failure(Image.fromarray(np.full((2, 2), 70000, np.int32)))
    assert "value -1" in failure(Image.fromarray(np.full((2, 2), -1, np.int32)))


@pytest.mark.parametrize("mode", ["PA", "La", "RGBa", "HSV", "RGBX", "CMYK"])
def test_rare_pil_modes(mode):
    rgba = Image.fromarray(np.dstack([RGB8, np.full((5, 7), 200, np.uint8)]))
    image = {
        "PA": lambda: rgba.convert("P").convert("PA"),
        "La": lambda: rgba.convert("LA").convert("La"),
        "RGBa": lambda: rgba.convert("RGBa"),
    }.get(mode, lambda: rgba.convert("RGB").convert(mode))()
    assert image.mode == mode
    picture = read_picture(image)
    assert picture.rgb.shape == (5, 7, 3)
    if mode in ("La", "RGBa"):
        assert np.allclose(picture.alpha, 200 / 255)


@pytest.mark.parametrize(
    ("dtype", "depth"), [(np.uint8, 8), (np.uint16, 16), (np.float32, 16), (np.float64, 16), (np.float16, 16)]
)
@pytest.mark.parametrize("channels", [0, 1, 3, 4])
def test_arrays(dtype, depth, channels):
    full = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1
    base = RNG.random((5, 7, max(channels, 1)))
    array = (base * full).astype(dtype)
    expected = array.astype(np.float64) / full
    if channels == 0:
        array = array[..., 0]
    picture = read_picture(array, role="content")
    assert (picture.name, picture.bit_depth, picture.size) == ("the content array", depth, (7, 5))
    np.testing.assert_allclose(picture.rgb, np.broadcast_to(expected[..., :3], (5, 7, 3)), atol=1e-6)
    assert (picture.alpha is None) == (channels != 4)
    if channels == 4:
        np.testing.assert_allclose(picture.alpha, expected[..., 3], atol=1e-6)
    picture.rgb[:] = 0
    assert array.max() > 0


def test_array_that_is_not_contiguous():
    picture = read_picture(RGB16.astype(">u2")[::-1, ::2])
    np.testing.assert_array_equal(as16(picture.rgb), RGB16[::-1, ::2])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.uint8])
def test_tensors(dtype):
    image = torch.from_numpy(RGB8) if dtype == torch.uint8 else torch.from_numpy(RGB8).to(dtype) / 255
    chw = image.permute(2, 0, 1)
    for tensor in (chw, chw[None], image, chw.clone().requires_grad_(dtype != torch.uint8)):
        rgb = read_picture(tensor).rgb
        assert rgb.shape == (5, 7, 3)
        assert np.abs(rgb - RGB8 / 255).max() < 3e-3
    assert read_picture(chw[:1]).size == (7, 5)
    assert "batch of 2" in failure(torch.stack([chw, chw]))


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((4, 4), bool), "type bool"),
        (np.zeros((4, 4), np.int64), "type int64"),
        (np.zeros((4, 4), complex), "type complex128"),
        (np.zeros((4, 4, 2), np.uint8), r"shape \(4, 4, 2\)"),
        (np.zeros(4, np.uint8), r"shape \(4,\)"),
        (np.full((4, 4), np.nan), "value nan"),
        (np.full((4, 4), np.inf), "value inf"),
        (np.full((4, 4), 255.0), "value 255"),
        (np.full((4, 4), -0.5), "value -0.5"),
        ([[1, 2]], "type list"),
        (None, "type NoneType"),
    ],
)
def test_arrays_that_are_not_allowed(array, words):
    with pytest.raises(ImageError, match=rf"^the content array: .*{words}"):
        read_picture(array, role="content")


def test_rounding_noise_is_clipped():
    rgb = read_picture(np.array([[1.0000002, -1e-8]])).rgb
    assert rgb.min() >= 0
    assert rgb.max() <= 1

"""Label maps from files: kinds of pictures, sizes, soft masks, broken files."""

from __future__ import annotations

import contextlib
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from photostyle.errors import RegionError
from photostyle.regions.labelmap.read import read_label_map, read_soft_masks
from photostyle.regions.labels import area_average

RED, BLUE = (255, 0, 0), (0, 0, 255)
BLACK, WHITE, GREY = (0, 0, 0), (255, 255, 255), (128, 128, 128)


def save(image, path, **options):
    image.save(path, **options)
    return path


def stripes(*colors, width=12, height=30):
    return np.repeat(np.array(colors, dtype=np.uint8)[None], height, axis=0).repeat(width, axis=1)


def read(path, size=None):
    with Image.open(path) as image:
        return read_label_map(path, size=size or image.size, picture="a.jpg")


# kinds of maps


def test_colour_map(tmp_path):
    path = save(Image.fromarray(stripes(BLUE, (161, 178, 195), WHITE)), tmp_path / "m.png")
    labels = read(path)
    assert labels.labels == ("#a1b2c3", "blue", "white")
    assert labels.colors == {"blue": "#0000ff", "#a1b2c3": "#a1b2c3", "white": "#ffffff"}
    assert labels.notes == ()
    np.testing.assert_array_equal(labels.masks[1, :, :12], 1)
    assert labels.shares["white"] == pytest.approx(1 / 3)


def indexed(path, **options):
    image = Image.fromarray(stripes((0,) * 3, (3,) * 3, (7,) * 3)[..., 0], "L").convert("L")
    palette = [0] * 768
    palette[0:3], palette[9:12], palette[21:24] = [10, 20, 30], RED, RED
    paletted = Image.frombytes("P", image.size, image.tobytes())
    paletted.putpalette(palette)
    return save(paletted, path, **options)


def test_indexed_map(tmp_path):
    labels = read(indexed(tmp_path / "m.png", transparency=3))
    assert labels.labels == ("0", "3", "7")
    assert labels.colors == {"0": "#0a141e", "3": "#ff0000", "7": "#ff0000"}
    assert labels.notes == ()
    np.testing.assert_array_equal(labels.masks.argmax(axis=0)[0], np.arange(3).repeat(12))


def test_indexed_map_of_too_many_indices(tmp_path):
    image = Image.frombytes("P", (10, 10), bytes(range(100)))
    image.putpalette([0] * 768)
    with pytest.raises(RegionError, match="100 indices"):
        read(save(image, tmp_path / "m.png"))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA", "I;16", "I", "CMYK"])
def test_every_mode_of_a_black_and_white_map(tmp_path, mode):
    grey = Image.fromarray(stripes(BLACK, WHITE)).convert("L")
    if mode in ("I;16", "I"):
        image = Image.fromarray(np.asarray(grey).astype(np.uint16 if mode == "I;16" else np.int32) * 257)
    else:
        image = grey.convert("RGB").convert(mode)
    path = save(image, tmp_path / ("m.tif" if mode in ("I", "CMYK") else "m.png"))
    labels = read(path)
    assert labels.labels == ("black", "white")
    assert labels.notes == ()
    assert labels.masks[0, 0, 0] == labels.masks[1, 0, -1] == 1


def test_float_map_out_of_range(tmp_path):
    path = save(Image.fromarray(np.full((4, 4), -1, dtype=np.float32)), tmp_path / "m.tif")
    with pytest.raises(RegionError, match="0 to 65535"):
        read(path)


def test_transparency_is_ignored_with_a_note(tmp_path):
    image = Image.fromarray(stripes(RED, BLUE)).convert("RGBA")
    image.putalpha(100)
    labels = read(save(image, tmp_path / "m.png"))
    assert labels.labels == ("blue", "red")
    assert "transparen" in labels.notes[0]


def test_exif_orientation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(Image.fromarray(stripes(RED, BLUE)), tmp_path / "m.png", exif=exif)
    labels = read_label_map(path, size=(30, 24), picture="a.jpg")
    assert labels.masks[labels.labels.index("red"), 0].all()


def test_levels_of_16_bits_are_labels(tmp_path):
    levels = stripes((0,) * 3, (128,) * 3, (255,) * 3)[..., 0].astype(np.uint16) * 257
    labels = read(save(Image.fromarray(levels), tmp_path / "m.png"))
    assert labels.labels == ("black", "grey", "white")
    small = read(save(Image.fromarray(levels // 257), tmp_path / "n.png"))
    np.testing.assert_array_equal(small.masks, labels.masks)


@pytest.mark.parametrize("width", [100, 300])
def test_photographs_are_refused(tmp_path, width):
    rng = np.random.default_rng(width)
    coarse = Image.fromarray(rng.integers(0, 256, (7, 9, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, width * 3 // 4), Image.Resampling.BICUBIC))
    photo = np.clip(smooth + rng.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)
    for kind in ("jpg", "png"):
        with pytest.raises(RegionError, match=rf"mask photo.{kind} .*photograph"):
            read(save(Image.fromarray(photo), tmp_path / f"photo.{kind}"))


# sizes


def test_sizes_that_agree_are_scaled(tmp_path):
    path = save(Image.fromarray(stripes(RED, BLUE, width=32, height=48)), tmp_path / "m.png")
    big = read(path, (128, 96))
    assert big.size == (128, 96)
    assert big.notes == ("mask m.png is 64×48 and was scaled to 128×96, the size of a.jpg",)
    assert set(np.unique(big.masks)) == {0, 1}
    small = read(path, (43, 32))
    np.testing.assert_allclose(small.masks.sum(axis=0), 1, atol=1e-5)
    assert small.masks[0, 0, 21] == pytest.approx(0.5, abs=1e-5)
    assert read(path, (129, 96)).size == (129, 96)


def test_size_that_does_not_fit(tmp_path):
    path = save(Image.fromarray(stripes(RED, BLUE, width=32, height=48)), tmp_path / "sky.png")
    with pytest.raises(RegionError, match=r"mask sky.png is 64×48 but .*a.jpg is 100×100 .*1\.333 .*1\.000.*1 %"):
        read(path, (100, 100))


def test_names_of_both_sizes_in_the_error(tmp_path):
    path = save(Image.fromarray(stripes(RED, BLUE, width=50, height=100)), tmp_path / "m.png")
    assert read(path, (505, 500)).size == (505, 500)
    with pytest.raises(RegionError, match=r"100×100 .*506×500"):
        read(path, (506, 500))


@pytest.mark.parametrize("size", [(7, 7), (23, 23), (80, 80)])
def test_colours_are_decoded_before_the_map_is_scaled(tmp_path, size):
    """Scaled first, the border of black and white would be grey, and a thin line a colour of its own."""
    hard = np.array([BLACK, WHITE], dtype=np.uint8)[np.indices((60, 60)).sum(axis=0) // 13 % 2]
    path = save(Image.fromarray(hard), tmp_path / "m.png")
    labels = read(path, size)
    assert labels.labels == ("black", "white")
    truth = (hard[..., 0] == 255).astype(np.float32)
    np.testing.assert_allclose(labels.masks[1], area_average(truth, size), atol=1e-6)
    soft = Image.fromarray(hard).filter(ImageFilter.GaussianBlur(1))
    assert read(save(soft, tmp_path / "soft.png"), size).labels == ("black", "white")


def test_a_region_of_one_pixel_keeps_its_label_when_scaled(tmp_path):
    image = Image.new("P", (60, 60))
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.putpixel((30, 30), 1)
    labels = read(save(image, tmp_path / "m.png"), (6, 6))
    assert labels.labels == ("0", "1")
    assert labels.masks[1].sum() == pytest.approx(0.01)


# soft masks


def soft(path, values, mode="L"):
    scaled = np.rint(np.asarray(values) * (65535 if mode == "I;16" else 255))
    return save(Image.fromarray(scaled.astype(np.uint16 if mode == "I;16" else np.uint8)), path)


def ramp(height=20, width=40):
    return np.tile(np.linspace(0, 1, width), (height, 1))


def test_soft_masks_that_sum_to_one(tmp_path):
    files = {"sky": soft(tmp_path / "a.png", ramp()), "sea": soft(tmp_path / "b.png", 1 - ramp(), "I;16")}
    labels = read_soft_masks(files, size=(40, 20), picture="a.jpg")
    assert labels.labels == ("sky", "sea")
    assert labels.notes == ()
    np.testing.assert_allclose(labels.masks[0], ramp(), atol=3e-3)
    half = read_soft_masks(files, size=(20, 10), picture="a.jpg")
    np.testing.assert_allclose(half.masks.sum(axis=0), 1, atol=1e-5)
    assert len(half.notes) == 2


def test_soft_masks_that_overlap_or_leave_a_rest(tmp_path):
    full = soft(tmp_path / "full.png", np.ones((20, 40)))
    files = {"a": full, "b": soft(tmp_path / "b.png", ramp())}
    labels = read_soft_masks(files, size=(40, 20), picture="a.jpg")
    assert labels.labels == ("a", "b")
    np.testing.assert_allclose(labels.masks[0], 1 / (1 + ramp()), atol=3e-3)
    assert "divided by their sum" in labels.notes[0]
    labels = read_soft_masks({"b": files["b"]}, size=(40, 20), picture="a.jpg")
    assert labels.labels == ("b", "rest")
    np.testing.assert_allclose(labels.masks[1], 1 - ramp(), atol=3e-3)
    assert "50.0%" in labels.notes[0]
    left = ramp().round() * 0.4
    files = {"rest": soft(tmp_path / "rest.png", left), "b": soft(tmp_path / "c.png", left)}
    labels = read_soft_masks(files, size=(40, 20), picture="a.jpg")
    assert labels.labels == ("rest", "b")
    np.testing.assert_allclose(labels.masks[1], left, atol=3e-3)


def test_soft_masks_with_a_hole_too_small_for_a_label(tmp_path):
    values = np.ones((50, 50))
    values[7, 7] = 0
    labels = read_soft_masks({"a": soft(tmp_path / "a.png", values)}, size=(50, 50), picture="a.jpg")
    assert labels.labels == ("a",)
    np.testing.assert_array_equal(labels.masks, 1)


def test_soft_masks_in_rgb(tmp_path):
    grey = Image.fromarray((ramp() * 255).astype(np.uint8)).convert("RGB")
    labels = read_soft_masks({"a": save(grey, tmp_path / "a.png")}, size=(40, 20), picture="a.jpg")
    np.testing.assert_allclose(labels.masks[0], ramp(), atol=5e-3)
    path = save(Image.fromarray(stripes(RED, BLUE)), tmp_path / "red.png")
    with pytest.raises(RegionError, match=r"red.png is in colour"):
        read_soft_masks({"a": path}, size=(24, 30), picture="a.jpg")


def test_soft_masks_that_cannot_be(tmp_path):
    black = soft(tmp_path / "none.png", np.zeros((4, 4)))
    white = soft(tmp_path / "all.png", np.ones((4, 4)))
    for files, reason in (
        ({}, "no masks"),
        ({"sky": black}, 'none.png is all black, so label "sky" is empty'),
        ({"": white}, "name"),
        ({str(i): white for i in range(65)}, "65 masks"),
        ({"sky": tmp_path / "gone.png"}, "not there"),
    ):
        with pytest.raises(RegionError, match=reason):
            read_soft_masks(files, size=(4, 4), picture="a.jpg")
    with pytest.raises(RegionError, match="aspect ratio"):
        read_soft_masks({"sky": white}, size=(4, 9), picture="a.jpg")


def test_folder_of_soft_masks(tmp_path):
    folder = tmp_path / "masks"
    folder.mkdir()
    with pytest.raises(RegionError, match="holds no masks"):
        read_label_map(folder, size=(40, 20), picture="a.jpg")
    soft(folder / "sky.png", ramp())
    soft(folder / "sea.tif", 1 - ramp())
    (folder / "notes.txt").write_text("x")
    (folder / ".hidden").write_text("x")
    (folder / "more").mkdir()
    labels = read_label_map(str(folder), size=(40, 20), picture="a.jpg")
    assert labels.labels == ("sea", "sky")
    assert labels.notes == ("folder masks has other files, which are ignored: more, notes.txt",)
    soft(folder / "sky.bmp", ramp())
    with pytest.raises(RegionError, match=r"sky\.bmp and sky\.png"):
        read_label_map(folder, size=(40, 20), picture="a.jpg")


# broken files


def _bomb(path):
    Image.new("1", (1, 1)).save(path)
    data = bytearray(path.read_bytes())
    data[16:24] = (30_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    path.write_bytes(bytes(data))


def _truncated(path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 60, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:3000])


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "is not there"),
        (lambda path: path.write_text("hello"), "no picture"),
        (lambda path: path.write_bytes(b""), "no picture"),
        (_truncated, "can't be read"),
        (_bomb, "too many pixels"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, make, reason):
    path = tmp_path / "m.png"
    make(path)
    with pytest.raises(RegionError, match=reason) as caught:
        read_label_map(path, size=(60, 60), picture="a.jpg")
    assert "m.png" in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_damaged_files_never_raise_anything_else(tmp_path_factory, seed):
    rng = np.random.default_rng(seed)
    path = tmp_path_factory.mktemp("damaged") / f"m.{['png', 'jpg', 'tif', 'gif', 'bmp'][seed % 5]}"
    Image.fromarray(stripes(RED, BLUE)).save(path)
    data = bytearray(path.read_bytes())
    for place in rng.integers(0, len(data), 4):
        data[place] = rng.integers(0, 256)
    path.write_bytes(bytes(data))
    with contextlib.suppress(RegionError):  # where the damage doesn't show, it is read
        read_label_map(path, size=(24, 30), picture="a.jpg")


def test_doubtful_map_has_a_note(tmp_path):
    hard = stripes(RED, BLUE, width=60, height=60)
    hard[:15] = np.random.default_rng(0).integers(0, 256, (15, 120, 3))
    labels = read(save(Image.fromarray(hard), tmp_path / "m.png"))
    assert any("is it a label map?" in note for note in labels.notes)

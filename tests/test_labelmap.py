"""Label maps from files: colours to labels through blur and noise, legends, sizes, soft masks, broken files."""

from __future__ import annotations

import contextlib
import io
import json
import time
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter
from scipy import ndimage

from photostyle.errors import RegionError
from photostyle.regions.colors import decode_colors
from photostyle.regions.labelmap import read_label_map, read_soft_masks
from photostyle.regions.legend import COMMON_COLORS, color_names

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
BLACK, WHITE, GREY = (0, 0, 0), (255, 255, 255), (128, 128, 128)


def regions(rng, count, height, width):
    """A Voronoi map with at least one cell for each label."""
    cells = count + int(rng.integers(0, 4))
    y, x = rng.uniform(0, height, cells), rng.uniform(0, width, cells)
    rows, columns = np.mgrid[:height, :width]
    return ((rows[..., None] - y) ** 2 + (columns[..., None] - x) ** 2).argmin(axis=-1) % count


def separate_colors(rng, count, gap=60):
    colors = []
    while len(colors) < count:
        color = rng.choice([0, 128, 255], 3) if rng.random() < 0.5 else rng.integers(0, 256, 3)
        if all(np.abs(color - other).max() >= gap for other in colors):
            colors.append(color)
    return np.array(colors)


def assert_decodes(rgb, truth, colors, *, tolerance=0, margin=3):
    """Labels are exactly the true ones, and away from borders every pixel is right."""
    index, palette = decode_colors(rgb, name="map.png")
    gaps = np.abs(np.array(palette)[:, None] - colors).max(axis=2)
    assert gaps.min(axis=1).max() <= tolerance
    match = gaps.argmin(axis=1)
    assert len(set(match)) == len(match)
    inner = ndimage.minimum_filter(truth, 2 * margin + 1) == ndimage.maximum_filter(truth, 2 * margin + 1)
    assert set(np.unique(truth[inner])) <= set(match) <= set(np.unique(truth))
    np.testing.assert_array_equal(match[index][inner], truth[inner])
    return match[index]


def save(image, path, **options):
    image.save(path, **options)
    return path


def stripes(*colors, width=12, height=30):
    return np.repeat(np.array(colors, dtype=np.uint8)[None], height, axis=0).repeat(width, axis=1)


def read(path, size=None):
    with Image.open(path) as image:
        return read_label_map(path, size=size or image.size, picture="a.jpg")


# colours to labels


@given(st.integers(0, 10_000), st.integers(2, 8))
@settings(max_examples=25, deadline=None)
def test_any_colours_hard_blurred_and_resized(seed, count):
    rng = np.random.default_rng(seed)
    truth = regions(rng, count, int(rng.integers(90, 160)), int(rng.integers(90, 160)))
    kept = np.unique(truth)
    wide = [k for k in kept if ndimage.binary_erosion(truth == k, np.ones((11, 11))).any()]
    if len(wide) < len(kept):
        truth = np.array(wide)[np.array([wide.index(k) if k in wide else 0 for k in range(count)])][truth]
    colors = separate_colors(rng, count)
    hard = Image.fromarray(colors[truth].astype(np.uint8))
    decoded = assert_decodes(np.asarray(hard), truth, colors, margin=1)
    assert np.mean(decoded != truth) < 1e-3  # a tip one pixel wide may look like a blurred border
    for sigma in (0.6, 1.4):
        assert_decodes(np.asarray(hard.filter(ImageFilter.GaussianBlur(sigma))), truth, colors, tolerance=1)
    double = truth.repeat(2, axis=0).repeat(2, axis=1)
    for method in (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC):
        big = hard.resize((hard.width * 2, hard.height * 2), method)
        assert_decodes(np.asarray(big), double, colors, tolerance=1)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["jpeg 90", "jpeg 60", "uniform", "gauss"])
def test_noisy_maps(seed, kind):
    rng = np.random.default_rng(seed)
    truth = np.kron(rng.permutation(20).reshape(4, 5) % 6, np.ones((48, 48), dtype=int))
    colors = separate_colors(rng, 6)
    hard = colors[truth].astype(np.uint8)
    if kind.startswith("jpeg"):
        file = io.BytesIO()
        Image.fromarray(hard).save(file, "JPEG", quality=int(kind[5:]))
        rgb = np.asarray(Image.open(file))
    else:
        noise = rng.integers(-10, 11, hard.shape) if kind == "uniform" else rng.normal(0, 7, hard.shape)
        rgb = np.clip(hard + noise, 0, 255).astype(np.uint8)
    assert_decodes(rgb, truth, colors, tolerance=12, margin=5)


def test_blurred_black_and_white_is_not_grey_though_grey_is_elsewhere():
    hard = stripes(BLACK, WHITE, width=30, height=60)
    hard[:, 30] = GREY  # exactly, as a blur may leave it
    index, palette = decode_colors(hard, name="m")
    assert palette == [BLACK, WHITE]
    assert index[:, :30].max() == 0
    assert index[:, 31:].min() == 1
    hard[40:] = GREY
    index, palette = decode_colors(hard, name="m")
    assert palette == [BLACK, GREY, WHITE]
    np.testing.assert_array_equal(index[40:] == 1, True)
    assert (index[:39] != 1).all()
    soft = np.asarray(Image.fromarray(hard).filter(ImageFilter.GaussianBlur(1.5)))
    index, palette = decode_colors(soft, name="m")
    assert palette == [BLACK, GREY, WHITE]
    assert (index[:36] != 1).all()


def test_thin_features_of_hard_maps_stay():
    hard = stripes(BLACK, WHITE, width=30, height=60)
    hard[:, 29:31] = RED  # a pole between black and white
    hard[10, 35:55] = BLUE  # a line one pixel wide
    index, palette = decode_colors(hard, name="m")
    assert palette == [BLACK, BLUE, RED, WHITE]
    np.testing.assert_array_equal(np.array(palette)[index], hard)
    hard[:20, :20] = RED  # also where the colour has a large area elsewhere
    index, palette = decode_colors(hard, name="m")
    np.testing.assert_array_equal(np.array(palette)[index], hard)


@given(st.integers(0, 1000), st.integers(1, 30))
@settings(max_examples=15, deadline=None)
def test_grey_levels_that_are_indices_stay_apart(seed, count):
    rng = np.random.default_rng(seed)
    level = np.kron(rng.integers(0, count, (6, 8)), np.ones((9, 9), dtype=int)).astype(np.uint8)
    index, palette = decode_colors(np.repeat(level[..., None], 3, axis=2), name="m")
    np.testing.assert_array_equal(np.array(palette)[index][..., 0], level)


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (2, 2), (3, 4)])
def test_very_small_maps(shape):
    rgb = np.random.default_rng(0).choice([0, 255], (*shape, 3)).astype(np.uint8)
    index, palette = decode_colors(rgb, name="m")
    np.testing.assert_array_equal(np.array(palette)[index], rgb)


def test_nearly_equal_areas_of_a_real_map_are_one_label():
    hard = stripes((255, 0, 0), (254, 0, 0), (0, 0, 0), (1, 1, 1), width=40, height=80)
    soft = np.asarray(Image.fromarray(hard).filter(ImageFilter.GaussianBlur(1.2)))
    noise = np.random.default_rng(0).integers(0, 200, (6, 160, 3))
    soft = np.concatenate((soft, noise.astype(np.uint8)))  # many colours: no hard map
    _, palette = decode_colors(soft, name="m")
    assert len(palette) == 2


def test_pictures_that_are_no_label_maps():
    rng = np.random.default_rng(0)
    with pytest.raises(RegionError, match="photograph"):
        decode_colors(rng.integers(0, 256, (80, 90, 3), dtype=np.uint8), name="m")
    many = np.kron(np.arange(80).reshape(8, 10) * 3, np.ones((6, 6), dtype=int)).astype(np.uint8)
    with pytest.raises(RegionError, match=r"mask m has 80 .*photograph.*64"):
        decode_colors(np.repeat(many[..., None], 3, axis=2), name="m")


def test_three_megapixels_take_a_moment():
    coarse = np.random.default_rng(0).integers(0, 9, (15, 20))
    colors = np.array(list(COMMON_COLORS.values()), dtype=np.uint8)
    big = Image.fromarray(colors[coarse]).resize((2000, 1500), Image.Resampling.NEAREST)
    rgb = np.asarray(big.filter(ImageFilter.GaussianBlur(1)))
    start = time.perf_counter()
    _, palette = decode_colors(rgb, name="m")
    assert time.perf_counter() - start < 6  # about 0.5 s; machines may be busy
    assert len(palette) == 9


# names


def test_names_of_colours():
    assert color_names(list(COMMON_COLORS.values())) == list(COMMON_COLORS)
    assert color_names([(3, 250, 1), (161, 178, 195)]) == ["green", "#a1b2c3"]
    assert color_names([(0, 0, 247), (0, 0, 252)]) == ["#0000f7", "blue"]
    assert color_names([(0, 0, 246)]) == ["#0000f6"]


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


# legends


@pytest.mark.parametrize(
    ("legend", "names"),
    [
        ({"labels": ["sky", "x", "y", "sea"]}, ("sky", "sea", "7")),
        (["sky", "x", "y", "sea"], ("sky", "sea", "7")),
        ({"0": "sky", "7": {"name": " sea ", "color": 5}, "200": "not there"}, ("sky", "3", "sea")),
        ({"labels": {"0": "sky", "3": "sea", "7": "sea"}, "made by": "x"}, ("sky", "sea")),
        ({"#0a141e": "sky"}, ("sky", "3", "7")),
        ({"0A141E": "sky", "0": "index goes first"}, ("index goes first", "3", "7")),
        ({}, ("0", "3", "7")),
    ],
)
def test_legend_of_an_indexed_map(tmp_path, legend, names):
    path = indexed(tmp_path / "m.png")
    (tmp_path / "m.json").write_text(json.dumps(legend), encoding="utf-8")
    labels = read(path)
    assert labels.labels == names
    np.testing.assert_array_equal(labels.masks.sum(axis=0), 1)


def test_legend_of_a_colour_map(tmp_path):
    path = save(Image.fromarray(stripes(BLUE, (161, 178, 195), GREEN, GREY)), tmp_path / "m.png")
    legend = {"blue": "sky", "#a1b2c3": "wall", "00ff00": "tree", "gray": "wall"}
    (tmp_path / "m.json").write_text("\ufeff" + json.dumps(legend), encoding="utf-8")
    labels = read(path)
    assert labels.labels == ("sky", "tree", "wall")
    assert labels.shares["wall"] == pytest.approx(0.5)
    assert labels.colors["sky"] == "#0000ff"


def test_legend_by_grey_level(tmp_path):
    image = Image.fromarray(stripes((0,) * 3, (1,) * 3, (2,) * 3)[..., 0])
    path = save(image, tmp_path / "m.png")
    (tmp_path / "m.json").write_text('["sky", "sea", "land"]')
    assert set(read(path).labels) == {"sky", "sea", "land"}
    path = save(Image.fromarray(stripes(BLACK, WHITE)).convert("1"), tmp_path / "m.png")
    assert set(read(path).labels) == {"sky", "sea"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "no JSON"),
        ("", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("3", "a number"),
        ('"sky"', "a text"),
        ("null", "null"),
        ("[1]", "a number for '0'"),
        ('{"0": ["sky"]}', "a list for '0'"),
        ('{"0": {"title": "sky"}}', "an object for '0'"),
        ('{"0": {"name": 3}}', "a number for '0'"),
        ('{"0": true}', "true or false"),
        ('{"0": ""}', "printable"),
        ('{"0": "a\\nb"}', "printable"),
        ('{"sky": "0"}', "unknown key 'sky'"),
        ('{"#12": "x"}', "unknown key"),
        ('{"labels": "x"}', "unknown key 'labels'"),
    ],
)
def test_wrong_legends(tmp_path, text, reason):
    path = indexed(tmp_path / "m.png")
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(RegionError, match=reason) as caught:
        read(path)
    assert "m.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_legend_that_is_no_text_or_does_not_fit(tmp_path):
    path = indexed(tmp_path / "m.png")
    (tmp_path / "m.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RegionError, match="no JSON"):
        read(path)
    (tmp_path / "m.json").write_bytes(b" " * (2 << 20))
    with pytest.raises(RegionError, match="1 MiB"):
        read(path)
    path = save(Image.fromarray(stripes(RED, BLUE)), tmp_path / "m.png")
    (tmp_path / "m.json").write_text('["sky", "sea"]')
    with pytest.raises(RegionError, match=r"m\.json names labels by index, but the map is in colour"):
        read(path)


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

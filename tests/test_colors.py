"""From colours to labels: hard, blurred, resized and noisy maps; photographs are refused."""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter
from scipy import ndimage

from photostyle.errors import RegionError
from photostyle.regions.labelmap.colors import decode_colors
from photostyle.regions.labelmap.legend import COMMON_COLORS
from photostyle.regions.labelmap.palette import MOST_LABELS

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
BLACK, WHITE, GREY = (0, 0, 0), (255, 255, 255), (128, 128, 128)
SAMPLES = Path(__file__).parent.parent / "samples"


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


def stripes(*colors, width=12, height=30):
    return np.repeat(np.array(colors, dtype=np.uint8)[None], height, axis=0).repeat(width, axis=1)


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
    start = time.process_time()
    _, palette = decode_colors(rgb, name="m")
    assert time.process_time() - start < 6  # about 1 s
    assert len(palette) == 9


# the nine colours of Luan et al.


def blurred(rgb, sigma):
    return np.array(Image.fromarray(rgb).filter(ImageFilter.GaussianBlur(sigma)))


@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_common_colours_with_blurred_borders(seed):
    rng = np.random.default_rng(seed)
    truth = np.kron(rng.permutation(9).reshape(3, 3), np.ones((40, 40), dtype=int))
    colors = np.array(list(COMMON_COLORS.values()))
    for sigma in (0.7, 1.5):
        assert_decodes(blurred(colors[truth].astype(np.uint8), sigma), truth, colors)


@pytest.mark.parametrize(
    ("left", "right", "between"),
    [
        ("black", "white", "grey"),
        ("blue", "green", "lightblue"),
        ("red", "blue", "purple"),
        ("red", "green", "yellow"),
        ("yellow", "blue", "grey"),
        ("red", "lightblue", "grey"),
        ("green", "purple", "grey"),
    ],
)
@pytest.mark.parametrize("width", [1, 2])
def test_a_border_in_the_colour_of_another_label(left, right, between, width):
    """The mean of two colours has, or comes near to, the name of a third."""
    hard = stripes(COMMON_COLORS[left], COMMON_COLORS[right], width=24, height=60)
    soft = blurred(hard, 1)
    start, stop = 24 - width // 2, 24 - width // 2 + width
    soft[:, start:stop] = (np.array(COMMON_COLORS[left]) + COMMON_COLORS[right] + 1) // 2
    _, palette = decode_colors(soft, name="m")
    assert palette == sorted(COMMON_COLORS[name] for name in (left, right))
    soft[44:] = COMMON_COLORS[between]
    soft = np.concatenate((soft, np.full((20, 48, 3), COMMON_COLORS[between], dtype=np.uint8)))
    index, palette = decode_colors(soft, name="m")
    assert palette == sorted(COMMON_COLORS[name] for name in (left, right, between))
    own = palette.index(COMMON_COLORS[between])
    assert (index[:41] != own).all()
    assert (index[45:] == own).all()


@pytest.mark.parametrize("kind", ["noise", "jpeg"])
def test_a_grey_region_between_black_and_white_survives_noise(kind):
    hard = stripes(BLACK, WHITE, width=70, height=100)
    hard[30:54, 58:82] = GREY
    if kind == "noise":
        rgb = np.clip(hard + np.random.default_rng(0).normal(0, 6, hard.shape), 0, 255).astype(np.uint8)
    else:
        file = io.BytesIO()
        Image.fromarray(hard).save(file, "JPEG", quality=60)
        rgb = np.asarray(Image.open(file))
    truth = hard[..., 0].astype(int) // 127
    assert_decodes(rgb, truth, np.array([BLACK, GREY, WHITE]), tolerance=12, margin=5)


def test_large_enlargement_has_wide_borders():
    truth = np.kron(np.arange(6).reshape(2, 3), np.ones((15, 15), dtype=int))
    colors = np.array([COMMON_COLORS[name] for name in ("black", "white", "red", "blue", "green", "grey")])
    hard = Image.fromarray(colors[truth].astype(np.uint8))
    big = hard.resize((hard.width * 5, hard.height * 5), Image.Resampling.BILINEAR)
    assert_decodes(np.asarray(big), np.kron(truth, np.ones((5, 5), dtype=int)), colors, margin=5)


def test_colours_that_differ_by_little_are_labels_of_their_own():
    hard = stripes((10, 20, 30), (10, 20, 34), (14, 20, 30), width=20)
    index, palette = decode_colors(hard, name="m")
    np.testing.assert_array_equal(np.array(palette)[index], hard)


def test_as_many_labels_as_are_allowed():
    levels = np.arange(MOST_LABELS) * 4
    hard = np.kron(levels.reshape(8, 8), np.ones((6, 6), dtype=int)).astype(np.uint8)
    rgb = np.stack((hard, 255 - hard, hard // 2), axis=-1)
    index, palette = decode_colors(rgb, name="m")
    assert len(palette) == MOST_LABELS
    np.testing.assert_array_equal(np.array(palette)[index], rgb)


# photographs


@pytest.mark.parametrize("width", [100, 400])
@pytest.mark.parametrize(
    "name", ["brandenburgGate", "chateaudeChenonceau", "gatewayofIndia", "montStMichel", "schwerinPalace", "Gogh4"]
)
def test_photographs_and_paintings_are_refused(name, width):
    with Image.open(SAMPLES / f"{name}.webp") as image:
        small = image.convert("RGB").resize((width, width * image.height // image.width))
    with pytest.raises(RegionError, match=r"mask photo\.jpg .*photograph.*64"):
        decode_colors(np.asarray(small), name="photo.jpg")


def test_gradients_are_refused():
    y, x = np.mgrid[0:100, 0:140] / 140
    sky = np.stack((200 - 90 * x, 120 + 80 * y, 255 - 100 * x * y), axis=-1).astype(np.uint8)
    with pytest.raises(RegionError, match="photograph"):
        decode_colors(sky, name="m")


@pytest.mark.parametrize("path", sorted((SAMPLES / "masks").glob("*.png")), ids=lambda path: path.stem)
def test_masks_of_the_samples_survive_blur_or_jpeg(path):
    with Image.open(path) as image:
        hard = image.convert("RGB").resize((image.width // 2, image.height // 2), Image.Resampling.NEAREST)
    index, palette = decode_colors(np.asarray(hard), name="m")
    np.testing.assert_array_equal(np.array(palette)[index], np.asarray(hard))
    file = io.BytesIO()
    hard.save(file, "JPEG", quality=85)
    for changed in (np.asarray(Image.open(file)), blurred(np.asarray(hard), 0.6)):
        other, found = decode_colors(changed, name="m")
        gaps = np.abs(np.array(found)[:, None] - palette).max(axis=2)
        assert gaps.min(axis=1).max() <= 12
        assert len(set(gaps.argmin(axis=1))) == len(found)
        assert {k for k in range(len(palette)) if (index == k).mean() > 0.005} <= set(gaps.argmin(axis=1))
        assert (gaps.argmin(axis=1)[other] == index).mean() > 0.85  # one has trees like lace

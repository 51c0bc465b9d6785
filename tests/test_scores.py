"""Scores of any result: what they say of the content, of the style, and of damage; the command around them."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from helpers import SAMPLES, halves, indexed_mask
from measure_helpers import quick_scores
from PIL import Image
from typer.testing import CliRunner

from photostyle.apps.cli.app import app
from photostyle.errors import ImageError, RegionError, UsageError
from photostyle.images import read_picture, resize
from photostyle.regions.labelmap.read import read_label_map
from photostyle.regions.labels import LabelMasks
from photostyle.studies.measure import SCORES
from photostyle.studies.score import _as_drawn, score


def small(name, size=(120, 80)):
    return resize(read_picture(SAMPLES / f"{name}.webp", role="picture").rgb, size)


CONTENT, STYLE = small("schwerinPalace"), small("brandenburgGate")


@pytest.fixture(scope="module")
def masks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("masks")
    array = halves(120, 80)
    return {
        "content_mask": indexed_mask(folder / "content.png", {0: "sky", 1: "land"}, array),
        "style_mask": indexed_mask(folder / "style.png", {0: "sky", 1: "land"}, array),
    }


@pytest.fixture(scope="module")
def found(masks):
    rng = np.random.default_rng(0)
    results = {
        "content": CONTENT,
        "style": STYLE,
        "recoloured": np.clip(CONTENT * 0.7 + 0.1, 0, 1),
        "noisy": np.clip(CONTENT + rng.normal(0, 0.1, CONTENT.shape), 0, 1).astype(np.float32),
        "enlarged": resize(CONTENT, (360, 240)),
    }
    return dict(zip(results, score(CONTENT, STYLE, list(results.values()), **masks), strict=True))


def test_every_score_is_explained_and_finite(found):
    for scores in found.values():
        assert list(scores) == [name for name, each in SCORES.items() if each.tells in ("photo", "artistic")]
        assert np.isfinite(list(scores.values())).all()


def test_the_content_itself(found):
    scores = found["content"]
    assert scores["edge_ssim"] == pytest.approx(1)
    assert scores["color"] == pytest.approx(1)
    assert scores["gram"] == pytest.approx(1)
    assert scores["matting"] < 1
    assert scores["lpips"] == 0
    assert scores["h_chi"] > found["style"]["h_chi"]
    assert scores["style_alex"] > 10 * found["style"]["style_alex"]


def test_the_style_itself_has_the_style_but_neither_edges_nor_windows(found):
    scores = found["style"]
    assert scores["color"] == pytest.approx(0, abs=1e-6)
    assert scores["gram"] == pytest.approx(0, abs=1e-6)
    assert (scores["h_corr"], scores["h_chi"]) == (pytest.approx(1), pytest.approx(0))
    assert scores["style_alex"] < 0.05
    assert scores["grain_luma"] == pytest.approx(1, abs=0.05)
    assert scores["edge_ssim"] < 0.6
    assert scores["lpips"] > 0.3
    assert scores["matting"] > 100 * found["content"]["matting"]


def test_another_colour_costs_little_and_noise_much(found):
    assert found["recoloured"]["matting"] < 2
    assert found["recoloured"]["edge_ssim"] > 0.9
    assert found["noisy"]["matting"] > 20 * found["recoloured"]["matting"]
    assert found["noisy"]["edge_ssim"] < found["recoloured"]["edge_ssim"]
    assert found["noisy"]["lpips"] > 2 * found["recoloured"]["lpips"]
    assert found["noisy"]["grain_chroma"] > 3 * found["recoloured"]["grain_chroma"]


def test_the_size_of_a_result_hardly_matters(found):
    for name, value in found["enlarged"].items():
        assert value == pytest.approx(found["content"][name], rel=0.06, abs=0.1 if name != "matting" else 2.0)


def test_colours_are_those_of_brute_force(masks):
    """One region, grey pictures: the distance of sorted values along each line, times the line's share of lightness."""
    ramp = np.linspace(0.2, 0.6, 120, dtype=np.float32)
    content = np.broadcast_to(ramp[None, :, None], (80, 120, 3)).copy()
    style = content[:, ::-1] * 0.5 + 0.45
    half = np.clip((content + np.sort(style, axis=1)) / 2, 0, 1)
    whole, halfway = score(content, style, [np.sort(style, axis=1), half])
    assert whole["color"] == pytest.approx(0, abs=0.02)
    assert halfway["color"] == pytest.approx(0.5, abs=0.05)


def test_a_map_that_stands_upright_by_its_exif(tmp_path):
    exif = Image.Exif()
    exif[274] = 6  # turned clockwise to be looked at
    stored = np.zeros((60, 40, 3), np.uint8)
    stored[:, :10] = (0, 0, 255)
    Image.fromarray(stored).save(tmp_path / "map.png", exif=exif)
    read = read_label_map(tmp_path / "map.png", size=(60, 40), picture="a")
    drawn = _as_drawn(read, tmp_path / "map.png")
    assert set(drawn.labels) == set(read.labels)
    for label, mask in zip(drawn.labels, drawn.masks, strict=True):
        np.testing.assert_array_equal(mask, read.masks[read.labels.index(label)])


def test_labels_in_common_count_only(masks, tmp_path):
    other = indexed_mask(tmp_path / "other.png", {0: "sky", 1: "water"}, halves(120, 80))
    changed = CONTENT.copy()
    changed[40:] = 0.5
    scores = score(CONTENT, STYLE, [changed], content_mask=masks["content_mask"], style_mask=other)
    assert scores[0]["color"] == pytest.approx(1, abs=0.05)  # sky alone is compared, and it is the content's
    nothing = indexed_mask(tmp_path / "nothing.png", {0: "roof", 1: "water"}, halves(120, 80))
    with pytest.raises(RegionError, match="labels in common"):
        score(CONTENT, STYLE, [changed], content_mask=masks["content_mask"], style_mask=nothing)


def test_maps_in_common_colours_count_as_they_are_drawn(tmp_path):
    """A fringe of grey between black and white is a label of its own, as in scores that others publish."""
    array = np.zeros((80, 120, 3), dtype=np.uint8)
    array[40:] = 255
    array[38:40] = 120
    path = tmp_path / "map.png"
    Image.fromarray(array).save(path)
    drawn = LabelMasks(("black", "white"), np.stack([np.ones((80, 120)), np.zeros((80, 120))]).astype(np.float32))
    found = _as_drawn(drawn, path)
    assert found.labels == ("black", "white", "grey")
    np.testing.assert_allclose([mask.mean() for mask in found.masks], [38 / 80, 40 / 80, 2 / 80])
    named = LabelMasks(("sky",), np.ones((1, 80, 120), np.float32))
    assert _as_drawn(named, path) is named
    assert _as_drawn(drawn, None) is drawn
    scores = score(CONTENT, STYLE, [CONTENT], content_mask=path, style_mask=path)
    assert scores[0]["color"] == pytest.approx(1)


def test_bad_input_is_refused():
    with pytest.raises(UsageError, match="no result was given"):
        score(CONTENT, STYLE, [])
    with pytest.raises(ImageError, match=r"is 60×80, but its content .* is 120×80"):
        score(CONTENT, STYLE, [CONTENT[:, :60]])


@pytest.fixture
def _quick(monkeypatch):
    quick_scores(monkeypatch)


@pytest.mark.usefixtures("_quick")
def test_the_truth(tmp_path):
    near, far = np.clip(CONTENT * 0.98, 0, 1), np.clip(CONTENT * 0.6 + 0.3, 0, 1)
    rows = score(CONTENT, STYLE, [CONTENT, near, far], truth=CONTENT)
    assert list(rows[0])[-3:] == ["delta_e", "psnr", "ssim"]
    assert rows[0]["delta_e"] < rows[1]["delta_e"] < rows[2]["delta_e"]
    assert rows[0]["psnr"] > rows[1]["psnr"] > rows[2]["psnr"]
    assert rows[0]["ssim"] > rows[1]["ssim"] > rows[2]["ssim"]
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    deep = tmp_path / "deep.png"
    cv2.imwrite(str(deep), np.round(CONTENT[..., ::-1] * 65535).astype(np.uint16))
    assert score(CONTENT, STYLE, [CONTENT], truth=deep)[0]["psnr"] > 90, "16 bits are read as 16 bits"


@pytest.mark.parametrize(
    ("truth", "expected"),
    [
        (resize(CONTENT, (60, 40)), r"is 120×80, but the truth .* is 60×40: .* bring one of them to the size"),
        (CONTENT[:, :60], r"is 120×80, but the truth .* is 60×80"),
        (CONTENT[:1, :1], r"truth .*1×1"),
        ("nowhere.png", r"truth picture nowhere\.png: there is no such file"),
    ],
)
def test_a_truth_that_does_not_fit_is_refused(truth, expected):
    with pytest.raises(ImageError, match=expected):
        score(CONTENT, STYLE, [CONTENT], truth=truth)


@pytest.mark.usefixtures("_quick")
def test_a_truth_that_is_damaged_is_refused_and_one_in_cmyk_is_read(tmp_path):
    damaged, cmyk = tmp_path / "damaged.png", tmp_path / "cmyk.jpg"
    damaged.write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    with pytest.raises(ImageError, match=r"truth picture .*damaged\.png"):
        score(CONTENT, STYLE, [CONTENT], truth=damaged)
    Image.fromarray(np.round(CONTENT * 255).astype(np.uint8)).convert("CMYK").save(cmyk, quality=95)
    assert score(CONTENT, STYLE, [CONTENT], truth=cmyk)[0]["ssim"] > 0.9


@pytest.mark.usefixtures("_quick")
def test_the_command(tmp_path, masks):
    paths = []
    for name, picture in (("content", CONTENT), ("style", STYLE)):
        paths.append(str(tmp_path / f"{name}.png"))
        Image.fromarray(np.round(picture * 255).astype(np.uint8)).save(paths[-1])
    flags = [part for key, path in masks.items() for part in (f"--{key.replace('_', '-')}", str(path))]
    outcome = CliRunner().invoke(app, ["score", *paths, paths[0], paths[1], *flags])
    assert outcome.exit_code == 0, outcome.output
    photo, painting = outcome.stdout.split("\n\n")
    assert photo.splitlines()[0].split()[3:] == ["edge_ssim", "color", "gram", "matting", "h_corr", "h_chi"]
    assert painting.splitlines()[0].split()[3:] == ["lpips", "style_alex", "grain_chroma", "grain_luma"]
    for table in (photo, painting):
        assert [line.split()[0] for line in table.splitlines()[1:]] == paths
    outcome = CliRunner().invoke(app, ["score", *paths, paths[0], *flags, "--truth", paths[0], "--json", "--quiet"])
    rows = json.loads(outcome.stdout)
    assert [row["result"] for row in rows] == [paths[0]]
    assert rows[0]["edge_ssim"] == pytest.approx(1)
    assert rows[0]["ssim"] == pytest.approx(1)

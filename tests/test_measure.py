"""Measuring: each number against a plain computation, OpenCV or recorded values, and what the catalogue says of it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from helpers import SAMPLES, picture
from measure_helpers import alexnet_weights, hed_weights, quick_scores, tiny_networks
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.color import deltaE_ciede2000, rgb2lab
from torch import nn
from torch.nn import functional

from photostyle.apps.cli.score_table import score_table
from photostyle.errors import UsageError
from photostyle.images import read_picture, resize
from photostyle.networks.alexnet import AlexNet
from photostyle.networks.weights import load_weights
from photostyle.studies.measure import SCORES, RegionPair, Ruler, most_telling_first, told, truth_scores
from photostyle.studies.measure.alex import AlexScores
from photostyle.studies.measure.grain import GrainScores
from photostyle.studies.measure.histograms import HistogramScores
from photostyle.studies.measure.views import at_longest, eight_bit

CONTENT, STYLE, OTHER, RESULT = picture(64, 48, 1), picture(52, 44, 2), picture(44, 60, 3), picture(64, 48, 4)


@pytest.fixture(scope="module")
def alexnet():
    return AlexNet(alexnet_weights())


def images(*pictures):
    return [eight_bit(each) for each in pictures]


def at_256(image):
    """At a longest side of 256, shape (H, W, 3) in [0, 1]."""
    size = tuple(round(side * 256 / max(image.size)) for side in image.size)
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS), dtype=np.float32) / 255


# the networks


def test_alexnet_is_that_of_torchvision(alexnet):
    tensors = alexnet_weights().tensors
    layers, inputs = [], 3
    for number, (stride, padding) in enumerate(((4, 2), (1, 2), (1, 1), (1, 1), (1, 1)), 1):
        weight, bias = tensors[f"conv{number}.weight"], tensors[f"conv{number}.bias"]
        convolution = nn.Conv2d(inputs, len(weight), weight.shape[-1], stride, padding)
        convolution.load_state_dict({"weight": weight, "bias": bias})
        layers += [convolution, nn.ReLU(), *([nn.MaxPool2d(3, 2)] if number in (1, 2) else [])]
        inputs = len(weight)
    x = torch.rand(1, 3, 70, 90, generator=torch.Generator().manual_seed(1))
    y = (x - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    expected = []
    with torch.no_grad():
        for layer in layers:
            y = layer(y)
            expected += [y] if isinstance(layer, nn.ReLU) else []
    for found, wanted in zip(alexnet(x), expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_the_narrowest_picture_leaves_a_cell(alexnet):
    assert alexnet(torch.rand(1, 3, AlexNet.least, 300))[-1].shape[-2:] == (1, 17)
    for size in ((3000, 40), (40, 3000)):
        assert min(at_longest(Image.new("RGB", size), 256, AlexNet.least)) == AlexNet.least


def test_other_weights_are_refused():
    with pytest.raises(UsageError, match="are no AlexNet with LPIPS: those of lpips-alex are"):
        AlexNet(hed_weights())


# the numbers


def test_lpips_is_equation_1_of_zhang_et_al(alexnet):
    content, style, result = images(CONTENT, STYLE, RESULT)
    scores = AlexScores(alexnet, content, [style], [1.0])
    expected = 0.0
    inputs = [torch.from_numpy(at_256(image)).permute(2, 0, 1)[None] for image in (content, result)]
    for layer, (one, other) in enumerate(zip(*map(alexnet, inputs), strict=True), 1):
        head = alexnet_weights().tensors[f"lin{layer}.weight"]
        for y, x in np.ndindex(*one.shape[-2:]):
            difference = functional.normalize(one[0, :, y, x], dim=0) - functional.normalize(other[0, :, y, x], dim=0)
            expected += float((head * difference**2).sum()) / one[0, 0].numel()
    assert scores(result)["lpips"] == pytest.approx(expected, rel=1e-4)
    assert scores(content)["lpips"] == 0


def test_the_style_distance_is_relative_and_sees_the_mean_of_several_styles(alexnet):
    content, style, other, result = images(CONTENT, STYLE, OTHER, RESULT)
    assert AlexScores(alexnet, content, [content], [1.0])(content)["style_alex"] == pytest.approx(0, abs=1e-9)

    def grams(image):
        features = alexnet(torch.from_numpy(at_256(image)).permute(2, 0, 1)[None])
        return [torch.einsum("ip,jp->ij", f[0].flatten(1), f[0].flatten(1)) / f[0, 0].numel() for f in features]

    wanted = [0.25 * a + 0.75 * b for a, b in zip(grams(style), grams(other), strict=True)]
    distances = [float(((g - a) ** 2).sum() / (a**2).sum()) for g, a in zip(grams(result), wanted, strict=True)]
    found = AlexScores(alexnet, content, [style, other], [0.25, 0.75])(result)["style_alex"]
    assert found == pytest.approx(np.mean(distances), rel=1e-4)


def test_histograms_are_compared_as_opencv_does():
    style, other, result = images(STYLE, OTHER, RESULT)

    def histogram(image, channel):
        counts = cv2.calcHist([np.asarray(image)], [channel], None, [256], [0, 256])
        return counts / counts.sum()

    found = HistogramScores([style, other], [0.3, 0.7])(result)
    for name, method in (("h_corr", cv2.HISTCMP_CORREL), ("h_chi", cv2.HISTCMP_CHISQR)):
        each = [
            cv2.compareHist(0.3 * histogram(style, c) + 0.7 * histogram(other, c), histogram(result, c), method)
            for c in range(3)
        ]
        assert found[name] == pytest.approx(np.mean(each), rel=1e-4)
    assert HistogramScores([style], [1.0])(style) == {"h_corr": pytest.approx(1), "h_chi": pytest.approx(0)}


def test_grain_is_the_finest_band_over_the_styles():
    style, result = images(STYLE, np.clip(RESULT + np.random.default_rng(0).normal(0, 0.1, RESULT.shape), 0, 1))

    def bands(image):
        red, green, blue = (plane - gaussian_filter(plane, 0.8) for plane in np.moveaxis(at_256(image), -1, 0))
        rows = ((0.299, 0.587, 0.114), (0.5, -0.419, -0.081), (-0.169, -0.331, 0.5))
        y, cr, cb = (a * red + b * green + c * blue for a, b, c in rows)
        return np.sqrt((cr**2 + cb**2).mean()), y.std()

    found = GrainScores([style], [1.0])(result)
    expected = [ours / theirs for ours, theirs in zip(bands(result), bands(style), strict=True)]
    assert list(found.values()) == pytest.approx(expected, rel=1e-3)
    assert GrainScores([style], [1.0])(style) == {"grain_chroma": 1.0, "grain_luma": 1.0}


def test_a_style_without_grain_counts_as_one_in_8_bits():
    grey, result = images(np.full_like(STYLE, 0.5), RESULT)
    found = GrainScores([grey], [1.0])(result)
    assert all(0 < value < 1000 for value in found.values())


def test_the_truth_is_compared_pixel_by_pixel(monkeypatch):
    scores = truth_scores(CONTENT, RESULT)
    assert scores["psnr"] == pytest.approx(-10 * np.log10(((CONTENT - RESULT) ** 2).mean()), rel=1e-5)
    whole = deltaE_ciede2000(rgb2lab(CONTENT), rgb2lab(RESULT)).mean()
    assert scores["delta_e"] == pytest.approx(whole, rel=1e-5)
    monkeypatch.setattr("photostyle.studies.measure.truth._PIXELS_AT_ONCE", 7 * 64)
    assert truth_scores(CONTENT, RESULT)["delta_e"] == pytest.approx(whole, rel=1e-5), "bands change nothing"
    assert scores["ssim"] < 0.5
    assert truth_scores(CONTENT, CONTENT) == {
        "delta_e": pytest.approx(0, abs=1e-6),
        "psnr": pytest.approx(107.1, abs=0.1),
        "ssim": pytest.approx(1),
    }


def test_the_ruler_takes_shares_of_styles_that_need_not_sum_to_one(monkeypatch):
    quick_scores(monkeypatch)
    whole = RegionPair(np.ones(CONTENT.shape[:2], np.float32), np.ones((1, 1), np.float32))
    found = Ruler(tiny_networks(), CONTENT, [STYLE, OTHER], [whole], [2.0, 6.0])(RESULT)
    assert list(found) == [name for name, score in SCORES.items() if score.tells in ("photo", "artistic")]
    styles = images(STYLE, OTHER)
    assert found.items() >= HistogramScores(styles, [0.25, 0.75])(eight_bit(RESULT)).items()
    equal = Ruler(tiny_networks(), CONTENT, [STYLE, OTHER], [whole])(RESULT)
    assert equal.items() >= HistogramScores(styles, [0.5, 0.5])(eight_bit(RESULT)).items()


def test_scores_of_the_real_networks_are_those_of_another_implementation():
    """Recorded from a scorer that shares no code with this one, on pictures of 120×80."""
    names = ("schwerinPalace", "brandenburgGate", "montStMichel")
    content, style, result = images(*(resize(read_picture(SAMPLES / f"{n}.webp").rgb, (120, 80)) for n in names))
    alexnet = AlexNet(load_weights("lpips-alex", offline=True))
    found = AlexScores(alexnet, content, [style], [1.0])(result) | GrainScores([style], [1.0])(result)
    assert found == {
        "lpips": pytest.approx(0.57887, rel=1e-3),
        "style_alex": pytest.approx(0.83194, rel=1e-3),
        "grain_chroma": pytest.approx(0.28055, rel=1e-3),
        "grain_luma": pytest.approx(0.78579, rel=1e-3),
    }


# the catalogue and the table


def test_each_score_is_explained_in_one_line():
    for name, score in SCORES.items():
        assert score.name == name
        assert score.better in ("higher", "lower", "one")
        assert score.tells in ("photo", "artistic", "regions", "truth")
        assert len(f"{name}: {score.told}") < 110
        assert "\n" not in score.told
        assert not score.meaning.endswith(".")
    assert told(["lpips", "total"]) == {"lpips": SCORES["lpips"].told}


def test_the_most_telling_come_first():
    scores = dict.fromkeys(reversed(SCORES), 0.0)
    for mode in ("photo", "artistic"):
        order = list(most_telling_first(scores, mode))
        count = sum(score.tells == mode for score in SCORES.values())
        assert {SCORES[name].tells for name in order[:count]} == {mode}
        assert [n for n in order[count:] if n in SCORES] == [n for n in SCORES if SCORES[n].tells != mode]


def test_the_table_fits_a_terminal():
    scores = dict.fromkeys(SCORES, 123.45678)
    rows = [("a/very/long/folder/of/results/of/many/runs/with/a/name.png", scores), ("b.png", scores)]
    lines = score_table(rows, 100)
    assert max(map(len, lines)) <= 100
    assert sum(line.startswith("…") and "name.png" in line for line in lines) == 4
    assert sum(line.startswith("b.png") for line in lines) == 4
    assert " ".join(lines).split().count("123.457") == 2 * sum(score.digits == 3 for score in SCORES.values())
    assert all(name in " ".join(lines).split() for name in SCORES)
    assert rows[0][0] in score_table(rows)[1], "no name is shortened where there is no terminal"

"""Comparing with and without regions, and in photo mode with and without the Matting Laplacian."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from helpers import LAYERS, TERMS, Log, count_weights, halves, image, indexed_mask, tiny_weights
from measure_helpers import quick_scores

import photostyle
from photostyle.errors import Interrupted, UsageError, WeightsError
from photostyle.images import read_picture
from photostyle.preparation import prepare
from photostyle.progress import Message
from photostyle.report.sheet import contact_sheet
from photostyle.studies import compare as module
from photostyle.studies.measure import SCORES, ObjectiveTerms

VARIANTS = {
    "artistic": ["segmented", "unsegmented"],
    "photo": ["segmented", "unsegmented", "segmented-no-matting", "unsegmented-no-matting"],
    "affine": ["segmented", "unsegmented"],
}
OPTIONS = {
    "artistic": {},
    "photo": {"mode": "photo", "solver": "pixels", "start": "content", "matting_weight": 1000.0},
    "affine": {"mode": "photo"},
}


@pytest.fixture(scope="module", autouse=True)
def _tiny_scores():
    with pytest.MonkeyPatch.context() as patch:
        quick_scores(patch)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison")
    tiny_weights(folder)
    for name in ("content", "style"):
        indexed_mask(folder / f"{name}.png", {0: "sky", 1: "land"}, halves())
    return folder


@pytest.fixture(scope="module")
def inputs(folder):
    """Two pictures with two regions each, and options for a short run on a small network."""
    return {
        "content": image(seed=1),
        "style": image(seed=2),
        "weights": str(folder / "tiny.safetensors"),
        "schedule": "single",
        "iterations": 6,
        **LAYERS,
    }


@pytest.fixture(scope="module")
def masks(folder):
    return {"content_mask": folder / "content.png", "style_mask": folder / "style.png"}


@pytest.fixture(scope="module")
def runs(inputs, masks):
    """A comparison in each mode, with what it told."""
    found = {}
    for mode in VARIANTS:
        log = Log()
        found[mode] = photostyle.compare(**inputs, **masks, callback=log, **OPTIONS[mode]), log
    return found


def is_picture(array, width=None, height=None):
    assert array.dtype == np.float32
    assert array.ndim == 3
    assert array.shape[2] == 3
    assert width is None or array.shape[:2] == (height, width)
    assert 0 <= array.min() <= array.max() <= 1  # false for NaN too


@pytest.mark.parametrize("mode", VARIANTS)
def test_variants(runs, mode):
    comparison, log = runs[mode]
    assert isinstance(comparison, photostyle.Comparison)
    assert list(comparison.results) == VARIANTS[mode]
    for result in comparison.results.values():
        is_picture(result.rgb, 64, 48)
    pictures = [result.rgb.tobytes() for result in comparison.results.values()]
    assert len(set(pictures)) == len(pictures), "each variant gives a picture of its own"
    assert len(log.steps) == 6 * len(pictures)
    waits = [event.text for event in log.events if isinstance(event, Message) and event.kind == "wait"]
    assert [text.split()[0] for text in waits] == VARIANTS[mode]


@pytest.mark.parametrize("mode", VARIANTS)
def test_a_variant_is_what_transfer_gives(runs, inputs, masks, mode):
    comparison = runs[mode][0]
    segmented = photostyle.transfer(**inputs, **masks, **OPTIONS[mode])
    unsegmented = photostyle.transfer(**inputs, regions="none", **OPTIONS[mode])
    assert np.array_equal(comparison.results["segmented"].rgb, segmented.rgb)
    assert np.array_equal(comparison.results["unsegmented"].rgb, unsegmented.rgb)
    if mode == "photo":
        without = photostyle.transfer(**inputs, **masks, **OPTIONS[mode] | {"matting_weight": 0.0, "smoothing": 0.0})
        assert np.array_equal(comparison.results["segmented-no-matting"].rgb, without.rgb)


@pytest.mark.parametrize("mode", VARIANTS)
def test_the_records_of_the_variants_tell_them_apart(runs, mode):
    records = runs[mode][0].record["runs"]
    for name, record in records.items():
        labels = [assignment["label"] for assignment in record["assignments"]]
        assert labels == (["sky", "land"] if name.startswith("segmented") else ["all"])
        matting = record["config"]["matting_weight"]
        assert (matting > 0) == (mode != "artistic" and "no-matting" not in name)
        terms = {term for row in record["history"] for term in row} & TERMS
        assert ("matting" in terms) == (matting > 0)


@pytest.mark.parametrize("mode", VARIANTS)
def test_scores_are_finite_explained_and_plain_data(runs, mode):
    record = json.loads(json.dumps(runs[mode][0].record, allow_nan=False))
    assert list(record["scores"]) == list(record["runs"]) == VARIANTS[mode]
    assert record["size"] == [64, 48]
    for scores in record["scores"].values():
        assert list(scores) == list(record["meaning"])
        assert set(scores) == {name for name, score in SCORES.items() if score.tells != "truth"}
        assert next(iter(scores)) == ("lpips" if mode == "artistic" else "edge_ssim"), "the most telling first"
        assert all(math.isfinite(value) for value in scores.values())
        assert all(value >= 0 for name, value in scores.items() if name not in ("h_corr", "edge_ssim"))


def test_scores_rank_the_variants_as_they_should(runs):
    """Regions bring the regions' styles nearer; the Matting Laplacian lowers the matting energy."""
    scores = {mode: comparison.record["scores"] for mode, (comparison, _) in runs.items()}
    for mode in VARIANTS:
        assert scores[mode]["segmented"]["style_regions"] < scores[mode]["unsegmented"]["style_regions"]
    for name in ("segmented", "unsegmented"):
        assert scores["photo"][name]["matting"] < 0.7 * scores["photo"][f"{name}-no-matting"]["matting"]


def test_without_the_networks_of_scores_the_terms_are_left(inputs, masks, monkeypatch):
    def missing(**_options):
        raise WeightsError("lpips-alex is not there: run this")

    monkeypatch.setattr(module, "load_networks", missing)
    log = Log()
    record = photostyle.compare(**inputs, **masks, callback=log).record
    assert (
        list(record["scores"]["segmented"]) == list(record["meaning"]) == ["content", "style_regions", "style_global"]
    )
    assert "only the terms of the objective are measured: lpips-alex is not there: run this" in log.messages


@pytest.mark.parametrize("mode", VARIANTS)
def test_sheet_curves_and_masks_are_pictures(runs, mode):
    comparison = runs[mode][0]
    is_picture(comparison.sheet)
    assert comparison.sheet.shape[1] >= 1000
    is_picture(comparison.curves)
    assert list(comparison.masks) == ["content", "style-1"]
    for mask in comparison.masks.values():
        is_picture(mask, 64, 48)


def test_the_sheet_shows_inputs_masks_results_and_curves(inputs, masks, monkeypatch):
    shown = []

    def noted(rows, *more):
        shown.extend(tile for row in rows for tile in row)
        return contact_sheet(rows, *more)

    monkeypatch.setattr(module, "contact_sheet", noted)
    comparison = photostyle.compare(**inputs, **masks)
    pictures = [tile.picture.tobytes() for tile in shown]
    given = [read_picture(inputs[name], role="picture").rgb for name in ("content", "style")]
    results = [result.rgb for result in comparison.results.values()]
    for picture in (*given, *comparison.masks.values(), *results, comparison.curves):
        assert pictures.count(picture.tobytes()) == 1
    for name, result in comparison.results.items():
        caption = shown[pictures.index(result.rgb.tobytes())].caption
        assert name in caption[0]
        assert caption[1].startswith("lpips "), "its scores stand below, the most telling first"
        assert len(caption) == 6


def test_a_grid_gives_regions_too(inputs):
    comparison = photostyle.compare(**inputs, regions="grid:1x2")
    assert list(comparison.results) == VARIANTS["artistic"]
    assert len(comparison.record["runs"]["segmented"]["assignments"]) == 2
    assert list(comparison.masks) == ["content", "style-1"]


def test_several_styles_have_a_mask_each_that_has_one(inputs, masks):
    both = inputs | {"style": [image(seed=2), image(seed=3)]}
    comparison = photostyle.compare(
        **both, content_mask=masks["content_mask"], style_mask=[None, masks["style_mask"]], style_weights=(1.0, 2.0)
    )
    assert list(comparison.masks) == ["content", "style-2"]
    assert len(comparison.record["runs"]["unsegmented"]["styles"]) == 2


@pytest.mark.parametrize("style", ["style", None])
def test_styles_of_regions_are_compared_with_their_blend(inputs, masks, style):
    given = inputs | {"style": [inputs["style"]] if style else []}
    mapped = {"sky": image(seed=3), **({} if style else {"land": image(seed=2)})}
    comparison = photostyle.compare(**given, map=mapped, content_mask=masks["content_mask"])
    options = {name: value for name, value in inputs.items() if name != "style"}
    segmented = photostyle.transfer(style=given["style"], map=mapped, content_mask=masks["content_mask"], **options)
    blended = photostyle.transfer(style=[*given["style"], *mapped.values()], regions="none", **options)
    np.testing.assert_array_equal(comparison.results["segmented"].rgb, segmented.rgb)
    np.testing.assert_array_equal(comparison.results["unsegmented"].rgb, blended.rgb)
    assert set(comparison.record["scores"]) == {"segmented", "unsegmented"}


@pytest.mark.parametrize("options", [{"regions": "none"}, {"regions": "grid:1x1"}])
def test_regions_are_needed(inputs, options):
    with pytest.raises(UsageError, match="compare needs regions"):
        photostyle.compare(**inputs, **options)


def test_an_interrupted_comparison_carries_what_was_reached(inputs, masks):
    with pytest.raises(Interrupted) as caught:
        photostyle.compare(**inputs, **masks, callback=Log(stop_after=2))
    assert caught.value.result is not None
    assert len(caught.value.result.record["history"]) == 2


@pytest.mark.parametrize("place", ["prepare", "_ruler", "loss_curves"])
def test_a_comparison_interrupted_between_runs_is_an_error_of_ours(inputs, masks, monkeypatch, place):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, place, stop)
    with pytest.raises(Interrupted, match="interrupted"):
        photostyle.compare(**inputs, **masks)


def test_a_comparison_whose_start_is_the_minimum(inputs):
    """Content as its own style, without a regulariser: no iteration lowers the loss, and that is no error."""
    same = inputs | {"style": inputs["content"], "tv_weight": 0.0}
    comparison = photostyle.compare(**same, regions="grid:1x2")
    content = read_picture(inputs["content"], role="content picture").rgb
    for result in comparison.results.values():
        assert np.abs(result.rgb - content).max() < 1 / 255
    is_picture(comparison.curves)


def test_the_network_is_loaded_once(inputs, masks, monkeypatch):
    loaded = count_weights(monkeypatch)
    photostyle.compare(**inputs, **masks)
    assert loaded == [inputs["weights"]]


def test_it_never_prints(inputs, masks, capfd):
    photostyle.compare(**inputs, **masks)
    assert capfd.readouterr() == ("", "")


@pytest.fixture(scope="module")
def terms(inputs, masks):
    segmented = prepare(**inputs, **masks)
    unsegmented = prepare(**inputs)
    return ObjectiveTerms(segmented.problem, unsegmented.problem, segmented.config, segmented.solve_size)


def test_the_terms_give_the_content_a_perfect_content(terms, inputs):
    found = terms(read_picture(inputs["content"], role="content picture").rgb)
    assert found["content"] == pytest.approx(0, abs=1e-9)
    assert found["style_global"] > 0.001
    style = terms(read_picture(inputs["style"], role="style picture").rgb)
    assert style["style_global"] == pytest.approx(0, abs=1e-6)
    assert style["style_regions"] == pytest.approx(0, abs=1e-6)
    assert style["content"] > 0.01


def test_the_terms_do_not_depend_on_the_weights_of_the_run(inputs, masks):
    picture = read_picture(inputs["style"], role="style picture").rgb
    found = []
    for options in ({}, {"content_weight": 7.0, "style_weight": 3.0, "tv_weight": 2.0, "normalisation": "papers"}):
        segmented, unsegmented = prepare(**inputs, **masks, **options), prepare(**inputs, **options)
        measure = ObjectiveTerms(segmented.problem, unsegmented.problem, segmented.config, segmented.solve_size)
        found.append(measure(picture))
    assert found[0] == found[1]

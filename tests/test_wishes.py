"""Pairs, kept regions, weights of regions and strictness, through the whole of a transfer and the options."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import LAYERS, halves, indexed_mask, picture, tiny_weights

import photostyle
from photostyle.errors import RegionError, UsageError
from photostyle.images import resize
from photostyle.options.checks import weights_by_label
from photostyle.options.config import TransferConfig
from photostyle.options.values import pairs


@pytest.fixture
def run(tmp_path):
    mask = indexed_mask(tmp_path / "c.png", {0: "sky", 1: "land"}, halves())
    style_mask = indexed_mask(tmp_path / "s.png", {0: "land", 1: "sky"}, halves())

    def transfer(**options):
        given = {"iterations": 3, "schedule": "single", "weights": str(tiny_weights(tmp_path)), **LAYERS}
        return photostyle.transfer(
            picture(), picture(seed=1), content_mask=mask, style_mask=style_mask, **given | options
        )

    return transfer


def test_a_kept_region_stays_and_its_border_is_blended(run):
    plain, kept = run().rgb, run(keep=("sky",)).rgb
    content = picture()
    np.testing.assert_allclose(kept[:18], content[:18], atol=1e-6)
    assert np.abs(plain[:18] - content[:18]).mean() > 0.005
    assert np.abs(kept[30:] - content[30:]).mean() > 0.005


def test_a_label_that_is_named_twice_is_kept_once(run):
    assert np.array_equal(run(keep=("sky", "sky")).rgb, run(keep=("sky",)).rgb)


def test_a_kept_region_stays_in_a_larger_result_of_photo_mode(run):
    result = run(mode="photo", keep=("sky",), size=128, solve_size=64, smoothing=1e-3)
    np.testing.assert_allclose(result.rgb[:36], resize(picture(), (128, 96))[:36], atol=1e-6)
    assert any("stays as it is" in note for note in result.record["notes"])


def test_weights_of_regions_shift_the_style(run):
    """With less weight on one half, that half moves less."""
    content = picture()
    moved = {
        weights: np.abs(run(region_weights=weights).rgb[:20] - content[:20]).mean() for weights in ((), ("sky=0.05",))
    }
    assert moved[("sky=0.05",)] < 0.8 * moved[()]


def test_a_weight_of_one_changes_nothing_and_zero_is_no_style(run):
    assert np.array_equal(run().rgb, run(region_weights=("sky=1",)).rgb)
    assignments = run(region_weights=("sky=0",)).record["assignments"]
    assert [a["label"] for a in assignments] == ["sky", "land"]


def test_pairs_change_who_gives_the_style(run):
    record = run(match=("sky=land",)).record
    by_label = {a["label"]: a["sources"][0]["label"] for a in record["assignments"]}
    assert by_label == {"sky": "land", "land": "land"}


def test_strict_labels_end_a_run_before_it_begins(run, tmp_path):
    other = indexed_mask(tmp_path / "o.png", {0: "water", 1: "land"}, halves())
    arguments = {"content_mask": tmp_path / "c.png", "style_mask": other, "strict_labels": True}
    with pytest.raises(RegionError, match="--strict-labels: no counterpart in the style for 'sky'"):
        photostyle.transfer(picture(), picture(seed=1), **arguments)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"match": ("sky",)}, "--match is 'sky': each must be LABEL="),
        ({"match": ("sky=",)}, "each must be LABEL="),
        ({"match": ("a=b", "a=c")}, "no label twice"),
        ({"region_weights": ("sky=much",)}, "the weight 'much', which is no number"),
        ({"region_weights": ("sky=-1",)}, "must be a number of at least 0"),
        ({"region_weights": ("sky=nan",)}, "must be a number of at least 0"),
        ({"keep": "sky"}, "--keep is the text 'sky', but must be a list of texts"),
        ({"keep": ("",)}, "--keep is '': name labels"),
        ({"segmenter": ""}, "--segmenter is ''"),
    ],
)
def test_wishes_that_are_none(options, words):
    with pytest.raises(UsageError, match=words):
        TransferConfig(**options)


def test_parsing():
    assert pairs("match", (" a = b ", "c=d=e")) == {"a": "b", "c": "d=e"}
    assert weights_by_label(("a=2", "b=0")) == {"a": 2.0, "b": 0.0}

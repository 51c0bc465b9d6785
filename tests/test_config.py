"""The options: allowed values, messages, and the defaults that depend on others."""

from __future__ import annotations

import math
import re
import sys
from dataclasses import FrozenInstanceError, fields
from typing import get_type_hints

import pytest

from photostyle.apps.cli import app
from photostyle.errors import UsageError
from photostyle.options.config import OPTIONS, TransferConfig, affine_start, option_help, resolve
from photostyle.options.table import THEMES
from photostyle.options.typed import TransferOptions

CHOICES = {name: each.choices for name, each in OPTIONS.items() if each.choices}


def test_defaults_are_allowed_and_frozen():
    config = TransferConfig()
    with pytest.raises(FrozenInstanceError):
        config.seed = 3  # type: ignore[misc]
    for name, allowed in CHOICES.items():
        assert getattr(config, name) in (*allowed, None)


@pytest.mark.parametrize("name", [f.name for f in fields(TransferConfig)])
def test_every_option_has_help(name):
    text = option_help(name)
    assert text
    assert text.endswith(".")
    assert "\n" not in text


@pytest.mark.parametrize("name", CHOICES)
def test_a_word_that_is_not_allowed_is_named_with_those_that_are(name):
    with pytest.raises(UsageError, match="'sideways'") as caught:
        TransferConfig(**{name: "sideways"})
    assert "--" + name.replace("_", "-") in str(caught.value)
    assert all(word in str(caught.value) for word in CHOICES[name])
    for word in CHOICES[name]:
        assert getattr(TransferConfig(**{name: word}), name) == word


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("size", 31),
        ("size", 64.0),
        ("size", True),
        ("solve_size", 0),
        ("iterations", 0),
        ("iterations", -1),
        ("iterations", "5"),
        ("history", 0),
        ("snapshot_every", 0),
        ("checkpoint_every", -1),
        ("seed", -1),
        ("seed", 1.5),
        ("snapshots", (3, 0)),
    ],
)
def test_whole_numbers(name, bad):
    with pytest.raises(UsageError, match="whole number of at least") as caught:
        TransferConfig(**{name: bad})
    assert "--" + name.replace("_", "-") in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["content_weight", "style_weight", "tv_weight", "matting_weight", "smoothing", "learning_rate", "style_scale"],
)
@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf, "1", True])
def test_numbers_are_finite_and_not_negative(name, bad):
    with pytest.raises(UsageError, match=f"--{name.replace('_', '-')} is .* must be a number"):
        TransferConfig(**{name: bad})


@pytest.mark.parametrize("name", ["learning_rate", "style_scale"])
def test_numbers_above_zero(name):
    with pytest.raises(UsageError, match="above 0"):
        TransferConfig(**{name: 0.0})


@pytest.mark.parametrize("share", [1.01, -0.1, math.nan])
def test_noise_share_lies_between_0_and_1(share):
    with pytest.raises(UsageError, match="--noise-share"):
        TransferConfig(noise_share=share)
    assert TransferConfig(noise_share=1).noise_share == 1
    assert TransferConfig(noise_share=0).noise_share == 0


def test_pixels_by_adam_start_from_a_field_by_lbfgs():
    photo = resolve(TransferConfig(mode="photo", solver="pixels", optimizer="adam"))
    assert (photo.optimizer, affine_start(photo).optimizer) == ("adam", "lbfgs")


@pytest.mark.parametrize("kind", ["content", "style"])
@pytest.mark.parametrize("layers", [(), ("relu1_1", "relu1_1")])
def test_layers_are_named_once(kind, layers):
    with pytest.raises(UsageError, match=f"--{kind}-layers"):
        TransferConfig(**{f"{kind}_layers": layers})


@pytest.mark.parametrize("name", ["style_weights", "content_layer_weights", "style_layer_weights"])
@pytest.mark.parametrize("weights", [(), (0.0, 0.0), (1.0, -0.5), (math.nan,)])
def test_lists_of_weights_have_a_sum(name, weights):
    with pytest.raises(UsageError, match=f"--{name.replace('_', '-')}"):
        TransferConfig(**{name: weights})


@pytest.mark.parametrize("mode", CHOICES["mode"])
@pytest.mark.parametrize("optimizer", CHOICES["optimizer"])
@pytest.mark.parametrize("normalisation", CHOICES["normalisation"])
def test_resolve_leaves_no_weight_open_and_keeps_what_is_given(mode, optimizer, normalisation):
    open_ = TransferConfig(mode=mode, optimizer=optimizer, normalisation=normalisation)
    filled = resolve(open_)
    names = (
        "content_weight",
        "style_weight",
        "tv_weight",
        "matting_weight",
        "smoothing",
        "iterations",
        "learning_rate",
    )
    for name in names:
        assert getattr(filled, name) is not None
        given = resolve(TransferConfig(mode=mode, optimizer=optimizer, normalisation=normalisation, **{name: 7}))
        assert getattr(given, name) == 7
    assert resolve(filled) == filled
    unchanged = {f.name for f in fields(open_) if getattr(open_, f.name) is not None}
    assert all(getattr(filled, name) == getattr(open_, name) for name in unchanged)


def test_resolve_depends_on_mode_normalisation_and_optimizer():
    artistic, photo = resolve(TransferConfig()), resolve(TransferConfig(mode="photo"))
    assert artistic.matting_weight == 0
    assert artistic.solve_size is None
    assert photo.matting_weight > 0
    assert photo.solve_size is not None
    papers = resolve(TransferConfig(normalisation="papers"))
    assert (papers.content_weight, papers.style_weight) != (artistic.content_weight, artistic.style_weight)
    assert resolve(TransferConfig(optimizer="adam")).learning_rate < artistic.learning_rate


@pytest.mark.parametrize("mode", ["artistic", "photo"])
def test_the_network_is_the_mode_s_unless_one_is_named(mode):
    usual = {"artistic": "vgg16", "photo": "hed"}[mode]
    assert resolve(TransferConfig(mode=mode)).backbone == usual
    other = resolve(TransferConfig(mode=mode, backbone="vgg19"))
    assert other.backbone == "vgg19"
    assert affine_start(resolve(TransferConfig(mode="photo", solver="pixels", backbone="vgg19"))).backbone == "vgg19"
    assert resolve(TransferConfig(mode="photo", solver="statistics", backbone="vgg19")).backbone == "vgg19"


def test_edges_are_needed_where_something_measures_them():
    needs = {
        (): False,
        (("edge_weight", 1.0),): True,
        (("mode", "photo"),): True,
        (("mode", "photo"), ("edge_weight", 0.0)): False,
        (("mode", "photo"), ("solver", "statistics")): False,
        (("mode", "photo"), ("solver", "pixels")): True,  # which begin with the affine field
        (("mode", "photo"), ("solver", "pixels"), ("start", "content")): False,
    }
    for options, needed in needs.items():
        assert resolve(TransferConfig(**dict(options))).needs_edges == needed, options


def test_one_of_content_and_style_counts():
    with pytest.raises(UsageError, match="--content-weight, --style-weight and --color-weight are all 0"):
        resolve(TransferConfig(content_weight=0, style_weight=0))
    assert resolve(TransferConfig(content_weight=0)).style_weight > 0


@pytest.mark.parametrize(
    "name", ["content_weight", "style_weight", "tv_weight", "matting_weight", "color_weight", "smoothing", "iterations"]
)
def test_the_help_tells_the_defaults_as_they_are(name):
    artistic, photo = resolve(TransferConfig()), resolve(TransferConfig(mode="photo"))
    text = option_help(name)
    for config in (artistic, photo):
        assert f"{getattr(config, name):g}" in text, text


def test_the_help_tells_the_learning_rates_as_they_are():
    for optimizer in CHOICES["optimizer"]:
        rate = resolve(TransferConfig(optimizer=optimizer)).learning_rate
        assert f"{rate:g} for {optimizer}" in option_help("learning_rate")


def test_the_table_knows_every_option():
    assert [f.name for f in fields(TransferConfig)] == list(OPTIONS)
    for name, each in OPTIONS.items():
        assert each.theme in THEMES, name
        assert each.kind in (bool, int, float, str), name
        assert each.optional == (each.default is None), name
        each.check(each.default)
    kept_on_the_way = {"offline", "snapshot_every", "snapshots", "checkpoint_every"}
    assert {name for name, each in OPTIONS.items() if each.changes == "nothing"} == kept_on_the_way


def test_options_are_typed_as_the_config_is():
    assert get_type_hints(TransferOptions) == get_type_hints(TransferConfig)


@pytest.mark.parametrize("name", ["calm_weight", "detail_weight", "field_weight"])
@pytest.mark.parametrize("mode", ["artistic", "photo"])
def test_a_weight_of_the_field_needs_a_field(name, mode):
    with pytest.raises(UsageError, match=rf"--{name.replace('_', '-')} is for the affine field"):
        resolve(TransferConfig(mode=mode, solver="pixels", **{name: 3.0}))
    assert getattr(resolve(TransferConfig(mode="photo", **{name: 3.0})), name) == 3.0
    assert getattr(resolve(TransferConfig(mode=mode, solver="pixels", **{name: 0.0})), name) == 0.0


def test_the_help_shows_every_option_once_under_its_theme(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["photostyle", "transfer", "--help"])
    with pytest.raises(SystemExit):
        app.main()
    text = capsys.readouterr().out
    places = [text.index(f"\n{theme}:") for theme in THEMES]
    assert places == sorted(places)
    for name, each in OPTIONS.items():
        (found,) = re.finditer(rf"^  --{name.replace('_', '-')}[ /\n]", text, re.M)
        assert max(place for place in places if place < found.start()) == text.index(f"\n{each.theme}:"), name

"""Names, texts and combinations of what a sweep varies; and the options' values as text."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from photostyle.apps.cli.sweep import parse_vary
from photostyle.errors import UsageError
from photostyle.options.config import TransferConfig
from photostyle.options.parsing import parse_text
from photostyle.options.variations import checked_values, combinations, file_name, value_text, values_text


def test_all_combinations_the_last_fastest():
    found = combinations({"seed": [0, 1], "pooling": ["average", "max"]})
    assert [tuple(each.values()) for each in found] == [(0, "average"), (0, "max"), (1, "average"), (1, "max")]
    assert list(found[0]) == ["seed", "pooling"]
    assert combinations({}) == [{}]


def test_values_become_plain():
    found = checked_values(
        {"learning_rate": np.float32([0.5]), "seed": range(2), "weights": [Path("a.pth"), None], "keep": [["sky"]]}
    )
    assert found == {"learning_rate": [0.5], "seed": [0, 1], "weights": ["a.pth", None], "keep": [("sky",)]}
    assert type(found["learning_rate"][0]) is float


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (100.0, "100"),
        (1e-7, "1e-07"),
        (0.1, "0.1"),
        (3, "3"),
        (True, "on"),
        (False, "off"),
        (None, "default"),
        ("max", "max"),
        (("relu1_1", "relu2_1"), "relu1_1+relu2_1"),
        ((1.0, 0.5), "1+0.5"),
        ((), "none"),
    ],
)
def test_texts(value, text):
    assert value_text(value) == text
    assert values_text({"style_weight": value, "seed": 1}) == f"style weight {text}, seed 1"


def test_file_names_are_safe_short_and_unlike():
    values = {"weights": '../../etc/a b:c*?<>|"\\\n.pth', "style_layers": ("relu1_1", "relu2_1")}
    assert file_name(3, 120, {"style_weight": 1e-7}) == "003_style-weight=1e-07.png"
    name = file_name(1, 9, values)
    assert re.fullmatch(r"1_[A-Za-z0-9.+=_-]+\.png", name)
    assert Path(name).name == name
    long = {"style_layers": tuple(f"relu{n}_1" for n in range(100))}
    names = {file_name(number, 20, long) for number in range(1, 21)}
    assert len(names) == 20
    assert max(map(len, names)) < 140


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("style_weight", "1e2", 100.0),
        ("seed", " 7", 7),
        ("pooling", "max", "max"),
        ("deband", "off", False),
        ("deband", "TRUE", True),
        ("style_layers", "relu1_1+relu2_1", ("relu1_1", "relu2_1")),
        ("style_layer_weights", "1e+2+1E-1+3", (100.0, 0.1, 3.0)),
        ("region_weights", "sky=2+sea=0.5", ("sky=2", "sea=0.5")),
        ("keep", "sky", ("sky",)),
        ("snapshots", "3+4", (3, 4)),
    ],
)
def test_values_are_parsed_by_the_type_of_the_field(name, text, value):
    found = parse_text(name, text)
    assert found == value
    assert type(found) is type(value)
    assert getattr(TransferConfig(**{name: found}), name) == value


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("style_weight", "much", "must be a number"),
        ("seed", "1.5", "must be a whole number"),
        ("deband", "maybe", "must be on or off"),
        ("style_layer_weights", "1+x", "must be numbers"),
        ("style_layers", "relu1_1+", "must not be empty"),
    ],
)
def test_values_of_another_type(name, text, words):
    with pytest.raises(UsageError, match=f"--{name.replace('_', '-')} is .*{words}"):
        parse_text(name, text)


def test_parsing_of_vary():
    texts = ["style-weight=1e2, 1e3", "--seed=1", "style_layers=relu1_1+relu2_1,relu3_1", "match=a=b+c=d,a=d"]
    assert parse_vary(texts) == {
        "style_weight": [100.0, 1000.0],
        "seed": [1],
        "style_layers": [("relu1_1", "relu2_1"), ("relu3_1",)],
        "match": [("a=b", "c=d"), ("a=d",)],
    }
    assert parse_vary(None) == {}


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["style_weight"], "must be NAME=A,B"),
        (["=3"], "must be NAME=A,B"),
        (["style_weight="], "an empty value"),
        (["style_weight=1,,2"], "an empty value"),
        (["seed=1", "seed=2"], "names seed twice"),
        (["style_weight=1", "style-weight=2"], "names style_weight twice"),
        (["style-wieght=1"], "did you mean style_weight"),
        (["quark=1"], "allowed are: mode, solver, .*seed"),
        (["size=64,128"], "at one size; pass --size"),
    ],
)
def test_vary_that_cannot_be(texts, words):
    with pytest.raises(UsageError, match=words):
        parse_vary(texts)

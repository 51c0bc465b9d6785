"""What labels are called: common colours, legends in all their forms, and what is wrong with a legend."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from photostyle.errors import RegionError
from photostyle.regions.labelmap.legend import COMMON_COLORS, Legend, color_names, hex_color, read_legend
from photostyle.regions.labelmap.read import read_label_map

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
BLACK, WHITE, GREY = (0, 0, 0), (255, 255, 255), (128, 128, 128)


def save(image, path, **options):
    image.save(path, **options)
    return path


def stripes(*colors, width=12, height=30):
    return np.repeat(np.array(colors, dtype=np.uint8)[None], height, axis=0).repeat(width, axis=1)


def read(path, size=None):
    with Image.open(path) as image:
        return read_label_map(path, size=size or image.size, picture="a.jpg")


def indexed(path, **options):
    image = Image.fromarray(stripes((0,) * 3, (3,) * 3, (7,) * 3)[..., 0], "L").convert("L")
    palette = [0] * 768
    palette[0:3], palette[9:12], palette[21:24] = [10, 20, 30], RED, RED
    paletted = Image.frombytes("P", image.size, image.tobytes())
    paletted.putpalette(palette)
    return save(paletted, path, **options)


def test_names_of_colours():
    assert color_names(list(COMMON_COLORS.values())) == list(COMMON_COLORS)
    assert color_names([(3, 250, 1), (161, 178, 195)]) == ["green", "#a1b2c3"]
    assert color_names([(0, 0, 247), (0, 0, 252)]) == ["#0000f7", "blue"]
    assert color_names([(0, 0, 246)]) == ["#0000f6"]


def test_the_nine_common_colours():
    assert {name: hex_color(color) for name, color in COMMON_COLORS.items()} == {
        "blue": "#0000ff",
        "green": "#00ff00",
        "black": "#000000",
        "white": "#ffffff",
        "red": "#ff0000",
        "yellow": "#ffff00",
        "grey": "#808080",
        "lightblue": "#00ffff",
        "purple": "#ff00ff",
    }


def test_no_legend(tmp_path):
    legend = read_legend(tmp_path / "m.png")
    assert (legend.indices, legend.colors) == ({}, {})
    assert legend.names(["3", "red"], [3, None], [BLUE, RED]) == ["3", "red"]


def test_of_two_colours_near_one_entry_the_nearer_is_meant():
    legend = Legend(colors={RED: "roof"})
    assert legend.names(["a", "b"], [None, None], [(250, 0, 0), (255, 3, 0)]) == ["a", "roof"]
    assert legend.names(["a"], [None], [(246, 0, 0)]) == ["a"]


def test_legend_of_a_blurred_colour_map(tmp_path):
    small = Image.fromarray(stripes(BLACK, WHITE, BLUE))
    path = save(small.resize((108, 90), Image.Resampling.BILINEAR), tmp_path / "m.png")
    (tmp_path / "m.json").write_text('{"black": "tree", "#ffffff": "cloud", "blue": {"name": "sky"}, "grey": "rock"}')
    labels = read(path)
    assert labels.labels == ("cloud", "sky", "tree")
    assert labels.colors == {"cloud": "#ffffff", "sky": "#0000ff", "tree": "#000000"}


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

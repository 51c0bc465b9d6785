"""``photostyle segment``: its files, their way back into a transfer, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import segmenters
from cli_helpers import Workshop
from helpers import SAMPLES
from PIL import Image

from photostyle.errors import RegionError
from photostyle.regions.labelmap.label_colors import LABEL_COLORS, label_palette
from photostyle.regions.labelmap.legend import COMMON_COLORS
from photostyle.regions.labelmap.read import read_label_map
from photostyle.regions.segmentation import SEGMENTERS

LABELS = ("sky", "building", "water")


@pytest.fixture
def shop(monkeypatch, capsys, tmp_path):
    return Workshop(monkeypatch, capsys, tmp_path)


@pytest.fixture
def toy(shop):
    return ("--segmenter", segmenters.file(shop.folder / "toy.safetensors", LABELS))


@pytest.fixture
def castle(tmp_path):
    """A real photograph, small."""
    path = tmp_path / "castle.png"
    with Image.open(SAMPLES / "neuschwansteinCastle.webp") as image:
        image.resize((120, 160)).save(path)
    return path


def test_pictures_that_are_divided_together_share_their_labels(shop, castle):
    """With the real networks: the sky of the castle and of the palace, and maps that a transfer takes."""
    palace = shop.folder / "palace.png"
    with Image.open(SAMPLES / "schwerinPalace.webp") as image:
        image.resize((160, 120)).save(palace)
    outcome = shop("segment", "--together", castle, palace, "-o", shop.folder / "maps", "--json")
    assert outcome.code == 0, outcome.err
    assert "wrote" in outcome.err
    one, two = json.loads(outcome.out)
    assert [entry["name"] for entry in one["labels"].values()] == [entry["name"] for entry in two["labels"].values()]
    assert "sky" in [entry["name"] for entry in one["labels"].values()]
    for name, size in (("castle", (120, 160)), ("palace", (160, 120))):
        masks = read_label_map(shop.folder / f"maps/{name}.png", size=size, picture=name)
        sky = sum(m for m, label in zip(masks.masks, masks.labels, strict=True) if label.startswith("sky"))
        assert sky[: len(sky) // 8].mean() > 0.6 > 0.2 > sky[-len(sky) // 8 :].mean()


def test_a_map_a_legend_and_an_overlay(shop, castle):
    outcome = shop("segment", castle, "-o", shop.output, "--json")
    assert outcome.code == 0, outcome.err
    assert shop.results() == ["result-overlay.png", "result.json", "result.png"]
    with Image.open(shop.output) as image:
        assert (image.mode, image.size) == ("P", (120, 160))
        index, palette = np.asarray(image), image.getpalette()
    labels = SEGMENTERS["outdoor"].table.labels
    assert palette[:30] == [level for label in labels for level in bytes.fromhex(LABEL_COLORS[label][1:])]
    legend = json.loads(shop.output.with_suffix(".json").read_text(encoding="utf-8"))
    assert json.loads(outcome.out) == legend
    assert [entry["name"] for entry in legend["labels"].values()] == list(labels)
    for key, entry in legend["labels"].items():
        assert entry["area"] == pytest.approx((index == int(key)).mean(), abs=1e-4)
        assert entry["confidence"] is None or 0 < entry["confidence"] <= 1
    assert legend["size"] == [120, 160]
    assert 0 < legend["confidence"] <= 1
    assert legend["labels"]["0"]["area"] > 0.1
    with Image.open(shop.output.with_name("result-overlay.png")) as overlay:
        assert overlay.width == 120
        assert overlay.height > 160


def test_several_pictures_go_into_a_folder_with_one_loading(shop, toy):
    folder = shop.folder / "maps" / "deep"
    outcome = shop("segment", shop.content, shop.style, "-o", folder, *toy)
    assert outcome.code == 0, outcome.err
    names = [f"{stem}{end}" for stem in ("content", "style") for end in ("-overlay.png", ".json", ".png")]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert outcome.err.count("loading segmenter") == 1


def test_one_picture_may_go_into_a_folder_too(shop, toy):
    assert shop("segment", shop.content, "-o", shop.folder / "maps", *toy, "-q").err == ""
    assert (shop.folder / "maps" / "content.png").is_file()


def repaint(path, how):
    """Save a map as different paint programs do, with a new rectangle of water."""
    with Image.open(path) as image:
        index, palette = np.asarray(image).copy(), image.getpalette()[:768]
    water = SEGMENTERS["outdoor"].table.labels.index("water")
    index[-40:, :50] = water
    edited = Image.fromarray(index)
    edited.putpalette(palette)
    if how == "rgb":
        edited = edited.convert("RGB")
    elif how == "rgba":
        edited = edited.convert("RGBA")
    elif how == "reordered":
        edited = edited.convert("RGB").quantize(palette=_reversed(palette))
    elif how == "antialiased":
        edited = edited.convert("RGB").resize((240, 320), Image.Resampling.BICUBIC).resize((120, 160))
    edited.save(path)
    return index


def _reversed(palette):
    colors = [palette[i : i + 3] for i in range(0, 30, 3)][::-1]
    image = Image.new("P", (1, 1))
    image.putpalette([level for color in colors for level in color] * 25)
    return image


@pytest.mark.parametrize("legend", [True, False])
@pytest.mark.parametrize("how", ["indexed", "rgb", "rgba", "reordered", "antialiased"])
def test_an_edited_map_is_accepted_as_it_is(shop, castle, how, legend):
    assert shop("segment", castle, "-o", shop.output, "-q").code == 0
    index = repaint(shop.output, how)
    if not legend:
        shop.output.with_suffix(".json").unlink()
    labels = SEGMENTERS["outdoor"].table.labels
    read = read_label_map(shop.output, size=(120, 160), picture="castle.png")
    found = np.array([labels.index(label) for label in read.labels])[read.masks.argmax(0)]
    assert (found == index).mean() > (0.95 if how == "antialiased" else 0.9999)
    if how == "indexed" and legend:
        out = shop.folder / "out2.png"
        style = ("--regions", "auto", "--style-mask", "none", "--content-mask", shop.output)
        outcome = shop("transfer", castle, shop.style, "-o", out, *style, *shop.network, *shop.quick, "--size", "64")
        assert outcome.code == 0, outcome.err


def test_unknown_indices_and_colours_are_refused(shop, castle):
    assert shop("segment", castle, "-o", shop.output, "-q").code == 0
    with Image.open(shop.output) as image:
        index, palette = np.asarray(image).copy(), image.getpalette()
    index[:40, :40] = 57
    edited = Image.fromarray(index)
    edited.putpalette((palette + [9] * 768)[:768])
    edited.save(shop.output)
    with pytest.raises(RegionError, match=r"has the index 57 .*names 0 sky, 1 building.*paint with these"):
        read_label_map(shop.output, size=(120, 160), picture="castle.png")
    rgb = edited.convert("RGB")
    rgb.paste((255, 0, 255), (0, 0, 40, 40))
    rgb.save(shop.output)
    with pytest.raises(RegionError, match="has the colour #ff00ff, which the legend doesn't name"):
        read_label_map(shop.output, size=(120, 160), picture="castle.png")


def test_colours_of_labels_are_no_common_ones_and_far_apart():
    colors = [np.array(list(bytes.fromhex(color[1:]))) for color in LABEL_COLORS.values()]
    for i, color in enumerate(colors):
        assert all(np.abs(color - np.array(other)).max() > 24 for other in COMMON_COLORS.values())
        assert all(np.abs(color - other).max() > 24 for other in colors[:i])
    made = label_palette([f"label {i}" for i in range(64)])
    assert len(set(made.values())) == 64


def test_doubt_is_said_aloud(shop):
    Image.new("RGB", (64, 48), "black").save(shop.folder / "black.png")
    outcome = shop("segment", shop.folder / "black.png", "-o", shop.output)
    assert outcome.code == 0
    assert "warning: " in outcome.err
    assert "look at the overlay before you use the map" in outcome.err.replace("\n", " ")
    assert json.loads(shop.output.with_suffix(".json").read_text())["doubt"]


def test_what_is_refused(shop, toy):
    def refused(code, *arguments):
        return shop.refused(code, "segment", *arguments)

    assert "name it .png" in refused(2, shop.content, "-o", shop.folder / "m.jpg", *toy)
    assert "name a folder" in refused(2, shop.content, shop.style, "-o", shop.folder / "m.png", *toy)
    assert "would replace the picture" in refused(2, shop.content, "-o", shop.folder, *toy)
    assert "would replace the picture" in refused(2, shop.content, "-o", shop.content, *toy, "--overwrite")
    assert "the same files" in refused(2, shop.content, shop.content, "-o", shop.folder / "maps", *toy)
    assert "doesn't exist" in refused(1, shop.content, "-o", shop.folder / "no" / "m.png", *toy)
    assert "must be one of outdoor, ade20k" in refused(2, shop.content, "-o", shop.output, "--segmenter", "cityscapes")
    assert "no such file" in refused(1, shop.folder / "no.png", "-o", shop.output, *toy).lower()
    assert "can't be used" in refused(1, shop.content, "-o", shop.folder / ("x" * 300), *toy)
    overlay = shop.content.rename(shop.folder / "style-overlay.png")
    assert "the same files" in refused(2, shop.style, overlay, "-o", shop.folder / "maps", *toy)
    overlay.rename(shop.content)
    (shop.folder / "file").write_text("")
    assert "can't be used as a folder" in refused(1, shop.content, "-o", shop.folder / "file" / "maps", *toy)


def test_one_bad_picture_among_others_does_not_cost_them_their_maps(shop, toy):
    (shop.folder / "bad.png").write_text("no picture")
    pictures = (shop.content, shop.folder / "bad.png", shop.style)
    outcome = shop("segment", *pictures, "-o", shop.folder / "maps", *toy, "-q")
    assert outcome.code == 1
    assert "1 of 3 pictures failed: picture" in outcome.error
    assert {path.name for path in (shop.folder / "maps").glob("*.json")} == {"content.json", "style.json"}


@pytest.mark.parametrize("existing", ["result.png", "result.json", "result-overlay.png"])
def test_nothing_is_replaced_unasked(shop, toy, existing):
    (shop.output.parent / existing).write_text("mine")
    assert "--overwrite" in shop.refused(2, "segment", shop.content, "-o", shop.output, *toy)
    assert shop("segment", shop.content, "-o", shop.output, *toy, "--overwrite", "-q").code == 0


def test_transfer_with_auto_regions_tells_what_it_found(shop, castle):
    arguments = ("transfer", castle, castle, "-o", shop.output, *shop.network, *shop.quick, "--size", "64")
    outcome = shop(*arguments, "--regions", "auto")
    assert outcome.code == 0, outcome.err
    assert "content segmented: " in outcome.err
    record = json.loads(shop.output.with_suffix(".record.json").read_text(encoding="utf-8"))
    assert "sky" in record["content"]["regions"]
    assert record["config"]["segmenter"] == "outdoor"


def test_compare_segments_by_itself(shop, castle):
    folder = shop.folder / "comparison"
    options = (*shop.network, *shop.quick, "--size", "64", "-q")
    outcome = shop("compare", castle, castle, "-o", folder, *options)
    assert (outcome.code, outcome.err) == (0, "")
    assert {"segmented.png", "unsegmented.png", "regions-content.png", "regions-style-1.png", "sheet.png"} <= {
        path.name for path in folder.iterdir()
    }


def test_options_may_be_repeated(shop):
    wishes = ("--keep", "sky", "--region-weights", "land=0.5", "--match", "land=sky")
    outcome = shop.transfer(*shop.masks, *wishes)
    assert outcome.code == 0, outcome.err
    config = json.loads(shop.output.with_suffix(".record.json").read_text(encoding="utf-8"))["config"]
    assert (config["keep"], config["match"], config["region_weights"]) == (["sky"], ["land=sky"], ["land=0.5"])
    message = shop.refused(1, *shop.arguments(*shop.masks, "--keep", "sky", "--keep", "land", "--overwrite"))
    assert "leave no region with a style" in message

"""From options to regions: what contradicts what, what is told, and where masks may come from."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from photostyle.errors import RegionError, UsageError
from photostyle.images import Picture
from photostyle.regions.labels import LabelMasks
from photostyle.regions.source import read_regions

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def picture(width=40, height=30, name="picture.png"):
    return Picture(np.zeros((height, width, 3), dtype=np.float32), None, 8, name)


@pytest.fixture
def content():
    return picture(40, 30, "content.png")


@pytest.fixture
def style():
    return picture(32, 24, "style.png")


@pytest.fixture
def save(tmp_path):
    """Write a colour map: the left part in one colour, the right in another."""

    def write(name, width=40, height=30, left=RED, right=BLUE, at=0.5):
        rgb = np.empty((height, width, 3), dtype=np.uint8)
        rgb[:, : round(at * width)], rgb[:, round(at * width) :] = left, right
        path = tmp_path / name
        Image.fromarray(rgb).save(path)
        return str(path)

    return write


def halves(width, height, *names):
    masks = np.zeros((2, height, width), dtype=np.float32)
    masks[0, :, : width // 2], masks[1, :, width // 2 :] = 1, 1
    return LabelMasks(names or ("left", "right"), masks)


@pytest.mark.parametrize("regions", [None, "none"])
def test_no_masks_are_one_region(content, style, regions):
    found = read_regions(content, [style, style], regions=regions)
    assert found.content.labels == ("all",)
    assert found.content.size == (40, 30)
    assert (found.content.masks == 1).all()
    assert found.styles == (None, None)
    assert found.notes == ()


def test_no_remark_where_masks_were_given(content, style, save):
    both = {"content_mask": save("c.png"), "style_mask": save("s.png", 32, 24)}
    assert read_regions(content, [style], photo=True, **both).notes == ()
    assert read_regions(content, [style], photo=True, regions="grid:2x2").notes == ()


def test_a_grid_for_content_and_styles(content, style):
    found = read_regions(content, [style, picture(50, 20)], regions="grid:2x3")
    names = ("r1c1", "r1c2", "r1c3", "r2c1", "r2c2", "r2c3")
    assert found.content.labels == names
    assert [masks.labels for masks in found.styles] == [names, names]
    assert found.content.size == (40, 30)
    assert [masks.size for masks in found.styles] == [(32, 24), (50, 20)]
    assert found.notes == ()


def test_a_picture_of_a_map_is_used_whole_in_a_grid(content, style):
    found = read_regions(content, [style, style, style], regions="grid:1x2", mapped=2)
    assert found.styles[0].labels == ("r1c1", "r1c2")
    assert found.styles[1:] == (None, None)


def test_a_grid_that_is_none(content, style):
    with pytest.raises(UsageError, match="are no grid"):
        read_regions(content, [style], regions="grid:2")


def test_regions_may_be_the_map_itself(content, style, save):
    path = save("map.png")
    by_regions = read_regions(content, [style], regions=path)
    by_mask = read_regions(content, [style], content_mask=path)
    assert by_regions.content.labels == by_mask.content.labels == ("blue", "red")
    assert by_regions.notes == by_mask.notes
    np.testing.assert_array_equal(by_regions.content.masks, by_mask.content.masks)


def test_masks_for_both(content, style, save):
    found = read_regions(content, [style], content_mask=save("c.png"), style_mask=save("s.png", 32, 24, at=0.25))
    assert found.content.labels == found.styles[0].labels == ("blue", "red")
    assert found.content.shares == pytest.approx({"blue": 0.5, "red": 0.5})
    assert found.styles[0].shares == pytest.approx({"blue": 0.75, "red": 0.25})
    assert found.notes == ()


def test_masks_for_the_content_alone_are_told(content, style, save):
    found = read_regions(content, [style], content_mask=save("c.png"))
    assert found.styles == (None,)
    assert found.notes == ("no style masks were given: each region takes the style of the whole style picture",)


def test_no_such_note_with_a_map(content, style, save):
    assert read_regions(content, [style], content_mask=save("c.png"), mapped=1).notes == ()


def test_one_style_mask_may_come_without_a_list(content, style, save):
    mask = halves(32, 24)
    one = read_regions(content, [style], content_mask=save("c.png"), style_mask=mask)
    many = read_regions(content, [style], content_mask=save("c.png"), style_mask=[mask])
    assert one.styles[0].labels == many.styles[0].labels == ("left", "right")


@pytest.mark.parametrize("blank", ["none", None])
def test_a_style_picture_among_others_may_be_used_whole(content, style, save, blank):
    masks = [save("s.png", 32, 24), blank]
    found = read_regions(content, [style, style], content_mask=save("c.png"), style_mask=masks)
    assert found.styles[0].labels == ("blue", "red")
    assert found.styles[1] is None
    assert found.notes == ()


@pytest.mark.parametrize("count", [1, 3])
def test_as_many_style_masks_as_style_pictures(content, style, save, count):
    masks = [save(f"s{k}.png", 32, 24) for k in range(count)]
    with pytest.raises(
        UsageError, match=f"{count} style masks were given for 2 style pictures: give --style-mask once"
    ):
        read_regions(content, [style, style], content_mask=save("c.png"), style_mask=masks)


def test_masks_that_are_made_already(content, style):
    found = read_regions(content, [style], content_mask=halves(40, 30), style_mask=halves(32, 24))
    assert found.content.labels == found.styles[0].labels == ("left", "right")
    np.testing.assert_array_equal(found.content.masks, halves(40, 30).masks)


@pytest.mark.parametrize("role", ["content", "style"])
def test_masks_of_another_size(content, style, role):
    sizes = {"content": (40, 30), "style": (32, 24)} | {role: (8, 6)}
    wanted = {"content": "40×30", "style": "32×24"}[role]
    words = rf"the {role} masks are 8×6 but the {role} picture {role}\.png is {wanted}: use masks\.resized"
    with pytest.raises(RegionError, match=words):
        read_regions(content, [style], content_mask=halves(*sizes["content"]), style_mask=[halves(*sizes["style"])])


def test_soft_masks_by_label(content, style, tmp_path):
    for name, level in (("sky", 51), ("sea", 204)):
        Image.fromarray(np.full((30, 40), level, dtype=np.uint8)).save(tmp_path / f"{name}.png")
    files = {name: tmp_path / f"{name}.png" for name in ("sky", "sea")}
    for mask in (files, str(tmp_path)):
        found = read_regions(content, [style], content_mask=mask)
        assert found.content.shares == pytest.approx({"sky": 0.2, "sea": 0.8}, abs=1e-6)


def test_tiny_labels_join_their_neighbours_and_it_is_told(content, style):
    masks = np.zeros((3, 30, 40), dtype=np.float32)
    masks[0, :, :20], masks[1, :, 20:] = 1, 1
    masks[1, 3, 25], masks[2, 3, 25] = 0, 1  # one pixel of 1200
    small = LabelMasks(("a", "b", "dot"), masks)
    found = read_regions(content, [style], content_mask=small, style_mask=halves(32, 24, "a", "b"))
    assert found.content.labels == ("a", "b")
    assert found.content.masks[1, 3, 25] == 1
    assert found.content.notes == ()
    (note,) = found.notes
    assert note == 'content mask: label "dot" covers 0.083 % (less than 0.5 %) and joins "b"'


def test_notes_say_whose_mask_they_are_about(content, style, save):
    """A map of another size is scaled: one note for each side, told by its role."""
    found = read_regions(content, [style], content_mask=save("c.png", 80, 60), style_mask=save("s.png", 64, 48))
    assert found.notes == (
        "content mask: mask c.png is 80×60 and was scaled to 40×30, the size of content.png",
        "style mask: mask s.png is 64×48 and was scaled to 32×24, the size of style.png",
    )
    assert found.content.notes == found.styles[0].notes == ()


def test_a_map_of_another_shape(content, style, save):
    with pytest.raises(RegionError, match=r"mask c\.png is 40×40 but its picture content\.png is 40×30"):
        read_regions(content, [style], content_mask=save("c.png", 40, 40))


def test_a_map_that_is_not_there(content, style, tmp_path):
    with pytest.raises(RegionError, match="is not there"):
        read_regions(content, [style], content_mask=str(tmp_path / "nothing.png"))


@pytest.mark.parametrize("regions", ["none", "grid:2x2"])
@pytest.mark.parametrize("option", ["content_mask", "style_mask"])
def test_regions_and_masks_contradict_each_other(content, style, save, regions, option):
    words = f"--regions {regions} contradicts --{option.replace('_', '-')}: leave one of them out"
    with pytest.raises(UsageError, match=words):
        read_regions(content, [style], regions=regions, **{option: save("m.png")})


def test_two_maps_of_the_content_contradict_each_other(content, style, save):
    with pytest.raises(UsageError, match=r"--regions .*a\.png contradicts --content-mask"):
        read_regions(content, [style], regions=save("a.png"), content_mask=save("b.png"))


def test_a_style_mask_alone_is_not_enough(content, style, save):
    with pytest.raises(UsageError, match="--style-mask needs --content-mask too: both pictures need regions"):
        read_regions(content, [style], style_mask=save("s.png", 32, 24))


def test_a_map_needs_regions(content, style):
    with pytest.raises(UsageError, match="--map needs regions: leave --regions none out"):
        read_regions(content, [style], regions="none", mapped=1)


@pytest.mark.parametrize("word", ["nowhere.png", "Grid2x2", "all"])
def test_regions_that_are_neither_a_word_nor_a_file(content, style, word):
    with pytest.raises(
        UsageError, match=f"--regions is '{word}', which is no file; allowed are none, auto, joint, grid:RxC"
    ):
        read_regions(content, [style], regions=word)


def test_masks_sum_to_one_whatever_they_come_from(content, style, save):
    options = [
        {},
        {"regions": "grid:3x4"},
        {"content_mask": save("c.png"), "style_mask": save("s.png", 48, 36, RED, GREEN)},
        {"regions": save("d.png", 37, 28), "style_mask": halves(32, 24)},
    ]
    for given in options:
        found = read_regions(content, [style], **given)
        for masks in (found.content, *(m for m in found.styles if m is not None)):
            np.testing.assert_allclose(masks.masks.sum(0), 1, atol=1e-5)

"""Which pictures are segmented, and what happens where the result can't be trusted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers import picture
from segmenters import found

from photostyle.errors import RegionError
from photostyle.images import read_picture
from photostyle.regions.labels import LabelMasks, whole
from photostyle.regions.match import match_labels
from photostyle.regions.source import read_regions

SCENE = {"sky": 0.5, "building": 0.5}


def image(seed=0):
    return read_picture(picture(40, 30, seed))


class Toy:
    """Segments by a table from picture to shares; remembers what it was asked."""

    def __init__(self, *doubtful, shares=SCENE):
        self.doubtful, self.shares, self.asked = doubtful, shares, []
        self.labels = tuple(shares)

    def __call__(self, each):
        self.asked.append(each)
        return found(each, self.shares, "it is a portrait" if len(self.asked) - 1 in self.doubtful else "")


def halves(pictures):
    """Divides pictures into a left and a right half."""
    masks = np.zeros((2, 30, 40), dtype=np.float32)
    masks[0, :, :20] = masks[1, :, 20:] = 1
    return [LabelMasks(("left", "right"), masks) for _ in pictures]


def test_photo_mode_segments_content_and_styles():
    content, style = image(), image(1)
    toy = Toy()
    regions = read_regions(content, [style], photo=True, segment=toy)
    assert toy.asked == [content, style]
    assert regions.content.labels == regions.styles[0].labels == ("sky", "building")
    assert regions.notes == (
        "content segmented: sky 50%, building 50% (90% sure)",
        "style 1 segmented: sky 50%, building 50% (90% sure)",
    )


def test_artistic_mode_does_not():
    toy = Toy()
    assert read_regions(image(), [image(1)], segment=toy).content.labels == ("all",)
    assert not toy.asked
    assert read_regions(image(), [image(1)], segment=toy, regions="auto").content.labels == ("sky", "building")


def test_mapped_styles_are_segmented_like_to_like_in_either_mode():
    regions = read_regions(image(), [image(1), image(2)], mapped=2, segment=Toy())
    assert [masks.labels for masks in regions.styles] == [("sky", "building")] * 2


@pytest.mark.parametrize("doubtful", [(0,), (1,), (0, 1)])
def test_a_doubtful_picture_has_all_divided_together(doubtful):
    given = {"regions": "auto", "segment": Toy(*doubtful), "divide": halves}
    regions = read_regions(image(), [image(1), image(2)], photo=True, **given)
    assert regions.content.labels == ("left", "right")
    assert all(masks.labels == ("left", "right") for masks in regions.styles)
    assert "all pictures are divided together instead" in "".join(regions.notes)
    assert any("it is a portrait" in note for note in regions.notes)


def test_photo_mode_divides_content_and_styles_together_where_nothing_is_named():
    toy = Toy()
    regions = read_regions(image(), [image(1)], photo=True, segment=toy, divide=halves)
    assert regions.content.labels == regions.styles[0].labels == ("left", "right")
    assert regions.notes == ("content divided: left 50%, right 50%", "style 1 divided: left 50%, right 50%")
    assert not toy.asked
    for given in ({"named": True}, {"strict": True}, {"mapped": 1}):
        named = read_regions(image(), [image(1)], photo=True, segment=Toy(), divide=halves, **given)
        assert named.content.labels == ("sky", "building")


def test_where_labels_are_mapped_doubtful_content_is_kept_and_a_doubtful_style_is_used_whole():
    regions = read_regions(image(), [image(1)], mapped=1, segment=Toy(0, 1))
    assert regions.content.labels == ("sky", "building")
    assert regions.styles == (None,)
    assert "style 1: it is a portrait; it is used whole" in regions.notes
    assert "content: it is a portrait; look at the regions with photostyle segment" in regions.notes


def test_given_masks_stay():
    masks = LabelMasks(("sky", "sea"), np.stack([np.ones((30, 40)), np.zeros((30, 40))]).astype(np.float32))
    toy = Toy()
    regions = read_regions(image(), [image(1)], content_mask=masks, photo=True, segment=toy)
    assert len(toy.asked) == 1
    assert regions.content.labels == ("sky",)  # the empty one joined it
    assert regions.styles[0].labels == ("sky", "building")
    toy = Toy(0)
    regions = read_regions(image(), [image(1)], content_mask=masks, photo=True, segment=toy)
    assert regions.styles == (None,)
    assert "style 1: it is a portrait; it is used whole" in regions.notes


def test_masks_with_names_of_ones_own_leave_styles_whole():
    toy = Toy()
    regions = read_regions(image(), [image(1)], content_mask=whole((40, 30), "roof"), photo=True, segment=toy)
    assert regions.styles == (None,)
    assert not toy.asked


def test_a_style_mask_of_auto_regions_may_be_none():
    toy = Toy()
    regions = read_regions(image(), [image(1), image(2)], regions="auto", style_mask=["none", None], segment=toy)
    assert regions.styles[0] is None
    assert regions.styles[1].labels == ("sky", "building")
    assert len(toy.asked) == 2


def test_a_style_mask_may_be_auto():
    """In artistic mode too, and beside maps of one's own."""
    toy, mask = Toy(), whole((40, 30), "sky")
    given = {"content_mask": mask, "segment": toy}
    regions = read_regions(image(), [image(1), image(2)], style_mask=["auto", None], **given)
    assert regions.styles[0].labels == ("sky", "building")
    assert regions.styles[1] is None
    assert not regions.by_hand
    assert len(toy.asked) == 1


def test_named_labels_are_not_replaced():
    given = {"segment": Toy(1), "divide": halves}
    regions = read_regions(image(), [image(1)], photo=True, named=True, **given)
    assert regions.content.labels == ("sky", "building")
    assert regions.styles == (None,)
    assert "style 1: it is a portrait; it is used whole" in regions.notes


@pytest.mark.parametrize("named", [True, False])
def test_doubt_is_an_error_where_labels_are_strict(named):
    for doubtful in (0, 1):
        with pytest.raises(RegionError, match=r"--strict-labels: the regions can't be trusted .*it is a portrait"):
            read_regions(image(), [image(1)], photo=True, segment=Toy(doubtful), strict=True, named=named)


def test_segmented_pictures_without_a_common_label_take_the_global_style():
    shares = iter([{"building": 1.0}, {"sky": 0.5, "water": 0.5}])

    def segment(each):
        return found(each, next(shares))

    segment.labels = ("building", "sky", "water")
    regions = read_regions(image(), [image(1)], photo=True, segment=segment)
    assignments, notes = match_labels(regions.content, regions.styles, by_hand=regions.by_hand)
    assert assignments[0].sources[0].label is None
    assert "takes the global style" in notes[0]


def test_a_map_that_is_not_quite_sure_is_worth_a_look():
    def segment(each):
        segmentation = found(each, SCENE)
        return replace(segmentation, trust=replace(segmentation.trust, confidence=0.7))

    segment.labels = tuple(SCENE)
    notes = read_regions(image(), [image(1)], photo=True, segment=segment).notes
    assert notes[0].endswith("(70% sure; look at it with photostyle segment)")


def test_tiny_labels_join_and_it_is_told():
    toy = Toy(shares={"sky": 0.975, "person": 0.025, "water": 0.0})
    regions = read_regions(image(), [image(1)], regions="auto", segment=toy)
    assert regions.content.labels == ("sky", "person")
    assert 'content: label "water" covers 0 % (less than 0.5 %) and joins "sky"' in regions.notes

"""Which style each label of the content takes, and what the user is told."""

from __future__ import annotations

import numpy as np
import pytest

from photostyle.errors import RegionError
from photostyle.regions.labels import LabelMasks
from photostyle.regions.match import Assignment, Source, Wishes, match_labels, relatives


def labels(*names, colors=None):
    """One column of a 4-pixel picture for each label (the last takes what is left)."""
    width = max(4, len(names))
    masks = np.zeros((len(names), 1, width))
    for column in range(width):
        masks[min(column, len(names) - 1), 0, column] = 1
    return LabelMasks(names, masks, colors or {})


def sources(assignments):
    return {a.label: [(s.style, s.label, round(s.weight, 6)) for s in a.sources] for a in assignments}


def test_like_to_like():
    """By name, whatever the order."""
    found, notes = match_labels(labels("sky", "sea", "rock"), [labels("rock", "sky", "sea")])
    assert found == [Assignment(name, (Source(0, name, 1.0),)) for name in ("sky", "sea", "rock")]
    assert notes == []


def test_a_style_without_masks_is_used_whole():
    found, notes = match_labels(labels("sky", "sea"), [None])
    assert sources(found) == {"sky": [(0, None, 1)], "sea": [(0, None, 1)]}
    assert notes == []


def test_a_label_that_the_style_lacks_takes_its_nearest_relative():
    assert relatives("sky")[0] == "water"
    found, notes = match_labels(labels("sky", "rock"), [labels("water", "rock")])
    assert sources(found) == {"sky": [(0, "water", 1)], "rock": [(0, "rock", 1)]}
    assert notes == [
        "'sky' (25.0% of the content) has no counterpart in the style; it takes the style of 'water'",
    ]


def test_relatives_go_by_nearness():
    first, second = "ground", "mountain"
    assert relatives("vegetation")[:2] == (first, second)
    found, _ = match_labels(labels("vegetation"), [labels(second, first)])
    assert sources(found) == {"vegetation": [(0, first, 1)]}
    found, _ = match_labels(labels("vegetation"), [labels("vehicle", second)])
    assert sources(found) == {"vegetation": [(0, second, 1)]}
    assert relatives("no such label") == ()


def test_a_label_of_its_own_comes_before_any_relative():
    found, notes = match_labels(labels("sky"), [labels("water", "sky")])
    assert sources(found) == {"sky": [(0, "sky", 1)]}
    assert notes == ["unused in style 1: 'water' (not in the content)"]


def test_a_label_without_counterpart_takes_the_global_style():
    found, notes = match_labels(labels("boat", "sea"), [labels("sea", "rock")])
    assert sources(found) == {"boat": [(0, None, 1)], "sea": [(0, "sea", 1)]}
    # The rock isn't unused: the whole of the picture is in use.
    assert notes == ["'boat' (25.0% of the content) has no counterpart in the style; it takes the global style"]


def test_the_share_of_a_label_is_told():
    _, notes = match_labels(labels("sea", "boat"), [labels("sea")])
    assert "'boat' (75.0% of the content)" in notes[0]


def test_labels_that_nobody_takes_are_told():
    _, notes = match_labels(labels("sky"), [labels("sky", "rock", "boat"), labels("sky"), labels("sky", "tree")])
    assert notes == [
        "unused in style 1: 'rock', 'boat' (not in the content)",
        "unused in style 3: 'tree' (not in the content)",
    ]


def test_masks_that_have_nothing_in_common_are_a_mistake():
    with pytest.raises(RegionError, match="content has boat, kite, style has bell, drum; use the same colours"):
        match_labels(labels("boat", "kite"), [labels("drum"), labels("bell", "drum")])


def test_relatives_or_a_whole_picture_are_something_in_common():
    match_labels(labels("sky", "boat"), [labels("water", "drum")])
    found, _ = match_labels(labels("boat"), [labels("drum"), None])
    assert sources(found) == {"boat": [(1, None, 1)]}


def test_colours_match_where_no_name_is_shared():
    """A map with a legend against one without: sources go by the style's own names, under which its masks are."""
    content = labels("sky", "sea", colors={"sky": "#0000ff", "sea": "#00ff00"})
    style = labels("0", "1", "2", colors={"0": "#00ff00", "1": "#0000ff", "2": "#123456"})
    found, notes = match_labels(content, [style])
    assert sources(found) == {"sky": [(0, "1", 1)], "sea": [(0, "0", 1)]}
    assert notes == ["unused in style 1: '2' (not in the content)"]


def test_colours_match_in_one_style_picture_and_names_in_another():
    content = labels("sky", "sea", colors={"sky": "#0000ff", "sea": "#00ff00"})
    style = labels("0", "1", colors={"0": "#00ff00", "1": "#0000ff"})
    found, notes = match_labels(content, [labels("sky", "sea"), style], weights=[1, 3])
    assert sources(found) == {
        "sky": [(0, "sky", 0.25), (1, "1", 0.75)],
        "sea": [(0, "sea", 0.25), (1, "0", 0.75)],
    }
    assert notes == []


def test_colours_do_not_matter_where_a_name_is_shared():
    content = labels("sky", "sea", colors={"sky": "#0000ff", "sea": "#00ff00"})
    style = labels("sky", "rock", colors={"sky": "#00ff00", "rock": "#0000ff"})
    found, _ = match_labels(content, [style])
    assert sources(found) == {"sky": [(0, "sky", 1)], "sea": [(0, None, 1)]}


def test_a_blend_of_several_styles():
    found, notes = match_labels(labels("sky", "sea"), [labels("sky", "sea"), labels("sea", "sky")])
    assert sources(found) == {
        "sky": [(0, "sky", 0.5), (1, "sky", 0.5)],
        "sea": [(0, "sea", 0.5), (1, "sea", 0.5)],
    }
    assert notes == []


def test_weights_of_a_blend_sum_to_one():
    found, _ = match_labels(labels("sky"), [labels("sky"), labels("sky"), labels("sky")], weights=[3, 2, 5])
    assert sources(found) == {"sky": [(0, "sky", 0.3), (1, "sky", 0.2), (2, "sky", 0.5)]}


def test_weights_sum_to_one_over_those_that_have_the_label():
    styles = [labels("sky", "sea"), labels("sky", "rock"), labels("sea", "sky")]
    found, _ = match_labels(labels("sky", "sea"), styles, weights=[1, 2, 4])
    assert sources(found) == {
        "sky": [(0, "sky", round(1 / 7, 6)), (1, "sky", round(2 / 7, 6)), (2, "sky", round(4 / 7, 6))],
        "sea": [(0, "sea", 0.2), (2, "sea", 0.8)],
    }


def test_a_style_of_weight_zero_takes_no_part():
    """Also where it is the only one with that label."""
    found, _ = match_labels(labels("sky", "sea"), [labels("sky"), labels("sea")], weights=[0, 1])
    assert [s.style for a in found for s in a.sources if s.weight] == [1, 1]
    for assignment in found:
        assert sum(source.weight for source in assignment.sources) == pytest.approx(1)


def test_whole_pictures_are_blended_too():
    found, _ = match_labels(labels("sky", "boat"), [None, labels("sky"), None], weights=[1, 2, 3])
    # The sky has a picture with a sky of its own; the boat takes those that are used whole.
    assert sources(found) == {"sky": [(1, "sky", 1)], "boat": [(0, None, 0.25), (2, None, 0.75)]}


def test_the_global_style_is_a_blend_too():
    found, _ = match_labels(labels("boat", "sea"), [labels("sea"), labels("sea", "rock")], weights=[1, 3])
    assert sources(found)["boat"] == [(0, None, 0.25), (1, None, 0.75)]


def test_a_map_gives_a_label_its_own_picture():
    found, notes = match_labels(labels("sky", "sea"), [None, None], mapping={"sky": 1})
    assert sources(found) == {"sky": [(1, None, 1)], "sea": [(0, None, 1)]}
    assert notes == []


def test_a_mapped_picture_with_the_same_label_gives_that_region():
    found, notes = match_labels(labels("sky", "sea"), [labels("sky", "sea"), labels("sea", "sky")], mapping={"sky": 1})
    assert sources(found) == {"sky": [(1, "sky", 1)], "sea": [(0, "sea", 1)]}
    assert notes == [
        "unused in style 1: 'sky' (not in the content)",
        "unused in style 2: 'sea' (not in the content)",
    ]


def test_a_mapped_picture_without_the_label_is_used_whole_and_never_by_relatives():
    found, notes = match_labels(labels("sky", "sea"), [labels("sea"), labels("water")], mapping={"sky": 1})
    assert sources(found) == {"sky": [(1, None, 1)], "sea": [(0, "sea", 1)]}
    assert notes == [
        "'sky' (25.0% of the content) is not in the masks of its style picture; it takes that picture's global style",
    ]


def test_rest_stands_for_all_others():
    found, notes = match_labels(labels("sky", "sea", "rock"), [None, None], mapping={"sky": 0, "rest": 1})
    assert sources(found) == {"sky": [(0, None, 1)], "sea": [(1, None, 1)], "rock": [(1, None, 1)]}
    assert notes == []


def test_a_mapped_picture_takes_no_part_in_the_blend():
    found, _ = match_labels(labels("sky", "sea"), [None, None, None], weights=[1, 3, 100], mapping={"sky": 2})
    assert sources(found) == {"sky": [(2, None, 1)], "sea": [(0, None, 0.25), (1, None, 0.75)]}


def test_a_label_that_the_content_has_not():
    with pytest.raises(RegionError, match=r"--map names the label 'cloud', but the content has: sky, sea \(and 'rest'"):
        match_labels(labels("sky", "sea"), [None], mapping={"cloud": 0})


def test_a_label_that_is_left_without_style():
    with pytest.raises(RegionError, match="label 'sea' of the content has no style: add --map sea=FILE or --map rest="):
        match_labels(labels("sky", "sea"), [None], mapping={"sky": 0})


def test_nothing_in_common_is_no_mistake_with_a_map():
    found, _ = match_labels(labels("sky", "boat"), [labels("drum")], mapping={"rest": 0})
    assert sources(found) == {"sky": [(0, None, 1)], "boat": [(0, None, 1)]}


def test_weights_sum_to_one_always():
    names = ("sky", "sea", "boat", "rock")
    for count in range(1, 5):
        styles = [labels(*names[:k]) for k in range(1, count + 1)]
        found, _ = match_labels(labels(*names), styles, weights=[0.1 * k for k in range(1, count + 1)])
        for assignment in found:
            assert sum(source.weight for source in assignment.sources) == pytest.approx(1, abs=1e-12)


def test_the_table_of_relatives_names_no_label_twice_and_never_the_label_itself():
    for label in ("sky", "water", "vegetation", "mountain", "ground", "building", "object", "vehicle", "person"):
        found = relatives(label)
        assert found
        assert label not in found
        assert len(set(found)) == len(found)


# what a user wants


def areas(**shares):
    """A picture of 1000 pixels with labels of these shares."""
    counts = [round(1000 * share) for share in shares.values()]
    masks = np.zeros((len(counts), 1, sum(counts)), dtype=np.float32)
    for mask, start, count in zip(masks, np.cumsum([0, *counts]), counts, strict=False):
        mask[0, start : start + count] = 1
    return LabelMasks(tuple(shares), masks)


def test_a_pair_of_ones_own_goes_before_like_to_like():
    wishes = Wishes(pairs={"sky": "rock", "rock": "sky"})
    found, notes = match_labels(labels("sky", "rock"), [labels("sky", "rock")], wishes=wishes)
    assert sources(found) == {"sky": [(0, "rock", 1)], "rock": [(0, "sky", 1)]}
    assert notes == []


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        (Wishes(pairs={"moon": "sky"}), "--match names the label 'moon', but the content has: sky, rock"),
        (Wishes(pairs={"sky": "moon"}), "--match gives 'sky' the style of 'moon', but the styles have: rock, sky"),
        (Wishes(keep=["moon"]), "--keep names the label 'moon'"),
        (Wishes(weights={"moon": 2.0}), "--region-weights names the label 'moon'"),
        (Wishes(keep=["sky", "rock"]), "leave no region with a style"),
        (Wishes(keep=["sky"], weights={"rock": 0.0}), "leave no region with a style"),
    ],
)
def test_wishes_that_can_not_be_met(wishes, words):
    with pytest.raises(RegionError, match=words):
        match_labels(labels("sky", "rock"), [labels("sky", "rock")], wishes=wishes)


def test_pairs_need_masks_of_the_style():
    with pytest.raises(RegionError, match="the styles have: no masks, they are used whole"):
        match_labels(labels("sky"), [None], wishes=Wishes(pairs={"sky": "sky"}))


def test_strict_labels():
    strict = Wishes(strict=True)
    match_labels(labels("sky", "rock"), [labels("sky", "rock")], wishes=strict)
    match_labels(labels("sky", "rock"), [None], wishes=strict)
    with pytest.raises(RegionError, match="--strict-labels: no counterpart in the style for 'sky'; the style has rock"):
        match_labels(labels("sky", "rock"), [labels("water", "rock")], wishes=strict)
    pairs = Wishes(strict=True, pairs={"sky": "water"})
    match_labels(labels("sky", "rock"), [labels("water", "rock")], wishes=pairs)


def test_kept_regions_have_no_sources_and_weights_are_passed_on():
    wishes = Wishes(keep=["sky"], weights={"rock": 0.5})
    found, notes = match_labels(labels("sky", "rock", "sea"), [None], wishes=wishes)
    assert [(a.label, len(a.sources), a.weight) for a in found] == [("sky", 0, 1), ("rock", 1, 0.5), ("sea", 1, 1)]
    assert notes == ["'sky' (25.0% of the content) stays as it is"]


def test_a_scanty_region_is_completed_by_a_relative():
    """Sky is 50 % here and 1 % there: ten times that is 10 %, a fifth of what it should cover."""
    style = areas(sky=0.01, water=0.39, building=0.6)
    found, notes = match_labels(areas(sky=0.5, building=0.5), [style])
    assert sources(found)["sky"] == [(0, "sky", 0.2), (0, "water", 0.8)]
    assert sources(found)["building"] == [(0, "building", 1)]
    assert notes[0] == (
        "'sky' is 50.0% of the content but 'sky' only 1.0% of style 1; 'water' there gives 80% of its style"
    )


def test_a_scanty_region_without_relatives_is_completed_by_the_whole_picture():
    found, notes = match_labels(areas(roof=0.8, door=0.2), [areas(roof=0.02, door=0.98)])
    assert sources(found)["roof"] == [(0, "roof", 0.25), (0, None, 0.75)]
    assert "the whole picture gives 75% of its style" in notes[0]


def test_a_region_of_a_tenth_is_enough():
    found, notes = match_labels(areas(roof=0.8, door=0.2), [areas(roof=0.08, door=0.92)])
    assert sources(found)["roof"] == [(0, "roof", 1)]
    assert notes == []


def test_a_pair_of_ones_own_is_not_completed():
    wishes = Wishes(pairs={"roof": "roof"})
    found, _ = match_labels(areas(roof=0.8, door=0.2), [areas(roof=0.02, door=0.98)], wishes=wishes)
    assert sources(found)["roof"] == [(0, "roof", 1)]

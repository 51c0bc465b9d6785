"""Contact sheets, loss curves and painted regions: pictures for the eye, checked for what can be counted."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers import halves, picture

from photostyle.regions.labels import LabelMasks
from photostyle.report.curves import loss_curves
from photostyle.report.masks import label_colors, overlay
from photostyle.report.sheet import Tile, contact_sheet

RED = np.broadcast_to(np.float32([1, 0, 0]), (30, 40, 3))
BLUE = np.broadcast_to(np.float32([0, 0, 1]), (60, 40, 3))


def is_picture(array, width):
    assert array.dtype == np.float32
    assert array.ndim == 3
    assert array.shape[1:] == (width, 3)
    assert np.isfinite(array).all()
    assert 0 <= array.min() <= array.max() <= 1


def box(where):
    """(top, bottom, left, right) of the true pixels, ends included."""
    rows, columns = np.flatnonzero(where.any(axis=1)), np.flatnonzero(where.any(axis=0))
    return rows[0], rows[-1], columns[0], columns[-1]


def close_to(sheet, color):
    return np.abs(sheet - np.float32(color)).max(axis=2) < 0.02


def test_tiles_of_a_row_share_a_height_and_keep_their_shapes():
    sheet = contact_sheet([[Tile(RED), Tile(BLUE)]], width=400)
    is_picture(sheet, 400)
    red, blue = box(close_to(sheet, [1, 0, 0])), box(close_to(sheet, [0, 0, 1]))
    assert red[:2] == blue[:2]
    assert red[3] < blue[2]
    for (top, bottom, left, right), aspect in ((red, 40 / 30), (blue, 40 / 60)):
        assert right - left + 1 == pytest.approx(aspect * (bottom - top + 1), abs=1.5)
    assert (sheet[:, 0] == 1).all(), "a white margin"
    assert (sheet[0] == 1).all()


def test_a_picture_is_not_enlarged_without_bound():
    sheet = contact_sheet([[Tile(RED)]], width=1200)
    top, bottom, _, _ = box(close_to(sheet, [1, 0, 0]))
    assert bottom - top + 1 <= 2 * RED.shape[0]


def test_rows_stand_in_their_order():
    sheet = contact_sheet([[Tile(RED)], [Tile(BLUE)]], width=300)
    is_picture(sheet, 300)
    assert box(close_to(sheet, [1, 0, 0]))[1] < box(close_to(sheet, [0, 0, 1]))[0]


def test_captions_are_written_below():
    plain = contact_sheet([[Tile(RED)]], width=300)
    captioned = contact_sheet([[Tile(RED, ("matting 1.5e4", "Größe → 48×64"))]], width=300)
    assert captioned.shape[0] > plain.shape[0]
    bottom = box(close_to(captioned, [1, 0, 0]))[1]
    ink = captioned[bottom + 1 :].mean(axis=2) < 0.5
    assert ink.sum() > 50
    assert ink.any(axis=1).sum() > 12, "two lines"
    is_picture(captioned, 300)


def test_a_long_caption_stays_below_its_own_picture():
    long = "a caption that is much longer than its picture is wide " * 5
    sheet = contact_sheet([[Tile(RED, (long,)), Tile(BLUE)]], width=400)
    red, blue = box(close_to(sheet, [1, 0, 0])), box(close_to(sheet, [0, 0, 1]))
    ink = sheet[red[1] + 1 :].mean(axis=2) < 0.5
    columns = np.flatnonzero(ink.any(axis=0))
    assert red[2] - 2 <= columns[0]
    assert columns[-1] < blue[2]


def test_a_very_wide_row_does_not_vanish():
    sheet = contact_sheet([[Tile(picture(640, 32)), Tile(picture(640, 32))]], width=200)
    is_picture(sheet, 200)


def history(terms, count=5, **more):
    return [
        {"iteration": i + 1, "stage": "style", "size": [64, 48], **dict.fromkeys(terms, 10.0 / (i + 1)), **more}
        for i in range(count)
    ]


@pytest.mark.parametrize("width", [200, 640])
def test_loss_curves_are_a_picture_of_the_width(width):
    drawn = loss_curves({"a": history(["content", "style", "total"])}, width)
    is_picture(drawn, width)
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 10, "something is drawn"


def test_loss_curves_of_several_runs_and_levels():
    two = [*history(["style", "total"], 3), *history(["style", "matting", "total"], 3, stage="photorealism")]
    for number, row in enumerate(two, 1):
        row["iteration"] = number
    one = loss_curves({"a": two}, 500)
    both = loss_curves({"a": two, "b": json.loads(json.dumps(two))}, 500)
    is_picture(both, 500)
    assert both.shape == one.shape
    assert not np.array_equal(one, both)


@pytest.mark.parametrize("rows", [0, 1])
def test_loss_curves_of_next_to_nothing(rows):
    is_picture(loss_curves({"a": history(["total"], rows)}, 300), 300)


def test_loss_curves_of_a_term_that_is_zero():
    is_picture(loss_curves({"a": history(["content", "total"], content=0.0)}, 300), 300)


def test_loss_curves_leave_no_figure_behind():
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    loss_curves({"a": history(["total"])}, 300)
    assert pyplot.get_fignums() == before


def test_colours_of_labels_differ_and_do_not_depend_on_the_order():
    colors = label_colors(["sky", "tree", "water", "sky"])
    assert set(colors) == {"sky", "tree", "water"}
    assert len(set(colors.values())) == 3
    assert colors == label_colors(["water", "tree", "sky"])
    assert all(0 <= value <= 1 for color in colors.values() for value in color)
    assert label_colors([]) == {}


def test_overlay_paints_each_region_in_its_colour():
    grey = np.full((48, 64, 3), 0.5, dtype=np.float32)
    array = halves()
    masks = LabelMasks(("ground", "sky"), np.stack([array == 1, array == 0]).astype(np.float32))
    colors = label_colors(masks.labels)
    painted = overlay(grey, masks, colors)
    is_picture(painted, 64)
    for label, rows in (("sky", slice(None, 24)), ("ground", slice(24, None))):
        part = painted[rows].reshape(-1, 3)
        assert np.ptp(part, axis=0).max() < 1e-6
        assert np.argmax(part[0]) == np.argmax(colors[label])
    assert not np.allclose(painted[0, 0], painted[-1, -1])


def test_overlay_shows_the_picture_beneath():
    masks = LabelMasks(("all",), np.ones((1, 48, 64), dtype=np.float32))
    one, other = (overlay(picture(seed=seed), masks, label_colors(["all"])) for seed in (1, 2))
    assert np.abs(one - other).max() > 0.1

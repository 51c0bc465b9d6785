"""The labelled grid: where its pictures lie, what is marked, and that everything is drawn inside it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from photostyle.report.grid import GridCell, labelled_grid

COLORS = [[1, 0, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 0.5, 0]]
GREEN = np.array([0x0B, 0x7A, 0x3B]) / 255
GREY, PALE = np.full(3, 0xC9 / 255), np.full(3, 0xF3 / 255)


def plain(color, height=30, width=40):
    return np.broadcast_to(np.float32(color), (height, width, 3))


def cells(rows, columns, **more):
    return [
        [
            GridCell(plain(COLORS[row * columns + column]), "1.  0.5", ("content 1",), **more)
            for column in range(columns)
        ]
        for row in range(rows)
    ]


def drawn(places, **more):
    columns = ("learning rate", [f"0.{n}" for n in range(len(places[0]))])
    sheet = labelled_grid(places, **{"size": (40, 30), "columns": columns, **more})
    assert sheet.dtype == np.float32
    assert np.isfinite(sheet).all()
    assert 0 <= sheet.min() <= sheet.max() <= 1
    return sheet


def box(sheet, color):
    """(top, bottom, left, right) of the areas of a colour, ends included; letters are none."""
    where = ndimage.binary_opening(np.abs(sheet - np.float32(color)).max(axis=2) < 0.02, np.ones((4, 4)))
    rows, columns = np.flatnonzero(where.any(axis=1)), np.flatnonzero(where.any(axis=0))
    return rows[0], rows[-1], columns[0], columns[-1]


def test_rows_and_columns():
    rows = [[("style weight", "1")], [("style weight", "10")]]
    sheet = drawn(cells(2, 3), rows=rows, title=("title", "more"))
    boxes = [box(sheet, color) for color in COLORS]
    for top, bottom, left, right in boxes:
        assert (right - left + 1, bottom - top + 1) == (320, 240)
    assert boxes[0][:2] == boxes[1][:2] == boxes[2][:2]
    assert boxes[0][1] < boxes[3][0]
    for upper, lower in zip(boxes[:3], boxes[3:], strict=True):
        assert upper[2:] == lower[2:]
    assert boxes[0][3] < boxes[1][2]
    assert boxes[1][3] < boxes[2][2]
    assert (sheet[:, [0, -1]] == 1).all(), "a white margin"
    assert (sheet[[0, -1]] == 1).all()


def test_labels_stand_beside_and_above():
    bare = drawn(cells(1, 2))
    top, _, left, _ = box(bare, COLORS[0])
    assert left < 30
    assert (bare[:top].mean(axis=2) < 0.5).sum() > 20, "the columns' values"
    sheet = drawn(cells(1, 2), rows=[[("style weight", "1"), ("seed", "2")]])
    top, bottom, left, _ = box(sheet, COLORS[0])
    ink = sheet[top:bottom, : left - 5].mean(axis=2) < 0.5
    assert ink.sum() > 50
    lines = np.flatnonzero(np.diff(ink.any(axis=1).astype(int)) == 1)
    assert len(lines) >= 4, "a name and a value for each of the two"


def test_the_best_is_framed():
    assert not (np.abs(drawn(cells(1, 2)) - GREEN).max(axis=2) < 0.02).any()
    places = cells(1, 2)
    places[0][1] = GridCell(plain(COLORS[1]), "★ best", (), best=True)
    sheet = drawn(places)
    top, bottom, left, right = box(sheet, COLORS[1])
    outer = box(sheet, GREEN)
    assert outer[0] < top
    assert bottom < outer[1]
    assert outer[2] < left
    assert right < outer[3]
    assert outer[2] > box(sheet, COLORS[0])[3], "and it leaves its neighbour alone"
    assert outer[3] < sheet.shape[1]


@pytest.mark.parametrize(("pending", "color"), [(False, GREY), (True, PALE)])
def test_a_place_without_a_picture(pending, color):
    places = cells(1, 2)
    places[0][1] = GridCell(None, "diverged", ("the loss ran away " * 100,), pending=pending)
    sheet = drawn(places)
    top, bottom, left, right = box(sheet, color)
    assert (right - left + 1, bottom - top + 1) == (320, 240)
    assert box(sheet, COLORS[0])[:2] == (top, bottom)
    outside = sheet[bottom + 1 :, left : right + 1]
    assert (outside == 1).all(), "the reason doesn't leave its place"
    assert (sheet[top:bottom, left:right].mean(axis=2) < 0.55).sum() > 50


@pytest.mark.parametrize("size", [(20, 400), (400, 20), (1, 1)])
def test_any_aspect(size):
    picture = plain(COLORS[0], size[1], size[0])
    places = [[GridCell(picture, "1.", ("words " * 40,)), GridCell(None, "failed", ("why",))]]
    sheet = drawn(places, size=size, rows=[[("a very long name of an option " * 3, "x" * 100)]])
    assert box(sheet, COLORS[0])[3] < box(sheet, GREY)[2]


def test_many_cells_are_smaller():
    few = drawn([[GridCell(plain(COLORS[0]), "1.")] * 6] * 5)
    many = drawn([[GridCell(plain(COLORS[0]), "1.")] * 6] * 6)
    assert many.shape[1] < few.shape[1]

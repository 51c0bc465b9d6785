"""Grids, and the masks' own rules: names, sums, resizing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photostyle.errors import RegionError, UsageError
from photostyle.regions.grid import grid, parse_grid
from photostyle.regions.labels import LabelMasks, area_average, whole


@given(st.integers(1, 40), st.integers(1, 40), st.data())
@settings(max_examples=60, deadline=None)
def test_grid_cells_cover_the_picture_evenly(width, height, data):
    rows = data.draw(st.integers(1, min(height, 16)))
    columns = data.draw(st.integers(1, min(width, 16)))
    cells = grid((width, height), rows, columns)
    assert cells.size == (width, height)
    assert cells.labels[0] == "r1c1"
    assert cells.labels[-1] == f"r{rows}c{columns}"
    assert set(np.unique(cells.masks)) <= {0, 1}
    areas = cells.masks.sum(axis=(1, 2))
    assert areas.min() >= (height // rows) * (width // columns)
    assert areas.max() <= -(-height // rows) * -(-width // columns)


def test_grid_order_is_row_by_row():
    cells = grid((6, 4), 2, 3)
    assert cells.labels == ("r1c1", "r1c2", "r1c3", "r2c1", "r2c2", "r2c3")
    assert np.all(cells.masks[1, :2, 2:4] == 1)
    assert cells.shares["r2c3"] == pytest.approx(1 / 6)


@pytest.mark.parametrize(
    ("rows", "columns", "text"),
    [(5, 1, "5 rows"), (1, 9, "9 columns"), (0, 1, "0 rows"), (1, 65, "65 columns")],
)
def test_grid_that_does_not_fit(rows, columns, text):
    with pytest.raises(RegionError, match=text):
        grid((8, 4), rows, columns)


def test_grid_of_too_many_cells():
    with pytest.raises(RegionError, match="4096 cells"):
        grid((100, 100), 64, 64)


@pytest.mark.parametrize(
    ("text", "cells"),
    [("grid:3x4", (3, 4)), ("grid:1x64", (1, 64)), (" GRID:2X5 ", (2, 5)), ("grid:2×2", (2, 2))],
)
def test_parse_grid(text, cells):
    assert parse_grid(text) == cells


@pytest.mark.parametrize(
    "text", ["grid", "grid:", "grid:3", "grid:0x3", "grid:3x65", "grid:-1x2", "grid:1.5x2", "3x4", "grid:3x4x5", ""]
)
def test_parse_grid_says_what_is_allowed(text):
    with pytest.raises(UsageError, match="1 to 64") as caught:
        parse_grid(text)
    assert "\n" not in str(caught.value)


def _brute_average(mask, width, height):
    """Average by cutting each pixel into enough small ones."""
    fine = np.repeat(np.repeat(mask.astype(np.float64), height, axis=0), width, axis=1)
    return fine.reshape(height, mask.shape[0], width, mask.shape[1]).mean(axis=(1, 3))


@given(*[st.integers(1, 9)] * 4, st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_area_average_against_brute_force(h, w, height, width, seed):
    mask = np.random.default_rng(seed).random((h, w), dtype=np.float32)
    result = area_average(mask, (width, height))
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, _brute_average(mask, width, height), atol=1e-6)


def test_resized_masks_still_sum_to_one():
    masks = np.random.default_rng(1).dirichlet(np.ones(4), size=(37, 53)).astype(np.float32)
    labels = LabelMasks(("a", "b", "c", "d"), masks.transpose(2, 0, 1), {"a": "#010203"}, ("note",))
    small = labels.resized((10, 7))
    np.testing.assert_allclose(small.masks.sum(axis=0), 1, atol=1e-5)
    assert small.size == (10, 7)
    assert (small.labels, small.colors, small.notes) == (labels.labels, labels.colors, labels.notes)
    for label, share in small.shares.items():
        assert share == pytest.approx(labels.shares[label], abs=1e-6)
    assert labels.resized((53, 37)) is labels
    with pytest.raises(RegionError, match="at least one"):
        labels.resized((0, 3))


def test_whole():
    everything = whole((5, 3), "sky")
    assert everything.labels == ("sky",)
    assert everything.size == (5, 3)
    assert everything.shares == {"sky": 1.0}


def _halves():
    return np.full((2, 3, 4), 0.5, dtype=np.float32)


@pytest.mark.parametrize(
    ("labels", "masks", "colors", "text"),
    [
        ((), _halves()[:0], {}, "without a label"),
        (("a", "a"), _halves(), {}, "twice"),
        (("a", " "), _halves(), {}, "name"),
        (("a", "b\n"), _halves(), {}, "name"),
        (("a",), _halves(), {}, "shape"),
        (("a", "b"), _halves()[0], {}, "shape"),
        (("a", "b"), _halves() * 0.9, {}, "sum"),
        (("a", "b"), _halves() * np.nan, {}, "nan"),
        (("a", "b"), np.stack((np.full((3, 4), 1.5), np.full((3, 4), -0.5))), {}, "allowed are 0 to 1"),
        (("a", "b"), _halves(), {"c": "#000000"}, "not among"),
        (("a", "b"), _halves(), {"a": "red"}, "#00ff80"),
    ],
)
def test_masks_that_break_a_rule(labels, masks, colors, text):
    with pytest.raises(RegionError, match=text) as caught:
        LabelMasks(labels, masks, colors)
    assert "\n" not in str(caught.value)

"""Label maps as text between server and page."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from photostyle.apps.web.editing import KEEP, decode_runs, encode_runs, fitted, read_edits
from photostyle.errors import RegionError

LABELS = ("sky", "building", "water")


@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 2)))
def test_a_map_comes_back_as_it_was(label_map):
    height, width = label_map.shape
    np.testing.assert_array_equal(decode_runs(encode_runs(label_map), (width, height), 3), label_map)


def test_runs_are_row_by_row():
    assert encode_runs(np.array([[0, 0, 1], [1, 2, 2]], dtype=np.uint8)) == "2x0,2x1,2x2"


@pytest.mark.parametrize(
    "text",
    ["", "12x0,", "6x3", "5x0", "7x0", "99999999x0", "999999999x0", "6x-1", "6x0;drop", "6×0", "1e9x0", "6x999", "x"],
)
def test_nothing_else_is_read(text):
    with pytest.raises(RegionError, match="label map from the page"):
        decode_runs(text, (3, 2), 3)


def test_edits_hold_what_was_painted_and_chosen():
    text = json.dumps({"version": "v", "runs": "3x0,3x2", "choices": {"sky": 1, "water": KEEP}})
    edits = read_edits(text, "v", (3, 2), LABELS, 2)
    assert edits.label_map is not None
    assert edits.label_map.tolist() == [[0, 0, 0], [2, 2, 2]]
    assert edits.choices == {"sky": 1, "water": KEEP}


@pytest.mark.parametrize("text", [None, "", '{"version": "old", "runs": "1x9", "choices": {"sky": 1}}', "{}"])
def test_no_edits_are_none(text):
    edits = read_edits(text, "v", (3, 2), LABELS, 2)
    assert edits.label_map is None
    assert edits.choices == {}


@pytest.mark.parametrize("choice", [2, -2, True, "0", 0.0, None, [0]])
def test_a_choice_that_is_none_is_left_out(choice):
    text = json.dumps({"version": "v", "choices": {"sky": choice, "moon": 0}})
    assert read_edits(text, "v", (3, 2), LABELS, 2).choices == {}


@pytest.mark.parametrize("text", ["{", "7", "[]", '"x"', '{"choices": 3}', "[" * 100_000])
def test_what_is_no_such_text_is_an_error(text):
    with pytest.raises(RegionError, match="load the page again"):
        read_edits(text, "v", (3, 2), LABELS, 2)


def test_a_map_is_shrunk_by_nearest_pixels():
    label_map = np.repeat(np.array([[0], [5]], dtype=np.uint8), 50, axis=0).repeat(200, axis=1)
    small = fitted(label_map, 40)
    assert small.shape == (20, 40)
    assert set(np.unique(small)) == {0, 5}
    assert fitted(small, 40) is not None
    np.testing.assert_array_equal(fitted(small, 100), small)

"""Labels that are too small join their largest neighbour."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photostyle.regions.labels import LabelMasks, whole
from photostyle.regions.tiny import absorb_tiny


def _hard(index, names, colors=None):
    index = np.asarray(index)
    masks = np.stack([(index == k).astype(np.float32) for k in range(len(names))])
    return LabelMasks(tuple(names), masks, colors or {}, ("kept",))


def _scene():
    index = np.zeros((40, 50), dtype=int)  # sky above, water below, a boat in the water
    index[20:] = 1
    index[30:32, 10:12] = 2
    return index


def test_boat_joins_the_water_around_it():
    scene = _hard(_scene(), ["sky", "water", "boat"], {"boat": "#ff0000", "sky": "#0000ff"})
    result, notes = absorb_tiny(scene)
    assert result.labels == ("sky", "water")
    assert notes == ('label "boat" covers 0.2 % (less than 0.5 %) and joins "water"',)
    assert result.colors == {"sky": "#0000ff"}
    assert result.notes == ("kept",)
    np.testing.assert_array_equal(result.masks[1], _scene() >= 1)


def test_largest_of_the_neighbours():
    index = _scene()
    index[30:32, 10:12] = 1
    index[19:21, 10:12] = 2  # touches both; water is made smaller
    index[36:, :] = 0
    result, notes = absorb_tiny(_hard(index, ["sky", "water", "boat"]))
    assert notes[0].endswith('joins "sky"')
    assert result.shares["sky"] > 0.5


def test_smallest_first_so_that_two_may_make_one_that_stays():
    index = _scene()
    index[30:32, 10:12] = 1
    index[10:12, 5:8] = 2  # 0.3 %
    index[12:14, 5:7] = 3  # 0.2 %, touches the other and the sky
    result, notes = absorb_tiny(_hard(index, ["sky", "water", "a", "b"]))
    assert [note.split('"')[1] for note in notes] == ["b", "a"]
    index[9:15, 4:9] = 1  # now they lie in a pond of their own
    index[10:12, 5:8] = 2
    index[12:14, 5:8] = 3
    result, _ = absorb_tiny(_hard(index, ["sky", "water", "a", "b"]), minimum=0.01)
    assert result.labels == ("sky", "water")


def test_soft_masks_are_added():
    soft = np.zeros((3, 20, 30), dtype=np.float32)
    soft[0, :, :15], soft[1, :, 15:] = 1, 1
    soft[2, 5, 2:4] = 0.5
    soft[0, 5, 2:4] = 0.5
    result, notes = absorb_tiny(LabelMasks(("a", "b", "c"), soft))
    assert result.labels == ("a", "b")
    assert len(notes) == 1
    np.testing.assert_allclose(result.masks[0], soft[0] + soft[2])


def test_nothing_to_do_is_the_same_object():
    picture = whole((10, 10))
    assert absorb_tiny(picture) == (picture, ())
    scene = _hard(_scene(), ["sky", "water", "boat"])
    assert absorb_tiny(scene, minimum=0)[0] is scene


def test_empty_label_goes_to_the_largest():
    masks = np.zeros((3, 4, 4), dtype=np.float32)
    masks[0, :3], masks[1, 3:] = 1, 1
    result, notes = absorb_tiny(LabelMasks(("a", "b", "none"), masks))
    assert result.labels == ("a", "b")
    assert notes[0].endswith('joins "a"')


@given(st.integers(0, 10_000), st.integers(1, 8), st.sampled_from([0.005, 0.05, 0.3, 1.0]))
@settings(max_examples=40, deadline=None)
def test_what_is_left_is_large_enough_and_complete(seed, count, minimum):
    rng = np.random.default_rng(seed)
    index = rng.choice(count, size=(16, 20), p=rng.dirichlet(np.full(count, 0.3)))
    start = _hard(index, [f"l{k}" for k in range(count)])
    result, notes = absorb_tiny(start, minimum=minimum)
    assert len(result.labels) + len(notes) == count
    assert len(result.labels) >= 1
    assert len(result.labels) == 1 or min(result.shares.values()) >= minimum - 1e-9
    assert sum(result.shares.values()) == pytest.approx(1)
    assert all("\n" not in note for note in notes)

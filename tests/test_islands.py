"""Tiny islands join what surrounds them; nothing else changes."""

from __future__ import annotations

import numpy as np

from photostyle.regions.segmentation.islands import merge_islands


def masks(hard, labels, certainty=0.8):
    one = np.eye(labels, dtype=np.float32)[hard].transpose(2, 0, 1)
    return one * np.float32(certainty) + (1 - one) * np.float32((1 - certainty) / (labels - 1))


def merged(given, **options):
    copy = given.copy()
    merge_islands(copy, **options)
    return copy


def test_a_tiny_island_goes_to_its_surroundings():
    hard = np.zeros((50, 50), dtype=int)
    hard[:, 25:] = 1
    hard[10:12, 10:12] = 2
    before = masks(hard, 3)
    before[0, 10:12, 10:12] += 0.05
    before[1, 10:12, 10:12] -= 0.05
    after = merged(before, minimum=0.002)
    hard[10:12, 10:12] = 0
    np.testing.assert_array_equal(after.argmax(0), hard)
    np.testing.assert_allclose(after.sum(0), 1, atol=1e-6)


def test_what_is_large_enough_stays_bit_for_bit():
    hard = np.zeros((50, 50), dtype=int)
    hard[10:13, 10:13] = 1
    before = masks(hard, 2)
    np.testing.assert_array_equal(merged(before, minimum=9 / 2500), before)
    assert merged(before, minimum=10 / 2500).argmax(0).max() == 0


def test_an_island_of_certainty_goes_to_its_surroundings_too():
    """The others are zero there; the heir is the neighbour, not the first label of the list."""
    hard = np.full((50, 50), 2)
    hard[10:12, 10:12] = 1
    hard[30:32, 30:32] = 0
    after = merged(masks(hard, 4, certainty=1.0), minimum=0.002)
    assert (after.argmax(0) == 2).all()
    np.testing.assert_allclose(after.sum(0), 1, atol=1e-6)


def test_islands_within_islands_go_too():
    """Two tiny parts side by side don't swap labels: both go to what is large."""
    hard = np.full((60, 60), 3)
    hard[20:22, 20:21] = 0
    hard[20:22, 21:22] = 1
    hard[40:43, 40:43] = 0
    hard[41, 41] = 1
    assert (merged(masks(hard, 4), minimum=10 / 3600).argmax(0) == 3).all()


def test_islands_that_touch_at_a_corner_are_one():
    hard = np.zeros((40, 40), dtype=int)
    hard[10:12, 10:12] = hard[12:14, 12:14] = 1
    kept = merged(masks(hard, 2), minimum=8 / 1600)
    np.testing.assert_array_equal(kept.argmax(0), hard)


def test_a_picture_of_one_label():
    one = np.ones((1, 5, 5), dtype=np.float32)
    np.testing.assert_array_equal(merged(one, minimum=2), one)

"""Tiny islands join what surrounds them; nothing else changes."""

from __future__ import annotations

import numpy as np

from photostyle.regions.segmentation.islands import merge_islands


def masks(hard, labels, certainty=0.8):
    one = np.eye(labels, dtype=np.float32)[hard].transpose(2, 0, 1)
    return one * np.float32(certainty) + (1 - one) * np.float32((1 - certainty) / (labels - 1))


def test_a_tiny_island_goes_to_its_surroundings():
    hard = np.zeros((50, 50), dtype=int)
    hard[:, 25:] = 1
    hard[10:12, 10:12] = 2
    before = masks(hard, 3)
    before[0, 10:12, 10:12] += 0.05
    before[1, 10:12, 10:12] -= 0.05
    after = merge_islands(before)
    hard[10:12, 10:12] = 0
    np.testing.assert_array_equal(after.argmax(0), hard)
    np.testing.assert_allclose(after.sum(0), 1, atol=1e-6)


def test_what_is_large_enough_stays_bit_for_bit():
    hard = np.zeros((50, 50), dtype=int)
    hard[10:13, 10:13] = 1
    before = masks(hard, 2)
    np.testing.assert_array_equal(merge_islands(before, minimum=9 / 2500), before)
    assert merge_islands(before, minimum=10 / 2500).argmax(0).max() == 0


def test_the_input_is_left_alone():
    before = masks(np.pad([[1]], 20), 2)
    copy = before.copy()
    merge_islands(before)
    np.testing.assert_array_equal(before, copy)


def test_islands_that_touch_at_a_corner_are_one():
    hard = np.zeros((40, 40), dtype=int)
    hard[10:12, 10:12] = hard[12:14, 12:14] = 1
    kept = merge_islands(masks(hard, 2), minimum=8 / 1600)
    np.testing.assert_array_equal(kept.argmax(0), hard)


def test_a_picture_of_one_label():
    one = np.ones((1, 5, 5), dtype=np.float32)
    np.testing.assert_array_equal(merge_islands(one, minimum=2), one)

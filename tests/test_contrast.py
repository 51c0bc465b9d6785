"""Styles within the contrast of the content: nothing changes where it suffices, a flat content gets a flat style."""

from __future__ import annotations

import numpy as np
import pytest

from photostyle.colors.style_contrast import within_contrast
from photostyle.regions.labels import LabelMasks
from photostyle.regions.match import Assignment, Source

WHOLE = (Assignment("all", (Source(0, None, 1.0),)),)


def one_region(picture):
    return LabelMasks(("all",), np.ones((1, *picture.shape[:2]), np.float32))


def ramp(low, high):
    return np.tile(np.linspace(low, high, 50, dtype=np.float32)[None, :, None], (40, 1, 3))


def limited(content, style):
    return within_contrast(content, one_region(content), [style], [None], WHOLE)[0]


def test_enough_contrast_changes_nothing():
    style = ramp(0.1, 0.9)
    assert limited(ramp(0.4, 0.6), style) is style


def test_a_flat_content_gets_the_mean_colour():
    style = ramp(0.1, 0.9)
    np.testing.assert_allclose(limited(np.full_like(style, 0.7), style), style.mean(), atol=1e-6)


def test_the_rest_is_six_times_the_contents_spread():
    found = limited(ramp(0.49, 0.51), ramp(0.1, 0.9))
    assert found.mean() == pytest.approx(0.5)
    assert found.max() - found.min() == pytest.approx(6 * 0.02, rel=1e-4)


def test_a_few_pixels_lend_no_contrast_to_a_white_ground():
    content = np.ones((40, 50, 3), np.float32)
    content[:, :3] = 0
    assert limited(content, ramp(0.1, 0.9)).std() < 1e-6


def test_each_region_by_itself():
    halves = np.zeros((2, 40, 50), np.float32)
    halves[0, :20], halves[1, 20:] = 1, 1
    masks = LabelMasks(("flat", "varied"), halves)
    content = np.concatenate([np.full((20, 50, 3), 0.5, np.float32), ramp(0.2, 0.8)[:20]])
    style = ramp(0.1, 0.9)
    takes = [Assignment(label, (Source(0, label, 1.0),)) for label in masks.labels]
    found = within_contrast(content, masks, [style], [masks], takes)[0]
    np.testing.assert_array_equal(found[20:], style[20:])
    assert found[:20].std() < 1e-6

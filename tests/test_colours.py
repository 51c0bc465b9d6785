"""The picture's own colours: what looks like the sky elsewhere is sky, and what colours can't tell stays."""

from __future__ import annotations

import numpy as np
from helpers import picture

from photostyle.regions.segmentation.own_colors import weigh_by_colour


def test_sky_between_beams_is_sky():
    """A building of grey with a blue hole in it; the network gives the hole to the building, 60 to 40."""
    rgb = np.full((40, 60, 3), (0.4, 0.6, 0.9), dtype=np.float32)
    rgb[20:] = 0.4
    rgb[28:32, 20:30] = (0.4, 0.6, 0.9)
    building = np.zeros((40, 60), dtype=np.float32)
    building[:20], building[20:], building[28:32, 20:30] = 0.05, 0.95, 0.6
    weighed = weigh_by_colour(np.stack([1 - building, building]), rgb)
    assert weighed[0, 30, 25] > 0.6
    assert weighed[1, 38, 50] > 0.95
    assert weighed[0, 5, 5] > 0.95


def test_probabilities_stay_probabilities():
    p = np.random.default_rng(0).random((5, 9, 12)).astype(np.float32)
    p /= p.sum(0)
    weighed = weigh_by_colour(p, picture(48, 36))
    assert weighed.dtype == np.float32
    assert weighed.shape == p.shape
    assert weighed.min() > 0
    np.testing.assert_allclose(weighed.sum(0), 1, atol=1e-5)


def test_a_single_colour_says_nothing():
    p = np.random.default_rng(0).random((3, 9, 12)).astype(np.float32) + 1
    p /= p.sum(0)
    weighed = weigh_by_colour(p, np.full((36, 48, 3), 0.5, dtype=np.float32))
    np.testing.assert_allclose(weighed, p, atol=0.1)
    np.testing.assert_array_equal(weigh_by_colour(np.ones((1, 4, 5), np.float32), picture(10, 8)), 1)


def test_a_label_that_is_nowhere_stays_nowhere():
    p = np.zeros((2, 6, 8), dtype=np.float32)
    p[0] = 1
    np.testing.assert_array_equal(weigh_by_colour(p, picture(16, 12)), p)

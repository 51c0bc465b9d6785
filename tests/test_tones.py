"""Regions by tone: a third each, soft, whatever the picture."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import picture

from photostyle.regions.tones import TONES, tones


def ramp(width=120, height=40, low=0.0, high=1.0):
    return np.broadcast_to(np.linspace(low, high, width, dtype=np.float32)[None, :, None], (height, width, 3)).copy()


@pytest.mark.parametrize("low", [0.0, 0.5])
def test_a_third_each_from_dark_to_light(low):
    found = tones(ramp(low=low))
    assert found.labels == TONES
    assert list(found.shares.values()) == pytest.approx([1 / 3] * 3, abs=0.02)
    assert found.masks[0, 20, 0] == found.masks[2, 20, -1] == found.masks[1, 20, 60] == 1
    centres = [(mask * np.arange(120)).sum() / mask.sum() for mask in found.masks]
    assert centres == sorted(centres)


def test_masks_are_soft_and_sum_to_one():
    found = tones(picture(60, 45))
    np.testing.assert_allclose(found.masks.sum(0), 1, atol=1e-6)
    assert ((found.masks > 0.1) & (found.masks < 0.9)).any()


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_picture_of_one_tone(level):
    found = tones(np.full((10, 12, 3), level, dtype=np.float32))
    assert found.labels == ("midtones",)
    assert (found.masks == 1).all()

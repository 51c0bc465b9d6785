"""Regions that content and styles share: clusters of what a network sees in all of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from photostyle.errors import UsageError
from photostyle.images import Picture
from photostyle.regions.joint import LAYERS, divide
from photostyle.regions.source import read_regions

SIZE = (160, 128)  # width, height
HUES = {"sky": (0.2, 0.4, 0.9), "stone": (0.8, 0.5, 0.2), "grass": (0.2, 0.8, 0.2)}
SCALES = {"relu3_3": 4, "relu4_3": 8, "relu5_3": 16}


def look(x):
    """Stands in for the network: it sees which of three hues a place has, however dark it is."""
    hues = torch.tensor([[level / max(hue) for level in hue] for hue in HUES.values()])
    light = x.amax(1, keepdim=True).clamp(min=1e-3)
    near = 1 - ((x / light)[:, None] - hues[None, :, :, None, None]).abs().mean(2)
    seen = near.clamp(min=0) ** 8
    return {layer: functional.avg_pool2d(seen, SCALES[layer]) for layer in LAYERS}


def bands(*names, light=1.0, seed=0):
    """A picture of horizontal bands, with a little noise."""
    rgb = np.empty((SIZE[1], SIZE[0], 3), dtype=np.float32)
    for rows, name in zip(np.array_split(np.arange(SIZE[1]), len(names)), names, strict=True):
        rgb[rows] = light * np.array(HUES[name])
    noise = np.random.default_rng(seed).normal(0, 0.01, rgb.shape)
    return Picture(np.clip(rgb + noise, 0, 1).astype(np.float32), None, 8, "bands")


def unsure(rgb):
    return np.full((2, 8, 10), 0.5, dtype=np.float32)


def regions_at(masks, *heights):
    """The label at some heights of the picture, in [0, 1]."""
    hard = masks.masks.argmax(0)
    return [masks.labels[hard[int(height * (SIZE[1] - 1)), SIZE[0] // 2]] for height in heights]


def divided(*pictures, probabilities=unsure):
    return divide(pictures, probabilities, ("sky", "ground"), look)


def test_like_gets_the_same_region_by_day_and_by_night():
    day, night = divided(bands("sky", "stone", "grass"), bands("grass", "sky", "stone", light=0.2, seed=1))
    sky, stone, grass = regions_at(day, 0.15, 0.5, 0.85)
    assert len({sky, stone, grass}) == 3
    assert regions_at(night, 0.15, 0.5, 0.85) == [grass, sky, stone]
    for masks in (day, night):
        assert masks.size == SIZE
        np.testing.assert_allclose(masks.masks.sum(0), 1, atol=1e-5)


def test_several_styles_share_them_too():
    orders = [("sky", "stone", "grass"), ("grass", "sky", "stone"), ("stone", "grass", "sky")]
    found = divided(*(bands(*order, seed=seed) for seed, order in enumerate(orders)))
    named = dict(zip(orders[0], regions_at(found[0], 0.15, 0.5, 0.85), strict=True))
    for order, masks in zip(orders, found, strict=True):
        assert regions_at(masks, 0.15, 0.5, 0.85) == [named[name] for name in order]


def test_what_the_style_lacks_is_no_region():
    content, style = divided(bands("sky", "stone", "grass"), bands("sky", "grass", seed=1))
    assert set(content.labels) == set(style.labels)
    assert len(content.labels) <= 2


def test_regions_bear_the_label_that_the_segmenter_is_sure_of():
    def upper_sky(rgb):
        found = np.full((2, 8, 10), 0.45, dtype=np.float32)
        found[:, :4] = np.array([0.95, 0.05])[:, None, None]
        return found

    content, style = divided(bands("sky", "grass"), bands("sky", "grass", seed=1), probabilities=upper_sky)
    assert regions_at(content, 0.2, 0.9) == regions_at(style, 0.2, 0.9) == ["sky", "region 1"]


@pytest.mark.parametrize("shade", [0.0, 0.5, 1.0])
def test_a_picture_of_one_colour_is_one_region(shade):
    flat = Picture(np.full((64, 96, 3), shade, dtype=np.float32), None, 8, "flat")
    content, style = divided(flat, flat)
    np.testing.assert_allclose(content.masks.sum(0), 1, atol=1e-5)
    assert len(content.labels) == len(style.labels) == 1


def test_the_same_pictures_give_the_same_regions():
    pictures = bands("sky", "stone"), bands("stone", "sky", seed=1)
    for one, two in zip(divided(*pictures), divided(*pictures), strict=True):
        assert one.labels == two.labels
        np.testing.assert_array_equal(one.masks, two.masks)


def test_joint_takes_no_masks_and_no_map():
    content, style = bands("sky", "stone"), bands("stone", "sky", seed=1)
    with pytest.raises(UsageError, match="joint contradicts --content-mask"):
        read_regions(content, [style], regions="joint", content_mask="mask.png", divide=divided)
    with pytest.raises(UsageError, match="leave --map out"):
        read_regions(content, [style], regions="joint", mapped=1, divide=divided)

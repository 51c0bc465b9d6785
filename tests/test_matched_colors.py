"""Luminance and chroma apart and together, and pictures with the colour distribution of others."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import picture

from photostyle.colors.luminance import grey, into_gamut, recombine
from photostyle.colors.matching import MATCHINGS, match_distribution, match_linear, match_luminance
from photostyle.colors.preserve import colors_of_content
from photostyle.regions.labels import LabelMasks, whole
from photostyle.regions.match import Assignment, Source

LUMA = np.array([0.299, 0.587, 0.114])
CONTENT, STYLE = picture(64, 48, 1), picture(52, 44, 2)


def ones(x):
    return np.ones(x.shape[:2], np.float32)


def colors(x, weights=None):
    flat = x.reshape(-1, 3).astype(np.float64)
    w = None if weights is None else weights.reshape(-1).astype(np.float64)
    return np.average(flat, axis=0, weights=w), np.cov(flat.T, aweights=w, ddof=0)


def chroma(x):
    return x - (x @ LUMA)[..., None]


def test_recombined_luminance_and_chroma_are_those_of_the_two_pictures():
    light, soft = 0.4 + 0.2 * STYLE[:40, :50], 0.5 + 0.2 * (CONTENT[:40, :50] - 0.5)
    mixed = recombine(light, soft)
    assert mixed.dtype == np.float32
    np.testing.assert_allclose(mixed @ LUMA, light @ LUMA, atol=1e-6)
    np.testing.assert_allclose(chroma(mixed), chroma(soft), atol=1e-6)


def test_chroma_without_room_is_scaled_and_luminance_and_hue_stay(rng):
    light, vivid = rng.random((2, 30, 40, 3)).astype(np.float32)
    vivid = np.round(vivid)  # the corners of the cube
    mixed = recombine(light, vivid)
    assert 0 <= mixed.min() <= mixed.max() <= 1
    np.testing.assert_allclose(mixed @ LUMA, light @ LUMA, atol=1e-6)
    ours, theirs = chroma(mixed).reshape(-1, 3), chroma(vivid).reshape(-1, 3)
    np.testing.assert_allclose(np.cross(ours, theirs), 0, atol=1e-5)  # the same direction
    share = np.linalg.norm(ours, axis=1) / np.maximum(np.linalg.norm(theirs, axis=1), 1e-9)
    assert share.max() <= 1 + 1e-5
    touching = (mixed.min(2) < 1e-6) | (mixed.max(2) > 1 - 1e-6)
    assert np.all(touching.reshape(-1) | (share > 1 - 1e-4) | (share < 1e-5))  # no more is taken away than must be


def test_a_picture_and_its_own_colours_are_that_picture_to_16_bits():
    np.testing.assert_allclose(recombine(CONTENT, CONTENT), CONTENT, atol=0.2 / 65535)
    np.testing.assert_allclose(into_gamut(STYLE), STYLE, atol=0.2 / 65535)


def test_grey_has_three_equal_channels_and_no_colour():
    assert np.ptp(grey(CONTENT), axis=2).max() == 0
    np.testing.assert_allclose(grey(CONTENT)[..., 0], CONTENT @ LUMA, atol=1e-6)
    np.testing.assert_allclose(
        recombine(CONTENT, grey(STYLE)[:48, :52].repeat(2, 1)[:, :64].repeat(2, 0)[:48]), grey(CONTENT), atol=1e-6
    )


def test_colours_outside_come_inside_with_their_luminance():
    outside = np.array([[[1.2, 0.5, 0.5], [-0.2, 0.1, 0.4], [0.3, 0.3, 0.3], [1.3, 1.2, 1.1]]], np.float32)
    inside = into_gamut(outside)
    assert 0 <= inside.min() <= inside.max() <= 1
    np.testing.assert_allclose(inside @ LUMA, np.clip(outside @ LUMA, 0, 1), atol=1e-6)
    np.testing.assert_allclose(inside[0, 2:], [[0.3] * 3, [1.0] * 3], atol=1e-6)


def test_linear_matching_gives_mean_and_covariance():
    matched = match_linear(STYLE, ones(STYLE), CONTENT, ones(CONTENT))
    for ours, theirs in zip(colors(matched), colors(CONTENT), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_linear_matching_counts_weights(rng):
    own, theirs = rng.random(STYLE.shape[:2]), rng.random(CONTENT.shape[:2])
    matched = match_linear(STYLE, own, CONTENT, theirs)
    for ours, wanted in zip(colors(matched, own), colors(CONTENT, theirs), strict=True):
        np.testing.assert_allclose(ours, wanted, atol=1e-6)


def test_luminance_matching_gives_mean_and_deviation_and_no_colour():
    matched = match_luminance(STYLE, ones(STYLE), CONTENT, ones(CONTENT))
    assert np.ptp(matched, axis=2).max() == 0
    assert matched.mean() == pytest.approx((CONTENT @ LUMA).mean(), abs=1e-6)
    assert matched[..., 0].std() == pytest.approx((CONTENT @ LUMA).std(), abs=1e-6)


def test_the_distribution_is_matched_on_the_channels_and_across_them(rng):
    """Channels on their own agree best; directions that were never an axis show that the colours agree as a whole."""
    matched = match_distribution(STYLE, ones(STYLE), CONTENT, ones(CONTENT)).reshape(-1, 3)
    linear = match_linear(STYLE, ones(STYLE), CONTENT, ones(CONTENT)).reshape(-1, 3)
    levels = np.linspace(0.02, 0.98, 49)

    def distance(x, line):
        target = np.quantile(CONTENT.reshape(-1, 3) @ line, levels)
        return np.abs(np.quantile(x @ line, levels) - target).mean()

    assert max(distance(matched, line) for line in np.eye(3)) < 0.002
    assert min(distance(linear, line) for line in np.eye(3)) > 0.003
    lines = [line / np.linalg.norm(line) for line in rng.normal(size=(20, 3))]
    assert np.mean([distance(matched, line) for line in lines]) < 0.005
    assert np.mean([distance(matched, line) for line in lines]) < np.mean([distance(linear, line) for line in lines])
    assert CONTENT.min() - 1e-6 <= matched.min() <= matched.max() <= CONTENT.max() + 1e-6


def test_the_distribution_comes_out_the_same_each_time():
    first, second = (match_distribution(STYLE, ones(STYLE), CONTENT, ones(CONTENT)) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("how", MATCHINGS)
def test_a_picture_matched_to_itself_stays(how):
    matched = MATCHINGS[how](STYLE, ones(STYLE), STYLE, ones(STYLE))
    np.testing.assert_allclose(matched, grey(STYLE) if how == "luminance" else STYLE, atol=1e-5)


FLAT = np.full((20, 30, 3), (0.2, 0.5, 0.9), np.float32)


@pytest.mark.parametrize("how", MATCHINGS)
def test_a_flat_picture_is_no_trouble_on_either_side(how):
    onto_flat = MATCHINGS[how](STYLE, ones(STYLE), FLAT, ones(FLAT))
    of_flat = MATCHINGS[how](FLAT, ones(FLAT), CONTENT, ones(CONTENT))
    both = MATCHINGS[how](FLAT, ones(FLAT), 1 - FLAT, ones(FLAT))
    to_grey = (lambda x: grey(x)) if how == "luminance" else (lambda x: x)
    np.testing.assert_allclose(onto_flat, np.broadcast_to(to_grey(FLAT)[0, 0], STYLE.shape), atol=2e-3)
    np.testing.assert_allclose(of_flat, np.broadcast_to(to_grey(CONTENT).mean((0, 1)), FLAT.shape), atol=2e-3)
    np.testing.assert_allclose(both, to_grey(1 - FLAT), atol=2e-3)


def test_noise_of_a_nearly_flat_style_is_not_blown_up(rng):
    nearly = (FLAT + rng.normal(0, 0.004, FLAT.shape)).astype(np.float32)
    assert match_linear(nearly, ones(FLAT), CONTENT, ones(CONTENT)).std((0, 1)).max() < 5 * 0.004
    assert match_luminance(nearly, ones(FLAT), CONTENT, ones(CONTENT)).std() < 5 * 0.004


def halves(size, labels=("sky", "sea")):
    masks = whole(size).masks.repeat(2, 0)
    masks[0, size[1] // 2 :] = 0
    masks[1, : size[1] // 2] = 0
    return LabelMasks(labels, masks)


def matched_styles(styles, style_masks, sources, how="linear"):
    """With a content of two halves, ``sources`` for each."""
    assignments = [Assignment(label, tuple(each)) for label, each in zip(("sky", "sea"), sources, strict=True)]
    return colors_of_content(how, CONTENT, halves((64, 48)), styles, style_masks, assignments)


UP, DOWN = CONTENT[:24], CONTENT[24:]


def test_a_style_used_whole_takes_the_colours_of_all_that_it_is_for():
    content, (style,) = matched_styles([STYLE], [None], [[Source(0, None, 1.0)]] * 2)
    assert content is CONTENT
    expected = into_gamut(match_linear(STYLE, ones(STYLE), CONTENT, ones(CONTENT)).astype(np.float32))
    np.testing.assert_allclose(style, expected, atol=1e-5)


def test_each_style_takes_the_colours_of_its_own_part():
    _, styles = matched_styles([STYLE, STYLE], [None, None], [[Source(0, None, 1.0)], [Source(1, None, 1.0)]])
    for style, part in zip(styles, (UP, DOWN), strict=True):
        expected = into_gamut(match_linear(STYLE, ones(STYLE), part, ones(part)).astype(np.float32))
        np.testing.assert_allclose(style, expected, atol=1e-5)


def test_each_region_of_a_style_takes_the_colours_of_the_region_that_it_is_for():
    sources = [[Source(0, "b", 1.0)], [Source(0, "a", 1.0)]]
    _, (style,) = matched_styles([STYLE], [halves((52, 44), ("a", "b"))], sources)
    for rows, part in ((slice(22), DOWN), (slice(22, None), UP)):
        own = STYLE[rows]
        expected = into_gamut(match_linear(own, ones(own), part, ones(part)).astype(np.float32))
        np.testing.assert_allclose(style[rows], expected, atol=1e-5)


def test_what_is_left_of_a_style_takes_the_colours_of_all_that_it_is_for():
    """The sea is kept as it is, and only half of the style picture has a name in the content."""
    _, (style,) = matched_styles([STYLE], [halves((52, 44), ("a", "b"))], [[Source(0, "a", 1.0)], []])
    for rows in (slice(22), slice(22, None)):
        own = STYLE[rows]
        expected = into_gamut(match_linear(own, ones(own), UP, ones(UP)).astype(np.float32))
        np.testing.assert_allclose(style[rows], expected, atol=1e-5)


def test_a_style_for_nothing_stays_as_it_is():
    _, (_, other) = matched_styles([STYLE, STYLE], [None, None], [[Source(0, None, 1.0)]] * 2)
    assert np.array_equal(other, STYLE)


@pytest.mark.parametrize("how", MATCHINGS)
def test_matched_styles_lie_in_range(how):
    content, (style,) = matched_styles([STYLE], [None], [[Source(0, None, 1.0)]] * 2, how)
    assert style.dtype == np.float32
    assert 0 <= style.min() <= style.max() <= 1
    assert (np.ptp(content, axis=2).max() == 0) == (how == "luminance")

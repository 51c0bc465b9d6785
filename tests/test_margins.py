"""Margins of scans: found where they are, at the size that they have, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from photostyle.images.margins import inside_margins
from photostyle.preparation import prepare
from photostyle.regions.labels import LabelMasks

LAYERS = {"content_layers": ("relu1_1",), "style_layers": ("relu1_1",)}


def painting(height=200, width=150, seed=0):
    """Blurred noise: neighbours are alike, lines aren't."""
    noise = np.random.default_rng(seed).uniform(size=(height + 4, width + 4, 3)).astype(np.float32)
    return sum(noise[y : y + height, x : x + width] for y in range(5) for x in range(5)) / np.float32(25)


def framed(rgb, top=0, bottom=0, left=0, right=0, value=0.95, blur=True):
    """Paint margins over a picture, with one line in between where they end softly."""
    framed = rgb.copy()
    for count, lines in ((top, framed), (bottom, framed[::-1]), (left, framed.swapaxes(0, 1)),
                         (right, framed.swapaxes(0, 1)[::-1])):  # fmt: skip
        lines[:count] = value
        if count and blur:
            lines[count - 1] = (lines[count - 1] + lines[count]) / 2
    return framed


@pytest.mark.parametrize("value", [0.95, 0.02])
@pytest.mark.parametrize("blur", [False, True])
def test_margins_are_found_on_each_side(value, blur):
    picture = framed(painting(), top=6, bottom=3, left=4, right=1, value=value, blur=blur)
    assert inside_margins(picture) == (slice(6, 197), slice(4, 149))


def test_a_picture_without_margins_is_whole():
    for seed in range(5):
        assert inside_margins(painting(seed=seed)) == (slice(0, 200), slice(0, 150))
    assert inside_margins(np.full((50, 60, 3), 0.5, dtype=np.float32)) == (slice(0, 50), slice(0, 60))
    assert inside_margins(np.zeros((1, 2, 3), dtype=np.float32)) == (slice(0, 1), slice(0, 2))


def test_what_lies_farther_in_belongs_to_the_picture():
    horizon = painting()
    horizon[:20] = 0.95
    assert inside_margins(horizon) == (slice(0, 200), slice(0, 150))


@pytest.mark.parametrize("mode", ["artistic", "photo"])
def test_artistic_mode_leaves_margins_of_the_style_out_and_says_so(narrow_weights, monkeypatch, mode):
    """With its masks; a photograph's dark bars are left to those who took it."""
    monkeypatch.setattr("photostyle.networks.load_weights", lambda *_, **__: narrow_weights())
    content, style = painting(64, 48, 1), framed(painting(), top=6, left=4)
    upper = {"sky": np.zeros((200, 150), dtype=np.float32), "rest": np.ones((200, 150), dtype=np.float32)}
    upper["sky"][:100], upper["rest"][:100] = 1, 0
    labels, content_labels = (
        LabelMasks(("sky", "rest"), np.stack([masks, 1 - masks])) for masks in (upper["sky"], upper["sky"][:64, :48])
    )
    options = {"edge_weight": 0.0, "solver": "pixels", "start": "content"} if mode == "photo" else {}
    prepared = prepare(content, style, content_mask=content_labels, style_mask=labels, mode=mode, **LAYERS, **options)
    rows, columns = (slice(6, 200), slice(4, 150)) if mode == "artistic" else (slice(None), slice(None))
    np.testing.assert_array_equal(prepared.problem.styles[0], style[rows, columns])
    np.testing.assert_array_equal(prepared.problem.style_masks[0].masks, labels.masks[:, rows, columns])
    told = [note for note in prepared.notes if "margins" in note]
    assert told == (["the style array: 146×194 of 150×200 lie inside its margins"] if mode == "artistic" else [])

"""Encoding in one piece and tile by tile: the same features, statistics and gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import photostyle.objective.encoding as encoding
from photostyle.errors import UsageError
from photostyle.networks import Backbone
from photostyle.networks.vgg import VGG
from photostyle.objective.build import ContentInput, build_objective
from photostyle.objective.encoding import STATISTICS, encoder, statistic_of
from photostyle.objective.gram import masked_grams, region_of
from photostyle.objective.style_targets import StyleInput
from photostyle.options.config import TransferConfig, resolve
from photostyle.regions.match import Assignment, Source
from photostyle.regions.pyramid import layer_masks

CONTENT, STYLE = ("relu3_1",), ("relu1_1", "relu2_1", "relu3_1")
SIZES = [(64, 96), (77, 50), (65, 130)]


@pytest.fixture
def backbone(narrow_weights):
    vgg = VGG(narrow_weights(count=5), (*CONTENT, *STYLE), padding="replicate").double()
    return Backbone(vgg, "vgg16", CONTENT, STYLE, "0" * 64, "tests")


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(encoding, "_SIDE", 24)


def picture(height, width, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).uniform(size=(1, 3, height, width)))


def regions(height, width):
    """A hard region that most tiles don't touch, and two soft ones."""
    masks = np.random.default_rng(5).uniform(size=(3, height, width))
    masks[0] = 0
    masks[0, : height // 3, : width // 4] = 5
    masks[1:, : height // 3, : width // 4] = 0
    return torch.from_numpy(masks / masks.sum(0))


def masks_of(backbone, height, width):
    masks = regions(height, width)
    return {layer: layer_masks(masks, grid) for layer, grid in backbone.grids(picture(height, width)).items()}


def test_statistics_of_the_whole_are_those_of_its_features(backbone):
    masks, x = masks_of(backbone, 40, 56), picture(40, 56)
    found = encoder(backbone, masks)(x)
    for layer in STYLE:
        expected = masked_grams(backbone(x)[layer][0], list(map(region_of, masks[layer])))
        np.testing.assert_allclose(found[statistic_of(layer)], expected, rtol=1e-12)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("kind", list(STATISTICS))
def test_tiles_give_what_the_whole_gives(backbone, size, count, kind):
    """Features behind the tiled blocks, all statistics, and the gradient of a random function of them."""
    masks = masks_of(backbone, *size)
    results = []
    for tiled in (0, count):
        x = picture(*size).requires_grad_()
        found = encoder(backbone, masks, kind, tiled)(x)
        kept = {name: found[name] for name in ("relu3_1", *map(statistic_of, STYLE))}
        random = np.random.default_rng(1)
        value = sum((torch.from_numpy(random.normal(size=t.shape)) * t).sum() for t in kept.values())
        results.append(({name: t.detach() for name, t in kept.items()}, torch.autograd.grad(value, x)[0]))
    (whole, gradient), (tiles, theirs) = results
    for name, expected in whole.items():
        np.testing.assert_allclose(tiles[name], expected, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(theirs, gradient, rtol=1e-9, atol=1e-11 * gradient.abs().max())


def test_there_are_several_tiles():
    """Otherwise the test above compares the whole with itself."""
    assert len(encoding._cuts(96, 4)) == 4
    assert encoding._cuts(96, 4)[0] == (0, 24)
    assert encoding._cuts(77, 4)[-1][1] == 77


def test_windows_are_no_larger_than_needed(backbone):
    """A halo one step smaller changes the result: the reach is not an idle bound."""
    x = picture(64, 96)
    masks = masks_of(backbone, 64, 96)
    right = encoder(backbone, masks, tiled_blocks=2)(x)["relu3_1"]
    narrow = encoder(backbone, masks, tiled_blocks=2)
    reach = VGG.reach
    try:
        VGG.reach = lambda self, count: reach(self, count) - 4
        wrong = narrow(x)["relu3_1"]
    finally:
        VGG.reach = reach
    assert (right - wrong).abs().max() > 1e-6


def test_objective_and_gradient_are_the_same_with_tiles(backbone):
    masks = regions(70, 90)[1:]
    masks = masks / masks.sum(0).clamp_min(1e-9)
    options = {"content_layers": CONTENT, "style_layers": STYLE, "strength": 0.7, "tv_weight": 0.1}
    config = resolve(TransferConfig(**options))
    styles = [StyleInput(picture(60, 84, 1), {"top": regions(60, 84)[0]}), StyleInput(picture(50, 50, 2), {})]
    assignments = [
        Assignment("a", (Source(0, "top", 0.5), Source(1, None, 0.5))),
        Assignment("b", (Source(1, None, 1.0),)),
    ]
    content = ContentInput(picture(70, 90, 3), masks)
    x = picture(70, 90, 4)
    whole, tiled = (build_objective(backbone, content, styles, assignments, config, blocks)(x) for blocks in (0, 2))
    assert tiled.total == pytest.approx(whole.total, rel=1e-10)
    np.testing.assert_allclose(tiled.gradient, whole.gradient, rtol=1e-8, atol=1e-12)


def test_a_content_layer_within_the_tiled_blocks_is_named(narrow_weights):
    vgg = VGG(narrow_weights(count=5), ("relu2_1", "relu3_1"))
    backbone = Backbone(vgg, "vgg16", ("relu2_1",), ("relu3_1",), "0" * 64, "tests")
    with pytest.raises(UsageError, match="--content-layers has relu2_1"):
        encoder(backbone, {}, tiled_blocks=2)


def test_only_a_vgg_has_blocks():
    backbone = Backbone(torch.nn.Identity(), "resnet50", (), (), "", "tests")
    with pytest.raises(UsageError, match="resnet50"):
        encoder(backbone, {}, tiled_blocks=2)

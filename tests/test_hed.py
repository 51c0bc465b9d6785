"""HED: its parts against plain convolutions, and the edges that the real weights find."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import torchvision
from helpers import SAMPLES
from PIL import Image
from torch.nn import functional

import photostyle.networks as module
from photostyle.errors import UsageError
from photostyle.networks import CONTENT_LAYERS, STYLE_LAYERS, load_backbone
from photostyle.networks.hed import HED, SIDES, EdgeHead
from photostyle.networks.vgg import VGG
from photostyle.networks.weights import load_weights
from photostyle.objective.edges import edge_loss


@pytest.fixture
def weights(narrow_weights):
    plain = narrow_weights(preprocessing="caffe")
    generator = torch.Generator().manual_seed(3)
    tensors = dict(plain.tensors)
    for number, channels in enumerate((4, 5, 6, 7, 8), 1):
        tensors[f"hed.side{number}.weight"] = torch.randn(1, channels, 1, 1, generator=generator) * 0.01
        tensors[f"hed.side{number}.bias"] = torch.zeros(1)
    tensors["hed.fuse.weight"] = torch.full((1, 5, 1, 1), 0.2)
    tensors["hed.fuse.bias"] = torch.zeros(1)
    return dataclasses.replace(plain, tensors=tensors)


def test_the_head_is_sides_enlarged_and_fused(weights):
    features = {layer: torch.rand(1, c, 8, 8) for layer, c in zip(SIDES, (4, 5, 6, 7, 8), strict=True)}
    sides = []
    for number, layer in enumerate(SIDES, 1):
        kernel = weights.tensors[f"hed.side{number}.weight"][0, :, 0, 0]
        sides.append(torch.einsum("c,chw->hw", kernel, features[layer][0])[None, None])
    large = torch.cat([functional.interpolate(side, (16, 20), mode="bilinear") for side in sides], 1)
    expected = torch.sigmoid(0.2 * large.sum(1, keepdim=True))
    torch.testing.assert_close(EdgeHead(weights)(features, (16, 20)), expected)


def test_the_trunk_is_the_vgg_with_max_pooling_where_sides_are_even(weights):
    x = torch.rand(1, 3, 32, 48)
    edges, features = HED(weights)(x)
    assert edges.shape == (32, 48)
    expected = VGG(weights, ["relu1_1", "relu3_1", "relu5_1"], pooling="max")(x)
    for layer, tensor in expected.items():
        torch.testing.assert_close(features[layer], tensor, rtol=1e-4, atol=1e-4)


def test_odd_rows_are_kept(weights):
    assert HED(weights)(torch.rand(1, 3, 33, 35))[1]["relu2_1"].shape[-2:] == (17, 18)


def test_weights_without_a_detector_are_refused_by_name(narrow_weights):
    plain = narrow_weights()
    assert not EdgeHead.is_in(plain)
    with pytest.raises(UsageError, match=r"narrow hold no edge detector: those of hed do"):
        HED(plain)


def test_the_real_detector_finds_the_outline_of_a_castle():
    with Image.open(SAMPLES / "montStMichel.webp") as image:
        picture = np.asarray(image.convert("RGB").resize((192, 128)), dtype=np.float32) / 255
    x = torch.from_numpy(picture.transpose(2, 0, 1).copy())[None]
    edges = HED(load_weights("hed"))(x)[0]
    assert edges[:10].mean() < 0.1  # the sky
    assert edges.max() > 0.8
    assert load_backbone("hed").edges is None
    own, beside = load_backbone("hed", edges=True), load_backbone("vgg16", edges=True)
    assert own.edges.trunk is None, "one pass gives features and edges"
    assert set(beside(x)) == {*CONTENT_LAYERS, *STYLE_LAYERS}, "a second pass gives the edges"
    found = own.edges(x, own(x))[0, 0]
    assert float(torch.corrcoef(torch.stack([edges.ravel(), found.ravel()]))[0, 1]) > 0.8  # the other pooling
    torch.testing.assert_close(beside.edges(x, beside(x))[0, 0], found, rtol=1e-3, atol=1e-4)


def test_a_classifier_has_edges_beside_it(monkeypatch, weights, tmp_path):
    monkeypatch.setattr(module, "load_weights", lambda *_arguments, **_options: weights)
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), tmp_path / "net.pth")
    options = {
        "content_layers": ["layer1"],
        "style_layers": ["relu"],
        "weights": str(tmp_path / "net.pth"),
        "padding": "replicate",
    }
    backbone = load_backbone("resnet18", edges=True, **options)
    x = torch.rand(1, 3, 32, 48)
    expected = EdgeHead(weights)(VGG(weights, SIDES, padding="replicate")(x), (32, 48))
    torch.testing.assert_close(backbone.edges(x, backbone(x)), expected)
    assert load_backbone("resnet18", **options).edges is None


def test_the_loss_is_the_mean_square():
    edges = torch.rand(1, 1, 5, 6, dtype=torch.float64)
    assert float(edge_loss(edges, edges)) == 0
    assert float(edge_loss(edges, edges + 0.1)) == pytest.approx(0.01)
    assert torch.autograd.gradcheck(lambda x: edge_loss(x, torch.full_like(x, 0.3)), (edges.requires_grad_(),))

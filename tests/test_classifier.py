"""Torchvision classifiers as sources of features: a ResNet-18 with random weights."""

from __future__ import annotations

import hashlib
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from photostyle.errors import UsageError, WeightsError
from photostyle.networks import load_backbone
from photostyle.networks.cache import digits_in
from photostyle.networks.classifier import Classifier, _average_pooling
from photostyle.progress import Message

LAYERS = ("relu", "layer1", "layer2.0.conv1")


@pytest.fixture(scope="module")
def resnet():
    """A network whose batch normalisation is not the identity."""
    torch.manual_seed(0)
    network = torchvision.models.resnet18(weights=None).eval()
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(0.1 * torch.randn(module.running_mean.shape, generator=generator))
            module.running_var.copy_(0.5 + torch.rand(module.running_var.shape, generator=generator))
    return network.requires_grad_(False)


@pytest.fixture(scope="module")
def file(resnet, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(resnet.state_dict(), path)
    return str(path)


def picture(height=40, width=36):
    return torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(2))


def prepared(x, preprocessing="torchvision"):
    if preprocessing == "torchvision":
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        return (x - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)
    return 255 * x[:, [2, 1, 0]] - torch.tensor([104.00699, 116.66877, 122.67892]).view(1, 3, 1, 1)


def by_hand(resnet, x, pooling):
    """The start of a ResNet, step by step."""
    pool = nn.AvgPool2d(3, 2, 1, count_include_pad=False) if pooling == "average" else nn.MaxPool2d(3, 2, 1)
    stem = resnet.bn1(resnet.conv1(x))
    after = stem.clamp_min(0)
    pooled = pool(after)
    first = resnet.layer1(pooled)
    return {
        "bn1": stem,
        "relu": after,
        "maxpool": pooled,
        "layer1": first,
        "layer2.0.conv1": resnet.layer2[0].conv1(first),
    }


@pytest.mark.parametrize("pooling", ["average", "max"])
@pytest.mark.parametrize("preprocessing", [None, "torchvision", "caffe"])
def test_nodes_are_the_network_s_own(resnet, file, pooling, preprocessing):
    layers = ["bn1", "relu", "maxpool", "layer1", "layer2.0.conv1"]
    expected = by_hand(resnet, prepared(picture(), preprocessing or "torchvision"), pooling)
    found = Classifier("resnet18", layers, file, pooling, preprocessing)(picture())
    assert set(found) == set(layers)
    for layer in layers:
        scale = expected[layer].abs().max().item()
        np.testing.assert_allclose(found[layer], expected[layer], atol=1e-5 * scale, err_msg=layer)


def test_average_pooling_takes_the_place_of_max_pooling(file):
    average = Classifier("resnet18", ["maxpool"], file, "average")
    assert not any(isinstance(module, nn.MaxPool2d) for module in average.modules())
    pools = [module for module in average.modules() if isinstance(module, nn.AvgPool2d)]
    assert [(pool.kernel_size, pool.stride, pool.padding) for pool in pools] == [(3, 2, 1)]
    maximum = Classifier("resnet18", ["maxpool"], file, "max")
    assert any(isinstance(module, nn.MaxPool2d) for module in maximum.modules())
    assert (maximum(picture())["maxpool"] - average(picture())["maxpool"]).min() >= 0


def test_average_pooling_draws_no_rim():
    model = nn.Sequential(nn.MaxPool2d(3, 2, 1), nn.MaxPool2d(2, 2, ceil_mode=True))
    _average_pooling(model)
    assert torch.equal(model(torch.ones(1, 1, 10, 10)), torch.ones(1, 1, 3, 3))


def test_a_response_before_a_relu_is_not_overwritten(file):
    found = Classifier("resnet18", ["bn1", "relu"], file)(picture())
    assert found["bn1"].min() < 0
    assert torch.equal(found["relu"], found["bn1"].clamp_min(0))


def test_nothing_deeper_is_computed(file):
    network = Classifier("resnet18", ["layer1"], file)
    names = {name for name, _ in network.extractor.named_modules()}
    assert "layer1" in names
    assert not names & {"layer2", "layer3", "layer4", "fc"}


def test_no_gradient_for_weights_but_for_the_picture(file):
    network = Classifier("resnet18", ["layer1"], file)
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not network.extractor.training
    x = picture().requires_grad_()
    network(x)["layer1"].square().sum().backward()
    assert torch.isfinite(x.grad).all()
    assert x.grad.abs().max() > 0


def test_as_a_backbone(file):
    backbone = load_backbone("resnet18", content_layers=["layer1"], style_layers=["relu", "layer1"], weights=file)
    assert backbone.name == "resnet18"
    assert backbone.content_layers == ("layer1",)
    assert backbone.style_layers == ("relu", "layer1")
    assert backbone.origin == file
    with open(file, "rb") as opened:  # noqa: PTH123 - a plain read
        assert backbone.sha256 == hashlib.sha256(opened.read()).hexdigest()
    assert {layer: tuple(value.shape) for layer, value in backbone(picture()).items()} == {
        "relu": (1, 64, 20, 18),
        "layer1": (1, 64, 10, 9),
    }


@pytest.mark.parametrize("name", ["resnet9000", "VGG16", ""])
def test_an_unknown_classifier(name):
    words = f"backbone '{name}' is unknown; allowed are vgg16, hed, vgg19 and torchvision's classifiers"
    with pytest.raises(UsageError, match=words):
        load_backbone(name, content_layers=["layer1"], style_layers=["layer1"])


@pytest.mark.parametrize("given", [{}, {"content_layers": ["layer1"]}, {"style_layers": ["layer1"]}])
def test_a_classifier_has_no_default_layers(file, given):
    with pytest.raises(UsageError, match="'resnet18' has no default layers: pass --content-layers and --style-layers"):
        load_backbone("resnet18", weights=file, **given)


@pytest.mark.parametrize("layer", ["layer9", "layer1.7", "relu1_1", "lay"])
def test_an_unknown_node(file, layer):
    with pytest.raises(UsageError, match=rf"layer '{layer}' is unknown; resnet18 has \d+ nodes: conv1, bn1, relu, "):
        Classifier("resnet18", ["layer1", layer], file)


def test_a_node_that_is_no_feature_map(file):
    network = Classifier("resnet18", ["flatten"], file)
    with pytest.raises(UsageError, match=r"layer 'flatten' gives shape \(1, 512\), but a feature map is needed"):
        network(picture())


def test_weights_of_another_network(resnet, tmp_path):
    state = resnet.state_dict()
    state["conv1.weight"] = state["conv1.weight"][:, :, 1:-1, 1:-1].clone()
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(WeightsError) as caught:
        Classifier("resnet18", ["layer1"], str(tmp_path / "other.pth"))
    assert "other.pth don't fit the backbone resnet18" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_there(tmp_path):
    with pytest.raises(WeightsError, match=r"nothing\.pth does not exist"):
        Classifier("resnet18", ["layer1"], str(tmp_path / "nothing.pth"))


@pytest.fixture
def hub(tmp_path, monkeypatch, resnet):
    """Caches of the test's own, and torchvision's file of a ResNet-18 in a folder in the place of its host."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("PHOTOSTYLE_HOME", str(tmp_path / "home"))
    host = tmp_path / "host"
    host.mkdir()
    torch.save(resnet.state_dict(), host / "new.pth")
    digest = hashlib.sha256((host / "new.pth").read_bytes()).hexdigest()
    file = (host / "new.pth").rename(host / f"resnet18-{digest[:8]}.pth")
    weights = SimpleNamespace(url=file.as_uri())
    monkeypatch.setattr("torchvision.models.get_model_weights", lambda name: [weights])
    monkeypatch.setattr("torchvision.models.get_weight", lambda name: weights)
    there = tmp_path / "torch" / "hub" / "checkpoints" / file.name
    return SimpleNamespace(host=file, file=there, digest=digest, pins=tmp_path / "home" / "pins.json")


def test_every_classifier_of_torchvision_has_digits_in_its_file_s_name():
    from torchvision.models import get_model_weights, get_weight, list_models

    for name in list_models(module=torchvision.models):
        chosen = next(iter(get_model_weights(name)))
        assert get_weight(str(chosen)) is chosen
        assert len(digits_in(chosen.url.rsplit("/", 1)[1])) >= 8


def test_offline_without_a_file(hub):
    words = (
        "resnet18 needs torchvision's weights, but --offline forbids fetching, and .* does not exist: give --weights"
    )
    with pytest.raises(WeightsError, match=words):
        load_backbone("resnet18", content_layers=["layer1"], style_layers=["layer1"], offline=True)


def test_offline_with_a_file(file):
    load_backbone("resnet18", content_layers=["layer1"], style_layers=["layer1"], weights=file, offline=True)


def test_a_fetch_that_fails(hub):
    hub.host.unlink()
    with pytest.raises(WeightsError, match=r"torchvision can't fetch resnet18-.*: check the network, or put the file"):
        Classifier("resnet18", ["layer1"])


def test_torchvision_s_own_weights_are_fetched_and_kept_to(hub):
    events = []
    network = Classifier("resnet18", ["layer1"], callback=events.append)
    assert network.sha256 == hub.digest
    assert json.loads(hub.pins.read_text()) == {hub.file.name: hub.digest}
    assert [event.text.split()[0] for event in events if isinstance(event, Message)] == ["fetching", "first"]
    hub.host.unlink()
    events.clear()
    backbone = load_backbone("resnet18", content_layers=["layer1"], style_layers=["relu"], offline=True)
    assert backbone.sha256 == hub.digest
    assert events == []


def test_torchvision_s_altered_file_is_refused_on_every_load(hub):
    Classifier("resnet18", ["layer1"])
    data = hub.file.read_bytes()
    hub.file.write_bytes(data[:-99] + b"x" + data[-98:])
    with pytest.raises(WeightsError, match=rf"is altered or cut off .* its name says {hub.digest[:8]}"):
        Classifier("resnet18", ["layer1"])
    hub.file.write_bytes(data)
    hub.pins.write_text(json.dumps({hub.file.name: hub.digest[:8] + "0" * 56}))
    with pytest.raises(
        WeightsError, match=rf"has the SHA-256 {hub.digest}, but on first use it had .*: delete the file"
    ):
        Classifier("resnet18", ["layer1"])

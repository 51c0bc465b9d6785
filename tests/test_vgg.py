"""VGG-16 and VGG-19 against torchvision's own, and numbers of the real weights on a picture that is computed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision
from torch.nn import functional

from photostyle import networks as module
from photostyle.errors import UsageError
from photostyle.networks import CONTENT_LAYERS, STYLE_LAYERS, load_backbone
from photostyle.networks.registry import PREPROCESSINGS
from photostyle.networks.vgg import VGG, computes_half, layer_names, preprocess
from photostyle.networks.weights import Weights

ARCHITECTURES = ("vgg16", "vgg19")


@pytest.fixture(scope="module", params=ARCHITECTURES)
def theirs(request):
    """torchvision's layers down to the start of the fifth block, with random weights; the classifier isn't built."""
    with torch.device("meta"):
        features = getattr(torchvision.models, request.param)().features
    depth = 2 + [i for i, layer in enumerate(features) if isinstance(layer, torch.nn.MaxPool2d)][3]
    network = features[: depth + 1].to_empty(device="cpu")
    generator = torch.Generator().manual_seed(1)
    for layer in network:
        if isinstance(layer, torch.nn.Conv2d):
            scale = (2 / (9 * layer.in_channels)) ** 0.5
            layer.weight.data = scale * torch.randn(layer.weight.shape, generator=generator)
            layer.bias.data = 0.1 * torch.randn(layer.bias.shape, generator=generator)
    return request.param, network.requires_grad_(False)


def our_weights(architecture, network, preprocessing="torchvision"):
    """torchvision's convolutions, which come in the order of our names."""
    convolutions = [layer for layer in network if isinstance(layer, torch.nn.Conv2d)]
    names = layer_names(architecture)[::2]
    tensors = {}
    for name, convolution in zip(names, convolutions, strict=False):
        tensors |= {f"{name}.weight": convolution.weight.data, f"{name}.bias": convolution.bias.data}
    return Weights("copied", architecture, tensors, PREPROCESSINGS[preprocessing], "0" * 64, "tests")


def their_features(architecture, network, x, pooling):
    """Every response in order, out of place; pooling as asked for."""
    names = iter(layer_names(architecture))
    found = {}
    for layer in network:
        if isinstance(layer, torch.nn.MaxPool2d):
            x = functional.avg_pool2d(x, 2, 2) if pooling == "average" else functional.max_pool2d(x, 2, 2)
            continue
        x = x.clamp_min(0) if isinstance(layer, torch.nn.ReLU) else layer(x)
        found[next(names)] = x
    return found


def prepared(x, preprocessing):
    """The two preprocessings, written out."""
    if preprocessing == "torchvision":
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        return (x - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)
    red, green, blue = 255 * x[:, 0], 255 * x[:, 1], 255 * x[:, 2]
    return torch.stack([blue - 104.00699, green - 116.66877, red - 122.67892], dim=1)


@pytest.mark.parametrize("preprocessing", ["torchvision", "caffe"])
@pytest.mark.parametrize("pooling", ["average", "max"])
def test_every_layer_is_that_of_torchvision(theirs, pooling, preprocessing):
    architecture, network = theirs
    x = torch.rand((1, 3, 37, 34), generator=torch.Generator().manual_seed(2))
    expected = their_features(architecture, network, prepared(x, preprocessing), pooling)
    assert {"conv1_1", "relu1_2", "conv4_2", "relu4_3", "relu5_1"} <= set(expected)
    found = VGG(our_weights(architecture, network, preprocessing), list(expected), pooling)(x)
    assert set(found) == set(expected)
    for layer, features in found.items():
        scale = expected[layer].abs().max().item()
        np.testing.assert_allclose(features, expected[layer], atol=2e-5 * scale, err_msg=layer)


@pytest.mark.parametrize("preprocessing", ["torchvision", "caffe"])
def test_preprocessing(narrow_weights, preprocessing):
    x = torch.rand(2, 3, 5, 6)
    vgg = VGG(narrow_weights(preprocessing=preprocessing), ["conv1_1"])
    np.testing.assert_allclose(preprocess(x, vgg.preprocessing), prepared(x, preprocessing), rtol=1e-4, atol=1e-4)


def test_caffe_sees_blue_first(narrow_weights):
    blue = torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    seen = preprocess(blue, PREPROCESSINGS["caffe"])[0, :, 0, 0]
    np.testing.assert_allclose(seen, [255 - 104.00699, -116.66877, -122.67892], rtol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_names_of_layers(architecture):
    per_block = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}[architecture]
    expected = [
        f"{kind}{block}_{index}"
        for block, count in enumerate(per_block, 1)
        for index in range(1, count + 1)
        for kind in ("conv", "relu")
    ]
    assert list(layer_names(architecture)) == expected


@pytest.mark.parametrize("layers", [("conv3_2", "relu3_2"), ("relu3_2", "conv3_2")])
def test_a_response_before_the_relu_is_not_overwritten(narrow_weights, layers):
    found = VGG(narrow_weights(), layers)(torch.rand(1, 3, 24, 24))
    assert found["conv3_2"].min() < 0
    assert torch.equal(found["relu3_2"], found["conv3_2"].clamp_min(0))


def test_what_is_asked_for_does_not_change_what_is_found(narrow_weights):
    """Each layer alone is what it is among all."""
    weights, x = narrow_weights(), torch.rand(1, 3, 33, 32)
    every = VGG(weights, layer_names("vgg16"))(x)
    for layer in ("conv1_1", "relu1_1", "conv2_2", "relu4_3", "conv5_3", "relu5_3"):
        (alone,) = VGG(weights, [layer])(x).values()
        np.testing.assert_allclose(alone, every[layer], atol=1e-6)


@pytest.mark.parametrize(
    ("layers", "deepest"),
    [(["conv1_1"], "conv1_1"), (["relu2_1", "relu1_2"], "conv2_1"), (["conv4_2"], "conv4_2"), (["relu5_1"], "conv5_1")],
)
def test_nothing_deeper_than_asked_for_is_there(narrow_weights, layers, deepest):
    vgg = VGG(narrow_weights(), layers)
    names = layer_names("vgg16")[::2]
    assert list(vgg.convolutions) == list(names[: names.index(deepest) + 1])
    assert set(vgg(torch.rand(1, 3, 32, 32))) == set(layers)


def test_the_last_relu_is_left_out_where_only_the_response_before_it_is_wanted(narrow_weights):
    assert VGG(narrow_weights(), ["conv2_1"]).names[-1] == "conv2_1"


@pytest.mark.parametrize("pooling", ["average", "max"])
@pytest.mark.parametrize("size", [(32, 32), (33, 47), (35, 63)])
def test_sides_are_halved_and_rounded_down(narrow_weights, pooling, size):
    found = VGG(narrow_weights(), [f"relu{b}_1" for b in range(1, 6)], pooling)(torch.rand(1, 3, *size))
    for block in range(5):
        features = found[f"relu{block + 1}_1"]
        assert tuple(features.shape) == (1, 4 + block, size[0] >> block, size[1] >> block)


def test_no_gradient_for_weights_but_for_the_picture(narrow_weights):
    vgg = VGG(narrow_weights(), ["relu2_1"])
    assert list(vgg.parameters())
    assert not any(parameter.requires_grad for parameter in vgg.parameters())
    assert not vgg.training
    x = torch.rand(1, 3, 16, 16, requires_grad=True)
    vgg(x)["relu2_1"].sum().backward()
    assert x.grad.abs().max() > 0
    assert torch.isfinite(x.grad).all()
    assert all(parameter.grad is None for parameter in vgg.parameters())


@pytest.mark.parametrize("layers", [["relu1_1", "conv2_2", "relu2_2"], ["conv1_1", "relu1_1"]])
@pytest.mark.parametrize("pooling", ["average", "max"])
@pytest.mark.parametrize("preprocessing", ["torchvision", "caffe"])
def test_gradcheck(narrow_weights, layers, pooling, preprocessing):
    """An in-place ReLU at the wrong spot would spoil the gradient."""
    vgg = VGG(narrow_weights(preprocessing=preprocessing), layers, pooling).double()
    x = torch.rand((1, 3, 5, 4), dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: tuple(vgg(p).values()), (x,), atol=1e-4)


def test_the_picture_is_left_alone(narrow_weights):
    x = torch.rand(1, 3, 8, 8)
    before = x.clone()
    VGG(narrow_weights(), ["relu1_1"])(x)
    assert torch.equal(x, before)


def test_weights_are_copied(narrow_weights):
    weights = narrow_weights()
    before = {name: tensor.clone() for name, tensor in weights.tensors.items()}
    vgg = VGG(weights, ["relu1_1"])
    vgg.convolutions["conv1_1"].weight.data.zero_()
    assert torch.equal(weights.tensors["conv1_1.weight"], before["conv1_1.weight"])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("layer", ["conv6_1", "relu4_9", "pool1", "Relu1_1", "0", ""])
def test_an_unknown_layer(narrow_weights, architecture, layer):
    with pytest.raises(UsageError) as caught:
        VGG(narrow_weights(architecture), ["relu1_1", layer])
    last = {"vgg16": "5_3", "vgg19": "5_4"}[architecture]
    assert str(caught.value) == (
        f"layer {layer!r} is unknown; {architecture} has conv1_1 … conv{last} (before the ReLU) "
        f"and relu1_1 … relu{last} (after it)"
    )


def test_a_layer_of_vgg19_is_none_of_vgg16(narrow_weights):
    VGG(narrow_weights("vgg19"), ["relu3_4"])
    with pytest.raises(UsageError, match="layer 'relu3_4' is unknown; vgg16 has"):
        VGG(narrow_weights("vgg16"), ["relu3_4"])


def test_weights_that_end_before_a_layer(narrow_weights):
    weights = narrow_weights(count=4)  # down to conv2_2
    VGG(weights, ["relu2_2"])
    with pytest.raises(UsageError, match="layer 'conv3_1' is not in the weights narrow: they end before it"):
        VGG(weights, ["relu1_1", "relu3_1"])


def test_zeros_beyond_the_border_as_the_network_was_trained(narrow_weights):
    """The corner's response, written out."""
    weights, x = narrow_weights(), torch.rand(1, 3, 6, 7)
    found = VGG(weights, ["conv1_1"])(x)["conv1_1"][0, :, 0, 0]
    kernel, seen = weights.tensors["conv1_1.weight"], prepared(x, "torchvision")[0]
    expected = (kernel[:, :, 1:, 1:] * seen[None, :, :2, :2]).sum((1, 2, 3)) + weights.tensors["conv1_1.bias"]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_first_convolution_may_see_the_border_go_on(narrow_weights):
    """A flat picture has no frame then, and further in nothing changes."""
    weights, flat = narrow_weights(), torch.full((1, 3, 12, 13), 0.8)
    first = VGG(weights, ["conv1_1"], padding="replicate")(flat)["conv1_1"]
    np.testing.assert_allclose(first, first[..., 5:6, 5:6].expand_as(first), atol=1e-5)
    x, layers = torch.rand(1, 3, 20, 21), ["conv1_1", "relu1_2", "relu2_1"]
    zeros, replicated = VGG(weights, layers)(x), VGG(weights, layers, padding="replicate")(x)
    for layer, reach in (("conv1_1", 1), ("relu1_2", 2), ("relu2_1", 2)):
        inner = (..., slice(reach, -reach), slice(reach, -reach))
        np.testing.assert_allclose(replicated[layer][inner], zeros[layer][inner], atol=1e-5)
        assert not torch.allclose(replicated[layer], zeros[layer])


def test_only_the_first_convolution_replicates(narrow_weights):
    """A second one that sees zeros: the frame of conv1_2 on a flat picture is there, as trained."""
    weights, flat = narrow_weights(), torch.full((1, 3, 8, 8), 0.8)
    found = VGG(weights, ["relu1_1", "conv1_2"], padding="replicate")(flat)
    kernel, bias = weights.tensors["conv1_2.weight"], weights.tensors["conv1_2.bias"]
    np.testing.assert_allclose(
        found["conv1_2"], functional.conv2d(found["relu1_1"], kernel, bias, padding=1), atol=1e-5
    )


def waves(height=48, width=64):
    """Waves and stripes with hard edges, the same to the bit everywhere."""
    v, u = np.meshgrid((np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width, indexing="ij")
    red, green = 0.5 + 0.4 * np.sin(19 * u + 7 * v), 0.5 + 0.4 * np.cos(23 * v * u + 3)
    return torch.from_numpy(np.stack([red, green, 0.5 + 0.4 * np.sign(np.sin(25 * u - 31 * v))]))[None].float()


GOLDEN = {
    "vgg16": {
        "relu1_1": ((64, 48, 64), 0.710161, 1.1408, 13.1603),
        "relu2_1": ((128, 24, 32), 1.87343, 3.79627, 68.5961),
        "relu3_1": ((256, 12, 16), 2.23018, 4.56636, 96.0536),
        "relu4_1": ((512, 6, 8), 0.837054, 2.06323, 53.9748),
        "relu4_2": ((512, 6, 8), 0.529992, 1.52071, 40.7067),
        "relu5_1": ((512, 3, 4), 0.182335, 0.478438, 12.7481),
    },
    "hed": {
        "relu1_1": ((64, 48, 64), 35.6532, 54.7244, 662.785),
        "relu2_1": ((128, 24, 32), 37.0721, 121.638, 1864.14),
        "relu3_1": ((256, 12, 16), 24.8314, 50.5063, 1247.48),
        "relu4_1": ((512, 6, 8), 4.32465, 7.29871, 167.097),
        "relu4_2": ((512, 6, 8), 2.90812, 5.47344, 103.023),
        "relu5_1": ((512, 3, 4), 0.530615, 1.9137, 54.688),
    },
}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_real_weights(name):
    """Mean, deviation, and norm in the middle, of the default layers of the networks that are fetched."""
    backbone = load_backbone(name, padding="zeros")
    assert backbone.name == name
    assert backbone.content_layers == CONTENT_LAYERS
    assert backbone.style_layers == STYLE_LAYERS
    found = backbone(waves())
    assert set(found) == set(GOLDEN[name])
    for layer, (shape, *numbers) in GOLDEN[name].items():
        features = found[layer]
        assert tuple(features.shape) == (1, *shape)
        middle = features[0, :, shape[1] // 2, shape[2] // 2].norm()
        measured = [features.mean().item(), features.std().item(), middle.item()]
        assert measured == pytest.approx(numbers, rel=1e-3), layer


@pytest.mark.parametrize("options", [{"name": "lpips-alex"}, {"name": "vgg16", "weights": "lpips-alex"}])
def test_a_network_for_scores_is_no_backbone(options):
    with pytest.raises(UsageError, match="lpips-alex is a network for scores alone: pass one of vgg16, hed, vgg19"):
        load_backbone(**options)


@pytest.mark.parametrize("pooling", ["average", "max"])
@pytest.mark.parametrize("padding", ["zeros", "replicate"])
def test_a_backbone_hands_its_options_on(monkeypatch, narrow_weights, pooling, padding):
    weights, x = narrow_weights(), torch.rand(1, 3, 16, 17)
    monkeypatch.setattr(module, "load_weights", lambda *_arguments, **_options: weights)
    options = {"pooling": pooling, "padding": padding}
    backbone = load_backbone("vgg16", content_layers=["conv2_1"], style_layers=["relu1_1", "conv2_1"], **options)
    assert (backbone.content_layers, backbone.style_layers) == (("conv2_1",), ("relu1_1", "conv2_1"))
    found, expected = backbone(x), VGG(weights, ["relu1_1", "conv2_1"], pooling, padding)(x)
    assert set(found) == set(expected)
    for layer, value in expected.items():
        assert torch.equal(found[layer], value)


def test_weights_of_the_other_architecture(tmp_path, narrow_weights):
    """A whole VGG-19 in a file, asked for as a VGG-16."""
    with torch.device("meta"):
        shapes = {k: v.shape for k, v in torchvision.models.vgg19().features[:18].state_dict().items()}
    tensors = {f"features.{name}": torch.zeros(shape) for name, shape in shapes.items()}
    torch.save(tensors, tmp_path / "other.pth")
    with pytest.raises(UsageError, match="are those of vgg19, but --backbone is vgg16: pass --backbone vgg19"):
        load_backbone(
            "vgg16", weights=str(tmp_path / "other.pth"), style_layers=["relu1_1"], content_layers=["relu1_1"]
        )


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_half_precision_is_near_and_its_features_are_of_the_pictures_kind(narrow_weights, pooling):
    layers = ("relu1_1", "relu2_1", "relu3_1")
    weights, x = narrow_weights(), torch.rand(1, 3, 40, 56)
    whole, half = (VGG(weights, layers, pooling, half=half) for half in (False, True))
    near = x.clone().requires_grad_()
    found, expected = half(near), whole(x)
    for layer in layers:
        assert found[layer].dtype == torch.float32
        error = (found[layer] - expected[layer]).abs().max() / expected[layer].abs().max()
        assert 0 < error < 0.03, layer
    (gradient,) = torch.autograd.grad(found["relu3_1"].square().mean(), near)
    assert gradient.dtype == torch.float32
    assert gradient.isfinite().all()


def test_only_a_cpu_with_the_instructions_computes_in_half(monkeypatch):
    for there in (True, False):
        monkeypatch.setattr("torch.cpu.get_capabilities", lambda there=there: {"avx512_bf16": there})
        assert computes_half("cpu") == there
        assert not computes_half("cuda")
    monkeypatch.setattr("torch.cpu.get_capabilities", dict)
    assert not computes_half("cpu")

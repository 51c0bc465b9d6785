"""Weights from files of one's own in every layout, and the real networks."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import safetensors.torch
import torch
from helpers import numbered, vgg_tensors

from photostyle.errors import UsageError, WeightsError
from photostyle.networks import convert, registry, weights
from photostyle.networks.weights import load_weights, read_state_dict


def one_line(caught: pytest.ExceptionInfo[WeightsError], *words: str) -> None:
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message


@pytest.fixture
def tiny() -> dict[str, torch.Tensor]:
    return vgg_tensors("vgg16", 2)


SIDES = (64, 128, 256, 512, 512)  # channels that HED's side outputs read
GOLDEN = {
    "vgg16": {"conv1_1.weight": -0.55373061, "conv1_1.bias": 0.40338799, "conv5_3.weight": 0.027768215},
    "hed": {"conv1_1.weight": 0.38976404, "conv1_1.bias": 0.69987339, "conv5_3.weight": -0.00074803},
    "lpips-alex": {"conv1.weight": 0.11863963, "conv1.bias": -0.97054595, "lin5.weight": 0.19301726},
}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_real_networks(name):
    loaded, model = load_weights(name), registry.MODELS[name]
    assert (loaded.name, loaded.architecture) == (name, model.architecture)
    assert loaded.preprocessing is registry.PREPROCESSINGS["caffe" if name == "hed" else "torchvision"]
    assert hashlib.sha256(Path(loaded.origin).read_bytes()).hexdigest() == loaded.sha256 == model.member.sha256
    assert convert.content_sha256(loaded.tensors) == model.content_sha256
    if model.architecture == "vgg16":
        expected = {k: v.shape for k, v in vgg_tensors("vgg16").items()}
        expected |= {f"hed.side{k}.weight": (1, c, 1, 1) for k, c in enumerate(SIDES, 1)} if name == "hed" else {}
        expected |= {f"hed.side{k}.bias": (1,) for k in range(1, 6)} if name == "hed" else {}
        expected |= {"hed.fuse.weight": (1, 5, 1, 1), "hed.fuse.bias": (1,)} if name == "hed" else {}
    else:
        shapes = [(64, 3, 11, 11), (192, 64, 5, 5), (384, 192, 3, 3), (256, 384, 3, 3), (256, 256, 3, 3)]
        expected = {f"conv{k}.weight": shape for k, shape in enumerate(shapes, 1)}
        expected |= {f"conv{k}.bias": shape[:1] for k, shape in enumerate(shapes, 1)}
        expected |= {f"lin{k}.weight": shape[:1] for k, shape in enumerate(shapes, 1)}
        assert min(float(loaded.tensors[f"lin{k}.weight"].min()) for k in range(1, 6)) >= 0, "as LPIPS has them"
    assert {k: tuple(v.shape) for k, v in loaded.tensors.items()} == {k: tuple(v) for k, v in expected.items()}
    assert all(t.dtype == torch.float32 for t in loaded.tensors.values())
    for tensor, value in GOLDEN[name].items():
        assert loaded.tensors[tensor].flatten()[0].item() == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("architecture", ["vgg16", "vgg19"])
@pytest.mark.parametrize("layout", ["named", "numbered", "state_dict", "model", "module", "legacy"])
def test_every_layout_of_a_pth_file(tmp_path, architecture, layout):
    tensors = vgg_tensors(architecture, 8)  # the eighth is conv4_1 or conv3_4: here they part
    saved = tensors if layout == "named" else numbered(tensors, architecture)
    if layout == "module":
        saved = {f"module.{k}": v for k, v in saved.items()}
    if layout in ("state_dict", "model"):
        saved = {layout: saved, "epoch": 3}
    path = tmp_path / "mine.pth"
    torch.save(saved, path, _use_new_zipfile_serialization=layout != "legacy")
    loaded = load_weights(str(path))
    assert loaded.architecture == architecture
    assert loaded.preprocessing is registry.PREPROCESSINGS["torchvision"]
    assert list(loaded.tensors) == list(tensors)
    assert all(torch.equal(loaded.tensors[k], v) for k, v in tensors.items())
    assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_classifier_and_half_precision_are_taken(tmp_path, tiny):
    path = tmp_path / "half.pt"
    saved = {k: v.half() for k, v in numbered(tiny, "vgg16").items()}
    torch.save({**saved, "classifier.0.weight": torch.zeros(2, 2)}, path)
    loaded = load_weights(path)
    assert list(loaded.tensors) == list(tiny)
    assert all(t.dtype == torch.float32 for t in loaded.tensors.values())
    assert "classifier.0.weight" in read_state_dict(path)[0]


def test_preprocessing_argument_then_metadata_then_torchvision(tmp_path, tiny):
    path = tmp_path / "mine.safetensors"
    safetensors.torch.save_file(tiny, path)
    assert load_weights(path).preprocessing.order == "rgb"
    safetensors.torch.save_file(tiny, path, metadata={"preprocessing": "caffe"})
    assert load_weights(path).preprocessing.order == "bgr"
    assert load_weights(path, preprocessing="torchvision").preprocessing.order == "rgb"
    safetensors.torch.save_file(tiny, path, metadata={"preprocessing": "odd"})
    with pytest.raises(WeightsError, match="names the preprocessing 'odd', known are caffe, torchvision"):
        load_weights(path)
    with pytest.raises(UsageError, match="unknown preprocessing 'odd'"):
        load_weights(path, preprocessing="odd")


def test_a_cut_vgg19_of_ours_stays_a_vgg19(tmp_path, tiny):
    path = tmp_path / "cut.safetensors"
    safetensors.torch.save_file(tiny, path, metadata={"architecture": "vgg19"})
    assert load_weights(path).architecture == "vgg19"


def test_every_flipped_byte_of_a_file_with_a_content_hash_is_found(tmp_path, tiny):
    """As earlier versions wrote them into the cache."""
    path = tmp_path / "ours.safetensors"
    digest = convert.content_sha256(tiny)
    safetensors.torch.save_file(tiny, path, metadata={"content_sha256": digest, "preprocessing": "caffe"})
    assert load_weights(path).preprocessing.order == "bgr"
    data = path.read_bytes()
    for position in range(len(data) - 500, len(data), 97):
        path.write_bytes(data[:position] + bytes([data[position] ^ 4]) + data[position + 1 :])
        with pytest.raises(WeightsError, match="altered"):
            load_weights(path)


def test_the_content_hash_tells_names_types_shapes_and_numbers_but_no_order(tiny):
    first = convert.content_sha256(tiny)
    assert convert.content_sha256(dict(reversed(tiny.items()))) == first
    bias = tiny["conv1_1.bias"]
    others = [bias.half(), bias.reshape(8, 8), bias + 1]
    found = {convert.content_sha256({**tiny, "conv1_1.bias": other}) for other in others}
    found.add(convert.content_sha256({k.replace("1_2", "1_3"): v for k, v in tiny.items()}))
    assert len(found | {first}) == 5


def test_hash_in_the_file_name_is_checked(tmp_path, tiny):
    plain = tmp_path / "net.pth"
    torch.save(tiny, plain)
    digest = hashlib.sha256(plain.read_bytes()).hexdigest()
    good, bad = tmp_path / f"net-{digest[:8]}.pth", tmp_path / "net-01234567.pth"
    for path in (good, bad):
        path.write_bytes(plain.read_bytes())
    assert load_weights(good).sha256 == digest
    with pytest.raises(WeightsError) as caught:
        load_weights(bad)
    one_line(caught, "altered", digest, "01234567")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("damage", ["missing", "folder", "empty", "cut", "noise"])
def test_damaged_files(tmp_path, tiny, suffix, damage):
    path = tmp_path / f"net{suffix}"
    torch.save(tiny, path) if suffix == ".pth" else safetensors.torch.save_file(tiny, path)
    data = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        path.write_bytes({"empty": b"", "cut": data[: len(data) // 2], "noise": b"\x93noise" * 50}[damage])
    word = {"missing": "does not exist", "folder": "is a folder", "empty": "is empty"}.get(damage, "")
    with pytest.raises(WeightsError) as caught:
        load_weights(str(path))
    one_line(caught, str(path), word)


def test_flipped_byte_in_a_pth_archive_is_found_by_its_checksum(tmp_path, tiny):
    path = tmp_path / "net.pth"
    torch.save(tiny, path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=r"altered .the checksum of"):
        load_weights(path)


def test_a_pickle_with_code_is_never_run(tmp_path):
    path = tmp_path / "whole.pth"
    torch.save(torch.nn.Conv2d(3, 3, 3), path)
    with pytest.raises(WeightsError, match=r"never run.*save model.state_dict\(\)"):
        load_weights(path)
    torch.save([1, 2], path)
    with pytest.raises(WeightsError, match=r"no tensors by name \(found list\)"):
        load_weights(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite(tmp_path, tiny, value):
    path = tmp_path / "net.safetensors"
    tiny["conv1_2.bias"][3] = value
    safetensors.torch.save_file(tiny, path)
    with pytest.raises(WeightsError, match=r"conv1_2.bias holds NaN or infinite"):
        load_weights(path)


def test_networks_that_are_no_vgg(tmp_path, tiny):
    path = tmp_path / "net.safetensors"
    cases = {
        "the names 'fc.weight'": {"fc.weight": torch.zeros(2)},
        "conv1_2.bias of shape (63,) where (64,)": {**tiny, "conv1_2.bias": torch.zeros(63)},
        "the layers": {k: v for k, v in tiny.items() if k != "conv1_1.bias"},
        "'conv1_2.weight'": {k: v for k, v in tiny.items() if "1_2" in k},
        "'features.1.weight'": {**numbered(tiny, "vgg16"), "features.1.weight": torch.zeros(64)},
        "torch.int32": {**tiny, "conv1_1.bias": torch.zeros(64, dtype=torch.int32)},
    }
    for found, tensors in cases.items():
        safetensors.torch.save_file(tensors, path)
        with pytest.raises(WeightsError) as caught:
            load_weights(path)
        one_line(caught, str(path), found)


def test_read_state_dict_of_any_network(tmp_path):
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    path = tmp_path / "any.pth"
    torch.save(network.state_dict(), path)
    tensors, metadata, sha256 = read_state_dict(path)
    assert metadata == {}
    assert list(tensors) == list(network.state_dict())
    assert len(sha256) == 64
    with pytest.raises(WeightsError, match=r"no weights file: expected the suffix .safetensors, .pth, .pt"):
        read_state_dict(tmp_path / "any.onnx")


def test_unknown_name_and_list():
    with pytest.raises(UsageError, match=r"unknown model 'vgg'.*vgg16, hed, lpips-alex, vgg19"):
        load_weights("vgg")
    load_weights("vgg16")
    states = {status.name: status for status in weights.list_models()}
    assert list(states) == ["vgg16", "hed", "lpips-alex", "vgg19"]
    assert states["vgg16"].state == "ready"

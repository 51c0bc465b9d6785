"""Weights from files of one's own in every layout, and the real vgg16."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import safetensors.torch
import torch

from photostyle.errors import UsageError, WeightsError
from photostyle.features import convert, registry, weights
from photostyle.features.weights import load_weights, read_state_dict

CHANNELS = (3, 64, 128, 256, 512, 512)


def vgg_tensors(architecture: str, count: int | None = None) -> dict[str, torch.Tensor]:
    """The first convolutions of a VGG in this package's names, cheap numbers that differ by layer."""
    tensors, inputs = {}, 3
    for k, layer in enumerate(registry.layer_names(architecture)[:count]):
        outputs = CHANNELS[int(layer[4])]
        tensors[f"{layer}.weight"] = torch.full((outputs, inputs, 3, 3), 0.5 + k)
        tensors[f"{layer}.bias"] = torch.arange(outputs, dtype=torch.float32)
        inputs = outputs
    return tensors


def numbered(tensors: dict[str, torch.Tensor], architecture: str) -> dict[str, torch.Tensor]:
    """The same in torchvision's names, by torchvision's own layer list."""
    import torchvision

    with torch.device("meta"):
        network = getattr(torchvision.models, architecture)()
    indices = [i for i, m in enumerate(network.features) if isinstance(m, torch.nn.Conv2d)]
    names = dict(zip(registry.layer_names(architecture), indices, strict=True))
    return {f"features.{names[k[:7]]}{k[7:]}": v for k, v in tensors.items()}


def one_line(caught: pytest.ExceptionInfo[WeightsError], *words: str) -> None:
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message


@pytest.fixture
def tiny() -> dict[str, torch.Tensor]:
    return vgg_tensors("vgg16", 2)


def test_the_real_vgg16():
    loaded = load_weights("vgg16")
    assert (loaded.name, loaded.architecture) == ("vgg16", "vgg16")
    assert loaded.preprocessing is registry.PREPROCESSINGS["caffe"]
    assert loaded.sha256 == registry.load_registry()["vgg16"].sha256
    assert hashlib.sha256(Path(loaded.origin).read_bytes()).hexdigest() == loaded.sha256
    expected = {k: v.shape for k, v in vgg_tensors("vgg16").items()}
    found = {k: v.shape for k, v in loaded.tensors.items() if not k.startswith("hed.")}
    assert found == expected
    assert loaded.tensors["hed.side3.weight"].shape == (1, 256, 1, 1)
    assert loaded.tensors["hed.fuse.weight"].shape == (1, 5, 1, 1)
    assert len(loaded.tensors) == 2 * (13 + 6)
    assert all(t.dtype == torch.float32 for t in loaded.tensors.values())
    golden = {"conv1_1.weight": 0.38976404, "conv1_1.bias": 0.69987339, "conv5_3.weight": -0.00074803}
    for name, value in golden.items():
        assert loaded.tensors[name].flatten()[0].item() == pytest.approx(value, rel=1e-5)


def test_the_real_vgg16_by_its_path_and_with_a_flipped_byte(tmp_path):
    source = Path(load_weights("vgg16").origin)
    copy = tmp_path / "copy.safetensors"
    data = bytearray(source.read_bytes())
    data[-1000] ^= 1
    copy.write_bytes(data)
    by_path = load_weights(str(source))
    assert by_path.name == str(source)
    assert by_path.preprocessing.order == "bgr"  # from the metadata
    with pytest.raises(WeightsError) as caught:
        load_weights(str(copy))
    one_line(caught, str(copy), "altered", "content hash")


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
    convert.write_safetensors(path, tiny, {"architecture": "vgg19"})
    assert load_weights(path).architecture == "vgg19"


def test_our_file_is_the_same_to_the_byte_and_safetensors_reads_it(tmp_path, tiny):
    metadata = {"b": "2", "a": "1", "é": "ü"}
    first = convert.write_safetensors(tmp_path / "1.safetensors", tiny, metadata)
    backwards = dict(reversed(tiny.items()))
    second = convert.write_safetensors(tmp_path / "2.safetensors", backwards, dict(reversed(metadata.items())))
    assert first == second == hashlib.sha256((tmp_path / "1.safetensors").read_bytes()).hexdigest()
    with safetensors.safe_open(tmp_path / "1.safetensors", "pt") as file:
        assert file.metadata()["é"] == "ü"
        assert all(torch.equal(file.get_tensor(k), v) for k, v in tiny.items())


def test_every_flipped_byte_of_our_tensors_is_found(tmp_path, tiny):
    path = tmp_path / "ours.safetensors"
    convert.write_safetensors(path, tiny, {})
    data = path.read_bytes()
    for position in range(len(data) - 500, len(data), 97):
        path.write_bytes(data[:position] + bytes([data[position] ^ 4]) + data[position + 1 :])
        with pytest.raises(WeightsError, match="altered"):
            load_weights(path)


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
    tensors, sha256 = read_state_dict(path)
    assert list(tensors) == list(network.state_dict())
    assert len(sha256) == 64
    with pytest.raises(WeightsError, match=r"no weights file: expected the suffix .safetensors, .pth, .pt"):
        read_state_dict(tmp_path / "any.onnx")


def test_unknown_name_and_list():
    with pytest.raises(UsageError, match=r"unknown model 'vgg'.*vgg16, vgg19"):
        load_weights("vgg")
    load_weights("vgg16")
    states = {status.name: status for status in weights.list_models()}
    assert list(states) == ["vgg16", "vgg19"]
    assert states["vgg16"].state == "ready"

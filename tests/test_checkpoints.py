"""Segmenters from a row of the registry, a folder of smp's, a file, and the hub; and all that is none."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import numpy as np
import pytest
import segmenters
import torch
from helpers import picture
from safetensors.torch import save_file

from photostyle.errors import UsageError, WeightsError
from photostyle.networks import registry
from photostyle.regions.segmentation import SEGMENTERS, Segmenter
from photostyle.regions.segmentation.checkpoints import identify, load_network
from photostyle.regions.segmentation.entries import read_label_table

LABELS = ("sky", "wall", "sea")


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A toy that is added by one row of the registry and one file."""
    path = segmenters.file(tmp_path / "toy.safetensors", LABELS)
    segmenters.register(path, "toy", LABELS, monkeypatch)
    return path


def test_a_segmenter_is_added_by_one_row_and_one_file(toy):
    assert list(SEGMENTERS) == ["toy"]
    network = load_network("toy")
    assert network.labels == LABELS
    probabilities = network.probabilities(picture(64, 48))
    assert probabilities.shape == (3, 64, 96)  # 96 px on the longest side, multiples of the stride
    np.testing.assert_allclose(probabilities.sum(0), 1, atol=1e-5)
    found = Segmenter("toy")(_picture(64, 48))
    assert set(found.masks.labels) <= set(LABELS)
    assert found.labels == LABELS


def _picture(width, height):
    from photostyle.images import read_picture

    return read_picture(picture(width, height))


def test_every_row_is_sound_and_has_a_card_and_the_packaged_file_is_small():
    assert list(SEGMENTERS) == ["outdoor", "ade20k"]
    for entry in SEGMENTERS.values():
        card = (registry.models_folder() / f"{entry.name}.md").read_text(encoding="utf-8")
        for word in (*entry.table.labels, "Known limits", entry.licence.split()[0]):
            assert word in card, f"{entry.name}.md lacks {word}"
    assert SEGMENTERS["outdoor"].file.stat().st_size <= 25e6
    assert SEGMENTERS["outdoor"].sha256 in (registry.models_folder() / "outdoor.md").read_text(encoding="utf-8")
    assert SEGMENTERS["ade20k"].repository


def test_ade20k_merges_150_classes_to_the_labels_of_the_packaged_one():
    table = SEGMENTERS["ade20k"].table
    assert table.labels == SEGMENTERS["outdoor"].table.labels
    assert len(table.classes) == 150
    merge = table.merge()
    assert merge.shape == (10, 150)
    np.testing.assert_array_equal(merge.sum(0), 1)
    by_class = dict(table.classes)
    assert [name for name, _ in table.classes][:7] == ["wall", "building", "sky", "floor", "tree", "ceiling", "road"]
    assert {by_class[name] for name in ("wall", "floor", "ceiling", "bed")} == {"object"}  # a room is no scene
    assert (by_class["sea"], by_class["grass"], by_class["house"], by_class["lamp"]) == (
        "water",
        "vegetation",
        "building",
        "object",
    )


def test_a_folder_of_smp_with_a_table(tmp_path):
    folder = segmenters.folder(tmp_path / "mine", ["sea", "sky", "sky"])
    network = load_network(str(folder))
    assert network.labels == ("sea", "sky")
    x = picture(48, 48)
    probabilities = network.probabilities(x)
    with torch.inference_mode():
        plain = torch.zeros(3, 512, 512)
        for longest in (512, 366):  # the second is rounded to 352
            t = network._input(x, longest)
            soft = [segmenters.network(3)(t).softmax(1), segmenters.network(3)(t.flip(3)).softmax(1).flip(3)]
            plain += torch.nn.functional.interpolate(sum(soft), (512, 512), mode="bilinear")[0] / 4
    np.testing.assert_allclose(probabilities, torch.stack([plain[0], plain[1] + plain[2]]), atol=1e-4)


def test_the_table_may_say_size_and_preprocessing(tmp_path):
    table = 'labels = ["a"]\nlongest = 64\npreprocessing = "half"\n[classes]\nx = "a"\ny = "a"\n'
    network = load_network(str(segmenters.folder(tmp_path / "mine", ["a", "b"], table)))
    assert (network.longest, network.preprocessing.mean) == (64, (0.5, 0.5, 0.5))
    assert network.probabilities(picture(64, 48)).shape == (1, 64, 64)


def test_a_file_of_the_training_script(tmp_path):
    path = segmenters.file(tmp_path / "mine.safetensors", LABELS)
    assert load_network(str(path)).labels == LABELS


COMMITS = ("0123456789abcdef0123456789abcdef01234567", "f" * 40)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The hub's cache with a tiny model in the same format, and what was asked of the hub."""
    monkeypatch.setenv("PHOTOSTYLE_HOME", str(tmp_path / "home"))
    folder = tmp_path / "snapshots" / COMMITS[0]
    segmenters.network(150).save_pretrained(str(folder))
    asked = []

    def cached(repository, file, revision):
        asked.append((repository, file, revision))
        return str(folder / file)

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", cached)
    return SimpleNamespace(folder=folder, asked=asked, repository=SEGMENTERS["ade20k"].repository)


def test_the_hub_through_smp(hub):
    """And a hub that is out of reach."""
    network = load_network("ade20k", offline=True)
    assert network.merge.shape == (10, len(SEGMENTERS["ade20k"].table.classes))
    assert network.probabilities(picture(64, 48)).shape[0] == 10


def test_the_hub_is_fetched_from_where_the_cache_lacks_it(hub, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: None)

    def download(repository, file, revision):
        hub.asked.append((repository, file, revision))
        return hub.folder / file

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    told = []
    load_network("ade20k", callback=told.append)
    assert hub.asked == [(hub.repository, "config.json", None), (hub.repository, "model.safetensors", None)]
    assert [event.kind for event in told] == ["wait", "note", "note"]
    assert hub.repository in told[0].text


def test_the_hub_s_commit_and_hash_are_kept_from_the_first_use_on(hub, tmp_path):
    told = []
    load_network("ade20k", callback=told.append)
    digest = hashlib.sha256((hub.folder / "model.safetensors").read_bytes()).hexdigest()
    key = f"{hub.repository}/model.safetensors"
    pins = json.loads((tmp_path / "home" / "pins.json").read_text())
    assert pins == {key: digest, f"commit of {key}": COMMITS[0]}
    assert f"first use of {key}: from now on it must have the SHA-256 {digest}" in [event.text for event in told]
    hub.asked.clear()
    told.clear()
    load_network("ade20k", callback=told.append)
    assert [revision for _, _, revision in hub.asked] == [COMMITS[0]] * 2
    assert told == []
    segmenters.network(150, seed=1).save_pretrained(str(hub.folder))
    with pytest.raises(WeightsError, match=rf"on first use it had {digest}: delete the file .*pins.json") as caught:
        load_network("ade20k")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("how", ["option", "environment"])
def test_the_hub_offline(monkeypatch, how):
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: None)
    if how == "environment":
        monkeypatch.setenv("PHOTOSTYLE_OFFLINE", "1")
    with pytest.raises(WeightsError, match=r"not in the hub's cache and photostyle is offline.*--segmenter outdoor"):
        load_network("ade20k", offline=how == "option")


def test_the_hub_out_of_reach(monkeypatch):
    def fail(*_, **__):
        raise OSError("no route\nto host")

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: None)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    with pytest.raises(WeightsError, match=r"can't fetch segmenter ade20k .*no route to host.*check the network") as e:
        load_network("ade20k")
    assert "\n" not in str(e.value)


class Bomb:
    """What a hostile pickle does when it is opened."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["evil.pth", "evil.pt", "evil.safetensors", "folder"])
def test_a_hostile_pickle_is_never_opened(tmp_path, name):
    fuse = tmp_path / "exploded"
    data = pickle.dumps(Bomb(fuse))
    path = tmp_path / name
    if name == "folder":
        segmenters.folder(path, LABELS)
        (path / "model.safetensors").unlink()
        (path / "pytorch_model.bin").write_bytes(data)
    else:
        path.write_bytes(data)
    with pytest.raises(WeightsError, match="save_pretrained"):
        load_network(str(path))
    assert not fuse.exists()
    pickle.loads(data)
    assert fuse.exists()  # it would have


def wrong_cases():
    def other_network(folder):
        return segmenters.file(folder / "x.safetensors", LABELS, architecture="FPN")

    def unknown_encoder(folder):
        return segmenters.file(folder / "x.safetensors", LABELS, encoder="resnet19")

    def other_count(folder):
        return segmenters.file(folder / "x.safetensors", LABELS, labels='["a", "b"]')

    def no_labels(folder):
        return segmenters.file(folder / "x.safetensors", LABELS, labels=None)

    def bad_labels(folder):
        return segmenters.file(folder / "x.safetensors", LABELS, labels='["a", "a", "b"]')

    def bad_size(folder):
        return segmenters.file(folder / "x.safetensors", LABELS, longest="9")

    def bad_preprocessing(folder):
        return segmenters.file(folder / "x.safetensors", LABELS, preprocessing="none")

    def cut_off(folder):
        path = segmenters.file(folder / "x.safetensors", LABELS)
        path.write_bytes(path.read_bytes()[:-100])
        return path

    def backbone(folder):
        save_file({"conv1_1.weight": torch.zeros(2)}, folder / "x.safetensors")
        return folder / "x.safetensors"

    def no_table(folder):
        (path := segmenters.folder(folder / "x", LABELS)).joinpath("labels.toml").unlink()
        return path

    def short_table(folder):
        return segmenters.folder(folder / "x", LABELS, 'labels = ["a"]\n[classes]\nx = "a"\n')

    def stray_label(folder):
        return segmenters.folder(folder / "x", LABELS, 'labels = ["a"]\n[classes]\nx = "b"\n')

    def no_classes(folder):
        return segmenters.folder(folder / "x", LABELS, 'labels = ["a"]\n')

    def no_toml(folder):
        return segmenters.folder(folder / "x", LABELS, "labels = [")

    def no_config(folder):
        (path := segmenters.folder(folder / "x", LABELS)).joinpath("config.json").unlink()
        return path

    def other_config(folder):
        (path := segmenters.folder(folder / "x", LABELS)).joinpath("config.json").write_text('{"model_type": "bert"}')
        return path

    def other_channels(folder):
        path = segmenters.folder(folder / "x", LABELS)
        segmenters.network(3, channels=4).save_pretrained(str(path))
        assert json.loads((path / "config.json").read_text())["in_channels"] == 4
        return path

    def from_a_hub(folder):
        return segmenters.file(folder / "x.safetensors", LABELS, encoder="tu-hf-hub:some/one")

    def unhashable(folder):
        table = 'labels = ["a"]\npreprocessing = ["half"]\n[classes]\nx = "a"\n'
        return segmenters.folder(folder / "x", LABELS, table)

    def not_finite(folder):
        path = segmenters.file(folder / "y.safetensors", LABELS)
        from safetensors.torch import load_file

        tensors = {key: t * float("nan") if t.is_floating_point() else t for key, t in load_file(path).items()}
        from safetensors import safe_open

        with safe_open(path, "pt") as old:
            save_file(tensors, folder / "x.safetensors", metadata=old.metadata())
        return folder / "x.safetensors"

    return [
        (other_network, "of the wrong kind: .* tensors are missing"),
        (unknown_encoder, "can't build 'Linknet' with the encoder 'resnet19'"),
        (other_count, "of the wrong kind: .* have another shape"),
        (no_labels, "doesn't say what it is .*expected: architecture, encoder, labels"),
        (bad_labels, "labels holds 3 names, but must be 64 different ones"),
        (bad_size, "the longest side 9; allowed are .*32 to 4096"),
        (bad_preprocessing, "the preprocessing 'none'"),
        (cut_off, "is no sound safetensors file"),
        (backbone, "doesn't say what it is"),
        (no_table, "has no labels.toml, which says what its classes mean"),
        (short_table, "has 3 classes, but its table lists 1"),
        (stray_label, "class 'x' has the label 'b'"),
        (no_classes, r"no \[classes\] found"),
        (no_toml, "is not valid TOML"),
        (no_config, "has no config.json"),
        (other_config, "is no checkpoint of segmentation-models-pytorch"),
        (other_channels, "can't look at RGB pictures of 512×512"),
        (from_a_hub, "names a place, but only encoders that smp brings"),
        (unhashable, r"the preprocessing \['half'\]"),
        (not_finite, "gives NaN or infinite numbers"),
    ]


@pytest.mark.parametrize(("make", "words"), wrong_cases(), ids=lambda v: getattr(v, "__name__", ""))
def test_checkpoints_of_the_wrong_kind(tmp_path, make, words):
    path = make(tmp_path)
    with pytest.raises(WeightsError, match=words) as error:
        load_network(str(path)).probabilities(picture(32, 32))
    assert "\n" not in str(error.value)


def test_an_altered_packaged_file(toy):
    toy.write_bytes(toy.read_bytes()[:-4] + b"abcd")
    with pytest.raises(WeightsError, match=r"altered or cut off .*install photostyle again"):
        load_network("toy")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("outdor", "must be one of outdoor, ade20k, or the PATH"),
        ("nowhere/model", "there is no such file or folder"),
        ("x.safetensors", "there is no such file or folder"),
        ("~nobody-of-this-name/x", "is no path|no such file"),
        ("x" * 300, "is no path"),
    ],
)
def test_unknown_names(name, words):
    for function in (identify, load_network):
        with pytest.raises(UsageError, match=words):
            function(name)


def test_a_registered_name_goes_before_a_folder_of_the_same_name(tmp_path, monkeypatch):
    before = identify("outdoor")
    (tmp_path / "outdoor").mkdir()
    monkeypatch.chdir(tmp_path)
    assert identify("outdoor") == before


def test_the_identity_changes_with_weights_and_table(tmp_path, toy):
    first = segmenters.file(tmp_path / "a.safetensors", LABELS)
    second = segmenters.file(tmp_path / "b.safetensors", LABELS[::-1])
    folder = segmenters.folder(tmp_path / "c", LABELS)
    found = [identify(str(first)), identify(str(second)), identify(str(folder)), identify("toy")]
    (folder / "labels.toml").write_text(json.dumps("other"))
    found.append(identify(str(folder)))
    assert len(set(found)) == 5
    assert identify(str(first)) == found[0]


def test_a_table_that_can_not_be_read(tmp_path):
    with pytest.raises(WeightsError, match="can't read"):
        read_label_table(tmp_path / "nothing.toml")
    path = segmenters.file(tmp_path / "a.safetensors", LABELS)
    if os.geteuid():
        path.chmod(0)
        with pytest.raises(WeightsError, match="can't read segmenter"):
            load_network(str(path))

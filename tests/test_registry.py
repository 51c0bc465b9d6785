"""The registry: every row complete, with a card that names its hashes, licence and limits."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from photostyle.errors import UsageError
from photostyle.networks import registry
from photostyle.networks.registry import BACKBONES, MODELS, PREPROCESSINGS

DIGEST = re.compile(r"[0-9a-f]{64}")


def digests(model):
    """All full hashes of a row."""
    own = [model.member.archive.sha256, model.member.sha256] if model.member else []
    return own + ([model.content_sha256] if model.content_sha256 else [])


@pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))
def test_a_row_is_complete(model):
    assert MODELS[model.name] is model
    assert len(registry.layer_names(model.architecture)) in (5, 13, 16)
    assert model.preprocessing in PREPROCESSINGS
    assert all(text.strip() for text in (model.licence, model.description))
    assert model.member or model.hub
    assert model.size > 1e6
    assert all(DIGEST.fullmatch(digest) for digest in digests(model))
    if model.member:
        archive = model.member.archive
        assert archive.size > 1e6
        assert archive.requirement.split("==")[1] in archive.file
        assert model.member.file == model.member.path.rsplit("/", 1)[1]
        assert model.content_sha256, "a second source, or another conversion, must give the same tensors"


@pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))
def test_a_card_states_hashes_and_licence(model):
    card = (registry.models_folder() / f"{model.name}.md").read_text(encoding="utf-8")
    words = [*digests(model), model.preprocessing, f"{model.size:,}", "Known limits"]
    words += [word for word in re.split(r"[ ,]+", model.licence) if "-" in word or word.isupper()]
    words += [model.hub.file] if model.hub else []
    for word in words:
        assert word in card, f"{model.name}.md lacks {word}"


def test_the_names():
    assert list(MODELS) == ["vgg16", "hed", "lpips-alex", "vgg19"]
    assert BACKBONES == ("vgg16", "hed", "vgg19")
    files = [model.member.file for model in MODELS.values() if model.member]
    assert len(set(files)) == len(files), "two networks can't share a name in the cache"


def test_layer_names_and_counts():
    assert registry.layer_names("vgg16")[4:8] == ("conv3_1", "conv3_2", "conv3_3", "conv4_1")
    assert [len(registry.layer_names(a)) for a in ("vgg16", "vgg19")] == [13, 16]
    assert registry.layer_names("alexnet") == ("conv1", "conv2", "conv3", "conv4", "conv5")


def test_preprocessings():
    caffe, torchvision = PREPROCESSINGS["caffe"], PREPROCESSINGS["torchvision"]
    assert (caffe.order, caffe.scale, caffe.std) == ("bgr", 255.0, (1.0, 1.0, 1.0))
    assert caffe.mean == (104.00699, 116.66877, 122.67892)
    assert (torchvision.order, torchvision.scale, torchvision.mean[0]) == ("rgb", 1.0, 0.485)


@pytest.mark.parametrize("name", ["vgg16", "vgg19"])
def test_torchvision_s_files_are_torchvision_s_own(name):
    import torchvision

    hub = MODELS[name].hub
    weights = torchvision.models.get_weight(hub.weights)
    assert weights is getattr(torchvision.models, f"{name.upper()}_Weights").IMAGENET1K_V1
    assert weights.url.endswith("/" + hub.file)
    assert hub.size == pytest.approx(weights.meta["_file_size"] * 2**20, abs=0.001 * 2**20)


def test_unknown_model_is_a_usage_error_that_lists_the_known():
    with pytest.raises(UsageError, match=r"unknown model 'vgg11'.*vgg16, hed, lpips-alex, vgg19"):
        registry.model_entry("vgg11")


def test_models_folder_prefers_the_installed_one(tmp_path, monkeypatch):
    package = tmp_path / "photostyle"
    (package / "networks").mkdir(parents=True)
    monkeypatch.setattr(registry, "__file__", str(package / "networks" / "registry.py"))
    assert registry.models_folder() == tmp_path / "models"
    (package / "_models").mkdir()
    assert registry.models_folder() == package / "_models"


def test_no_address_of_an_index_is_named():
    files = [*Path(registry.__file__).parent.glob("*.py"), *registry.models_folder().glob("*.*")]
    for file in files:
        if file.suffix in (".py", ".md", ".toml"):
            assert not re.search(r"https?://", file.read_text(encoding="utf-8")), file

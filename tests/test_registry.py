"""The registry's schema, enforced on the real file and on broken ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from photostyle.errors import UsageError, WeightsError
from photostyle.features import registry

REAL = registry.models_folder() / "registry.toml"


@pytest.fixture
def edited(tmp_path, monkeypatch):
    """A function that replaces a text in a copy of the registry and makes the copy the registry."""

    def edit(old: str, new: str) -> None:
        text = REAL.read_text(encoding="utf-8")
        assert old in text
        (tmp_path / "registry.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
        monkeypatch.setattr(registry, "models_folder", lambda: tmp_path)

    return edit


def test_real_registry_has_both_networks_complete():
    models = registry.load_registry()
    assert list(models) == ["vgg16", "vgg19"]
    for name, entry in models.items():
        assert entry.name == name
        assert entry.layers == registry.layer_names(entry.architecture)
        assert entry.preprocessing in registry.PREPROCESSINGS
        assert entry.size > 1e6


def test_layer_names_and_counts():
    assert registry.layer_names("vgg16")[4:8] == ("conv3_1", "conv3_2", "conv3_3", "conv4_1")
    assert [len(registry.layer_names(a)) for a in ("vgg16", "vgg19")] == [13, 16]


def test_model_cards_exist_and_state_hashes_and_licence():
    for entry in registry.load_registry().values():
        card = (registry.models_folder() / entry.card).read_text(encoding="utf-8")
        source = entry.source
        hashes = (
            [source.sha256, source.member_sha256, entry.sha256]
            if isinstance(source, registry.WheelSource)
            else [source.sha256_prefix]
        )
        for text in [*hashes, entry.licence, entry.preprocessing, f"{entry.size:,}", "Known limits"]:
            assert text in card, f"{entry.card} lacks {text}"


def test_preprocessings():
    caffe, torchvision = registry.PREPROCESSINGS["caffe"], registry.PREPROCESSINGS["torchvision"]
    assert (caffe.order, caffe.scale, caffe.std) == ("bgr", 255.0, (1.0, 1.0, 1.0))
    assert caffe.mean == (104.00699, 116.66877, 122.67892)
    assert (torchvision.order, torchvision.scale, torchvision.mean[0]) == ("rgb", 1.0, 0.485)


def test_torchvision_row_is_torchvisions_own():
    import torchvision

    source = registry.load_registry()["vgg19"].source
    weights = torchvision.models.get_weight(source.weights)
    assert weights is torchvision.models.VGG19_Weights.IMAGENET1K_V1
    assert weights.url.endswith("/" + source.file)
    assert f"-{source.sha256_prefix}." in source.file
    assert source.size == pytest.approx(weights.meta["_file_size"] * 2**20, rel=1e-5)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            'architecture = "vgg16"',
            'architecture = "vgg11"',
            ["model.vgg16", "architecture", "vgg11", "vgg19"],
        ),
        ('licence = "MIT"', "", ["model.vgg16", "licence", "nothing"]),
        ('licence = "MIT"', 'licence = " "', ["licence", "not empty"]),
        ('licence = "MIT"', 'licence = "MIT"\ncolour = 1', ["model.vgg16", "colour", "no such field"]),
        ('"conv1_1", "conv1_2",', '"conv1_2",', ["model.vgg16", "layers", "conv1_1"]),
        ('preprocessing = "caffe"', 'preprocessing = "none"', ["preprocessing", "none", "caffe"]),
        ('kind = "wheel"', 'kind = "mail"', ["model.vgg16.source", "kind", "mail"]),
        ("size = 54752911", "size = 0", ["model.vgg16.source", "size", "above 0"]),
        ("size = 54752911", 'size = "big"', ["model.vgg16.source", "size", "int"]),
        ("size = 54752911", "size = true", ["model.vgg16.source", "size", "True"]),
        ('sha256 = "8f22', 'sha256 = "XY', ["model.vgg16.source", "sha256", "64"]),
        ('"dcbb9e9d"', '"dcbb9e"', ["model.vgg19.source", "sha256_prefix", "8"]),
        ('order = "bgr"', 'order = "gbr"', ["preprocessing.caffe", "order", "rgb"]),
        ("std = [1.0, 1.0, 1.0]", "std = [1.0, 0.0, 1.0]", ["preprocessing.caffe", "std", "positive"]),
    ],
)
def test_bad_row_is_named_with_its_field(edited, old, new, words):
    edited(old, new)
    with pytest.raises(WeightsError) as caught:
        registry.load_registry()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_broken_and_missing_registry(edited, tmp_path, monkeypatch):
    edited("[model.vgg16]", "[model.vgg16")
    with pytest.raises(WeightsError, match="not valid TOML"):
        registry.load_registry()
    monkeypatch.setattr(registry, "models_folder", lambda: tmp_path / "nowhere")
    with pytest.raises(WeightsError, match=r"can't read the registry .*install photostyle again"):
        registry.load_registry()
    (tmp_path / "registry.toml").write_text("", encoding="utf-8")
    monkeypatch.setattr(registry, "models_folder", lambda: tmp_path)
    with pytest.raises(WeightsError, match=r"no rows \[preprocessing.NAME\]"):
        registry.load_registry()


def test_unknown_model_is_a_usage_error_that_lists_the_known():
    with pytest.raises(UsageError, match=r"unknown model 'vgg11'.*vgg16, vgg19"):
        registry.model_entry("vgg11")


def test_models_folder_prefers_the_installed_one(tmp_path, monkeypatch):
    package = tmp_path / "photostyle"
    (package / "features").mkdir(parents=True)
    monkeypatch.setattr(registry, "__file__", str(package / "features" / "registry.py"))
    assert registry.models_folder() == tmp_path / "models"
    (package / "_models").mkdir()
    assert registry.models_folder() == package / "_models"


def test_no_address_of_an_index_is_named():
    files = [*Path(registry.__file__).parent.glob("*.py"), *REAL.parent.glob("*.*")]
    for file in files:
        if file.suffix in (".py", ".md", ".toml"):
            assert not re.search(r"https?://", file.read_text(encoding="utf-8")), file

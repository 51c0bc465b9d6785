"""The whole way from a picture to soft masks: on real samples with the packaged network, and on odd pictures."""

from __future__ import annotations

import numpy as np
import pytest
import segmenters
from helpers import SAMPLES, picture
from PIL import Image

import photostyle
from photostyle.images import read_picture, resize
from photostyle.regions.segmentation import Segmenter, cache
from photostyle.regions.segmentation.network import Network
from photostyle.regions.segmentation.trust import judge


@pytest.fixture(scope="module")
def outdoor():
    return Segmenter("outdoor")


def sample(name, longest=384):
    rgb = read_picture(SAMPLES / name).rgb
    scale = longest / max(rgb.shape)
    return read_picture(resize(rgb, (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale))))


def test_the_packaged_network_finds_what_is_in_a_real_photograph(outdoor):
    """Neuschwanstein: against the mask that was drawn by hand."""
    photograph = sample("neuschwansteinCastle.webp")
    found = outdoor(photograph)
    assert found.masks.size == photograph.size
    drawn = photostyle.regions.labelmap.read.read_label_map(
        SAMPLES / "masks" / "neuschwansteinCastle.png", size=photograph.size, picture="x"
    )
    for label, least in (("sky", 0.85), ("building", 0.5)):
        mine = found.masks.masks[found.masks.labels.index(label)] > 0.5
        truth = drawn.masks[drawn.labels.index(label)] > 0.5
        assert (mine & truth).sum() / (mine | truth).sum() > least, label
    assert found.trust.doubt == ""
    assert found.trust.confidence > 0.7


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (31, 31), (64, 48)])
@pytest.mark.parametrize("level", [0.0, 1.0, (0.1, 0.2, 0.9), None])
def test_tiny_black_and_white_pictures(outdoor, size, level):
    rgb = picture(*size) if level is None else np.full((size[1], size[0], 3), level, dtype=np.float32)
    found = outdoor(read_picture(rgb))
    assert found.masks.size == size
    np.testing.assert_allclose(found.masks.masks.sum(0), 1, atol=1e-4)
    assert found.label_map.shape == (size[1], size[0])
    assert 0 <= found.trust.confidence <= 1
    if level is not None:
        assert found.trust.doubt


def test_the_map_is_the_same_every_time(outdoor, monkeypatch):
    """Also when it comes from the cache, and when it is computed anew."""
    photograph = sample("montStMichel.webp", 200)
    first = outdoor(photograph)
    monkeypatch.setattr(cache, "load", lambda _key: None)
    second = Segmenter("outdoor")(photograph)
    np.testing.assert_array_equal(first.masks.masks, second.masks.masks)
    assert first.trust == second.trust


def test_a_second_run_does_not_look_again(monkeypatch, tmp_path):
    path = segmenters.file(tmp_path / "toy.safetensors", ("sky", "wall"))
    looked = []
    plain = Network.probabilities
    monkeypatch.setattr(Network, "probabilities", lambda self, rgb: looked.append(1) or plain(self, rgb))
    rgb = picture(40, 30, seed=5)
    first = photostyle.segment(rgb, segmenter=str(path))
    second = photostyle.segment(rgb, segmenter=str(path))
    assert len(looked) == 1
    np.testing.assert_array_equal(first.masks.masks, second.masks.masks)
    rgb[0, 0] = 0
    photostyle.segment(rgb, segmenter=str(path))
    assert len(looked) == 2


def test_a_registered_segmenter_needs_no_network_for_a_cached_picture(outdoor, monkeypatch):
    photograph = sample("montStMichel.webp", 100)
    first = outdoor(photograph)
    monkeypatch.setattr("photostyle.regions.segmentation.load_network", None)
    second = Segmenter("outdoor")(photograph)
    assert second.labels == first.labels
    np.testing.assert_array_equal(first.masks.masks, second.masks.masks)


@pytest.mark.parametrize("damage", ["text", "pickle", "nan", "folder", "cut off"])
def test_a_damaged_cache_is_not_believed(damage, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "_folder", lambda: tmp_path)
    path = tmp_path / "key.npz"
    if damage == "text":
        path.write_text("no archive")
    elif damage == "pickle":
        np.savez(path, probabilities=np.array([object()]))
    elif damage == "cut off":
        cache.store("key", np.full((3, 40, 40), 1 / 3, np.float32))
        assert cache.load("key") is not None
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif damage == "nan":
        np.savez(path, probabilities=np.full((2, 3, 3), np.nan, np.float16))
    else:
        path.mkdir()
    assert cache.load("key") is None


def test_the_cache_keeps_what_was_used_last(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "_folder", lambda: tmp_path / "new")
    monkeypatch.setattr(cache, "_MOST_FILES", 2)
    one = np.full((1, 2, 2), 0.25, dtype=np.float32)
    import os

    for number, name in enumerate("abc"):
        cache.store(name, one)
        os.utime(tmp_path / "new" / f"{name}.npz", (number, number))
    cache.store("d", one)
    assert {path.stem for path in (tmp_path / "new").iterdir()} == {"c", "d"}
    np.testing.assert_array_equal(cache.load("d"), one)


def test_a_cache_that_can_not_be_written_is_no_failure(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(cache, "_folder", lambda: tmp_path / "file" / "folder")
    cache.store("key", np.ones((1, 1, 1), np.float32))
    assert cache.load("key") is None


def test_doubt():
    """Unsure everywhere; sure, but a portrait; sure, and a landscape; other labels can't be judged by scene."""
    labels = ("sky", "building", "vegetation", "mountain", "water", "ground", "person")

    def judged(winner, certainty, names=labels):
        probabilities = np.full((len(names), 4, 5), (1 - certainty) / (len(names) - 1), dtype=np.float32)
        probabilities[names.index(winner)] = certainty
        masks = photostyle.regions.labels.whole((5, 4), winner)
        return judge(probabilities, masks, names)

    unsure = judged("sky", 0.5)
    assert "only 50% sure" in unsure.doubt
    assert (unsure.confidence, unsure.labels) == (pytest.approx(0.5), {"sky": pytest.approx(0.5)})
    assert "only 0% of it is an outdoor scene" in judged("person", 0.95).doubt
    assert judged("sky", 0.95).doubt == ""
    assert judged("person", 0.95, ("person", "cat")).doubt == ""


def test_reading_is_that_of_every_picture(tmp_path):
    """Grey, CMYK and 16 bits; a file that is no picture is an error of pictures."""
    path = segmenters.file(tmp_path / "toy.safetensors", ("sky", "wall"))
    Image.new("CMYK", (40, 30), (10, 50, 90, 0)).save(tmp_path / "cmyk.jpg")
    Image.new("I;16", (40, 30), 30000).save(tmp_path / "deep.png")
    for name in ("cmyk.jpg", "deep.png"):
        assert photostyle.segment(tmp_path / name, segmenter=str(path)).masks.size == (40, 30)
    (tmp_path / "no.png").write_text("no picture")
    with pytest.raises(photostyle.ImageError):
        photostyle.segment(tmp_path / "no.png", segmenter=str(path))


def test_masks_that_do_not_fit_the_memory(outdoor, monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr("photostyle.regions.segmentation.refine", fail)
    with pytest.raises(photostyle.MemoryLimitError, match=r"64×48.*scale the picture down first"):
        outdoor(read_picture(picture(64, 48, 9)))

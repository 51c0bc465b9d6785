"""What researchers build on: names that stay, examples that run, a loss term of one's own."""

from __future__ import annotations

import doctest
import importlib
import runpy

import numpy as np
import pytest
import torch
from helpers import SAMPLES, image
from PIL import Image

import photostyle
from photostyle.images import read_picture, resize

OF_LOSSES = ["objective.gram", "objective.content", "objective.tv", "objective.gamut", "objective.matting"]


@pytest.mark.parametrize("module", [*OF_LOSSES, "regions.labels"])
def test_examples_run(module):
    found = doctest.testmod(importlib.import_module(f"photostyle.{module}"))
    assert found.attempted > 0
    assert found.failed == 0


def test_every_public_name_is_documented():
    for name in photostyle.__all__:
        assert name.startswith("__") or getattr(photostyle, name).__doc__.strip(), name
    for name in photostyle.losses.__all__:
        assert getattr(photostyle.losses, name).__doc__.strip(), name


def test_an_unknown_name_is_none_of_ours():
    with pytest.raises(AttributeError, match="no attribute 'transform'"):
        photostyle.transform  # noqa: B018


@pytest.mark.slow
def test_a_loss_term_of_ones_own(tmp_path):
    content, style, out = (
        SAMPLES / "neuschwansteinCastle.webp",
        SAMPLES / "starry_night_cropped.jpg",
        tmp_path / "o.png",
    )
    runpy.run_path(str(SAMPLES / "own_loss.py"))["main"](str(content), str(style), str(out), "20")
    with Image.open(out) as opened:
        rgb = np.asarray(opened, dtype=np.float32) / 255
    assert max(rgb.shape) == 256
    plain = resize(read_picture(content).rgb, (256, rgb.shape[0]))
    assert np.abs(rgb - rgb[:, ::-1]).mean() < 0.7 * np.abs(plain - plain[:, ::-1]).mean()


def test_a_result_in_a_notebook(tmp_path):
    options = {"mode": "photo", "solver": "statistics", "regions": "none", "deband": False}
    result = photostyle.transfer(image(64, 48, 1), image(64, 48, 2), **options)
    assert repr(result).startswith("<Result 64×48, photo, ")
    (tmp_path / "a.png").write_bytes(result._repr_png_())
    with Image.open(tmp_path / "a.png") as opened:
        assert opened.size == (64, 48)
    assert result.losses == {}
    assert result.seconds == result.record["seconds"]


def test_a_progress_bar_as_callback(capsys):
    told = photostyle.ProgressBar()
    told(photostyle.Message("two regions"))
    assert capsys.readouterr().err == "two regions\n"
    told(photostyle.Step("style", (64, 48), 1, 2, {"total": 1.0}, 1.0, 1.0))  # drawn on a terminal alone
    assert capsys.readouterr().err == ""


def test_the_losses_are_those_of_the_objective():
    features, mask = torch.rand(3, 5, 7), torch.rand(5, 7)
    rows = features.reshape(3, -1)
    expected = (mask.reshape(-1) * rows) @ rows.T / mask.sum()
    torch.testing.assert_close(photostyle.losses.masked_gram(features, mask), expected)

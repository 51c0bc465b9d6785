"""Grades: maps against the definition, measures, the packaged weights, known looks on real photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.color import deltaE_ciede2000, rgb2lab

import photostyle
from photostyle.colors import grade as module
from photostyle.colors.grade import NUMBERS, color_statistics, graded, maps_of
from photostyle.errors import UsageError, WeightsError
from photostyle.field.grid import apply_maps, field_of
from photostyle.images import read_picture, resize

SAMPLES = Path(__file__).parents[1] / "samples"


def sample(name, longest=200):
    rgb = read_picture(SAMPLES / f"{name}.webp", role="picture").rgb
    return resize(rgb, (longest, round(longest * rgb.shape[0] / rgb.shape[1])))


def faded(x):
    """Lifted blacks, softened lights, less colour, a little warmer."""
    luma = (x @ np.array([0.3, 0.59, 0.11], np.float32))[..., None]
    return np.clip((0.12 + 0.8 * (luma + 0.7 * (x - luma))) * np.array([1.04, 1, 0.92], np.float32), 0, 1)


def dark(x):
    return np.clip(x**1.8 * np.array([0.7, 0.85, 1.1], np.float32), 0, 1).astype(np.float32)


def difference(one, other):
    return float(deltaE_ciede2000(rgb2lab(one), rgb2lab(other)).mean())


@pytest.fixture
def numbers(rng):
    return rng.normal(size=(2, NUMBERS)) * 0.1


def test_no_grade_changes_nothing(rng):
    colors = torch.from_numpy(rng.random((3, 50, 3)))
    torch.testing.assert_close(graded(colors, torch.zeros(3, NUMBERS, dtype=torch.float64)), colors)


def test_each_number_does_what_it_says():
    grey = torch.full((1, 1, 3), 0.5, dtype=torch.float64)
    warm = torch.tensor([[[0.6, 0.5, 0.4]]], dtype=torch.float64)

    def with_number(index, colors):
        return graded(colors, 0.1 * torch.eye(NUMBERS, dtype=torch.float64)[index : index + 1])

    torch.testing.assert_close(with_number(2, grey), grey + 0.1)  # the curve at a luma of one half
    torch.testing.assert_close(with_number(0, grey), grey)  # and at black
    luma = warm @ torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)
    expected = luma[..., None] + 1.1 * (warm - luma[..., None])
    assert float((with_number(6, warm) - expected).abs().max()) < 1e-3  # the saturation of middle tones
    blue = with_number(10, grey)[0, 0]  # their tint towards blue, which keeps the luma
    assert blue[2] > grey[0, 0, 2]
    assert float(blue @ torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)) == pytest.approx(0.5, abs=1e-6)


def test_maps_are_the_grade_itself(numbers, rng):
    colors = rng.random((20, 30, 3)).astype(np.float32)
    for row in numbers:
        field = field_of(maps_of(row[None]), 5, 2)
        found = apply_maps(field.numpy(), colors, np.zeros((20, 30), np.float32), [np.ones((20, 30), np.float32)])
        expected = graded(torch.from_numpy(colors.reshape(1, -1, 3)), torch.from_numpy(row[None]).float())
        np.testing.assert_allclose(found.reshape(-1, 3), expected[0].numpy(), atol=1e-5)


def test_gradcheck(rng):
    colors = torch.from_numpy(rng.random((2, 5, 3)))
    numbers = torch.from_numpy(rng.normal(size=(2, NUMBERS)) * 0.1).requires_grad_()
    assert torch.autograd.gradcheck(lambda n: graded(colors, n), (numbers,))


def test_measures_of_a_batch_are_those_of_each_and_ignore_the_order(rng):
    colors = torch.from_numpy(rng.random((2, 200, 3)).astype(np.float32))
    both = color_statistics(colors)
    for row, measured in zip(colors, both, strict=True):
        torch.testing.assert_close(color_statistics(row[None])[0], measured)
        torch.testing.assert_close(color_statistics(row[None].flip(1))[0], measured, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("colors", [torch.zeros(1, 1, 3), torch.ones(1, 40, 3), torch.rand(1, 2, 3)])
def test_measures_are_finite(colors):
    assert torch.isfinite(color_statistics(colors)).all()


@pytest.mark.parametrize("look", [faded, dark])
def test_a_known_look_is_carried_to_another_scene(look):
    content, other = sample("schwerinPalace"), sample("brandenburgGate")
    truth = look(content)
    result = photostyle.transfer(content, look(other).astype(np.float32), mode="photo", solver="grade", deband=False)
    assert difference(result.rgb, truth) < 0.85 * difference(content, truth)
    palette = photostyle.transfer(
        content, look(other).astype(np.float32), mode="photo", solver="statistics", regions="none", deband=False
    )
    assert difference(result.rgb, truth) < difference(palette.rgb, truth)


def test_strength_and_several_styles():
    content, styles = (
        sample("schwerinPalace", 120),
        [dark(sample("brandenburgGate", 120)), faded(sample("montStMichel", 120))],
    )
    options = {"mode": "photo", "solver": "grade", "deband": False}
    assert np.abs(photostyle.transfer(content, styles[0], strength=0.0, **options).rgb - content).max() < 1e-3
    each = [photostyle.transfer(content, [style.astype(np.float32)], **options).rgb.mean() for style in styles]
    both = photostyle.transfer(content, [style.astype(np.float32) for style in styles], **options).rgb.mean()
    assert min(each) < both < max(each)


def test_nothing_is_optimised_and_the_default_is_one_region():
    with pytest.raises(UsageError, match="--solver grade optimises nothing, so --iterations changes nothing"):
        photostyle.transfer(
            sample("schwerinPalace", 64), sample("montStMichel", 64), mode="photo", solver="grade", iterations=3
        )
    result = photostyle.transfer(sample("schwerinPalace", 64), sample("montStMichel", 64), mode="photo", solver="grade")
    assert result.masks is None


@pytest.mark.parametrize(
    ("content", "words"), [(b"other", "is damaged: its SHA-256"), (None, "can't read the packaged")]
)
def test_damaged_weights(content, words, tmp_path, monkeypatch):
    if content is not None:
        (tmp_path / "grade.safetensors").write_bytes(content)
    monkeypatch.setattr(module, "models_folder", lambda: tmp_path)
    module._weights.cache_clear()
    with pytest.raises(WeightsError, match=words):
        module._weights()
    module._weights.cache_clear()

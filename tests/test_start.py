"""The picture to start from."""

from __future__ import annotations

import pytest
import torch

from photostyle.solvers.start import start_picture

CONTENT = torch.full((1, 3, 40, 50), 0.25)
STYLE = torch.full((1, 3, 40, 50), 0.75)


def start(kind, seed=0, **options):
    return start_picture(kind, CONTENT, STYLE, seed=seed, **options)


def test_content_and_style_are_copied():
    for kind, source in (("content", CONTENT), ("style", STYLE)):
        first = start(kind)
        assert torch.equal(first, source)
        first += 1
        assert not torch.equal(first, source)


@pytest.mark.parametrize("kind", ["noise", "mix"])
def test_the_seed_decides_on_the_noise(kind):
    assert torch.equal(start(kind, seed=3), start(kind, seed=3))
    assert not torch.equal(start(kind, seed=3), start(kind, seed=4))


@pytest.mark.parametrize("kind", ["noise", "mix"])
def test_the_noise_leaves_the_global_generator_alone(kind):
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    start(kind)
    assert torch.equal(torch.rand(4), expected)


def test_noise_is_white_and_fills_the_range():
    noise = start("noise")
    assert noise.shape == CONTENT.shape
    assert 0 <= float(noise.min()) < 0.01
    assert 0.99 < float(noise.max()) <= 1
    assert float(noise.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(noise.std()) == pytest.approx(12**-0.5, abs=0.01)
    neighbours = torch.corrcoef(torch.stack([noise[..., 1:].flatten(), noise[..., :-1].flatten()]))[0, 1]
    assert abs(float(neighbours)) < 0.05


def test_noise_depends_on_neither_picture():
    assert torch.equal(start_picture("noise", STYLE, CONTENT, seed=1), start("noise", seed=1))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_mix(share):
    expected = (1 - share) * CONTENT + share * start("noise", seed=7)
    assert torch.allclose(start("mix", seed=7, noise_share=share), expected, atol=1e-6)

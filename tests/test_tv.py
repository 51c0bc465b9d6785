"""Total variation, against loops written from the equation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from photostyle.objective.tv import REFERENCE_SIZE, size_factor, total_variation


def brute_tv(x):
    """(s/512)² (mean of squared differences across + the same down)."""
    channels, height, width = x.shape
    across = [
        (float(x[c, i, j + 1]) - float(x[c, i, j])) ** 2
        for c in range(channels)
        for i in range(height)
        for j in range(width - 1)
    ]
    down = [
        (float(x[c, i + 1, j]) - float(x[c, i, j])) ** 2
        for c in range(channels)
        for i in range(height - 1)
        for j in range(width)
    ]
    return (max(height, width) / 512) ** 2 * (sum(across) / len(across) + sum(down) / len(down))


def smooth(height, width):
    """The same waves at any size, sampled at pixel centres."""
    v, u = np.meshgrid((np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width, indexing="ij")
    rgb = [0.5 + 0.3 * np.sin(5 * u + 2 * v), 0.5 + 0.2 * np.cos(4 * v), 0.4 + 0.3 * np.sin(3 * u - 4 * v)]
    return torch.from_numpy(np.stack(rgb))[None]


@pytest.mark.parametrize("shape", [(5, 7), (7, 5), (2, 2), (6, 6), (2, 9)])
def test_tv_is_the_equation(rng, shape):
    x = torch.from_numpy(rng.uniform(size=(1, 3, *shape)))
    found = total_variation(x)
    assert found.shape == ()
    assert found.item() == pytest.approx(brute_tv(x[0]), rel=1e-12)


def test_values_by_hand():
    """Across: two differences of 1 and two of 0 (mean ½); down: 1 and 0 (… 2 × 3 pixels, factor (3/512)²)."""
    x = torch.tensor([[[[0.0, 1.0, 1.0], [1.0, 1.0, 0.0]]]], dtype=torch.float64)
    assert total_variation(x).item() == pytest.approx((3 / 512) ** 2 * (2 / 4 + 2 / 3), rel=1e-12)
    ramp = torch.arange(6, dtype=torch.float64).view(1, 1, 1, 6).expand(1, 1, 4, 6)
    assert total_variation(ramp).item() == pytest.approx((6 / 512) ** 2, rel=1e-12)
    assert total_variation(ramp.transpose(2, 3)).item() == pytest.approx((6 / 512) ** 2, rel=1e-12)


def test_size_factor():
    assert REFERENCE_SIZE == 512
    assert size_factor(512, 100) == size_factor(100, 512) == 1
    assert size_factor(256, 256) == 0.25
    assert size_factor(768, 1024) == 4


@pytest.mark.parametrize("shape", [(4, 5), (2, 2)])
def test_gradcheck(rng, shape):
    x = torch.from_numpy(rng.uniform(size=(1, 3, *shape))).requires_grad_()
    assert torch.autograd.gradcheck(total_variation, (x,))


@pytest.mark.parametrize(("height", "width"), [(64, 64), (48, 72), (72, 48)])
def test_a_smooth_picture_costs_the_same_at_every_size(height, width):
    small = total_variation(smooth(height, width)).item()
    for factor in (2, 4):
        assert total_variation(smooth(factor * height, factor * width)).item() == pytest.approx(small, rel=0.01)


def test_a_smooth_picture_costs_the_integral_of_its_squared_slope():
    """Of x = u over a width of one, in 256 pixels: mean (∂x)² = 1/256², times (256/512)²."""
    u = ((torch.arange(256, dtype=torch.float64) + 0.5) / 256).view(1, 1, 1, 256).expand(1, 3, 8, 256)
    assert total_variation(u).item() == pytest.approx(1 / 512**2, rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), height=st.integers(2, 6), width=st.integers(2, 6))
def test_never_negative_and_zero_for_a_constant(seed, height, width):
    rng = np.random.default_rng(seed)
    x = torch.from_numpy(rng.normal(size=(1, 3, height, width)))
    assert total_variation(x) > 0
    flat = torch.from_numpy(rng.normal(size=(1, 3, 1, 1))).expand(1, 3, height, width)
    assert total_variation(flat) == 0


def test_sign_and_mirroring_do_not_matter(rng):
    x = torch.from_numpy(rng.uniform(size=(1, 3, 5, 6)))
    expected = total_variation(x).item()
    for other in (-x, 1 - x, x.flip(2), x.flip(3), x.transpose(2, 3)):
        assert total_variation(other).item() == pytest.approx(expected, rel=1e-12)


def test_gradient_is_finite_and_zero_for_a_constant():
    x = torch.full((1, 3, 4, 5), 0.5, requires_grad=True)
    (gradient,) = torch.autograd.grad(total_variation(x), x)
    assert torch.equal(gradient, torch.zeros_like(x))

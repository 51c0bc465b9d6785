"""The weighted total: a table of terms that share one pass through a network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from photostyle.objective.total import Objective


class Network:
    """Counts its passes; its feature is the square of the picture."""

    def __init__(self):
        self.passes = 0

    def __call__(self, x):
        self.passes += 1
        return {"square": x.square()}


def mean_of_squares(_x, features):
    return features["square"].mean()


def total_sum(x, _features):
    return x.sum()


def never(_x, _features):
    raise AssertionError("a term of weight zero is not to be computed")


def objective(**terms):
    return Objective(Network(), terms)


def test_values_and_gradient_by_hand():
    x = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64).view(1, 3, 1, 1)
    found = objective(a=(mean_of_squares, 6.0), b=(total_sum, 0.5))(x)
    assert found.losses == pytest.approx({"a": 6 * 14 / 3, "b": 3.0, "total": 31.0})
    assert found.total == pytest.approx(31.0)
    np.testing.assert_allclose(found.gradient.flatten(), [2 * 2 * 1 + 0.5, 2 * 2 * 2 + 0.5, 2 * 2 * 3 + 0.5])


def test_the_total_is_the_sum_of_the_terms(rng):
    x = torch.from_numpy(rng.uniform(size=(1, 3, 4, 5)))
    found = objective(a=(mean_of_squares, 2.0), b=(total_sum, 0.25), c=(mean_of_squares, 1e-3))(x)
    assert list(found.losses) == ["a", "b", "c", "total"]
    parts = [value for name, value in found.losses.items() if name != "total"]
    assert found.losses["total"] == found.total == pytest.approx(sum(parts), rel=1e-12)


def test_terms_of_weight_zero_are_not_computed(rng):
    found = objective(a=(mean_of_squares, 1.0), b=(never, 0.0))(torch.from_numpy(rng.uniform(size=(1, 3, 2, 2))))
    assert set(found.losses) == {"a", "total"}


def test_one_pass_through_the_network(rng):
    made = objective(a=(mean_of_squares, 1.0), b=(mean_of_squares, 2.0), c=(total_sum, 3.0))
    made(torch.from_numpy(rng.uniform(size=(1, 3, 2, 2))))
    assert made.network.passes == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradient_against_differences(rng, dtype):
    made = objective(a=(mean_of_squares, 3.0), b=(lambda x, f: (f["square"] * x).sum(), 0.7))
    x = torch.from_numpy(rng.uniform(size=(1, 3, 2, 3))).to(dtype)
    found = made(x)
    assert found.gradient.shape == x.shape
    assert found.gradient.dtype == dtype
    for index in np.ndindex(*x.shape):
        step = torch.zeros_like(x)
        step[index] = 1e-2
        slope = (made(x + step).total - made(x - step).total) / 2e-2
        # The cubic term's own third difference is 0.7 h².
        assert found.gradient[index].item() == pytest.approx(
            slope - 0.7e-4, abs=1e-8 if dtype == torch.float64 else 1e-2
        )


def test_the_picture_is_left_alone(rng):
    x = torch.from_numpy(rng.uniform(size=(1, 3, 2, 2)))
    before = x.clone()
    found = objective(a=(mean_of_squares, 1.0))(x)
    assert torch.equal(x, before)
    assert not x.requires_grad
    assert not found.gradient.requires_grad


def test_losses_can_be_differentiated(rng):
    made = objective(a=(mean_of_squares, 2.0), b=(total_sum, 0.5))
    x = torch.from_numpy(rng.uniform(size=(1, 3, 2, 2))).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: sum(made.losses(p).values()), (x,))


def test_defaults():
    made = objective(a=(mean_of_squares, 1.0))
    assert made.scale == 1.0
    assert made.notes == ()

"""A field in cosines: there and back, smoothness against differences, ramps and spots, finer grids, gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from photostyle.field import cosines
from photostyle.field.cosines import from_cosines, smoothness, to_cosines
from photostyle.field.grid import NUMBERS, field_of
from photostyle.field.space import FieldSpace

TONES, CELLS = 3, 4


@pytest.fixture
def field(rng):
    return torch.from_numpy(rng.normal(size=(2, TONES, CELLS, CELLS, NUMBERS)))


def cost(field):
    """The smoothness of a field whose regions are of one size."""
    return float(smoothness(to_cosines(field), torch.ones(len(field)) / len(field)))


def ramp(points, tones=TONES):
    """One number that grows from 0 to 1 from left to right."""
    field = torch.zeros(1, tones, points, points, 1, dtype=torch.float64)
    return field + torch.linspace(0, 1, points, dtype=torch.float64)[:, None]


def test_there_and_back(field):
    torch.testing.assert_close(from_cosines(to_cosines(field)), field)


def test_one_map_everywhere_is_one_cosine(field):
    maps = field_of(np.stack([np.eye(3, 4), 2 * np.eye(3, 4)]), TONES, CELLS).double()
    found = to_cosines(maps)
    assert cost(maps) == pytest.approx(0, abs=1e-12)
    assert cost(field) > 1
    assert torch.count_nonzero(found.abs() > 1e-9) == torch.count_nonzero(found[:, 0, 0, 0].abs() > 1e-9)


def test_smoothness_is_the_mean_square_of_differences(field, monkeypatch):
    """Without bending: against differences of neighbours, a step being a whole axis over its number of steps."""
    monkeypatch.setattr(cosines, "_BEND", 0.0)
    cosines._cost.cache_clear()
    expected = sum(
        weight * float(((field.shape[axis] - 1) * field.diff(dim=axis)).square().sum())
        for axis, weight in ((1, cosines._TONE), (2, cosines._PLACE), (3, cosines._PLACE))
    )
    found = cost(field)
    cosines._cost.cache_clear()
    assert found == pytest.approx(expected / (TONES * CELLS * CELLS) / 2)


def test_smoothness_of_a_space_is_what_differences_do_to_colours(rng, monkeypatch):
    """Against samples: the mean squared change, in the metric, of colours with the given second moments."""
    monkeypatch.setattr(cosines, "_BEND", 0.0)
    cosines._cost.cache_clear()
    extended = np.column_stack([rng.random((5000, 4)), np.ones(5000)])
    factor = np.linalg.cholesky(extended.T @ extended / 5000)
    metric = rng.normal(size=(3, 3))
    space = FieldSpace(
        mattes=np.ones((1, 4, 4), np.float32),
        shares=torch.ones(1, dtype=torch.float64),
        maps=np.eye(3, 4)[None],
        inputs=torch.from_numpy(factor)[None],
        outputs=torch.from_numpy(metric)[None],
        content=rng.random((40, 40, 3)).astype(np.float32),
    )
    field = torch.from_numpy(rng.normal(size=(1, 2, 2, 2, NUMBERS)))
    field[:, 1] = field[:, 0]  # no difference along tone
    field[:, :, 1] = field[:, :, 0]  # none from row to row
    difference = (field[0, 0, 0, 1] - field[0, 0, 0, 0]).numpy().reshape(3, 5)
    expected = ((extended @ difference.T @ metric.T) ** 2).sum(1).mean()
    found = float(smoothness(space.coordinates(field), space.shares))
    cosines._cost.cache_clear()
    assert found == pytest.approx(expected / 2)  # there is one difference for two points


def test_a_ramp_costs_about_the_same_on_a_finer_grid():
    assert cost(ramp(16)) == pytest.approx(cost(ramp(32)), rel=0.1)


def test_a_spot_costs_much_more_than_a_ramp_of_the_same_size():
    spot = torch.zeros(1, TONES, 16, 16, 1, dtype=torch.float64)
    spot[:, :, 8, 8] = 1
    spot *= ramp(16).std() / spot.std()
    assert cost(spot) > 20 * cost(ramp(16))


def test_regions_count_by_their_share(field):
    both = smoothness(to_cosines(field), torch.tensor([0.2, 0.8]))
    each = [cost(part[None]) for part in field]
    assert float(both) == pytest.approx(0.2 * each[0] + 0.8 * each[1])


def test_gradchecks(field):
    small = field[:, :2, :2, :2, :3].clone().requires_grad_()
    shares = torch.tensor([0.3, 0.7], dtype=torch.float64)
    assert torch.autograd.gradcheck(from_cosines, (small,))
    assert torch.autograd.gradcheck(lambda z: smoothness(z, shares), (small,))


def test_what_smoothness_costs_bends_the_loss_alike_in_all_coordinates():
    """However fine a wave, its coordinate is never stiffer than the bound 1 / s."""
    one = torch.ones(1, 8, 16, 16, 1, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(smoothness(one, torch.ones(1)) * 8 * 16 * 16, one)
    assert float(slope.max()) < 2 / cosines._SOFTNESS
    assert float(slope.min()) == 0

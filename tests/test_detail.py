"""The detail loss: nothing for a change of colours as a whole, a price for fog and speckle, by hand and gradcheck."""

from __future__ import annotations

import math

import pytest
import torch

from photostyle.objective.detail import detail_loss, log_contrast


def texture(rng, low=0.4, high=0.6):
    """Grey noise, shape (1, 3, 48, 64)."""
    return torch.from_numpy(low + (high - low) * rng.random((1, 1, 48, 64))).expand(1, 3, 48, 64).clone()


def loss(picture, closed_form):
    return float(detail_loss(picture, log_contrast(closed_form)))


def test_contrast_of_a_window_by_hand(rng):
    """64 wide: windows of 3×3. Greys have no colour; L* of a grey is what it is beside the neighbours."""
    picture = texture(rng)
    found = log_contrast(picture)
    from skimage.color import rgb2lab

    lightness = rgb2lab(picture[0].permute(1, 2, 0).numpy())[..., 0] / 100
    assert float(found[0, 5, 7]) == pytest.approx(0.5 * math.log(lightness[4:7, 6:9].var() + 1e-4), abs=1e-3)
    assert found[1].numpy() == pytest.approx(math.log(0.01), abs=1e-2)


def test_the_closed_form_and_what_is_near_it_cost_nothing(rng):
    picture = texture(rng)
    assert loss(picture, picture) == 0
    assert loss(picture + 0.05, picture) < 1e-6
    assert loss(0.5 + 0.85 * (picture - 0.5), picture) < 1e-6
    assert loss(0.5 + 1.5 * (picture - 0.5), picture) < 1e-6


def test_fog_costs_more_the_thicker_it_is(rng):
    picture = texture(rng, 0.2, 0.8)
    thin, thick = (loss(0.5 + share * (picture - 0.5), picture) for share in (0.6, 0.2))
    assert 0 < thin < thick / 5


def test_speckle_of_colour_costs(rng):
    picture = texture(rng)
    tint = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).view(1, 3, 1, 1)
    assert loss(picture + 0.5 * (picture - 0.5) * tint, picture) > 0.1


def test_a_flat_place_gets_no_detail():
    flat = torch.full((1, 3, 48, 64), 0.5, dtype=torch.float64)
    spotted = flat.clone()
    spotted[..., ::2, ::2] += 0.2
    assert loss(flat, flat) == 0
    assert loss(spotted, flat) > 0.05


def test_gradcheck(rng):
    picture, closed_form = (torch.from_numpy(rng.uniform(0.2, 0.8, (1, 3, 6, 8))) for _ in range(2))
    target = log_contrast(closed_form) + 0.8
    assert torch.autograd.gradcheck(lambda x: detail_loss(x, target), (picture.requires_grad_(),))

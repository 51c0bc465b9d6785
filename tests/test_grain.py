"""The grain loss: bands against a plain loop, covariances against their definition, and what a distance must do."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from photostyle.objective.grain import (
    BANDS,
    grain_covariances,
    grain_distances,
    grain_regions,
    laplacian_bands,
)

KERNEL = np.array([1, 4, 6, 4, 1]) / 16


def random_picture(seed=0, height=37, width=34):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def blurred(plane, mode):
    """Burt & Adelson's five taps down and across, in loops."""
    padded = np.pad(plane, 2, mode=mode)
    result = np.zeros_like(plane)
    for y in range(plane.shape[0]):
        for x in range(plane.shape[1]):
            result[y, x] = KERNEL @ padded[y : y + 5, x : x + 5] @ KERNEL
    return result


@pytest.mark.parametrize(("wraps", "mode"), [(False, "reflect"), (True, "wrap")])
def test_bands_are_what_a_blur_takes_away_at_each_octave(wraps, mode):
    picture = random_picture()
    luma = np.tensordot([0.299, 0.587, 0.114], picture[0].numpy(), 1)
    for band in laplacian_bands(picture, wraps=wraps):
        low = blurred(luma, mode)
        np.testing.assert_allclose(band[0].numpy(), luma - low, atol=1e-12)
        height, width = low.shape[0] // 2, low.shape[1] // 2
        luma = low[: 2 * height, : 2 * width].reshape(height, 2, width, 2).mean((1, 3))


def test_grey_pictures_have_no_chroma_and_flat_ones_no_bands():
    grey = random_picture(1)[:, :1].expand(1, 3, 37, 34)
    for band in laplacian_bands(grey):
        assert band[1:].abs().max() < 1e-3  # the coefficients of chroma are published with four digits
        assert band[0].abs().max() > 0.01
    assert max(float(band.abs().max()) for band in laplacian_bands(torch.full((1, 3, 40, 33), 0.4))) < 1e-6


def test_covariances_are_weighted_means_over_each_region():
    picture = random_picture(2, 32, 48)
    masks = torch.rand(2, 32, 48, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    found = grain_covariances(picture, grain_regions(masks))
    assert found.shape == (2, BANDS, 3, 3)
    for b, band in enumerate(laplacian_bands(picture)):
        for k, mask in enumerate(masks):
            small = mask.reshape(32 >> b, 1 << b, 48 >> b, 1 << b).mean((1, 3))
            expected = torch.einsum("hw,chw,dhw->cd", small, band, band) / small.sum()
            torch.testing.assert_close(found[k, b], expected)


def test_chroma_counts_like_luma():
    """Twice the luma's variance and twice that of a hundredth as much chroma are equally far from the target."""
    target = torch.diag(torch.tensor([1e-2, 1e-3, 1e-3])).expand(1, BANDS, 3, 3)
    for channel in range(3):
        found = target.clone()
        found[..., channel, channel] *= 2
        torch.testing.assert_close(grain_distances(found, target), torch.tensor([1 / 3]))


def test_a_target_without_grain_asks_for_none_without_running_away():
    zero = torch.zeros(1, BANDS, 3, 3)
    step = torch.eye(3).mul((1 / 255) ** 2).expand(1, BANDS, 3, 3)
    assert grain_distances(zero, zero) == 0
    assert 0 < float(grain_distances(step, zero)) < 5


def test_the_loss_has_exact_gradients_and_is_zero_at_the_target():
    target = grain_covariances(random_picture(4, 16, 18), grain_regions(torch.ones(1, 16, 18, dtype=torch.float64)))
    regions = grain_regions(torch.ones(1, 16, 18, dtype=torch.float64))

    def loss(x):
        return grain_distances(grain_covariances(x, regions), target).sum()

    assert float(loss(random_picture(4, 16, 18))) == 0
    assert torch.autograd.gradcheck(loss, (random_picture(5, 16, 18).requires_grad_(),))

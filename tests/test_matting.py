"""The Matting Laplacian against Levin's equation in loops and against PyMatting, and the loss built on it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pymatting import cf_laplacian

from photostyle.objective import matting
from photostyle.objective.matting import EPSILON, matting_energy, matting_laplacian, matting_loss
from photostyle.objective.tv import size_factor


def brute_laplacian(image, epsilon):
    """Equation 12 of Levin et al. (2008), entry by entry."""
    height, width, _ = image.shape
    result = np.zeros((height * width, height * width))
    for top in range(height - 2):
        for left in range(width - 2):
            window = [(top + i, left + j) for i in range(3) for j in range(3)]
            colours = [image[p] for p in window]
            mu = sum(colours) / 9
            sigma = sum(np.outer(c - mu, c - mu) for c in colours) / 9
            inverse = np.linalg.inv(sigma + epsilon / 9 * np.eye(3))
            for p, colour_p in zip(window, colours, strict=True):
                for q, colour_q in zip(window, colours, strict=True):
                    i, j = p[0] * width + p[1], q[0] * width + q[1]
                    affinity = (1 + (colour_p - mu) @ inverse @ (colour_q - mu)) / 9
                    result[i, j] += (1 if i == j else 0) - affinity
    return result


def brute_energy(x, laplacian):
    """Σ_c x_cᵀ L x_c / M with a dense L."""
    channels = x.shape[1]
    total = 0.0
    for c in range(channels):
        column = x[0, c].reshape(-1).double().numpy()
        for i in range(len(column)):
            for j in range(len(column)):
                total += column[i] * laplacian[i, j] * column[j]
    return total / (x.shape[2] * x.shape[3])


def as_tensor(image):
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]


def dense(image, epsilon=EPSILON):
    return matting_laplacian(image, epsilon).toarray()


@pytest.mark.parametrize("shape", [(3, 3), (3, 5), (6, 4), (5, 5), (4, 8)])
@pytest.mark.parametrize("epsilon", [1e-7, 1e-2, 1.0])
def test_laplacian_is_the_equation(rng, shape, epsilon):
    image = rng.uniform(size=(*shape, 3))
    np.testing.assert_allclose(dense(image, epsilon), brute_laplacian(image, epsilon), rtol=1e-7, atol=1e-8)


def test_epsilon_is_that_of_the_papers(rng):
    image = rng.uniform(size=(5, 5, 3))
    image[..., 2] = 0.5 * image[..., 0] + 0.2  # each window is flat: ε decides
    assert EPSILON == 1e-7
    np.testing.assert_allclose(matting_laplacian(image).toarray(), brute_laplacian(image, 1e-7), rtol=1e-6, atol=1e-7)


def test_laplacian_of_one_colour():
    """Windows without variance: L is Σ_w (δ − 1/9), whatever ε is."""
    image = np.full((4, 5, 3), 0.3)
    expected = np.zeros((20, 20))
    for top in range(2):
        for left in range(3):
            cells = [(top + i) * 5 + left + j for i in range(3) for j in range(3)]
            expected[np.ix_(cells, cells)] += np.eye(9) - 1 / 9
    np.testing.assert_allclose(dense(image), expected, atol=1e-9)


@pytest.mark.parametrize("kind", ["random", "natural"])
def test_laplacian_is_that_of_pymatting(rng, natural, kind):
    image = rng.uniform(size=(17, 14, 3)) if kind == "random" else natural
    theirs = cf_laplacian(image, epsilon=1e-7).toarray()
    np.testing.assert_allclose(dense(image), theirs, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", ["random", "natural"])
def test_structure(rng, natural, kind):
    """Symmetric, rows that sum to zero, positive semi-definite."""
    image = rng.uniform(size=(9, 11, 3)) if kind == "random" else natural[:12, :11]
    laplacian = dense(image)
    np.testing.assert_array_equal(laplacian, laplacian.T)
    np.testing.assert_allclose(laplacian @ np.ones(len(laplacian)), 0, atol=1e-9)
    assert np.linalg.eigvalsh(laplacian).min() > -1e-9
    assert laplacian.diagonal().min() > 0


@pytest.mark.parametrize("block", [1, 11, 22, 40, 77])
def test_blocks_leave_no_trace(rng, monkeypatch, block):
    image = rng.uniform(size=(13, 11, 3))
    whole = matting_laplacian(image)
    monkeypatch.setattr(matting, "_BLOCK", block)
    parts = matting_laplacian(image)
    np.testing.assert_array_equal(parts.indptr, whole.indptr)
    np.testing.assert_array_equal(parts.indices, whole.indices)
    np.testing.assert_allclose(parts.data, whole.data, rtol=1e-12, atol=1e-13)


def test_blocks_are_as_small_as_they_should_be(rng, monkeypatch):
    """Counted in pixels, not in rows: the memory in use doesn't grow with the picture."""
    seen, original = [], matting._diagonals

    def counted(planes, top, bottom, epsilon):
        seen.append((top, bottom))
        return original(planes, top, bottom, epsilon)

    monkeypatch.setattr(matting, "_diagonals", counted)
    monkeypatch.setattr(matting, "_BLOCK", 35)
    matting_laplacian(rng.uniform(size=(10, 11, 3)))
    assert seen == [(0, 3), (3, 6), (6, 9), (9, 10)]


def test_sparse_format(rng):
    laplacian = matting_laplacian(rng.uniform(size=(6, 7, 3)))
    assert laplacian.format == "csr"
    assert laplacian.dtype == np.float64
    assert laplacian.shape == (42, 42)
    again = laplacian.copy()
    again.has_sorted_indices = False
    again.sort_indices()
    np.testing.assert_array_equal(again.indices, laplacian.indices)
    assert np.diff(laplacian.indptr).max() == 25  # the 5×5 neighbourhood
    assert np.diff(laplacian.indptr).min() == 9  # in a corner


def test_single_precision_pictures_are_treated_in_double(natural):
    single = natural.astype(np.float32)
    np.testing.assert_array_equal(dense(single), dense(single.astype(np.float64)))


def test_affine_functions_of_the_content_s_colours_cost_next_to_nothing(rng, natural):
    """The misfit is none, so ε ‖A‖² a window is all that is left to pay."""
    laplacian = matting_laplacian(natural)
    for slopes in (np.eye(3), rng.normal(size=(3, 3)), 10 * rng.normal(size=(3, 3))):
        affine = natural @ slopes + rng.normal(size=3)
        energy = matting_energy(as_tensor(affine), laplacian).item()
        assert -1e-9 <= energy <= 1e-7 * np.linalg.norm(slopes) ** 2 + 1e-9
        noise = affine.std() * rng.normal(size=natural.shape)
        assert matting_energy(as_tensor(noise), laplacian).item() > 1e4 * energy


def test_constants_cost_nothing(natural):
    flat = as_tensor(np.ones_like(natural) * [0.2, 0.5, 0.9])
    assert abs(matting_energy(flat, matting_laplacian(natural)).item()) < 1e-10


def test_what_follows_other_edges_costs_more(natural):
    """The picture itself against its mirror image: an affine function against one with edges elsewhere."""
    laplacian = matting_laplacian(natural)
    mirrored = matting_energy(as_tensor(natural[:, ::-1]), laplacian).item()
    assert mirrored > 1e3 * matting_energy(as_tensor(natural), laplacian).item()


def test_energy_is_the_equation(rng):
    image, x = rng.uniform(size=(4, 5, 3)), torch.from_numpy(rng.uniform(size=(1, 3, 4, 5)))
    found = matting_energy(x, matting_laplacian(image))
    assert found.shape == ()
    assert found.item() == pytest.approx(brute_energy(x, brute_laplacian(image, 1e-7)), rel=1e-7)


def test_gradient_is_twice_lx_over_m(rng):
    image, x = rng.uniform(size=(5, 6, 3)), torch.from_numpy(rng.uniform(size=(1, 3, 5, 6))).requires_grad_()
    (gradient,) = torch.autograd.grad(matting_energy(x, matting_laplacian(image)), x)
    columns = x[0].detach().reshape(3, 30).numpy().T
    expected = 2 * brute_laplacian(image, 1e-7) @ columns / 30
    np.testing.assert_allclose(gradient[0].reshape(3, 30).numpy().T, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("function", [matting_energy, matting_loss])
def test_gradcheck(rng, function):
    """The reported loss and its gradient belong together, as a line search needs."""
    laplacian = matting_laplacian(rng.uniform(size=(4, 5, 3)))
    x = torch.from_numpy(rng.uniform(size=(1, 3, 4, 5))).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: 3 * function(p, laplacian) + p.sum(), (x,))


def test_gradient_keeps_the_type_of_the_picture(natural, rng):
    laplacian = matting_laplacian(natural)
    noise = rng.uniform(size=natural.shape)
    x32 = as_tensor(noise).float().requires_grad_()
    x64 = as_tensor(noise).requires_grad_()
    loss32, loss64 = matting_loss(x32, laplacian), matting_loss(x64, laplacian)
    assert loss32.dtype == torch.float32
    assert loss32.item() == pytest.approx(loss64.item(), rel=1e-5)
    (g32,), (g64,) = torch.autograd.grad(loss32, x32), torch.autograd.grad(loss64, x64)
    assert g32.dtype == torch.float32
    np.testing.assert_allclose(g32, g64, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("seed", range(10))
def test_never_negative(natural, seed):
    x = np.random.default_rng(seed).normal(size=natural.shape)
    assert matting_energy(as_tensor(x), matting_laplacian(natural)).item() > 0


def test_loss_is_the_energy_times_the_size_factor(rng):
    image, x = rng.uniform(size=(5, 8, 3)), torch.from_numpy(rng.uniform(size=(1, 3, 5, 8)))
    laplacian = matting_laplacian(image)
    expected = (8 / 512) ** 2 * matting_energy(x, laplacian).item()
    assert matting_loss(x, laplacian).item() == pytest.approx(expected, rel=1e-12)
    assert size_factor(5, 8) == (8 / 512) ** 2


@pytest.mark.parametrize(("height", "width"), [(64, 64), (48, 80)])
def test_a_smooth_picture_costs_the_same_at_every_size(height, width):
    """Content that varies across only, a result that varies down: their first-order misfit, at three sizes."""

    def loss(factor):
        rows, columns = factor * height, factor * width
        u = (np.arange(columns) + 0.5)[None] / columns * np.ones((rows, 1))
        v = (np.arange(rows) + 0.5)[:, None] / rows * np.ones((1, columns))
        content = np.stack([0.2 + 0.6 * u, 0.1 + 0.7 * u, 0.9 - 0.5 * u], axis=-1)
        x = np.stack([0.5 + 0.3 * np.sin(4 * v), 0.5 + 0.3 * np.cos(3 * v), 0.2 + 0.5 * v], axis=-1)
        windows = (rows - 2) * (columns - 2) / (rows * columns)  # those at the border are missing
        return matting_loss(as_tensor(x), matting_laplacian(content)).item() / windows

    small = loss(1)
    assert small > 0
    assert loss(2) == pytest.approx(small, rel=0.03)


def test_gradient_is_finite_on_flat_content(rng):
    x = torch.from_numpy(rng.uniform(size=(1, 3, 5, 6))).float().requires_grad_()
    for image in (np.zeros((5, 6, 3)), np.ones((5, 6, 3)), np.full((5, 6, 3), 1 / 3)):
        loss = matting_loss(x, matting_laplacian(image))
        (gradient,) = torch.autograd.grad(loss, x)
        assert torch.isfinite(loss)
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize(
    ("image", "epsilon", "words"),
    [
        (np.zeros((2, 5, 3)), 1e-7, r"shape \(2, 5, 3\).*sides of at least 3"),
        (np.zeros((5, 5, 4)), 1e-7, r"shape \(5, 5, 4\)"),
        (np.zeros((5, 5)), 1e-7, r"shape \(5, 5\)"),
        (np.full((5, 5, 3), np.nan), 1e-7, "not finite"),
        (np.zeros((5, 5, 3)), 0.0, "epsilon is 0.0, but must be above 0"),
        (np.zeros((5, 5, 3)), float("nan"), "epsilon is nan"),
    ],
)
def test_what_is_no_picture(image, epsilon, words):
    with pytest.raises(ValueError, match=words):
        matting_laplacian(image, epsilon)

"""Resizing: exact where it must be, antialiased, within range; and the arithmetic of sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import photostyle.images
from photostyle.errors import UsageError
from photostyle.images import fit_longest_side, resize

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("shape", [(6, 9), (6, 9, 1), (6, 9, 3), (6, 9, 5)])
@pytest.mark.parametrize("size", [(4, 3), (20, 30), (9, 2), (1, 1)])
def test_shape_type_and_constant(shape, size):
    array = np.full(shape, 0.3, np.float32)
    out = resize(array, size)
    assert out.shape == (size[1], size[0], *shape[2:])
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, 0.3, atol=1e-6)


def test_equal_size_is_a_copy():
    array = RNG.random((6, 9, 3), dtype=np.float32)
    out = resize(array, (9, 6))
    np.testing.assert_array_equal(out, array)
    assert not np.shares_memory(out, array)


def test_fine_stripes_become_grey_when_shrunk():
    stripes = np.zeros((64, 64), np.float32)
    stripes[:, ::2] = 1
    inner = resize(stripes, (16, 16))[2:-2, 2:-2]
    assert np.abs(inner - 0.5).max() < 0.02


def test_mean_and_ramp_are_kept():
    ramp = np.broadcast_to(np.linspace(0, 1, 128, dtype=np.float32), (32, 128))
    out = resize(ramp, (32, 8))
    np.testing.assert_allclose(out.mean(), 0.5, atol=1e-3)
    assert (np.diff(out[4]) > 0).all()
    expected = (np.arange(32) + 0.5) * 4 - 0.5
    np.testing.assert_allclose(out[4, 3:-3], expected[3:-3] / 127, atol=1e-3)


def test_channels_do_not_mix():
    array = RNG.random((12, 10, 3), dtype=np.float32)
    out = resize(array, (7, 5))
    for channel in range(3):
        np.testing.assert_array_equal(out[..., channel], resize(array[..., channel], (7, 5)))


@pytest.mark.parametrize("size", [(5, 5), (40, 40)])
def test_overshoot_is_clipped(size):
    edge = np.zeros((16, 16), np.float32)
    edge[:, 8:] = 1
    out = resize(edge, size)
    assert out.min() >= 0
    assert out.max() <= 1


def test_views_are_accepted_and_left_alone():
    array = RNG.random((12, 10, 3), dtype=np.float32)
    before = array.copy()
    np.testing.assert_array_equal(
        resize(array[::-1, ::2], (3, 4)), resize(np.ascontiguousarray(array[::-1, ::2]), (3, 4))
    )
    np.testing.assert_array_equal(array, before)


def test_what_is_not_allowed():
    with pytest.raises(UsageError, match=r"0×4.*at least 1"):
        resize(np.zeros((4, 4), np.float32), (0, 4))
    with pytest.raises(UsageError, match=r"shape \(4,\)"):
        resize(np.zeros(4, np.float32), (4, 4))
    with pytest.raises(UsageError, match="at least 1"):
        fit_longest_side((4, 4), 0)
    with pytest.raises(UsageError, match="at least 1"):
        fit_longest_side((0, 4), 5)


@pytest.mark.parametrize(
    ("size", "longest", "expected"),
    [
        ((700, 525), 512, (512, 384)),
        ((525, 700), 512, (384, 512)),
        ((100, 50), 200, (200, 100)),
        ((1000, 1), 100, (100, 1)),
        ((3, 2), 3, (3, 2)),
        ((4, 3), 2, (2, 2)),
        ((1, 1), 1, (1, 1)),
    ],
)
def test_fit_longest_side(size, longest, expected):
    assert fit_longest_side(size, longest) == expected


@settings(max_examples=60, deadline=None, database=None)
@given(st.integers(1, 40_000), st.integers(1, 40_000), st.integers(1, 20_000))
def test_fit_longest_side_keeps_the_aspect(width, height, longest):
    fitted = fit_longest_side((width, height), longest)
    assert max(fitted) == longest
    assert min(fitted) >= 1
    short = min(width, height) * longest / max(width, height)
    assert abs(min(fitted) - max(short, 1)) <= 0.5 + 1e-9
    assert (fitted[0] >= fitted[1]) == (width >= height) or fitted[0] == fitted[1]


def test_the_interface():
    assert photostyle.images.__all__ == sorted(photostyle.images.__all__)
    for name in photostyle.images.__all__:
        assert getattr(photostyle.images, name).__doc__

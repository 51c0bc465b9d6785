"""Colour matching: give the pixels of one picture the colour distribution of another.

Three ways, from the least to the most that is matched: mean and deviation of the luminance, mean and covariance of the
colours, the whole distribution.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from photostyle.colors.lab import weighted_quantiles
from photostyle.colors.statistics import moments, transport_map
from photostyle.filters.guided import LUMA

_Array = NDArray[np.floating[Any]]
Matching = Callable[[_Array, _Array, _Array, _Array], _Array]
"""From a picture, shape (H, W, 3), its weights, shape (H, W), and the same of a target to the matched picture."""

_MOST_GAIN = 4.0  # of the luminance; colours have the same limit
_RIDGE = 1e-8  # squared colour units: far below a step of 8 bits, so that covariances agree, but above zero
_TURNS = 6  # rotations of the axes: along any line the quantiles then are within half a step of 8 bits
_LEVELS = 256  # quantiles on an axis
_SAMPLE = 100_000  # pixels from which they are taken
_SEED = 0  # of the rotations


def match_luminance(picture: _Array, weights: _Array, target: _Array, target_weights: _Array) -> _Array:
    r"""Return the picture in grey, with the mean and deviation of the target's luminance.

    Gatys et al. (2016b), section 4: :math:`Y' = \frac{\sigma_C}{\sigma_S} (Y - \mu_S) + \mu_C`; contrast grows at most
    fourfold.

    Parameters
    ----------
    picture, target : ndarray, shape (H, W, 3) and (H', W', 3)
        sRGB in [0, 1].
    weights, target_weights : ndarray, shape (H, W) and (H', W')
        Which pixels count, and how much; not all zero.

    Returns
    -------
    ndarray, shape (H, W, 3)
        It may leave [0, 1].
    """
    own, wanted = picture @ LUMA, target @ LUMA
    mean, deviation = _spread(own, weights)
    wanted_mean, wanted_deviation = _spread(wanted, target_weights)
    gain = min(_MOST_GAIN, wanted_deviation / max(deviation, 1e-9))
    return np.repeat(((own - mean) * gain + wanted_mean)[..., None], 3, axis=2)


def match_linear(picture: _Array, weights: _Array, target: _Array, target_weights: _Array) -> _Array:
    """Return the picture with the mean and covariance of the target's colours, by an affine map.

    Of all maps A with A Σ_S Aᵀ = Σ_C, of which Gatys et al. (2016b), section 3, name those by Cholesky factors and by
    square roots (Σ_C^½ Σ_S^-½, from Image Analogies), this takes the symmetric one
    (:func:`photostyle.colors.statistics.transport_map`): it moves colours least and doesn't turn them about any axis,
    so that what is warmer or lighter than its surroundings remains so. No colour axis is stretched more than
    fourfold: a style in one colour stays in one colour, and the covariance then is as near as that allows.

    Parameters and return value are those of :func:`match_luminance`.
    """
    found = transport_map(moments(picture, weights), moments(target, target_weights), ridge=_RIDGE)
    return picture @ found[:, :3].T + found[:, 3]


def match_distribution(picture: _Array, weights: _Array, target: _Array, target_weights: _Array) -> _Array:
    """Return the picture with the target's distribution of colours.

    Iterative distribution transfer (Pitié, Kokaram & Dahyot 2007): turn the axes of colour space at random, match the
    quantiles on each of them (:func:`photostyle.colors.lab.weighted_quantiles`), and again. It begins with the
    linear match, from which few turns suffice, and ends on red, green and blue themselves, so that the histograms of
    the channels agree and nothing leaves [0, 1]. Colours that are equal stay equal.

    Parameters and return value are those of :func:`match_luminance`.
    """
    result = match_linear(picture, weights, target, target_weights).reshape(-1, 3)
    own, theirs = _sample(weights), _sample(target_weights)
    mass, their_mass = weights.reshape(-1)[own], target_weights.reshape(-1)[theirs]
    wanted = target.reshape(-1, 3)[theirs].astype(np.float64)
    rng = np.random.default_rng(_SEED)
    turns = [np.linalg.qr(rng.normal(size=(3, 3)))[0] for _ in range(_TURNS)]
    for turn in (*turns, np.eye(3)):
        on_axes = result @ turn
        here, there = _quantiles(on_axes[own], mass), _quantiles(wanted @ turn, their_mass)
        for axis in range(3):
            on_axes[:, axis] = _interpolated(on_axes[:, axis], here[:, axis], there[:, axis])
        result = on_axes @ turn.T
    return result.reshape(picture.shape)


MATCHINGS: dict[str, Matching] = {
    "luminance": match_luminance,
    "histogram": match_distribution,
    "linear": match_linear,
}
"""By the word for it."""


def _spread(values: _Array, weights: _Array) -> tuple[float, float]:
    """Return the weighted mean and standard deviation."""
    mean = float(np.average(values, weights=weights))
    return mean, float(np.average((values - mean) ** 2, weights=weights)) ** 0.5


def _sample(weights: _Array) -> NDArray[np.intp]:
    """Return the places of pixels that count, evenly thinned out."""
    (places,) = np.nonzero(weights.reshape(-1))
    return places[:: max(1, len(places) // _SAMPLE)]


def _quantiles(values: _Array, weights: _Array) -> NDArray[np.float64]:
    """Return quantiles, shape (levels, axes), from the least value to the greatest."""
    levels = torch.linspace(0, 1, _LEVELS, dtype=torch.float64)
    values_, weights_ = (torch.from_numpy(np.asarray(a, dtype=np.float64)) for a in (values, weights))
    return np.asarray(weighted_quantiles(values_, weights_, levels).numpy())


def _interpolated(values: _Array, here: NDArray[np.float64], there: NDArray[np.float64]) -> NDArray[np.float64]:
    """Carry values from one set of quantiles to another; where several are one value, they go to their mean."""
    different, which = np.unique(here, return_inverse=True)
    means = np.bincount(which, weights=there) / np.bincount(which)
    return np.interp(values, different, means)

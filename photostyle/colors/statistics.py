"""The closed-form start: one affine map a region, from the means and covariances of its colours alone.

Among all maps that carry a Gaussian with mean μ_c and covariance Σ_c to one with μ_s and Σ_s, the Monge-Kantorovich map
moves the colours least (Pitié & Kokaram 2007, section 4):

    x → μ_s + A (x - μ_c),   A = Σ_c^-½ (Σ_c^½ Σ_s Σ_c^½)^½ Σ_c^-½

It is symmetric and positive definite: it stretches colours along three axes, but never turns or mirrors them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from photostyle.images import fit_longest_side, resize

if TYPE_CHECKING:
    from photostyle.regions.labels import LabelMasks
    from photostyle.regions.match import Assignment

_Array = NDArray[np.floating[Any]]
_MOST_GAIN = 4.0  # a region of nearly one colour isn't stretched to a rainbow
_RIDGE = 1e-5  # squared colour units, about one step of 8 bits: below that there is rounding, not colour


@dataclass(frozen=True)
class Moments:
    """Mean, shape (3,), and covariance, shape (3, 3), of the colours of a region."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]

    def second(self) -> NDArray[np.float64]:
        """Return E [x; 1] [x; 1]ᵀ, shape (4, 4)."""
        upper = np.column_stack([self.covariance + np.outer(self.mean, self.mean), self.mean])
        return np.vstack([upper, [*self.mean, 1.0]])


def moments(picture: _Array, mask: _Array) -> Moments:
    """Return the moments of a region's colours.

    Parameters
    ----------
    picture : ndarray, shape (H, W, 3)
        sRGB in [0, 1].
    mask : ndarray, shape (H, W)
        The weight of each pixel, not all zero.
    """
    pixels = picture.reshape(-1, 3).astype(np.float64)
    weights = mask.reshape(-1).astype(np.float64) / mask.sum(dtype=np.float64)
    mean = weights @ pixels
    centred = pixels - mean
    return Moments(mean, centred.T @ (centred * weights[:, None]))


def blend(parts: list[tuple[float, Moments]]) -> Moments:
    """Return the weighted mean of moments; the weights are divided by their sum."""
    total = sum(weight for weight, _ in parts)
    mean = np.sum([weight / total * part.mean for weight, part in parts], axis=0)
    return Moments(mean, np.sum([weight / total * part.covariance for weight, part in parts], axis=0))


def transport_map(content: Moments, style: Moments, ridge: float = _RIDGE) -> NDArray[np.float64]:
    """Return the Monge-Kantorovich map between two regions' colours.

    Both covariances get a small ridge, and no colour axis is stretched more than fourfold: equal moments still give
    the identity, a style in grey still takes all colours away, but a flat region isn't torn.

    Parameters
    ----------
    content, style : Moments
    ridge : float
        Squared colour units; what varies less is rounding.

    Returns
    -------
    ndarray, shape (3, 4)
        [A | b], to be applied to [x; 1].
    """
    source = content.covariance + ridge * np.eye(3)
    target = style.covariance + ridge * np.eye(3)
    root, inverse = _power(source, 0.5), _power(source, -0.5)
    gains, axes = np.linalg.eigh(inverse @ _power(root @ target @ root, 0.5) @ inverse)
    a = (axes * np.minimum(gains, _MOST_GAIN)) @ axes.T
    return np.column_stack([a, style.mean - a @ content.mean])


def style_moments(
    styles: Sequence[NDArray[np.float32]],
    style_masks: Sequence[LabelMasks | None],
    assignments: Sequence[Assignment],
    longest: int,
) -> list[Moments | None]:
    """Return the moments of each region's style, measured at a longest side; None where it keeps its own colours."""
    found = []
    for picture, labels in zip(styles, style_masks, strict=True):
        small = fit_longest_side((picture.shape[1], picture.shape[0]), longest)
        by_label: dict[str | None, NDArray[np.float32]] = {None: np.ones((small[1], small[0]), dtype=np.float32)}
        if labels is not None:
            by_label |= dict(zip(labels.labels, labels.resized(small).masks, strict=True))
        found.append((resize(picture, small), by_label))
    result: list[Moments | None] = []
    for assignment in assignments:
        parts = [(s.weight, moments(found[s.style][0], found[s.style][1][s.label])) for s in assignment.sources]
        result.append(blend(parts) if parts and assignment.weight else None)
    return result


def _power(matrix: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
    """Return a power of a symmetric positive definite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    power: NDArray[np.float64] = (vectors * np.maximum(values, 1e-12) ** exponent) @ vectors.T
    return power

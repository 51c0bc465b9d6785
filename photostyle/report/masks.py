"""Masks for the eye: each label in a colour of its own, over a pale picture."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from photostyle.regions.labels import LabelMasks

__all__ = ["label_colors", "overlay"]


def label_colors(labels: Sequence[str]) -> dict[str, tuple[float, float, float]]:
    """Return a colour in [0, 1] for each label, by sorted name, so that both pictures of a pair agree."""
    names = sorted(set(labels))
    return {name: colorsys.hsv_to_rgb(i / max(len(names), 1), 0.75, 0.95) for i, name in enumerate(names)}


def overlay(
    picture: NDArray[np.float32], masks: LabelMasks, colors: Mapping[str, tuple[float, float, float]]
) -> NDArray[np.float32]:
    """Paint soft masks over a picture.

    Parameters
    ----------
    picture : ndarray, shape (H, W, 3)
        In [0, 1].
    masks : LabelMasks
        Of the same size.
    colors : mapping of label to RGB in [0, 1]

    Returns
    -------
    ndarray of float32, shape (H, W, 3)
    """
    palette = np.array([colors[label] for label in masks.labels], dtype=np.float32)
    painted: NDArray[np.float32] = np.einsum("khw,kc->hwc", masks.masks, palette)
    grey = picture.mean(axis=2, keepdims=True)
    mixed: NDArray[np.float32] = np.clip(np.float32(0.45) * grey + np.float32(0.55) * painted, 0, 1)
    return mixed

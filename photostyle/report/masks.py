"""Masks for the eye: each label in a colour of its own, over a pale picture."""

from __future__ import annotations

import colorsys
import io
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photostyle.regions.labelmap.label_colors import LABEL_COLORS, label_palette
from photostyle.regions.labels import LabelMasks
from photostyle.report.sheet import legend_strip


def label_colors(labels: Sequence[str]) -> dict[str, tuple[float, float, float]]:
    """Return a colour in [0, 1] for each label: the segmenter's own, else one by sorted name, so that pairs agree."""
    names = sorted(set(labels))
    made = {name: colorsys.hsv_to_rgb(i / max(len(names), 1), 0.75, 0.95) for i, name in enumerate(names)}
    if set(names) <= set(LABEL_COLORS):
        made = {name: _rgb(LABEL_COLORS[name]) for name in names}
    return made


def _rgb(color: str) -> tuple[float, float, float]:
    red, green, blue = bytes.fromhex(color[1:])
    return red / 255, green / 255, blue / 255


def labelled_overlay(picture: NDArray[np.float32], masks: LabelMasks) -> NDArray[np.float32]:
    """Paint masks over a picture, with a legend of labels and areas in a strip below."""
    colors = {label: _rgb(color) for label, color in masks.colors.items()}
    painted = overlay(picture, masks, colors)
    return np.concatenate([painted, legend_strip(masks.shares, colors, picture.shape[1])])


def overlay(
    picture: NDArray[np.float32], masks: LabelMasks, colors: Mapping[str, tuple[float, float, float]]
) -> NDArray[np.float32]:
    """Paint soft masks over a picture."""
    palette = np.array([colors[label] for label in masks.labels], dtype=np.float32)
    painted: NDArray[np.float32] = np.einsum("khw,kc->hwc", masks.masks, palette)
    return tinted(picture, painted)


def tinted(picture: NDArray[np.float32], colors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lay colours over a grey picture, both of shape (H, W, 3) in [0, 1]."""
    grey = picture.mean(axis=2, keepdims=True)
    mixed: NDArray[np.float32] = np.clip(np.float32(0.45) * grey + np.float32(0.55) * colors, 0, 1)
    return mixed


def indexed_png(label_map: NDArray[np.integer], labels: Sequence[str]) -> bytes:
    """Encode a label map as an indexed PNG whose indices are the places in `labels`, each in its colour."""
    indexed = Image.fromarray(label_map.astype(np.uint8))
    indexed.putpalette([level for color in label_palette(labels).values() for level in bytes.fromhex(color[1:])])
    buffer = io.BytesIO()
    indexed.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()

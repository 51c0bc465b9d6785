"""The colours of labels in maps and overlays."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

LABEL_COLORS = {
    "sky": "#70b8f0",
    "building": "#b05a3c",
    "vegetation": "#4f9a2e",
    "mountain": "#9a7ab8",
    "water": "#1f4fb4",
    "ground": "#d2b478",
    "person": "#f0306e",
    "animal": "#f09020",
    "vehicle": "#5a2a9a",
    "object": "#e6e03c",
}
"""The labels of the packaged segmenter. None comes near a common colour of
:mod:`photostyle.regions.labelmap.legend`, so that a map in these colours is known by them, also when a paint program
has dropped its palette and its legend is lost."""


def label_palette(labels: Sequence[str]) -> dict[str, str]:
    """Give each label its colour as "#rrggbb": that of `LABEL_COLORS`, else one made from its place in the list."""
    return {label: LABEL_COLORS.get(label) or _color(index) for index, label in enumerate(labels)}


def _color(index: int) -> str:
    hue = (index * 0.61803398875) % 1  # the golden ratio keeps neighbours apart
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.6, 0.95 - 0.25 * (index % 3) / 2)
    return "#{:02x}{:02x}{:02x}".format(*(round(255 * level) for level in (red, green, blue)))

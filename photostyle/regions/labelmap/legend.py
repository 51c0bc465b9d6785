"""What the labels of a map are called: the legend beside the map, and the common names of colours."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from photostyle.errors import RegionError
from photostyle.regions.labelmap.label_colors import LABEL_COLORS

Color = tuple[int, int, int]

COMMON_COLORS: dict[str, Color] = {
    "blue": (0, 0, 255),
    "green": (0, 255, 0),
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "red": (255, 0, 0),
    "yellow": (255, 255, 0),
    "grey": (128, 128, 128),
    "lightblue": (0, 255, 255),
    "purple": (255, 0, 255),
}
"""The nine colours of Luan et al. (2017), whose maps many people have."""

_TOLERANCE = 8  # levels a channel by which a colour may miss the one that is meant
_LARGEST_LEGEND = 1 << 20  # bytes
_KEYS = 'an index ("3"), a colour ("#0000ff") or a common colour ("blue")'


class Legend:
    """Names for indices and colours."""

    def __init__(
        self,
        indices: dict[int, str] | None = None,
        colors: dict[Color, str] | None = None,
        path: Path | None = None,
        *,
        complete: bool = False,
    ) -> None:
        self.indices = indices or {}
        self.colors = colors or {}
        self.path = path
        self.complete = complete

    def names(self, own: Sequence[str], indices: Sequence[int | None], colors: Sequence[Color]) -> list[str]:
        """Name the labels of a map."""
        if self.indices and not self.colors and all(index is None for index in indices):
            raise RegionError(
                f"legend {self.path} names labels by index, but the map is in colour: use keys like "
                '"#0000ff" or "blue", or save the map as an indexed PNG'
            )
        by_color = _nearest_only(colors, list(self.colors))
        names = []
        for label, index, color, target in zip(own, indices, colors, by_color, strict=True):
            by_index = self.indices.get(index) if index is not None else None
            colored = self.colors[target] if target is not None else None
            name = colored if self.complete and colored is not None else by_index or colored
            if name is None and self.complete:
                raise self._unknown(index, color)
            names.append(name or label)
        return names

    def _unknown(self, index: int | None, color: Color) -> RegionError:
        what = f"the colour {hex_color(color)}" if index is None else f"the index {index} ({hex_color(color)})"
        known = ", ".join(f"{index} {name}" for index, name in sorted(self.indices.items()))
        return RegionError(
            f"the map of legend {self.path} has {what}, which the legend doesn't name; it names {known}: paint with "
            "these, or add the new label to the legend"
        )


def hex_color(color: Color) -> str:
    """Write a colour of three levels in 0…255 as "#rrggbb"."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def own_names(colors: Sequence[Color]) -> list[str] | None:
    """Names of a map in the packaged segmenter's colours; None if it has any other colour."""
    targets = {_target(Path(), color): label for label, color in LABEL_COLORS.items()}
    found = _nearest_only(colors, [color for color in targets if isinstance(color, tuple)])
    return [targets[color] for color in found if color is not None] if None not in found else None


def color_names(colors: Sequence[Color]) -> list[str]:
    """Names of the colours of one map, all different."""
    names = {color: name for name, color in COMMON_COLORS.items()}
    targets = _nearest_only(colors, list(names))
    return [
        hex_color(color) if target is None else names[target] for color, target in zip(colors, targets, strict=True)
    ]


def read_legend(map_path: Path) -> Legend:
    """Read the legend of a map: the JSON file of the same stem beside it.

    It holds a list of names by index, or an object whose keys are indices ("3"), colours ("#0000ff",
    "0000ff") or common colours ("blue") and whose values are names, or objects with a "name" and perhaps
    the "color" of an index; either may stand alone or under "labels". The legend of an automatic
    segmentation (it has a "segmenter") is complete. A map without a legend that has only colours of
    :data:`photostyle.regions.labelmap.label_colors.LABEL_COLORS` is named by these.
    """
    path = map_path.with_suffix(".json")
    if not path.is_file():
        return Legend()
    entries = _load(path)
    complete = isinstance(entries, dict) and "segmenter" in entries
    if isinstance(entries, dict) and isinstance(entries.get("labels"), (dict, list)):
        entries = entries["labels"]
    if isinstance(entries, list):
        return Legend({index: _name(path, index, value) for index, value in enumerate(entries)}, path=path)
    if not isinstance(entries, dict):
        raise RegionError(f"legend {path} holds {_kind(entries)}: it must be a list of names or an object")
    legend = Legend(path=path, complete=complete)
    for key, value in entries.items():
        name = _name(path, key, value)
        target = _target(path, key)
        if isinstance(value, dict) and "color" in value:
            color = _target(path, str(value["color"]))
            if isinstance(color, tuple):
                legend.colors[color] = name
        if isinstance(target, int):
            legend.indices[target] = name
        else:
            legend.colors[target] = name
    return legend


def _load(path: Path) -> Any:
    try:
        if path.stat().st_size > _LARGEST_LEGEND:
            raise RegionError(f"legend {path} is larger than 1 MiB: a legend is a short list of names")
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise RegionError(f"legend {path} can't be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise RegionError(f"legend {path} is no JSON text ({reason}): mend it or remove it") from error


def _name(path: Path, key: str | int, value: Any) -> str:
    if isinstance(value, dict) and "name" in value:
        value = value["name"]
    if not isinstance(value, str):
        raise RegionError(
            f'legend {path} has {_kind(value)} for {str(key)!r}: a name must be a text, or an object with "name"'
        )
    name = value.strip()
    if not name or not name.isprintable():
        raise RegionError(
            f"legend {path} has the name {value!r} for {str(key)!r}: use one or more printable characters"
        )
    return name


def _target(path: Path, key: str) -> int | Color:
    text = key.strip().lower()
    if re.fullmatch(r"#?[0-9a-f]{6}", text):
        red, green, blue = bytes.fromhex(text[-6:])
        return red, green, blue
    if re.fullmatch(r"[0-9]{1,5}", text):
        return int(text)
    common = COMMON_COLORS.get({"gray": "grey"}.get(text, text))
    if common is None:
        raise RegionError(f"legend {path} has the unknown key {key!r}: a key is {_KEYS}")
    return common


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _nearest_only(colors: Sequence[Color], targets: Sequence[Color]) -> list[Color | None]:
    """For each colour the target that it is meant to be; of two colours near one target, the nearer."""
    pairs = sorted(
        (sum((a - b) ** 2 for a, b in zip(color, target, strict=True)), i, j)
        for i, color in enumerate(colors)
        for j, target in enumerate(targets)
        if max(abs(a - b) for a, b in zip(color, target, strict=True)) <= _TOLERANCE
    )
    result: list[Color | None] = [None] * len(colors)
    taken: set[int] = set()
    for _, i, j in pairs:
        if result[i] is None and j not in taken:
            result[i] = targets[j]
            taken.add(j)
    return result

"""What a sweep varies: options by name, their values, and all combinations of these."""

from __future__ import annotations

import difflib
import itertools
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from photostyle.errors import UsageError
from photostyle.options.config import OPTIONS
from photostyle.options.values import flag

MOST_CELLS = 100
"""How many combinations one sweep runs at most."""

_LONGEST_NAME = 120  # of a file; systems allow 255 bytes


def check_varied(name: str) -> None:
    """Find out whether an option can be varied."""
    if name in OPTIONS:
        if why := OPTIONS[name].fixed:
            raise UsageError(f"--vary {name}: it can't be varied, since {why}; pass {flag(name)}")
        return
    allowed = [each.name for each in OPTIONS.values() if not each.fixed]
    near = difflib.get_close_matches(name, allowed, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UsageError(f"--vary {name}: there is no such option; {hint}allowed are: {', '.join(allowed)}")


def checked_values(vary: Mapping[str, Iterable[Any]]) -> dict[str, list[Any]]:
    """Check what shall be varied."""
    if not vary:
        raise UsageError("a sweep needs something to vary: --vary NAME=A,B,… such as --vary style_weight=1,10")
    checked: dict[str, list[Any]] = {}
    for name, values in vary.items():
        check_varied(name)
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise UsageError(f"--vary {name} is {values!r}, but must be a list of values")
        plain = [_plain(value) for value in values]
        if not plain:
            raise UsageError(f"--vary {name} has no values: give at least one, such as --vary {name}=A,B")
        for index, value in enumerate(plain):
            if OPTIONS[name].many and not (value is None or isinstance(value, tuple)):
                raise UsageError(f"--vary {name} has the value {value!r}, but each value of it must be a list")
            if value in plain[:index]:
                raise UsageError(f"--vary {name} has the value {value_text(value)} twice: leave one of them out")
        checked[name] = plain
    count = math.prod(len(values) for values in checked.values())
    if count > MOST_CELLS:
        factors = " × ".join(str(len(values)) for values in checked.values())
        raise UsageError(
            f"the sweep has {factors} = {count} cells, but at most {MOST_CELLS} are allowed: give fewer values, or "
            "make several sweeps"
        )
    return checked


def combinations(vary: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return all combinations of the values; the last option varies fastest."""
    return [dict(zip(vary, values, strict=True)) for values in itertools.product(*vary.values())]


def value_text(value: Any) -> str:
    """Write a value as --vary takes it: relu1_1+relu2_1 for a list; None is "default"."""
    if isinstance(value, tuple):
        return "+".join(value_text(item) for item in value) or "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if value is None:
        return "default"
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def values_text(values: Mapping[str, Any]) -> str:
    """Write a combination for people: "style weight 100, seed 1"."""
    return ", ".join(f"{name.replace('_', ' ')} {value_text(value)}" for name, value in values.items())


def file_name(number: int, count: int, values: Mapping[str, Any]) -> str:
    """Return the name of a cell's picture: its number, and its values as far as every file system takes them."""
    text = "_".join(f"{name.replace('_', '-')}={value_text(value)}" for name, value in values.items())
    safe = re.sub(r"[^A-Za-z0-9.+=_-]+", "-", text)[:_LONGEST_NAME].rstrip(".-_")
    return f"{number:0{len(str(count))}}_{safe}.png"


def _plain(value: Any) -> Any:
    """Turn numpy's numbers, paths and lists into what a config holds."""
    import numpy as np

    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return tuple(_plain(item) for item in value) if isinstance(value, (list, tuple)) else value

"""Checks of single values of options: each error names the option, what was found and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from photostyle.errors import UsageError


def flag(name: str) -> str:
    """Return the option of a field, as it is typed."""
    return "--" + name.replace("_", "-")


def check_integer(name: str, value: Any, least: int) -> None:
    """Raise a `UsageError` unless the value is None or a whole number from `least` on."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UsageError(f"{flag(name)} is {value!r}, but must be a whole number of at least {least}")


def check_number(name: str, value: Any, above_zero: bool = False) -> None:
    """Raise a `UsageError` unless the value is None or a finite number from 0 on, or above it."""
    if value is None:
        return
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not number or value < 0 or (above_zero and value == 0):
        raise UsageError(
            f"{flag(name)} is {value!r}, but must be a number {'above' if above_zero else 'of at least'} 0"
        )


def check_weights(name: str, weights: Sequence[float] | None) -> None:
    """Raise a `UsageError` unless the weights are None or numbers from 0 on with a sum above it."""
    if weights is None:
        return
    for weight in weights:
        check_number(name, weight)
    if not weights or sum(weights) <= 0:
        raise UsageError(f"{flag(name)} is {','.join(map(str, weights))!r}, but its sum must be above 0")


def pairs(name: str, values: Sequence[str]) -> dict[str, str]:
    """Take LABEL=VALUE texts apart; blanks around label and value don't count."""
    result: dict[str, str] = {}
    for value in values:
        key, separator, other = (part.strip() for part in str(value).partition("="))
        if not (key and separator and other) or key in result:
            raise UsageError(f"{flag(name)} is {','.join(map(str, values))!r}: each must be LABEL=…, no label twice")
        result[key] = other
    return result

"""Options of a transfer from YAML: each value by the type of its field, each error with its line."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable
from typing import Any

from photostyle.batches.located import Located
from photostyle.errors import UsageError
from photostyle.options.config import TransferConfig
from photostyle.options.values import flag

_HINTS = typing.get_type_hints(TransferConfig)
OPTIONS = tuple(_HINTS)
"""The names of all options."""

_NOT_KEPT = ("snapshots", "snapshot_every", "checkpoint_every")
_WANTED = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def known_name(key: str, found: Located, allowed: Iterable[str], where: str) -> str:
    """Return the name that a key stands for, hyphens being underscores."""
    name, names = key.strip().replace("-", "_"), list(allowed)
    if name in _NOT_KEPT and name in names:
        raise found.place.error(f"{key} has no place in a batch, which keeps finished pictures alone: leave it out")
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"allowed are: {', '.join(names)}"
    raise found.place.error(f"{where} has no {key!r}; {hint}")


def option_value(name: str, found: Located) -> Any:
    """Return the value of one option, checked by itself."""
    hint = _HINTS[name]
    if found.kind == "null":
        value: Any = None
        if types.NoneType not in typing.get_args(hint):
            raise found.place.error(f"{name} is empty, but must be {_wanted(hint)}: give it a value or leave it out")
    elif "tuple" in str(hint):
        value = tuple(_items(name, found))
    else:
        value = _scalar(name, found, _kind(hint))
    try:
        TransferConfig(**{name: value})
    except UsageError as error:
        raise found.place.error(str(error).replace(flag(name), name)) from None
    return value


def several_values(name: str, found: Located) -> list[Any]:
    """Return the values of an option of a matrix: a list of them, or one.

    Of an option that is itself a list each value is a list, one item, or a text with commas.
    """
    values = []
    for each in found.value if found.kind == "seq" else [found]:
        value = option_value(name, each)
        if value in values:
            raise each.place.error(f"{name} has the value {each.found} twice: leave one of them out")
        values.append(value)
    if not values:
        raise found.place.error(f"{name} has no values: give one or more, or leave it out")
    return values


def _items(name: str, found: Located) -> list[Any]:
    kind = _kind(_HINTS[name])
    if found.kind == "map":
        if name not in ("match", "region_weights"):
            raise found.place.error(f"{name} is a mapping, but must be a list")
        return [f"{key}={value.text(name)}" for key, value in found.value.items()]
    if found.kind == "seq":
        return [_scalar(name, each, kind) for each in found.value]
    if found.kind == "str":
        parts = [Located(text.strip(), "str", found.place) for text in found.value.split(",")]
        return [_scalar(name, each, kind) for each in parts]
    return [_scalar(name, found, kind)]


def _scalar(name: str, found: Located, kind: type) -> Any:
    """Return a scalar of a type; 1e3, which YAML takes for a text, is a number too."""
    if found.kind not in ("seq", "map", "null") and not (found.quoted and kind is not str):
        text = found.value.strip()
        try:
            if kind is str and text:
                return text
            if kind is bool and found.kind == "bool":
                return text.lower() in ("true", "yes", "on")
            if kind is int and found.kind in ("int", "str"):
                return int(text)
            if kind is float and found.kind in ("int", "float", "str"):
                return float(text.replace("_", ""))
        except ValueError:
            pass
    raise found.place.error(f"{name} is {found.found}, but must be {_WANTED[kind]}")


def _kind(hint: Any) -> type:
    text = str(hint)
    if "tuple" in text:
        return next(kind for kind in (str, float, int) if f"tuple[{kind.__name__}" in text)
    plain: type = next(a for a in typing.get_args(hint) or (hint,) if a is not types.NoneType)
    return plain


def _wanted(hint: Any) -> str:
    return "a list" if "tuple" in str(hint) else _WANTED[_kind(hint)]

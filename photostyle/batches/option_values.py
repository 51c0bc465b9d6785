"""Options of a transfer from YAML: each value by the type of its field, each error with its line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from photostyle.batches.located import Located
from photostyle.errors import UsageError
from photostyle.options.config import OPTIONS, TransferConfig
from photostyle.options.parsing import WANTED, scalar
from photostyle.options.values import flag

_KEPT_ON_THE_WAY = ("snapshots", "snapshot_every", "checkpoint_every")
_READ_AS = {str: ("str", "int", "float", "bool"), bool: ("bool",), int: ("int", "str"), float: ("int", "float", "str")}
_WANTED = {**WANTED, bool: "true or false"}


def known_name(key: str, found: Located, allowed: Iterable[str], where: str) -> str:
    """Return the name that a key stands for, hyphens being underscores."""
    name, names = key.strip().replace("-", "_"), list(allowed)
    if name in _KEPT_ON_THE_WAY and name in names:
        raise found.place.error(f"{key} has no place in a batch, which keeps finished pictures alone: leave it out")
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"allowed are: {', '.join(names)}"
    raise found.place.error(f"{where} has no {key!r}; {hint}")


def option_value(name: str, found: Located) -> Any:
    """Return the value of one option, checked by itself."""
    option = OPTIONS[name]
    if found.kind == "null":
        value: Any = None
        if not option.optional:
            wanted = "a list" if option.many else _WANTED[option.kind]
            raise found.place.error(f"{name} is empty, but must be {wanted}: give it a value or leave it out")
    else:
        value = tuple(_items(name, found)) if option.many else _scalar(name, found, option.kind)
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
    kind = OPTIONS[name].kind
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
            if text and found.kind in _READ_AS[kind]:
                return scalar(kind, text.replace("_", "") if kind is float else text)
        except ValueError:
            pass
    raise found.place.error(f"{name} is {found.found}, but must be {_WANTED[kind]}")

"""Values of options from text: of the command line, a sweep, the page, a file of jobs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from photostyle.errors import UsageError
from photostyle.options.config import OPTIONS
from photostyle.options.values import flag

_SWITCH = {"on": True, "true": True, "yes": True, "1": True, "off": False, "false": False, "no": False, "0": False}
WANTED = {bool: "on or off", int: "a whole number", float: "a number", str: "a text"}


def scalar(kind: type, text: str) -> Any:
    """Return a text as a value of a kind; a `ValueError` where it is none."""
    text = text.strip()
    try:
        return _SWITCH[text.lower()] if kind is bool else kind(text)
    except KeyError:
        raise ValueError from None


def parse_text(name: str, text: str) -> Any:
    """Return one value of an option; the items of a list are joined by +."""
    option = OPTIONS[name]
    if option.many:
        # a plus after the e of a number is its exponent's
        items = re.split(r"\+" if option.kind is str else r"(?<!\d[eE])\+", text)
        if not all(item.strip() for item in items):
            raise UsageError(f"{flag(name)} is {text!r}, but its items, joined by +, must not be empty")
        return parse_list(name, items)
    try:
        return scalar(option.kind, text)
    except ValueError:
        raise UsageError(f"{flag(name)} is {text!r}, but must be {WANTED[option.kind]}") from None


def parse_list(name: str, texts: Sequence[str]) -> tuple[Any, ...]:
    """Return the items of a list option from texts, each one or more items separated by commas."""
    kind = OPTIONS[name].kind
    try:
        return tuple(scalar(kind, part) for text in texts for part in text.split(","))
    except ValueError:
        wanted = {float: "numbers", int: "whole numbers"}[kind]
        raise UsageError(f"{flag(name)} is {','.join(texts)!r}, but must be {wanted} separated by commas") from None

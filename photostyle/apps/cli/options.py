"""Command-line options made from :class:`photostyle.options.config.TransferConfig`, their one source."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Annotated, Any

import typer

from photostyle.errors import UsageError
from photostyle.options.config import TransferConfig, option_help
from photostyle.options.defaults import CHOICES

_HINTS = typing.get_type_hints(TransferConfig)
_REPEATED = ("keep", "match", "region_weights")
_SWITCH = {"on": True, "true": True, "yes": True, "1": True, "off": False, "false": False, "no": False, "0": False}


def with_config_options(command: Callable[..., Any], helps: Mapping[str, str] | None = None) -> Callable[..., Any]:
    """Give a command, instead of its ``**options``, one option for each field of the config."""
    signature = inspect.signature(command, eval_str=True)
    own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    made = [
        inspect.Parameter(
            f.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=_default(f.name, f.default),
            annotation=_hint(f.name, option_help(f.name) if helps is None else helps[f.name]),
        )
        for f in fields(TransferConfig)
        if helps is None or f.name in helps
    ]
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + made
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def config_from(options: Mapping[str, Any]) -> TransferConfig:
    """Make the config from the values that the command line gave."""
    return TransferConfig(**{name: _parse(name, value) for name, value in options.items()})


def parse_text(name: str, text: str) -> Any:
    """Parse one value of an option from text, by the field's own type."""
    if _is_list(name):
        # a plus after the e of a number is its exponent's
        items = re.split(r"(?<!\d[eE])\+" if "tuple[str" not in str(_HINTS[name]) else r"\+", text)
        if not all(item.strip() for item in items):
            raise UsageError(f"--{name.replace('_', '-')} is {text!r}, but its items, joined by +, must not be empty")
        joined = ",".join(items)
        return _parse(name, [joined] if name in _REPEATED else joined)
    kind = _plain_type(name)
    try:
        return _SWITCH[text.strip().lower()] if kind is bool else kind(text.strip())
    except (KeyError, ValueError):
        wanted = {bool: "on or off", int: "a whole number", float: "a number"}[kind]
        raise UsageError(f"--{name.replace('_', '-')} is {text!r}, but must be {wanted}") from None


def _is_list(name: str) -> bool:
    return "tuple" in str(_HINTS[name])


def _default(name: str, default: Any) -> Any:
    return None if _is_list(name) else default


def _hint(name: str, text: str) -> Any:
    flag, hint = "--" + name.replace("_", "-"), _HINTS[name]
    if name in _REPEATED:
        return Annotated[list[str] | None, typer.Option(flag, help=text, metavar="A,B,…")]
    if _is_list(name):
        return Annotated[str | None, typer.Option(flag, help=text, metavar="A,B,…")]
    if hint is bool:
        on = TransferConfig.__dataclass_fields__[name].default
        return Annotated[bool, typer.Option(f"{flag}/--no-{flag[2:]}" if on else flag, help=text)]
    metavar = "|".join(CHOICES[name]) if name in CHOICES else {int: "N", float: "X", str: "NAME"}[_plain_type(name)]
    return Annotated[hint, typer.Option(flag, help=text, metavar=metavar)]


def _plain_type(name: str) -> Any:
    """Return the type of an option that is no list, without its None."""
    hint = _HINTS[name]
    return next(a for a in typing.get_args(hint) if a is not types.NoneType) if typing.get_args(hint) else hint


def _parse(name: str, value: Any) -> Any:
    if not _is_list(name):
        return value
    if value is None:
        return TransferConfig.__dataclass_fields__[name].default
    if isinstance(value, list):
        return tuple(part.strip() for each in value for part in each.split(","))
    kind = next(k for k in (str, float, int) if f"tuple[{k.__name__}" in str(_HINTS[name]))
    try:
        return tuple(kind(part.strip()) for part in value.split(","))
    except ValueError:
        wanted = {float: "numbers", int: "whole numbers"}[kind]
        raise UsageError(f"--{name.replace('_', '-')} is {value!r}, but must be {wanted} separated by commas") from None

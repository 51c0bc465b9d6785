"""What is known of an option, once: command line, page, batches, sweeps, checks, help and hashes derive from it."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from photostyle.errors import UsageError
from photostyle.options.values import check_integer, check_number, check_weights, flag

FIRST = "What matters first"
REGIONS, STYLES, PHOTO = "Regions", "Styles", "Photo mode"
WEIGHTS, NETWORK = "Weights of the terms", "Network and layers"
OPTIMISATION, FINISH, MACHINE = "Optimisation", "Finish", "Machine and files"
THEMES = (FIRST, REGIONS, STYLES, PHOTO, WEIGHTS, NETWORK, OPTIMISATION, FINISH, MACHINE)
"""The headings, in the order of the help."""


@dataclass(frozen=True)
class Option:
    """One field of a dataclass of options.

    Attributes
    ----------
    name : str
    kind : type
        bool, int, float or str; of a list that of its items.
    many, optional : bool
        Whether it is a list, and whether it may be None: a default that depends on other options.
    default : object
    help : str
        One line.
    theme : str
        The heading under which the command line shows it.
    choices : tuple of str
        The allowed words; none where any text or number may be given.
    least, most : float
        Bounds of a number, or of each item.
    above : bool
        Whether the number must be above zero.
    changes : str
        What depends on it: the "picture"; only the "file" that is written; only the "machine" on which it is made, or
        "nothing" but what is kept on the way.
    prepared : bool
        Whether anything before the solver looks at it.
    fixed : str
        Why a sweep can't vary it; empty where it can.
    """

    name: str
    kind: type
    many: bool
    optional: bool
    default: Any
    help: str
    theme: str
    choices: tuple[str, ...] = ()
    least: float = 0
    most: float = math.inf
    above: bool = False
    changes: Literal["picture", "file", "machine", "nothing"] = "picture"
    prepared: bool = True
    fixed: str = ""

    def check(self, value: Any) -> None:
        """Raise a `UsageError` unless a value is allowed, by itself."""
        if value is None and self.optional:
            return
        if self.choices:
            if value not in self.choices:
                raise UsageError(f"{flag(self.name)} is {value!r}, but must be one of: {', '.join(self.choices)}")
        elif self.many and self.kind is float:
            check_weights(self.name, value)
        elif self.many and self.kind is str:
            if isinstance(value, str):
                raise UsageError(f"{flag(self.name)} is the text {value!r}, but must be a list of texts")
        else:
            for each in value if self.many else (value,):
                self._check_number(each)

    def _check_number(self, value: Any) -> None:
        if self.kind is int:
            check_integer(self.name, value, int(self.least))
        elif self.kind is float:
            check_number(self.name, value, above_zero=self.above)
            if value > self.most:
                raise UsageError(f"{flag(self.name)} is {value}, but must lie between 0 and {self.most:g}")


def option(default: Any, help: str, *, theme: str = "", **more: Any) -> Any:
    """Return a dataclass field with what :class:`Option` tells of it."""
    return field(default=default, metadata={"help": help, "theme": theme, **more})


def table_of(options: type) -> Mapping[str, Option]:
    """Return the options of a dataclass whose fields were made by :func:`option`, by name, in its order."""
    hints = typing.get_type_hints(options)
    return {f.name: _option(f.name, hints[f.name], f.default, f.metadata) for f in fields(options)}


def _option(name: str, hint: Any, default: Any, metadata: Mapping[str, Any]) -> Option:
    parts = typing.get_args(hint)
    optional = types.NoneType in parts
    plain = next(part for part in parts if part is not types.NoneType) if optional else hint
    many = typing.get_origin(plain) is tuple
    kind = typing.get_args(plain)[0] if many else plain
    return Option(name, kind, many, optional, default, **metadata)

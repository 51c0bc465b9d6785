"""Tables of the registry, read field by field, so that a mistake in a row is named and not guessed around."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from photostyle.errors import WeightsError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Row", "read_rows", "read_toml"]

_T = TypeVar("_T")
_HEX = re.compile(r"[0-9a-f]+")


def read_toml(path: Path, what: str = "the registry", remedy: str = "install photostyle again") -> dict[str, Any]:
    """Read a TOML file; a `WeightsError` if it is missing or not valid."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or error
        raise WeightsError(f"can't read {what} {path} ({reason}): {remedy}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WeightsError(f"{what} {path} is not valid TOML ({error}): mend it") from error


def read_rows(document: Mapping[str, Any], table: str) -> dict[str, Row]:
    """Give the rows [table.NAME] of a document by name; a `WeightsError` if there are none."""
    rows = document.get(table)
    if not isinstance(rows, dict) or not all(isinstance(row, dict) for row in rows.values()):
        raise WeightsError(f"registry.toml: no rows [{table}.NAME] found, at least one is expected")
    return {name: Row(f"{table}.{name}", row) for name, row in rows.items()}


class Row:
    """A table of the registry whose fields are taken out one by one, each with its check.

    Every method raises `WeightsError` where the field is missing or not as it should be; the message names the row,
    the field, what was found and what is expected.

    Parameters
    ----------
    name : str
        "table.name", for messages.
    fields : mapping
        The table as it was read.
    """

    def __init__(self, name: str, fields: Mapping[str, Any]) -> None:
        self.name = name
        self._fields = dict(fields)

    def __contains__(self, field: str) -> bool:
        return field in self._fields

    def take(self, field: str, kind: type | tuple[type, ...]) -> Any:
        """Take a field of a type."""
        value = self._fields.pop(field, None)
        if not isinstance(value, kind) or isinstance(value, bool):
            kinds = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
            raise self._wrong(field, value, f"a value of type {kinds}")
        return value

    def choice(self, field: str, allowed: tuple[Any, ...]) -> Any:
        """Take a field that has one of a few values."""
        value = self.take(field, tuple({type(a) for a in allowed}))
        if value not in allowed:
            raise self._wrong(field, value, f"one of {', '.join(map(str, allowed))}")
        return value

    def text(self, field: str) -> str:
        """Take a text that is not empty."""
        value: str = self.take(field, str)
        if not value.strip():
            raise self._wrong(field, value, "a text that is not empty")
        return value

    def count(self, field: str) -> int:
        """Take a whole number above 0."""
        value: int = self.take(field, int)
        if value <= 0:
            raise self._wrong(field, value, "a whole number above 0")
        return value

    def digest(self, field: str, length: int = 64) -> str:
        """Take a hash in lower-case hexadecimal digits."""
        value: str = self.take(field, str)
        if len(value) != length or not _HEX.fullmatch(value):
            raise self._wrong(field, value, f"{length} hexadecimal digits in lower case")
        return value

    def triple(self, field: str, positive: bool = False) -> tuple[float, float, float]:
        """Take three decimal numbers."""
        value = self.take(field, list)
        fits = len(value) == 3 and all(isinstance(v, float) and (v > 0 or not positive) for v in value)
        if not fits:
            raise self._wrong(field, value, f"three {'positive ' if positive else ''}decimal numbers")
        return (value[0], value[1], value[2])

    def layers(self, field: str, known: tuple[str, ...]) -> tuple[str, ...]:
        """Take the first names of a known list, in order."""
        value = self.take(field, list)
        if not value or tuple(value) != known[: len(value)]:
            raise self._wrong(field, value, f"the convolutions from {known[0]} on, in order")
        return tuple(value)

    def done(self, result: _T) -> _T:
        """Hand the finished row over, after a look for fields that nobody asked for."""
        for field, value in self._fields.items():
            raise self._wrong(field, value, "no such field")
        return result

    def _wrong(self, field: str, value: object, expected: str) -> WeightsError:
        found = "nothing" if value is None else repr(value)
        return WeightsError(f"registry.toml, row [{self.name}], field {field!r}: found {found}, expected {expected}")

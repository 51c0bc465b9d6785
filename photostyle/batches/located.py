"""A YAML file as values that know their lines, so that an error can name one.

Only plain YAML is read: text, numbers, lists and mappings, with anchors and merge keys. What several aliases share is
expanded at most to :data:`MOST_VALUES` values, so that a small file can't fill the memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from photostyle.errors import UsageError

MOST_VALUES = 100_000
"""How many values a file may hold, each alias counted as what it stands for."""

_LARGEST = 16 << 20  # bytes
_DEEPEST = 20
_PREFIX = "tag:yaml.org,2002:"
_KINDS = {"str": "a text", "int": "a whole number", "float": "a number", "bool": "true or false", "null": "nothing",
          "seq": "a list", "map": "a mapping"}  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A line of a file, 1 the first."""

    file: str
    line: int

    def __str__(self) -> str:
        """Write it as compilers do: jobs.yaml:12."""
        return f"{self.file}:{self.line}"

    def error(self, message: str) -> UsageError:
        """Return an error at this line."""
        return UsageError(f"{self}: {message}")


@dataclass(frozen=True)
class Located:
    """A value of a YAML file.

    Attributes
    ----------
    value : str, list of Located, or dict of str to Located
        A scalar stands as its text, as it was written.
    kind : str
        "str", "int", "float", "bool", "null", "seq" or "map": what YAML takes it for.
    place : Place
        Where it begins; of a value of a mapping, where its key stands.
    quoted : bool
        Whether a scalar stands in quotes.
    """

    value: Any
    kind: str
    place: Place
    quoted: bool = False

    @property
    def found(self) -> str:
        """What it is, for messages: "a list", "the text 'abc'"."""
        if self.kind in ("seq", "map", "null"):
            return _KINDS[self.kind]
        return f"{'the text ' if self.kind == 'str' else ''}{self.value[:80]!r}"

    def items(self, what: str) -> dict[str, Located]:
        """Return what a mapping holds; a `UsageError` for anything else."""
        if self.kind == "null":
            return {}
        if self.kind != "map":
            raise self.place.error(f"{what} is {self.found}, but must be a mapping, NAME: VALUE")
        return dict(self.value)

    def entries(self, what: str) -> list[Located]:
        """Return what a list holds; a `UsageError` for anything else."""
        if self.kind != "seq":
            raise self.place.error(f"{what} is {self.found}, but must be a list")
        return list(self.value)

    def text(self, what: str) -> str:
        """Return a scalar as it was written; a `UsageError` for anything else and for nothing."""
        if self.kind in ("seq", "map", "null") or not self.value.strip():
            raise self.place.error(f"{what} is {self.found if self.kind != 'str' else 'empty'}, but must be a text")
        return str(self.value)


def read_located(path: Path) -> Located:
    """Read a YAML file."""
    try:
        if path.stat().st_size > _LARGEST:
            raise UsageError(f"{path} is larger than 16 MiB, so it is no list of jobs")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path} can't be read ({error.strerror or error}): check the path") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text in UTF-8 (byte {error.start}): save it as UTF-8") from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(str(path), mark.line + 1 if mark else 1)
        reason = " ".join(part for part in (error.context, error.problem) if part)
        raise place.error(f"this is no YAML: {reason}; check quotes, colons and indentation") from None
    except (yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split()) if isinstance(error, yaml.YAMLError) else "it is nested too deeply"
        raise UsageError(f"{path} is no YAML: {reason}") from None
    if node is None:
        raise UsageError(f"{path} is empty: it must have jobs: or matrix:")
    return _Reader(str(path)).located(node, node.start_mark.line + 1)


class _Reader:
    """Turns YAML's nodes into located values, and counts them."""

    def __init__(self, file: str) -> None:
        self.file, self.count = file, 0

    def located(self, node: yaml.Node, line: int, depth: int = 0) -> Located:
        place = Place(self.file, line)
        self.count += 1
        if self.count > MOST_VALUES:
            raise place.error(f"with its aliases the file has more than {MOST_VALUES:,} values: use fewer of them")
        self.check_depth(place, depth)
        kind = node.tag.removeprefix(_PREFIX)
        if isinstance(node, yaml.SequenceNode) and kind == "seq":
            return Located([self.located(each, _line(each), depth + 1) for each in node.value], kind, place)
        if isinstance(node, yaml.MappingNode) and kind == "map":
            return Located(self.mapping(node, place, depth), kind, place)
        if isinstance(node, yaml.ScalarNode):
            kind = {"timestamp": "str", "merge": "str", "value": "str"}.get(kind, kind)
            if kind in _KINDS:
                return Located(node.value, kind, place, node.style in ("'", '"'))
        raise place.error(f"the tag {node.tag} has no place in a list of jobs: leave it out")

    def check_depth(self, place: Place, depth: int) -> None:
        if depth > _DEEPEST:
            raise place.error(f"values are nested more than {_DEEPEST} deep, or an alias stands within itself")

    def mapping(self, node: yaml.MappingNode, place: Place, depth: int) -> dict[str, Located]:
        """Read a mapping; its own keys go before those that it merges."""
        self.check_depth(place, depth)
        own: dict[str, Located] = {}
        merged: dict[str, Located] = {}
        for key, value in node.value:
            line = _line(key)
            if key.tag == _PREFIX + "merge":
                for each in self.merged(value, line):
                    merged = self.mapping(each, place, depth + 1) | merged
                continue
            if not isinstance(key, yaml.ScalarNode):
                raise Place(self.file, line).error("a key is a list or a mapping, but must be a text")
            if key.value in own:
                raise Place(self.file, line).error(
                    f"{key.value} stands here twice, first in line {own[key.value].place.line}: leave one of them out"
                )
            own[key.value] = self.located(value, line, depth + 1)
        return merged | own

    def merged(self, node: yaml.Node, line: int) -> Iterator[yaml.MappingNode]:
        for each in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            self.count += 1
            if not isinstance(each, yaml.MappingNode) or self.count > MOST_VALUES:
                raise Place(self.file, line).error("<< must name a mapping, or a list of mappings")
            yield each


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1

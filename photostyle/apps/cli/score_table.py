"""Scores as tables for a terminal: a row a result, a table for what belongs together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from photostyle.studies.measure import SCORES

_TITLES = {
    "photo": "as a photograph",
    "artistic": "as a painting",
    "regions": "by the objective",
    "truth": "beside the truth",
}
_LEAST = 12  # characters of a name, however narrow the terminal


def score_table(rows: Sequence[tuple[str, Mapping[str, float]]], width: int | None = None) -> list[str]:
    """Write the scores of one or more results in lines."""
    groups: dict[str, list[str]] = {}
    for name in rows[0][1]:
        groups.setdefault(SCORES[name].tells, []).append(name)
    widest = max(sum(_column(name) for name in names) for names in groups.values())
    longest = max(len(text) for text in (*(name for name, _ in rows), *(_TITLES[group] for group in groups)))
    first = longest if width is None else min(longest, max(_LEAST, width - widest))
    lines: list[str] = []
    for group, names in groups.items():
        lines += [""] if lines else []
        lines.append(f"{_TITLES[group]:<{first}}" + "".join(f"{name:>{_column(name)}}" for name in names))
        for result, scores in rows:
            cells = (f"{scores[name]:{_column(name)}.{SCORES[name].digits}f}" for name in names)
            lines.append(f"{_fitted(result, first):<{first}}" + "".join(cells))
    return lines


def _column(name: str) -> int:
    return 2 + max(8, len(name))


def _fitted(name: str, width: int) -> str:
    return name if len(name) <= width else "…" + name[1 - width :]

"""Which style each content label takes, and a word for the user on every decision."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources

from photostyle.errors import RegionError
from photostyle.regions.labels import LabelMasks

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["REST", "Assignment", "Source", "match_labels", "relatives"]

REST = "rest"
"""The name that stands, in a mapping, for all labels that it doesn't name."""


_Names = dict[str, str]


@dataclass(frozen=True)
class Source:
    """Where a style comes from.

    Attributes
    ----------
    style : int
        Index of the style picture.
    label : str or None
        Its region; None means the whole picture.
    weight : float
        Share in a blend; the weights of an assignment sum to one.
    """

    style: int
    label: str | None
    weight: float


@dataclass(frozen=True)
class Assignment:
    """The style of one content label: a blend of one or more sources."""

    label: str
    sources: tuple[Source, ...]


def match_labels(
    content: LabelMasks,
    styles: Sequence[LabelMasks | None],
    *,
    weights: Sequence[float] | None = None,
    mapping: Mapping[str, int] | None = None,
) -> tuple[list[Assignment], list[str]]:
    """Give each label of the content its style.

    A label in ``mapping`` takes that picture: its region of the same label where the picture has masks that hold
    it, else the whole picture. Any other label takes, from the pictures that ``mapping`` doesn't mention, the
    regions of the same label; else of its nearest relative by meaning; else the global style, that is the whole
    of those pictures. Where no names are shared at all, equal colours match.

    Parameters
    ----------
    content : LabelMasks
        K regions.
    styles : sequence of LabelMasks or None
        The regions of each style picture; None means that it is used whole.
    weights : sequence of float, optional
        Share of each style picture in a blend; equal by default.
    mapping : mapping of str to int, optional
        Content label, or "rest", to the index of a style picture.

    Returns
    -------
    assignments : list of K Assignment
        In the order of ``content.labels``.
    notes : list of str
        Each decision that isn't plain like to like.

    Raises
    ------
    RegionError
        If the mapping names a label that the content hasn't, a label is left without any style, or the masks of
        content and style have nothing in common.
    """
    mapping = dict(mapping or {})
    _check_mapping(content, mapping)
    matched = [None if style is None else _names_in(content, style) for style in styles]
    shares = list(weights) if weights is not None else [1.0] * len(styles)
    free = [index for index in range(len(styles)) if index not in mapping.values() and shares[index] > 0]
    if not mapping:
        _check_common(content, matched)
    assignments, notes = [], []
    for label in content.labels:
        chosen = mapping.get(label, mapping.get(REST))
        candidates = free if chosen is None else [chosen]
        if not candidates:
            raise RegionError(
                f"label {label!r} of the content has no style: "
                f"add --map {label}=FILE or --map {REST}=FILE, or give STYLE"
            )
        sources, note = _sources(label, candidates, matched, mapped=chosen is not None)
        if note:
            notes.append(f"{label!r} ({content.shares[label]:.1%} of the content) {note}")
        total = sum(shares[source.style] for source in sources)
        assignments.append(Assignment(label, tuple(replace(s, weight=shares[s.style] / total) for s in sources)))
    taken = {(source.style, source.label) for a in assignments for source in a.sources}
    for index, style in enumerate(styles):
        unused = [label for label in (style.labels if style else ()) if (index, label) not in taken]
        if not any(number == index for number, _ in taken):
            notes.append(f"style {index + 1} isn't used: every label has its style from another picture")
        elif unused and (index, None) not in taken:
            notes.append(f"unused in style {index + 1}: {', '.join(map(repr, unused))} (not in the content)")
    return assignments, notes


def _sources(
    label: str, candidates: Sequence[int], styles: Sequence[_Names | None], *, mapped: bool
) -> tuple[list[Source], str | None]:
    for name in (label, *relatives(label)):
        if mapped and name != label:
            break
        having = [Source(index, own, 1.0) for index in candidates if (own := (styles[index] or {}).get(name))]
        if having:
            note = f"has no counterpart in the style; it takes the style of {name!r}"
            return having, None if name == label else note
    whole = [Source(index, None, 1.0) for index in candidates if styles[index] is None]
    if whole:
        return whole, None
    everything = [Source(index, None, 1.0) for index in candidates]
    if mapped:
        return everything, "is not in the masks of its style picture; it takes that picture's global style"
    return everything, "has no counterpart in the style; it takes the global style"


def _check_mapping(content: LabelMasks, mapping: Mapping[str, int]) -> None:
    for label in mapping:
        if label != REST and label not in content.labels:
            raise RegionError(
                f"--map names the label {label!r}, but the content has: {_names(content.labels)} "
                f"(and {REST!r} for all others)"
            )


def _check_common(content: LabelMasks, styles: Sequence[_Names | None]) -> None:
    """Masks on both sides that have nothing in common are a mistake, not a wish for the global style."""
    masked = [style for style in styles if style is not None]
    if not masked or len(masked) < len(styles):
        return
    wanted = {name for label in content.labels for name in (label, *relatives(label))}
    if not any(wanted & set(style) for style in masked):
        theirs = sorted({label for style in masked for label in style})
        raise RegionError(
            f"the style masks share no label with the content's: content has {_names(content.labels)}, style has "
            f"{_names(theirs)}; use the same colours or indices on both sides, or name them in a legend"
        )


def _names_in(content: LabelMasks, style: LabelMasks) -> _Names:
    """Return the style's labels by the names under which the content may ask for them.

    Where no name is shared, a content label asks for the style label of its colour: an indexed map without a legend
    matches a colour map.
    """
    names = {label: label for label in style.labels}
    if set(content.labels) & set(names):
        return names
    by_color = {color: label for label, color in style.colors.items()}
    return names | {label: by_color[color] for label, color in content.colors.items() if color in by_color}


def _names(labels: Iterable[str]) -> str:
    return ", ".join(labels)


@functools.cache
def _table() -> dict[str, list[str]]:
    text = resources.files("photostyle.regions").joinpath("similar.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def relatives(label: str) -> tuple[str, ...]:
    """Return the labels that may stand in for ``label``, nearest by meaning first."""
    return tuple(_table().get(label, ()))

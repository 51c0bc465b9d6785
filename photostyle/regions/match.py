"""Which style each content label takes, and a word for the user on every decision."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources

from photostyle.errors import RegionError
from photostyle.regions.labels import LabelMasks

REST = "rest"
"""The name that stands, in a mapping, for all labels that it doesn't name."""


_Names = dict[str, str]
_MOST_RATIO = 10.0  # a region of the content to the style region that it takes its style from


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
    """The style of one content label.

    Attributes
    ----------
    label : str
    sources : tuple of Source
        A blend of one or more; none where the region is kept as it is.
    weight : float
        Of this region in the style loss, beside its share of the picture.
    """

    label: str
    sources: tuple[Source, ...]
    weight: float = 1.0


@dataclass(frozen=True)
class Wishes:
    """What a user wants of the matching.

    Attributes
    ----------
    pairs : mapping of str to str
        Content label to style label, instead of like to like.
    keep : sequence of str
        Content labels that get no style.
    weights : mapping of str to float
        Content label to its weight in the style loss.
    strict : bool
        Whether a label without a counterpart is an error.
    """

    pairs: Mapping[str, str] = field(default_factory=dict)
    keep: Sequence[str] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    strict: bool = False


def match_labels(
    content: LabelMasks,
    styles: Sequence[LabelMasks | None],
    *,
    weights: Sequence[float] | None = None,
    mapping: Mapping[str, int] | None = None,
    wishes: Wishes | None = None,
    by_hand: bool = True,
) -> tuple[list[Assignment], list[str]]:
    """Give each label of the content its style.

    A label in ``mapping`` takes that picture: its region of the same label where the picture has masks that hold
    it, else the whole picture. Any other label takes, from the pictures that ``mapping`` doesn't mention, the
    regions of the same label; else of its nearest relative by meaning; else the global style, that is the whole
    of those pictures. Where no names are shared at all, equal colours match.

    A style region much smaller than what it should cover (under a tenth of its share) would stretch a few strokes
    over a wide area: the nearest relative, else the whole picture, then gives the rest of the blend.

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
    wishes : Wishes, optional
    by_hand : bool
        Whether people drew the masks: then it is a mistake if they have no label in common.

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
        content and style have nothing in common; if a wish names a label that isn't there, or is strict and can't
        be met.
    """
    mapping, wishes = dict(mapping or {}), wishes or Wishes()
    _check_mapping(content, mapping)
    _check_wishes(content, styles, wishes)
    matched = [None if style is None else _names_in(content, style) for style in styles]
    shares = list(weights) if weights is not None else [1.0] * len(styles)
    free = [index for index in range(len(styles)) if index not in mapping.values() and shares[index] > 0]
    if by_hand and not mapping and not wishes.pairs:
        _check_common(content, matched)
    assignments, notes = [], []
    areas = content.shares
    lacking: list[str] = []
    for label in content.labels:
        if label in wishes.keep:
            assignments.append(Assignment(label, ()))
            notes.append(f"{label!r} ({areas[label]:.1%} of the content) stays as it is")
            continue
        chosen = mapping.get(label, mapping.get(REST))
        candidates = free if chosen is None else [chosen]
        if not candidates:
            raise RegionError(
                f"label {label!r} of the content has no style: "
                f"add --map {label}=FILE or --map {REST}=FILE, or give STYLE"
            )
        names = (wishes.pairs[label],) if label in wishes.pairs else (label, *relatives(label))
        sources, note = _sources(candidates, matched, names, mapped=chosen is not None)
        if note:
            lacking.append(label)
            notes.append(f"{label!r} ({areas[label]:.1%} of the content) {note}")
        total = sum(shares[source.style] for source in sources)
        sources = [replace(s, weight=shares[s.style] / total) for s in sources]
        if label not in wishes.pairs:
            sources, scanty = _completed(label, areas[label], sources, styles, matched)
            notes += scanty
        assignments.append(Assignment(label, tuple(sources), wishes.weights.get(label, 1.0)))
    if lacking and wishes.strict:
        raise RegionError(
            f"--strict-labels: no counterpart in the style for {', '.join(map(repr, lacking))}; the style has "
            f"{_names(sorted({name for style in styles if style for name in style.labels})) or 'no masks'}: give pairs "
            "with --match, other maps, or leave --strict-labels out"
        )
    _check_some(assignments)
    taken = {(source.style, source.label) for a in assignments for source in a.sources}
    for index, style in enumerate(styles):
        unused = [label for label in (style.labels if style else ()) if (index, label) not in taken]
        if not any(number == index for number, _ in taken):
            notes.append(f"style {index + 1} isn't used: every label has its style from another picture")
        elif unused and (index, None) not in taken:
            notes.append(f"unused in style {index + 1}: {', '.join(map(repr, unused))} (not in the content)")
    return assignments, notes


def _sources(
    candidates: Sequence[int],
    styles: Sequence[_Names | None],
    names: Sequence[str],
    *,
    mapped: bool,
) -> tuple[list[Source], str | None]:
    """Find a label's sources, by the first of ``names`` that a candidate has; a note if it isn't the label's."""
    for name in names:
        if mapped and name != names[0]:
            break
        having = [Source(index, own, 1.0) for index in candidates if (own := (styles[index] or {}).get(name))]
        if having:
            note = f"has no counterpart in the style; it takes the style of {name!r}"
            return having, None if name == names[0] else note
    whole = [Source(index, None, 1.0) for index in candidates if styles[index] is None]
    if whole:
        return whole, None
    everything = [Source(index, None, 1.0) for index in candidates]
    if mapped:
        return everything, "is not in the masks of its style picture; it takes that picture's global style"
    return everything, "has no counterpart in the style; it takes the global style"


def _completed(
    label: str,
    share: float,
    sources: Sequence[Source],
    styles: Sequence[LabelMasks | None],
    matched: Sequence[_Names | None],
) -> tuple[list[Source], list[str]]:
    """Bound the ratio of areas: a scanty region gives only as much of the blend as it can, a relative the rest."""
    result, notes = [], []
    for source in sources:
        style = styles[source.style]
        own = 1.0 if source.label is None or style is None else style.shares[source.label]
        enough = min(1.0, _MOST_RATIO * own / share) if share > 0 else 1.0
        if enough == 1.0:
            result.append(source)
            continue
        names = matched[source.style] or {}
        other = next((names[n] for n in relatives(label) if n in names and names[n] != source.label), None)
        result.append(replace(source, weight=enough * source.weight))
        result.append(Source(source.style, other, (1 - enough) * source.weight))
        notes.append(
            f"{label!r} is {share:.1%} of the content but {source.label!r} only {own:.1%} of style {source.style + 1}; "
            f"{f'{other!r} there' if other else 'the whole picture'} gives {1 - enough:.0%} of its style"
        )
    return result, notes


def _check_wishes(content: LabelMasks, styles: Sequence[LabelMasks | None], wishes: Wishes) -> None:
    for option, labels in (("match", wishes.pairs), ("keep", wishes.keep), ("region-weights", wishes.weights)):
        for label in labels:
            if label not in content.labels:
                raise RegionError(
                    f"--{option} names the label {label!r}, but the content has: {_names(content.labels)}"
                )
    there = sorted({label for style in styles if style is not None for label in style.labels})
    for label, target in wishes.pairs.items():
        if target not in there:
            raise RegionError(
                f"--match gives {label!r} the style of {target!r}, but the styles have: "
                f"{_names(there) or 'no masks, they are used whole'}"
            )


def _check_some(assignments: Sequence[Assignment]) -> None:
    if not any(a.sources and a.weight > 0 for a in assignments):
        raise RegionError(
            "--keep and --region-weights leave no region with a style: leave at least one label out of them"
        )


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

"""Regions that nobody drew: each picture is segmented, or all of them are divided together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from photostyle.errors import RegionError
from photostyle.images import Picture
from photostyle.regions.labels import LabelMasks
from photostyle.regions.segmentation import Segmentation

Divide = Callable[[Sequence[Picture]], list[LabelMasks]]
"""Divides a content and its styles into regions that they share, such as :func:`photostyle.regions.joint.divide`."""


class Segment(Protocol):
    """Segments a picture, such as a :class:`photostyle.regions.segmentation.Segmenter`."""

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels that it knows."""

    def __call__(self, picture: Picture, /) -> Segmentation:
        """Segment a picture."""


_GLOBAL = "it is used whole"
_SURE = 0.72  # below this a map is worth a look, even if it is trusted


def automatic(
    content: Picture,
    styles: Sequence[Picture],
    segment: Segment,
    divide: Divide | None = None,
    *,
    content_masks: LabelMasks | None = None,
    style_masks: Sequence[LabelMasks | None],
    whole: Sequence[bool],
    mapped: int = 0,
    named: bool = False,
    strict: bool = False,
) -> tuple[LabelMasks, list[LabelMasks | None], list[str]]:
    """Segment whatever has no masks yet.

    Where the content or one of the pictures that give the style can't be trusted (see
    :mod:`photostyle.regions.segmentation.trust`), regions by meaning would be nonsense. Then content and styles are
    divided together. That needs freedom on all sides: if masks or labels are given, they stay, a doubtful style is
    used whole, and doubtful content is kept with a warning.
    """
    notes: list[str] = []
    given = (named, mapped, content_masks is not None, divide is None, *whole, *(m is not None for m in style_masks))
    free = not any(given)
    found = None if content_masks is not None else segment(content)
    if found is not None:
        notes.append(_told("content", found))
    doubts = [f"content: {found.trust.doubt}"] if found is not None and found.trust.doubt else []
    masks = list(style_masks)
    for index, style in enumerate(styles):
        if masks[index] is not None or whole[index]:
            continue
        of_style = segment(style)
        name = f"style {index + 1}"
        notes.append(_told(name, of_style))
        if not of_style.trust.doubt:
            masks[index] = of_style.masks
        elif free or strict:
            doubts.append(f"{name}: {of_style.trust.doubt}")
        else:
            notes.append(f"{name}: {of_style.trust.doubt}; {_GLOBAL}")
    if doubts and strict:
        raise RegionError(
            f"--strict-labels: the regions can't be trusted ({'; '.join(doubts)}): give label maps of your own, or "
            "leave --strict-labels out"
        )
    if doubts and divide is not None and free:
        notes += [*doubts, "labels by meaning can't be trusted here, so all pictures are divided together instead"]
        return *together(content, styles, divide, notes), notes
    notes += [f"{doubt}; look at the regions with photostyle segment" for doubt in doubts]
    result = content_masks if content_masks is not None else _masks(found)
    return result, masks, notes


def together(
    content: Picture, styles: Sequence[Picture], divide: Divide, notes: list[str]
) -> tuple[LabelMasks, list[LabelMasks | None]]:
    """Divide all pictures together; what was found goes to ``notes``."""
    first, *others = divide([content, *styles])
    names = ["content", *(f"style {number}" for number, _ in enumerate(styles, 1))]
    for name, masks in zip(names, (first, *others), strict=True):
        shares = sorted(masks.shares.items(), key=lambda item: -item[1])
        notes.append(f"{name} divided: {', '.join(f'{label} {share:.0%}' for label, share in shares)}")
    return first, list(others)


def _masks(found: Segmentation | None) -> LabelMasks:
    assert found is not None
    return replace(found.masks, notes=())


def _told(role: str, found: Segmentation) -> str:
    unsure = found.trust.confidence < _SURE and not found.trust.doubt
    advice = "; look at it with photostyle segment" if unsure else ""
    return f"{role} segmented: {found.summary.removesuffix(')')}{advice})"

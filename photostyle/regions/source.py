"""From what a user gives (nothing, a grid, label maps, soft masks) to the regions of content and styles."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from photostyle.errors import RegionError, UsageError
from photostyle.images import Picture
from photostyle.regions.automatic import Divide, Segment, automatic, together
from photostyle.regions.grid import grid, parse_grid
from photostyle.regions.labelmap.read import read_label_map, read_soft_masks
from photostyle.regions.labels import LabelMasks, whole
from photostyle.regions.tiny import TINY, absorb_tiny

_Path = str | os.PathLike[str]
_WHOLE, _AUTO, _JOINT = "none", "auto", "joint"
ContentMask = _Path | Mapping[str, _Path] | LabelMasks
"""A label map (or a folder of soft masks), a soft mask for each label, or masks that are made already."""
StyleMask = ContentMask


@dataclass(frozen=True)
class RegionSet:
    """The regions of all pictures of a transfer.

    Attributes
    ----------
    content : LabelMasks
    styles : tuple of LabelMasks or None
        None where a style picture is used whole.
    notes : tuple of str
        Decisions on them.
    by_hand : bool
        Whether no segmenter took part.
    """

    content: LabelMasks
    styles: tuple[LabelMasks | None, ...]
    notes: tuple[str, ...]
    by_hand: bool = True


def read_regions(
    content: Picture,
    styles: Sequence[Picture],
    *,
    regions: str | None = None,
    content_mask: ContentMask | None = None,
    style_mask: StyleMask | Sequence[StyleMask | None] | None = None,
    mapped: int = 0,
    photo: bool = False,
    segment: Segment | None = None,
    divide: Divide | None = None,
    named: bool = False,
    strict: bool = False,
    tiny: float = TINY,
) -> RegionSet:
    """Find the regions of the content and of each style picture."""
    kind = regions or _default(
        mask=content_mask is not None,
        auto=(photo or mapped > 0) and segment is not None,
        joint=photo and divide is not None and not (mapped or named or strict or style_mask is not None),
    )
    if kind in (_JOINT, "none") or kind.startswith("grid:"):
        _refuse_masks(regions, content_mask, style_mask)
        return _without_masks(kind, content, styles, mapped, divide)
    if kind not in ("mask", _AUTO):
        content_mask = _map_file(kind, content_mask)
    given = _style_masks(style_mask, len(styles))
    notes: list[str] = []
    content_labels = None if content_mask is None else _read(content_mask, content, "content", notes, tiny)
    style_labels = [
        None if mask is None or _is(mask, _WHOLE, _AUTO) else _read(mask, style, "style", notes)
        for mask, style in zip(given, styles, strict=True)
    ]
    asked = kind == "auto" or any(_is(mask, _AUTO) for mask in given)
    if segment is not None and (asked or (photo and style_mask is None and _known(content_labels, segment))):
        alone = [_is(mask, _WHOLE) or (mask is None and kind != "auto" and style_mask is not None) for mask in given]
        content_labels, style_labels, told = automatic(
            content,
            styles,
            segment,
            divide,
            content_masks=content_labels,
            style_masks=style_labels,
            whole=alone,
            mapped=mapped,
            named=named,
            strict=strict,
        )
        notes += told
        content_labels = _absorbed(content_labels, "content", notes, tiny)
        style_labels = [None if labels is None else _absorbed(labels, "style", notes) for labels in style_labels]
        return RegionSet(content_labels, tuple(style_labels), tuple(notes), by_hand=False)
    if not mapped and not any(style_labels):
        notes.append("no style masks were given: each region takes the style of the whole style picture")
    assert content_labels is not None
    return RegionSet(content_labels, tuple(style_labels), tuple(notes))


def _without_masks(
    kind: str, content: Picture, styles: Sequence[Picture], mapped: int, divide: Divide | None
) -> RegionSet:
    """Divide the pictures jointly, into cells, or not at all."""
    if kind == _JOINT:
        if divide is None or mapped:
            raise UsageError(f"--regions {_JOINT} divides CONTENT and STYLE pictures alone: leave --map out")
        told: list[str] = []
        found, of_styles = together(content, styles, divide, told)
        return RegionSet(found, tuple(of_styles), tuple(told), by_hand=False)
    if kind == "none":
        if mapped:
            raise UsageError("--map needs regions: leave --regions none out, or give --regions auto or grid:RxC")
        return RegionSet(whole(content.size), (None,) * len(styles), ())
    rows, columns = parse_grid(kind)
    plain = [grid(style.size, rows, columns) for style in styles[: len(styles) - mapped]]
    return RegionSet(grid(content.size, rows, columns), (*plain, *(None,) * mapped), ())


def _map_file(kind: str, content_mask: ContentMask | None) -> str:
    """Return the label map that --regions names, if it is one and nothing contradicts it."""
    if content_mask is not None:
        raise UsageError(f"--regions {kind} contradicts --content-mask: leave one of them out")
    if not Path(kind).exists():
        raise UsageError(
            f"--regions is {kind!r}, which is no file; allowed are none, auto, joint, grid:RxC, or a label map FILE"
        )
    return kind


def _default(*, mask: bool, auto: bool, joint: bool) -> str:
    return "mask" if mask else _JOINT if joint else _AUTO if auto else _WHOLE


def _is(mask: object, *words: str) -> bool:
    return isinstance(mask, str) and mask in words


def _known(content: LabelMasks | None, segment: Segment) -> bool:
    """Whether the content's masks are of the segmenter's labels, so that a segmented style can match them."""
    return content is None or bool(set(content.labels) & set(segment.labels))


def _refuse_masks(regions: str | None, content_mask: object, style_mask: object) -> None:
    for option, value in (("--content-mask", content_mask), ("--style-mask", style_mask)):
        if value is not None and regions is not None:
            raise UsageError(f"--regions {regions} contradicts {option}: leave one of them out")
        if value is not None:
            raise UsageError(f"{option} needs --content-mask too: both pictures need regions (or --regions auto)")


def _style_masks(given: StyleMask | Sequence[StyleMask | None] | None, count: int) -> list[StyleMask | None]:
    if given is None:
        return [None] * count
    masks: list[Any] = list(given) if isinstance(given, (list, tuple)) else [given]
    if len(masks) != count:
        raise UsageError(
            f"{len(masks)} style masks were given for {count} style pictures: give --style-mask once for each, in "
            "their order (those of --map last), and the word none for a picture that is used whole"
        )
    return masks


def _read(mask: ContentMask, picture: Picture, role: str, notes: list[str], tiny: float = TINY) -> LabelMasks:
    """Read the masks of one picture; what was decided goes to ``notes``."""
    if isinstance(mask, LabelMasks):
        if mask.size != picture.size:
            raise RegionError(
                f"the {role} masks are {mask.size[0]}×{mask.size[1]} but the {role} picture {picture.name} is "
                f"{picture.size[0]}×{picture.size[1]}: use masks.resized(size)"
            )
        labels = mask
    elif isinstance(mask, Mapping):
        labels = read_soft_masks(mask, size=picture.size, picture=picture.name)
    else:
        labels = read_label_map(mask, size=picture.size, picture=picture.name)
    return _absorbed(labels, f"{role} mask", notes, tiny)


def _absorbed(labels: LabelMasks, role: str, notes: list[str], tiny: float = TINY) -> LabelMasks:
    merged, absorbed = absorb_tiny(labels, minimum=tiny)
    notes.extend(f"{role}: {note}" for note in (*labels.notes, *absorbed))
    return replace(merged, notes=())

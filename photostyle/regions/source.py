"""From what a user gives (nothing, a grid, label maps, soft masks) to the regions of content and styles."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from photostyle.errors import RegionError, UsageError
from photostyle.images import Picture
from photostyle.regions.grid import grid, parse_grid
from photostyle.regions.labelmap import read_label_map, read_soft_masks
from photostyle.regions.labels import LabelMasks, whole
from photostyle.regions.tiny import absorb_tiny

__all__ = ["ContentMask", "RegionSet", "StyleMask", "read_regions"]

_Path = str | os.PathLike[str]
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
    """

    content: LabelMasks
    styles: tuple[LabelMasks | None, ...]
    notes: tuple[str, ...]


def read_regions(
    content: Picture,
    styles: Sequence[Picture],
    *,
    regions: str | None = None,
    content_mask: ContentMask | None = None,
    style_mask: StyleMask | Sequence[StyleMask | None] | None = None,
    mapped: int = 0,
    photo: bool = False,
) -> RegionSet:
    """Find the regions of the content and of each style picture.

    Parameters
    ----------
    content : Picture
    styles : sequence of Picture
    regions : str, optional
        "none", "grid:RxC", or a label map of the content; by default what the masks imply, else "none".
    content_mask : ContentMask, optional
    style_mask : StyleMask or a sequence of them, optional
        One a style picture, None (or the word "none") where it is used whole.
    mapped : int
        How many style pictures, at the end of ``styles``, belong to a label of their own.
    photo : bool
        Whether one region for the whole picture is worth a remark.

    Returns
    -------
    RegionSet
        Labels below 0.5 % of their picture have joined their largest neighbour.

    Raises
    ------
    UsageError
        If the options contradict each other or don't suffice.
    RegionError
        If a map can't be read or doesn't fit its picture.
    """
    kind = regions or ("none" if content_mask is None else "mask")
    if kind == "auto":
        raise UsageError("--regions auto is not there yet; allowed are none, grid:RxC, or a label map FILE")
    if kind == "none" or kind.startswith("grid:"):
        for option, value in (("--content-mask", content_mask), ("--style-mask", style_mask)):
            if value is not None and regions is not None:
                raise UsageError(f"--regions {regions} contradicts {option}: leave one of them out")
            if value is not None:
                raise UsageError(f"{option} needs --content-mask too: both pictures need regions")
        if kind == "none" and mapped:
            raise UsageError("--map needs regions: give --content-mask FILE or --regions grid:RxC")
        if kind == "none":
            note = "no masks were given: the whole picture is one region (--content-mask and --style-mask give more)"
            return RegionSet(whole(content.size), (None,) * len(styles), (note,) if photo else ())
        rows, columns = parse_grid(kind)
        plain = [grid(style.size, rows, columns) for style in styles[: len(styles) - mapped]]
        return RegionSet(grid(content.size, rows, columns), (*plain, *(None,) * mapped), ())
    if regions is not None:
        if content_mask is not None:
            raise UsageError(f"--regions {regions} contradicts --content-mask: leave one of them out")
        if not Path(regions).exists():
            raise UsageError(
                f"--regions is {regions!r}, which is no file; allowed are none, grid:RxC, or a label map FILE"
            )
        content_mask = regions
    assert content_mask is not None
    masks = _style_masks(style_mask, len(styles))
    notes: list[str] = []
    content_labels = _read(content_mask, content, "content", notes)
    style_labels = tuple(
        None if mask is None else _read(mask, style, "style", notes) for mask, style in zip(masks, styles, strict=True)
    )
    if not mapped and not any(style_labels):
        notes.append("no style masks were given: each region takes the style of the whole style picture")
    return RegionSet(content_labels, style_labels, tuple(notes))


def _style_masks(given: StyleMask | Sequence[StyleMask | None] | None, count: int) -> list[StyleMask | None]:
    if given is None:
        return [None] * count
    masks: list[Any] = list(given) if isinstance(given, (list, tuple)) else [given]
    if len(masks) != count:
        raise UsageError(
            f"{len(masks)} style masks were given for {count} style pictures: give --style-mask once for each, in "
            "their order (those of --map last), and the word none for a picture that is used whole"
        )
    return [None if isinstance(mask, str) and mask == "none" else mask for mask in masks]


def _read(mask: ContentMask, picture: Picture, role: str, notes: list[str]) -> LabelMasks:
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
    merged, tiny = absorb_tiny(labels)
    notes.extend(f"{role} mask: {note}" for note in (*labels.notes, *tiny))
    return replace(merged, notes=())

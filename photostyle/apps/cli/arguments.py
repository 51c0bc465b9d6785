"""Arguments that several commands take: the pictures, their masks, and how to report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from photostyle.options.values import pairs

ContentArgument = Annotated[
    str, typer.Argument(metavar="CONTENT", help="The picture to be stylised.", show_default=False)
]
StyleArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="STYLE...", help="One or more style pictures; may be left out with --map.", show_default=False
    ),
]
MapOption = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="LABEL=FILE", help="A style picture for one region (repeat; rest=FILE: all others)."),
]
ContentMaskOption = Annotated[
    list[str] | None,
    typer.Option(
        "--content-mask",
        metavar="FILE",
        help="Label map of the content: colours or an indexed PNG; a folder of grey soft masks named by label; "
        "or LABEL=FILE for one grey soft mask (repeat).",
    ),
]
StyleMaskOption = Annotated[
    list[str] | None,
    typer.Option(
        "--style-mask", metavar="FILE", help="Label map of a style picture (repeat, one a style; none: used whole)."
    ),
]
FolderOption = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for all files.", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the record on standard output.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")]


def inputs(
    style: list[str] | None, map_: list[str] | None, content_mask: list[str] | None, style_mask: list[str] | None
) -> dict[str, Any]:
    """Return what the shared arguments name, under the names that the functions of Python give them."""
    return {
        "style": style or [],
        "map": pairs("map", map_ or []),
        "content_mask": parse_content_mask(content_mask),
        "style_mask": style_mask or None,
    }


def parse_content_mask(values: list[str] | None) -> str | dict[str, str] | None:
    """Parse --content-mask: one map, or LABEL=FILE for each soft mask."""
    if not values:
        return None
    if len(values) == 1 and ("=" not in values[0] or Path(values[0]).exists()):
        return values[0]
    return pairs("content_mask", values)

"""``photostyle report``: one HTML page of a folder of results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photostyle.apps.cli.arguments import OverwriteOption, QuietOption
from photostyle.apps.cli.screen import Screen
from photostyle.errors import UsageError


def report_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of results.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="OUT", help="The page. Default: report.html in DIR.")
    ] = None,
    longest: Annotated[
        int, typer.Option("--longest", metavar="N", help="Longest side of the pictures in the page, in pixels.")
    ] = 1024,
    overwrite: OverwriteOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make one HTML page of all results in DIR: pictures with sliders, masks, losses, scores; it needs no network."""
    from photostyle.apps.cli.files import check_free
    from photostyle.images import check_writable, write_atomically
    from photostyle.report.folder import html_report

    target = output or folder / "report.html"
    if target.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{target} can't be a report: name it .html")
    if folder.is_dir() or output is not None:
        check_free([target], overwrite=overwrite)
        check_writable(target.with_suffix(".png"), overwrite=True)
    with Screen(quiet=quiet) as screen:
        page = html_report(folder, longest=longest, callback=screen)
        write_atomically(target, page.encode())
    screen.say(f"wrote {target} ({target.stat().st_size / 1e6:.1f} MB)")

"""A report: one self-contained HTML page of all that lies in a folder of results."""

from __future__ import annotations

import os
from pathlib import Path

from photostyle.errors import ImageError, UsageError
from photostyle.progress import Callback, Rows, ignore
from photostyle.report.found import find_runs
from photostyle.report.page import html_page


def html_report(folder: str | os.PathLike[str], *, longest: int = 1024, callback: Callback = ignore) -> str:
    """Make one HTML page of the transfers, comparisons, reconstructions, sweeps and batches below a folder.

    Parameters
    ----------
    folder : path
        It and the folders in it are looked through for the records that photostyle writes. Inputs are shown where they
        are found: at the path in the record, or beside the record.
    longest : int
        Longest side in pixels up to which pictures are embedded, at least 64.
    callback : callable
        Receives :class:`Rows`.

    Returns
    -------
    str
        HTML; it needs neither a network nor another file.

    Raises
    ------
    ImageError
        If the folder isn't there.
    UsageError
        If it holds nothing of photostyle's, or the size is too small.
    """
    place = Path(folder)
    if longest < 64:
        raise UsageError(f"--longest is {longest}, but must be at least 64")
    if not place.is_dir():
        raise ImageError(f"{place} is no folder: give the one that holds results")
    runs = find_runs(place)
    if not runs:
        raise UsageError(
            f"{place} holds no results of photostyle: a report needs the records that transfer, compare, sweep and "
            "batch write beside their pictures (*.record.json, comparison.json, sweep.json)"
        )
    return html_page(
        runs,
        title=place.resolve().name,
        longest=longest,
        progress=lambda done, total: callback(Rows(done, total, "reading", "runs")),
    )

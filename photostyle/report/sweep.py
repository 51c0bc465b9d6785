"""The cells of a sweep, best first: their record, and one labelled sheet of their pictures."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from photostyle._version import __version__
from photostyle.options.variations import combinations, value_text
from photostyle.report.grid import GridCell, labelled_grid

if TYPE_CHECKING:
    from photostyle.errors import SavablePicture
    from photostyle.preparation import Prepared
    from photostyle.report.ranking import FixedObjective

_NO_BREAK = "\u00a0"  # a space at which a line isn't broken


@dataclass(frozen=True)
class Cell:
    """One combination and what came of it.

    Attributes
    ----------
    number : int
        From 1 on, in the order of the combinations; the last option varies fastest.
    values : dict of str to value
        Of the varied options.
    file : str
        A name for its picture.
    status : str
        "ok", "diverged" or "failed".
    message : str
        Why there is no picture; empty if there is one.
    objective : dict of str to float
        The weighted terms of the sweep's objective at the result, and their sum as "total"; empty without a picture.
    losses : dict of str to float
        The run's own last losses, by its own weights.
    iterations : int
        How many it did.
    seconds : float
        What the run took, without the preparation.
    notes : tuple of str
        Decisions of the preparation and the run.
    thumbnail : ndarray of float32, shape (h, w, 3), or None
    result : SavablePicture or None
        A :class:`photostyle.Result`; None without a picture, and where results aren't kept.
    """

    number: int
    values: dict[str, Any]
    file: str
    status: str
    message: str
    objective: dict[str, float]
    losses: dict[str, float]
    iterations: int
    seconds: float
    notes: tuple[str, ...] = ()
    thumbnail: NDArray[np.float32] | None = None
    result: SavablePicture | None = None


@dataclass(frozen=True)
class Sweep:
    """What :func:`sweep` gives.

    Attributes
    ----------
    cells : tuple of Cell
        Best first: by the total of the objective; those without a picture last.
    vary : dict of str to list
        What was varied.
    record : dict
        Plain data: the objective, what was varied, and a row for each cell, best first.
    """

    cells: tuple[Cell, ...]
    vary: dict[str, list[Any]]
    record: dict[str, Any]

    @property
    def sheet(self) -> NDArray[np.float32]:
        """All cells on one labelled sheet, shape (H, W, 3) in [0, 1], with the best marked.

        The columns are the values of the last option, the rows the combinations of all others.
        """
        *others, last = self.vary
        labels = combinations({name: self.vary[name] for name in others})
        width = len(self.vary[last])
        by_number = {cell.number: _on_sheet(cell, rank) for rank, cell in enumerate(self.cells, 1)}
        waiting = GridCell(None, "not run yet", pending=True)
        places = [by_number.get(number, waiting) for number in range(1, len(labels) * width + 1)]
        measured, record = self.record["objective"], self.record
        terms = " + ".join(f"{weight:g} {name}" for name, weight in measured["weights"].items())
        content, *styles = (Path(each["name"]).name for each in (record["content"], *record["styles"]))
        return labelled_grid(
            [places[row * width : (row + 1) * width] for row in range(len(labels))],
            size=(record["size"][0], record["size"][1]),
            columns=(_words(last), [value_text(value) for value in self.vary[last]]),
            rows=[[(_words(name), value_text(v)) for name, v in row.items()] for row in labels] if others else (),
            title=(
                f"{content} in the style of {', '.join(styles)}: {' × '.join(map(_words, self.vary))}",
                f"Ranked by one objective for all: {terms}, at {measured['size'][0]}×{measured['size'][1]}; "
                "lower is better. A run's own loss is by its own weights.",
            ),
        )


def ranked(done: Sequence[Cell], vary: dict[str, list[Any]], ready: Prepared, objective: FixedObjective) -> Sweep:
    """Return the cells so far, best first, with their record."""
    cells = tuple(sorted(done, key=lambda cell: (cell.objective.get("total", math.inf), cell.number)))
    record = {
        "photostyle": __version__,
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "complete": len(done) == math.prod(len(values) for values in vary.values()),
        "content": {"name": ready.content.name, "size": list(ready.content.size)},
        "styles": [{"name": style.name, "size": list(style.size)} for style in ready.styles],
        "size": list(ready.size),
        "device": ready.problem.device,
        "vary": {name: [_json(value) for value in values] for name, values in vary.items()},
        "objective": objective.record,
        "cells": [_row(cell, rank) for rank, cell in enumerate(cells, 1)],
    }
    return Sweep(cells, vary, record)


def _row(cell: Cell, rank: int) -> dict[str, Any]:
    return {
        "rank": rank if cell.objective else None,
        "number": cell.number,
        "values": {name: _json(value) for name, value in cell.values.items()},
        "status": cell.status,
        "message": cell.message,
        "objective": cell.objective,
        "losses": cell.losses,
        "iterations": cell.iterations,
        "seconds": cell.seconds,
        "notes": list(cell.notes),
        "file": cell.file if cell.objective else None,
    }


def _json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _on_sheet(cell: Cell, rank: int) -> GridCell:
    own = f"own loss {cell.losses['total']:.4g} · " if cell.losses else ""
    work = f"{cell.iterations} iterations · {cell.seconds:.1f} s"
    run = (own + work).replace(" ", _NO_BREAK).replace(f"{_NO_BREAK}·{_NO_BREAK}", " · ")
    if cell.thumbnail is None:
        return GridCell(None, cell.status, (cell.message,))
    terms = " · ".join(f"{name}{_NO_BREAK}{value:.3g}" for name, value in cell.objective.items() if name != "total")
    heading = f"{'★ best' if rank == 1 else f'{rank}.'}  {cell.objective['total']:.4g}"
    return GridCell(cell.thumbnail, heading, (terms, run), best=rank == 1)


def _words(name: str) -> str:
    return name.replace("_", " ")

"""``photostyle sweep``: a grid over the values of options, ranked, as pictures, a sheet, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from photostyle.apps.cli.arguments import (
    ContentArgument,
    ContentMaskOption,
    FolderOption,
    JsonOption,
    MapOption,
    OverwriteOption,
    QuietOption,
    StyleArgument,
    StyleMaskOption,
    inputs,
)
from photostyle.apps.cli.options import config_from, with_config_options
from photostyle.apps.cli.screen import Screen, gentle_interrupt, loading
from photostyle.errors import Interrupted, PhotostyleError, UsageError
from photostyle.options.config import TransferConfig
from photostyle.options.parsing import parse_text
from photostyle.options.values import flag
from photostyle.options.variations import check_varied, checked_values, value_text
from photostyle.progress import Event, Message

if TYPE_CHECKING:
    from photostyle.report.sweep import Cell, Sweep


_Vary = Annotated[
    list[str] | None,
    typer.Option(
        "--vary",
        metavar="NAME=A,B,…",
        help="An option and its values (repeat: all combinations); items of a list are joined by +. What is given "
        "as a plain option too counts there for the ranking alone.",
    ),
]


@with_config_options
def sweep_command(
    content: ContentArgument,
    output: FolderOption,
    style: StyleArgument = None,
    vary: _Vary = None,
    map_: MapOption = None,
    content_mask: ContentMaskOption = None,
    style_mask: StyleMaskOption = None,
    overwrite: OverwriteOption = False,
    json_: JsonOption = False,
    quiet: QuietOption = False,
    **options: Any,
) -> None:
    """Run all combinations of some options' values; a labelled sheet and a table rank them by one objective."""
    with loading(quiet):
        from photostyle.apps.cli.files import result_folder
        from photostyle.studies.sweep import sweep

    config = config_from(options)
    values = checked_values(parse_vary(vary))
    _refuse_kept(config)
    count = math.prod(len(each) for each in values.values())
    kept = "the finished cells are kept"
    with (
        result_folder(output, overwrite=overwrite),
        Screen(quiet=quiet) as screen,
        gentle_interrupt(screen, kept) as gate,
    ):
        latest: list[Sweep] = []

        def on_event(event: Event) -> None:
            if isinstance(event, Message) and event.kind == "wait" and gate.wished:
                raise KeyboardInterrupt  # the wish came with the last step of a cell: this is before the next one
            gate(event)

        def on_cell(cell: Cell, so_far: Sweep) -> None:
            if cell.result is not None:
                cell.result.save(output / cell.file, overwrite=overwrite)
            latest[:] = [so_far]
            _write(so_far, output)
            screen.prefix = f"{len(so_far.cells) + 1} of {count}: "

        screen.prefix = f"1 of {count}: "
        try:
            found = sweep(
                content,
                **inputs(style, map_, content_mask, style_mask),
                vary=values,
                config=config,
                callback=on_event,
                on_cell=on_cell,
                keep_results=False,
            )
        except Interrupted as stop:
            if not latest:
                raise
            _write(latest[0], output)  # the second Ctrl-C may have come amidst
            _say_table(latest[0], screen)
            raise Interrupted(f"{stop}; what is finished is in {output}") from None
    _say_table(found, screen)
    screen.say(f"wrote {output / 'sweep.png'}, sweep.csv, sweep.json and a picture for each cell")
    if json_:
        typer.echo(json.dumps(found.record, ensure_ascii=False))
    if all(cell.status != "ok" for cell in found.cells):
        raise PhotostyleError(f"no cell gave a picture; the reasons are in {output / 'sweep.csv'}")


def _refuse_kept(config: TransferConfig) -> None:
    """Raise a `UsageError` where pictures or states on the way are asked for, which a sweep doesn't keep."""
    for name in ("snapshots", "snapshot_every", "checkpoint_every"):
        if getattr(config, name) != getattr(TransferConfig, name):
            raise UsageError(f"{flag(name)} has no place in a sweep: leave it out")


def parse_vary(texts: Sequence[str] | None) -> dict[str, list[Any]]:
    """Parse NAME=A,B,… for each option that is varied."""
    result: dict[str, list[Any]] = {}
    for text in texts or []:
        name, separator, values = text.partition("=")
        name = name.strip().removeprefix("--").replace("-", "_")
        if not separator or not name:
            raise UsageError(f"--vary is {text!r}, but must be NAME=A,B,… such as style_weight=1,10")
        check_varied(name)
        if name in result:
            raise UsageError(f"--vary names {name} twice: give all its values at once")
        if not all(value.strip() for value in values.split(",")):
            raise UsageError(f"--vary is {text!r}, but an empty value is none: give one or more, separated by commas")
        result[name] = [parse_text(name, value) for value in values.split(",")]
    return result


def _write(found: Sweep, folder: Path) -> None:
    """Write the sheet and both tables of what is finished."""
    from photostyle.apps.cli.files import write_json
    from photostyle.images import write_atomically, write_picture

    write_json(folder / "sweep.json", found.record)
    write_atomically(folder / "sweep.csv", _csv(found.record).encode())
    write_picture(folder / "sweep.png", found.sheet, overwrite=True)


def _csv(record: Mapping[str, Any]) -> str:
    """Return one line a cell, best first; a list stands as its items joined by "+"."""
    rows = record["cells"]
    terms, losses = (
        list(dict.fromkeys(name for row in rows for name in row[kind])) for kind in ("objective", "losses")
    )
    plain = ["status", "iterations", "seconds", "file", "message"]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    heads = [*(f"objective_{name}" for name in terms), *(f"loss_{name}" for name in losses), *plain]
    table.writerow(["rank", "number", *record["vary"], *heads])
    for row in rows:
        table.writerow(
            [
                row["rank"],
                row["number"],
                *(_text(value) for value in row["values"].values()),
                *(row["objective"].get(name) for name in terms),
                *(row["losses"].get(name) for name in losses),
                *(row[name] for name in plain),
            ]
        )
    return text.getvalue()


def _text(value: Any) -> str:
    return value_text(tuple(value) if isinstance(value, list) else value)


def _say_table(found: Sweep, screen: Screen) -> None:
    """Write a line a cell, best first."""
    rows = [["rank", *(name.replace("_", " ") for name in found.vary), "objective", "seconds", "picture"]]
    for rank, cell in enumerate(found.cells, 1):
        total = f"{cell.objective['total']:.4g}" if cell.objective else cell.status
        where = cell.file if cell.objective else cell.message
        values = [value_text(value) for value in cell.values.values()]
        rows.append([str(rank) if cell.objective else "–", *values, total, f"{cell.seconds:.1f}", where])
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]) - 1)]
    for row in rows:
        screen.say("  ".join([*(f"{text:<{width}}" for text, width in zip(row, widths, strict=False)), row[-1]]))

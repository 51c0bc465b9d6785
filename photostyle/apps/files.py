"""Files beside a result: the record, snapshots, the checkpoint; and a rescue where the result can't be written."""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from photostyle.errors import OutputError, UsageError
from photostyle.pipeline import Result, check_writable, write_atomically

__all__ = ["check_folder", "check_free", "checkpoint_path", "record_path", "save_result", "snapshot_path", "write_json"]


def record_path(output: Path) -> Path:
    """Return where the record of a result goes: castle.png → castle.record.json."""
    return output.with_suffix(".record.json")


def checkpoint_path(output: Path) -> Path:
    """Return where a run keeps its state: castle.png → castle.png.checkpoint."""
    return output.with_name(output.name + ".checkpoint")


def snapshot_path(output: Path, iteration: int) -> Path:
    """Return where a snapshot goes: castle.png → castle-0050.png."""
    return output.with_name(f"{output.stem}-{iteration:04}{output.suffix}")


def check_free(output: Path, others: Iterable[Path], *, overwrite: bool) -> None:
    """Find out before a run whether its files can be written.

    Raises
    ------
    UsageError, OutputError
        If the output can't be written, or one of the other files exists and may not be replaced.
    """
    check_writable(output, overwrite=overwrite)
    for path in others:
        if path.exists() and not overwrite:
            raise UsageError(f"{path} exists already: choose another output, or pass --overwrite")


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Make a folder for results, before a run.

    Raises
    ------
    UsageError
        If it holds files already and they may not be replaced.
    OutputError
        If it can't be made, or isn't a folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        occupied = any(folder.iterdir())
    except OSError as error:
        raise OutputError(f"{folder} can't be used as a folder ({error.strerror}): choose another place") from None
    if occupied and not overwrite:
        raise UsageError(f"{folder} isn't empty: choose another folder, or pass --overwrite")
    check_writable(folder / "sheet.png", overwrite=True)


def save_result(result: Result, output: Path, *, overwrite: bool) -> None:
    """Write the picture and its record; where that fails, rescue the picture in the temporary folder.

    Raises
    ------
    OutputError
        If the output can't be written; the message says where the picture was rescued to, if it could be.
    """
    try:
        result.save(output, overwrite=overwrite)
    except OutputError as error:
        rescue = Path(tempfile.gettempdir()) / f"{output.stem}-rescued-{secrets.token_hex(4)}.png"
        try:
            result.save(rescue)
        except OutputError:
            raise error from None
        raise OutputError(f"{error}; the picture was rescued as {rescue}") from None
    write_json(record_path(output), result.record)


def write_json(path: Path, data: Any) -> None:
    """Write data as JSON in one step."""
    write_atomically(path, (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode())

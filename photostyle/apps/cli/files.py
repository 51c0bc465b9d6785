"""Files beside a result: the record, snapshots, the checkpoint; and a rescue where the result can't be written."""

from __future__ import annotations

import contextlib
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from photostyle.errors import MemoryLimitError, OutputError, StoppedError, UsageError
from photostyle.images import check_writable, write_atomically
from photostyle.pipeline import Result
from photostyle.report.beside import json_bytes, record_path, regions_bytes, regions_paths


def checkpoint_path(output: Path) -> Path:
    """Return where a run keeps its state: castle.png → castle.png.checkpoint."""
    return output.with_name(output.name + ".checkpoint")


def snapshot_path(output: Path, iteration: int) -> Path:
    """Return where a snapshot goes: castle.png → castle-0050.png."""
    return output.with_name(f"{output.stem}-{iteration:04}{output.suffix}")


def check_free(paths: Iterable[Path], *, overwrite: bool) -> None:
    """Find out before a run whether the files beside its result may be written."""
    for path in paths:
        if path.exists() and not overwrite:
            raise UsageError(f"{path} exists already: choose another output, or pass --overwrite")


@contextlib.contextmanager
def result_folder(folder: Path, *, overwrite: bool) -> Iterator[None]:
    """Make a folder for results before a run; if the run fails, an empty folder made here goes again."""
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        occupied = any(folder.iterdir())
    except OSError as error:
        raise OutputError(f"{folder} can't be used as a folder ({error.strerror}): choose another place") from None
    if occupied and not overwrite:
        raise UsageError(f"{folder} isn't empty: choose another folder, or pass --overwrite")
    check_writable(folder / "sheet.png", overwrite=True)
    try:
        yield
    except BaseException:
        if made:
            with contextlib.suppress(OSError):  # not empty: something was written
                folder.rmdir()
        raise


def save_result(result: Result, output: Path, *, overwrite: bool) -> None:
    """Write the picture, its record and the map of its regions; rescue a picture that can't be written."""
    try:
        result.save(output, overwrite=overwrite)
    except OutputError as error:
        rescue = Path(tempfile.gettempdir()) / f"{output.stem}-rescued-{secrets.token_hex(4)}.png"
        try:
            result.save(rescue)
        except OutputError:
            raise error from None
        raise OutputError(f"{error}; the picture was rescued as {rescue}") from None
    write_beside(result, output)


def told_kept(stop: StoppedError, written: list[Path]) -> str:
    """Say which pictures of several runs there are when they were ended."""
    if not written:
        return "" if isinstance(stop, MemoryLimitError) else " before there was anything to keep"
    names = ", ".join(path.name for path in written)
    if stop.result is None:
        return f"; finished in {written[0].parent}: {names}"
    done, whole = stop.result.record["losses"]["iteration"], stop.result.record["config"]["iterations"]
    return f"; kept in {written[0].parent}: {names}, the last one at its best after {done} of {whole} iterations"


def write_beside(result: Result, output: Path) -> None:
    """Write the record of a result, and the map of its regions, beside its picture."""
    write_json(record_path(output), result.record)
    if result.masks is not None:
        for path, data in zip(regions_paths(output), regions_bytes(result.masks), strict=True):
            write_atomically(path, data)


def write_json(path: Path, data: Any) -> None:
    """Write data as JSON in one step."""
    write_atomically(path, json_bytes(data))

"""Making a finished job final: its files in an order that a crash at any moment can't spoil."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from photostyle.batches.journal import Journal
from photostyle.batches.task import Finished
from photostyle.errors import OutputError
from photostyle.images import write_atomically
from photostyle.report.beside import json_bytes, record_path, regions_paths


def publish(finished: Finished, output: Path, journal: Journal, job: str, key: str, **details: Any) -> str:
    """Write a result's files and journal it as done.

    The journal says first which picture will be written, so that it is known as this batch's own if the process ends
    here. Each file then comes in one step: picture, regions, and last the record, which names the key and the picture's
    hash. From then on the job is final, whether the last line of the journal is still written or not.
    """
    sha256 = hashlib.sha256(finished.picture).hexdigest()
    journal.append("write", job, key, sha256=sha256)
    _make_folder(output.parent)
    write_atomically(output, finished.picture)
    for path, data in zip(regions_paths(output), finished.regions or (None, None), strict=True):
        if data is None:
            path.unlink(missing_ok=True)  # of an earlier run with other options
        else:
            write_atomically(path, data)
    record = {**finished.record, "batch": {"job": job, "key": key, "sha256": sha256}}
    write_atomically(record_path(output), json_bytes(record))
    journal.append("done", job, key, sha256=sha256, **details)
    return sha256


def recorded(output: Path) -> dict[str, Any] | None:
    """Return the record beside a picture; None if there is none that can be read."""
    try:
        record = json.loads(record_path(output).read_bytes())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def sha256_or_none(path: Path) -> str | None:
    """Hash a file; None if there is none that can be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} can't be made ({error.strerror}): choose another output") from None

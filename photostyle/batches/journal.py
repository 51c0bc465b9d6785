"""The journal of a batch: one line of JSON for each thing that happened, on the disk before the next one begins.

::

    {"event": "start",  "job": "a-b.png", "key": …, "try": 1}
    {"event": "write",  "job": "a-b.png", "key": …, "sha256": …}     the picture is about to be written
    {"event": "done",   "job": "a-b.png", "key": …, "sha256": …}     picture, regions and record are there: final
    {"event": "failed", "job": "a-b.png", "key": …, "error": …}
    {"event": "lost",   "job": "a-b.png", "key": …}                  its worker died; it is run again

It is only ever appended to, by one process. A line that a crash has torn is passed over when it is read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from photostyle.errors import OutputError

JOURNAL = "batch.journal.jsonl"
_LOCK = ".batch.lock"


def read_journal(folder: Path) -> list[dict[str, Any]]:
    """Return the entries of a folder's journal, the oldest first; none if there is no journal."""
    path = folder / JOURNAL
    try:
        lines = path.read_bytes().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise OutputError(f"the journal {path} can't be read ({error.strerror}): check its permissions") from None
    entries = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and all(isinstance(entry.get(name), str) for name in ("event", "job", "key")):
            entries.append(entry)
    return entries


class Journal:
    """Appends to a folder's journal."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL
        try:
            self._file = self.path.open("ab+")
            self._file.seek(0, os.SEEK_END)
            if self._file.tell():
                self._file.seek(-1, os.SEEK_END)
                if self._file.read(1) != b"\n":  # torn by a crash: the next line must be one of its own
                    self._file.write(b"\n")
        except OSError as error:
            raise self._unwritable(error) from None

    def append(self, event: str, job: str, key: str, **details: Any) -> None:
        """Write an entry, and see it to the disk."""
        entry = {"event": event, "job": job, "key": key, **details}
        try:
            self._file.write((json.dumps(entry, ensure_ascii=False) + "\n").encode())
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._unwritable(error) from None

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _unwritable(self, error: OSError) -> OutputError:
        return OutputError(f"the journal {self.path} can't be written ({error.strerror}): make room, or choose another")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep a folder to this process; the system frees it when the process ends, however it ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / _LOCK)
        lock.acquire(timeout=0)
    except Timeout:
        raise OutputError(f"another batch works in {folder}: wait for its end, or choose another --output") from None
    except OSError as error:
        raise OutputError(f"{folder} can't be used as a folder ({error.strerror}): choose another --output") from None
    try:
        yield
    finally:
        lock.release()

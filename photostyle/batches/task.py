"""The work itself, the same for all engines: from the bytes of a job's files to the bytes of its results.

A task holds all that it needs, and gives back all that it makes. So a worker may be a process of this machine or of a
cluster that shares no disk, and a worker that dies leaves nothing half done: only the one who collects the results
writes files.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from photostyle._version import __version__
from photostyle.batches.inputs import Hashes, Input, replaced
from photostyle.batches.job import Job
from photostyle.errors import OutputError, PhotostyleError
from photostyle.images import encode_picture
from photostyle.networks.shared import ModelCache
from photostyle.options.config import TransferConfig
from photostyle.pipeline import run_prepared
from photostyle.preparation import prepare
from photostyle.progress import Callback
from photostyle.report.beside import regions_bytes


@dataclass(frozen=True)
class Packet:
    """One input on its way: the name and the bytes of each of its files.

    Attributes
    ----------
    name : str
        What people call it.
    folder : str
        The folder within the worker's own that it goes to; of what is kept it is known by its content.
    file : str
        The file in there that is meant; empty for the folder itself.
    contents : tuple of (str, bytes), or None
        None if the worker has it already.
    kept : bool
        Whether the worker keeps it for the next task.
    """

    name: str
    folder: str
    file: str
    contents: tuple[tuple[str, bytes], ...] | None
    kept: bool


@dataclass(frozen=True)
class Task:
    """A job on its way to a worker.

    Attributes
    ----------
    number : int
        Of the job in its batch.
    arguments, option_files : mapping
        As those of the job, with a Packet for each Input.
    config : TransferConfig
    suffix : str
        The format of the picture.
    threads : int
        How many the worker may use.
    """

    number: int
    arguments: Mapping[str, Any]
    option_files: Mapping[str, Any]
    config: TransferConfig
    suffix: str
    threads: int


@dataclass(frozen=True)
class Finished:
    """What a task gives: the bytes of the picture, its record, and the map of its regions with its legend, if any."""

    picture: bytes
    record: dict[str, Any]
    regions: tuple[bytes, bytes] | None


@dataclass(frozen=True)
class Failed:
    """Why a task gives nothing, in one line."""

    message: str


def make_task(number: int, job: Job, hashes: Hashes, threads: int, known: set[str]) -> Task:
    """Read a job's files."""
    counter = iter(range(10_000))

    def packed(found: Input) -> Packet:
        folder = f"kept/{hashes.of_input(found)}" if found.kept else f"task/{next(counter)}"
        file = "" if found.is_folder else found.path.name
        if folder in known:
            return Packet(found.name, folder, file, None, found.kept)
        return Packet(found.name, folder, file, tuple(_read(found, hashes)), found.kept)

    arguments, option_files = replaced(job.arguments, packed), replaced(job.option_files, packed)
    return Task(number, arguments, option_files, job.config, job.output.suffix, threads)


def _read(found: Input, hashes: Hashes) -> list[tuple[str, bytes]]:
    contents = []
    for name, path in found.files:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise OutputError(f"{found.name} can't be read any more ({error.strerror})") from None
        if not hashes.is_same(path, data):
            raise OutputError(f"{found.name} has changed since the batch began: run the batch again")
        contents.append((name, data))
    return contents


class Worker:
    """Runs tasks, one after the other, in a folder of its own; networks are loaded once."""

    version = __version__

    def __init__(self, folder: str | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="photostyle-worker-", dir=folder))
        self.models = ModelCache()

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, task: Task, callback: Callback) -> Finished | Failed:
        """Run a task; whatever goes wrong with it is its failure, and the worker goes on."""
        torch.set_num_threads(task.threads)
        names: dict[str, str] = {}
        gone: list[OSError] = []

        def on_event(event: Any) -> None:
            try:
                callback(event)
            except OSError as error:
                gone.append(error)
                raise

        def unpacked(packet: Packet) -> str:
            path = self._unpack(packet)
            names[str(path)] = packet.name
            if packet.file:  # a legend beside it is told of too
                parent = os.path.split(packet.name)[0]
                names[f"{path.parent}{os.sep}"] = f"{parent}{os.sep}" if parent else ""
            return str(path)

        try:
            arguments = _unpacked(task.arguments, unpacked)
            config = replace(task.config, **_unpacked(task.option_files, unpacked))
            prepared = prepare(**arguments, config=config, callback=on_event, models=self.models)
            result = run_prepared(prepared, callback=on_event)
            picture = encode_picture(
                result.rgb, suffix=task.suffix, alpha=result.alpha, bit_depth=result.bit_depth, exif=result.exif
            )
            regions = None if result.masks is None else regions_bytes(result.masks)
            return Finished(picture, _named(result.record, names), regions)
        except PhotostyleError as error:
            return Failed(" ".join(_named(str(error), names).split()))
        except MemoryError:
            return Failed("out of memory: give a smaller size")
        except Exception as error:  # a defect of one job must not end all the others
            if gone:
                raise gone[0] from None
            return Failed(_named(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}", names))
        finally:
            shutil.rmtree(self.folder / "task", ignore_errors=True)

    def _unpack(self, packet: Packet) -> Path:
        """Write an input's files, and return the path that is meant."""
        folder = self.folder / packet.folder
        if packet.contents is not None:
            folder.mkdir(parents=True, exist_ok=True)
            for name, data in packet.contents:
                (folder / name).write_bytes(data)
        return folder / packet.file if packet.file else folder


def _unpacked(tree: Any, change: Callable[[Packet], str]) -> Any:
    if isinstance(tree, Packet):
        return change(tree)
    if isinstance(tree, Mapping):
        return {name: _unpacked(each, change) for name, each in tree.items()}
    return [_unpacked(each, change) for each in tree] if isinstance(tree, list) else tree


def _named(told: Any, names: Mapping[str, str]) -> Any:
    """Give files the names by which the user knows them, wherever their paths stand in a text or a record."""
    if isinstance(told, str):
        for path in sorted(names, key=len, reverse=True):  # a file's goes before its folder's
            told = told.replace(path, names[path])
        return told
    if isinstance(told, dict):
        return {key: _named(value, names) for key, value in told.items()}
    return [_named(each, names) for each in told] if isinstance(told, list) else told

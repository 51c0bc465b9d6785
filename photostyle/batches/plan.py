"""What of a batch is done already and what is open; every reason to refuse it is found here, before the first run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from photostyle.batches.inputs import Hashes, Input
from photostyle.batches.job import Batch, Job, files_of, job_key
from photostyle.batches.journal import read_journal
from photostyle.batches.located import Place
from photostyle.batches.publish import recorded, sha256_or_none
from photostyle.errors import OutputError, PhotostyleError, UsageError
from photostyle.images import Picture, read_picture
from photostyle.networks import load_backbone
from photostyle.options.config import resolve
from photostyle.preparation import result_sizes
from photostyle.progress import Callback, Message, ignore
from photostyle.regions.labelmap.read import read_label_map, read_soft_masks

_LEAST_SIDE = 16  # as a transfer asks of a file
_NETWORK = ("content_layers", "style_layers", "weights", "weights_preprocessing", "pooling", "padding")


@dataclass(frozen=True)
class Plan:
    """A batch that is ready to be run.

    Attributes
    ----------
    batch : Batch
    keys : tuple of str
        Of each job.
    hashes : Hashes
        Of the files as they were checked.
    done : mapping of int to str
        Jobs that are final already, by number, with their picture's SHA-256.
    adopted : tuple of int
        Those of them that the journal doesn't know, since the process ended before its last line.
    open : tuple of int
        Jobs to be run.
    """

    batch: Batch
    keys: tuple[str, ...]
    hashes: Hashes
    done: Mapping[int, str]
    adopted: tuple[int, ...]
    open: tuple[int, ...]


def plan_batch(batch: Batch, *, overwrite: bool = False, callback: Callback = ignore) -> Plan:
    """Find out what is done, and check what is open: pictures, masks, networks, outputs.

    A job is done if its key, which is the content of its inputs and its options, was journalled with a picture that is
    still at its output, byte for byte. Nothing is written.
    """
    hashes = Hashes()
    keys = tuple(job_key(job, hashes) for job in batch.jobs)
    entries = read_journal(batch.folder)
    known = {entry["job"] for entry in entries}
    written = {(entry["job"], entry["sha256"]) for entry in entries if "sha256" in entry}
    results = {
        (entry["job"], entry["key"]): entry["sha256"]
        for entry in entries
        if entry["event"] == "done" and "sha256" in entry
    }
    done: dict[int, str] = {}
    adopted: list[int] = []
    for number, (job, key) in enumerate(zip(batch.jobs, keys, strict=True)):
        name, found = batch.name_of(job), sha256_or_none(job.output)
        mark = _mark(job)
        if found is not None and results.get((name, key)) == found:
            done[number] = found
        elif found is not None and (mark.get("key"), mark.get("sha256")) == (key, found):
            done[number] = found
            adopted.append(number)
        else:
            own = (name, found) in written or mark.get("sha256") == found
            if found is None:  # what lies beside a picture that is gone
                own = name in known or bool(mark)
            _check_free(job, own, overwrite)
    opened = tuple(number for number in range(len(keys)) if number not in done)
    _check([batch.jobs[number] for number in opened], callback)
    return Plan(batch, keys, hashes, done, tuple(adopted), opened)


def _mark(job: Job) -> dict[str, Any]:
    """Return what a record says of the batch that it comes from; nothing if there is none."""
    mark = (recorded(job.output) or {}).get("batch")
    return mark if isinstance(mark, dict) else {}


def _check_free(job: Job, own: bool, overwrite: bool) -> None:
    """Refuse an output that is someone else's, or can't be written."""
    for path in files_of(job.output):
        if path.is_dir():
            raise OutputError(f"{job.place}: {path} is a folder: choose another output")
        if path.exists() and not (own or overwrite):
            raise UsageError(
                f"{job.place}: {path} exists already and is no unchanged result of this batch: choose another output, "
                "or pass --overwrite"
            )
    folder = next(parent for parent in job.output.parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{job.place}: {folder} is no folder that you may write to: choose another output")


def _check(jobs: Sequence[Job], callback: Callback) -> None:
    """Decode all pictures and masks and load all networks that open jobs ask for, each once."""
    if jobs:
        callback(Message(f"checking the pictures and options of {len(jobs)} jobs", "wait"))
    sizes: dict[Path, tuple[int, int]] = {}
    masks: set[Any] = set()
    networks: set[Any] = set()
    for job in jobs:
        content, styles = job.arguments["content"], [*job.arguments["style"], *job.arguments["map"].values()]
        for found, role in [(content, "content"), *((style, "style") for style in styles)]:
            if found.path not in sizes:
                with _told(found.place):
                    sizes[found.path] = read_picture(found.path, role=role, min_side=_LEAST_SIDE).size
        with _told(job.place):
            blank = np.broadcast_to(np.float32(0), (*sizes[content.path][::-1], 3))  # takes no memory
            result_sizes(Picture(blank, None, 8, content.name), resolve(job.config))
        pairs = [(job.arguments["content_mask"] or job.option_files.get("regions"), content)]
        pairs += list(zip(job.arguments["style_mask"] or [], styles, strict=False))
        for mask, picture in pairs:
            if isinstance(mask, (Input, dict)) and (repr(mask), picture.path) not in masks:
                masks.add((repr(mask), picture.path))
                with _told(job.place):
                    _read_mask(mask, sizes[picture.path], picture.name)
        with _told(job.place):
            _load(job, networks, callback)


def _read_mask(mask: Input | dict[str, Input], size: tuple[int, int], picture: str) -> None:
    if isinstance(mask, Input):
        read_label_map(mask.path, size=size, picture=picture)
    else:
        read_soft_masks({label: each.path for label, each in mask.items()}, size=size, picture=picture)


def _load(job: Job, seen: set[Any], callback: Callback) -> None:
    """Load a job's networks if none like them were seen: they are fetched once, and layers and weights are right."""
    config = resolve(job.config)
    settings = {name: getattr(config, name) for name in _NETWORK} | {"edges": config.needs_edges}
    if "weights" in job.option_files:
        settings["weights"] = str(job.option_files["weights"].path)
    key = (config.backbone, *settings.values())
    if key not in seen:
        seen.add(key)
        load_backbone(config.backbone, offline=config.offline, callback=callback, **settings)


@contextmanager
def _told(place: Place) -> Iterator[None]:
    """Add the line to an error."""
    try:
        yield
    except PhotostyleError as error:
        raise type(error)(f"{place}: {error}") from None

"""A job: what one transfer takes, where its picture goes, and the key by which it is known again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from photostyle._version import __version__
from photostyle.batches.inputs import Hashes, Input, replaced
from photostyle.batches.located import Place
from photostyle.options.config import OPTIONS, TransferConfig, resolve
from photostyle.report.beside import record_path, regions_paths

# Options that change how or where is computed, or what is kept on the way, but not what is asked for.


@dataclass(frozen=True)
class Job:
    """One transfer of a batch, checked as far as can be without reading pictures.

    Attributes
    ----------
    place : Place
        The line that it comes from.
    output : Path
        Where its picture goes; the record and the regions lie beside it.
    arguments : mapping
        content, style, map, content_mask and style_mask as :func:`photostyle.transfer` takes them, each path an Input.
    config : TransferConfig
        The options, as they were given.
    option_files : mapping of str to Input
        The options that name a file: regions, segmenter, weights.
    given : mapping
        The options that the file gives, for people.
    """

    place: Place
    output: Path
    arguments: Mapping[str, Any]
    config: TransferConfig
    option_files: Mapping[str, Input]
    given: Mapping[str, Any]

    @property
    def inputs(self) -> list[Input]:
        """All that it reads, in order."""
        found: list[Input] = []
        replaced([self.arguments, self.option_files], found.append)
        return found


@dataclass(frozen=True)
class Batch:
    """All jobs of a file.

    Attributes
    ----------
    path : Path
        The file.
    folder : Path
        The output folder: all outputs lie in it, and the journal too.
    jobs : tuple of Job
        In the order of the file.
    """

    path: Path
    folder: Path
    jobs: tuple[Job, ...]

    def name_of(self, job: Job) -> str:
        """Return a job's output relative to the output folder, with forward slashes: how the journal calls it."""
        return job.output.relative_to(self.folder).as_posix()


def job_key(job: Job, hashes: Hashes) -> str:
    """Return the SHA-256 of all that a job's result depends on.

    That is the content of its files, whatever they are called, the options with all defaults filled in, the format of
    the output, and the version of photostyle.
    """
    resolved = asdict(resolve(job.config)).items()
    options = {name: value for name, value in resolved if OPTIONS[name].changes in ("picture", "file")}
    told = {
        "photostyle": __version__,
        "arguments": replaced(job.arguments, hashes.of_input),
        "options": options | replaced(job.option_files, hashes.of_input),
        "suffix": job.output.suffix.lower(),
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def files_of(output: Path) -> tuple[Path, ...]:
    """Return all files that a job may write: the picture, its record, the map of its regions and its legend."""
    return output, record_path(output), *regions_paths(output)

"""Names of outputs from a pattern: values in braces, safe for every file system, inside one folder."""

from __future__ import annotations

import difflib
import os
import re
import string
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from photostyle.batches.job import Job, files_of
from photostyle.batches.located import Located
from photostyle.errors import UsageError
from photostyle.images.write import check_suffix
from photostyle.options.config import OPTIONS
from photostyle.options.variations import value_text, values_text

_NAMES = ("content", "style", *OPTIONS)
_LONGEST = 255 - len(".regions.json")  # bytes of a stem, with what lies beside a picture


def output_name(pattern: Located, values: Mapping[str, Any]) -> str:
    """Fill in a pattern."""
    text = pattern.text("output").strip()
    if "\\" in text or ".." in text.replace("\\", "/").split("/"):
        raise pattern.place.error(
            f"output {text!r} must not hold .. or \\: outputs stay in their folder (name another by an absolute path, "
            "or pass --output DIR)"
        )
    parts = []
    for literal, field, spec, conversion in _parsed(pattern, text):
        parts.append(literal)
        if field is None:
            continue
        name = field.replace("-", "_")
        if spec or conversion or name not in _NAMES:
            near = difflib.get_close_matches(name, _NAMES, n=1)
            hint = f"did you mean {{{near[0]}}}?" if near else "allowed are {content}, {style} and any {option}"
            raise pattern.place.error(f"output {text!r} has the unknown {{{field}{spec and ':' + spec}}}; {hint}")
        parts.append(safe_text(value_text(values[name])))
    named = "".join(parts)
    stem = Path(named).stem
    if len(os.fsencode(stem)) > _LONGEST or "\0" in named:
        raise pattern.place.error(f"the output {named[:60]}… is too long for a file name: shorten the pattern")
    try:
        check_suffix(Path(named).suffix, f"output {named}")
    except UsageError as error:
        raise pattern.place.error(str(error)) from None
    return named


def constant_folder(pattern: Located) -> Path:
    """Return the folders of a pattern before the first that depends on a job."""
    parts = Path(pattern.text("output").strip()).parts[:-1]
    constant = next((i for i, part in enumerate(parts) if "{" in part), len(parts))
    return Path(*parts[:constant])


def safe_text(text: str) -> str:
    """Make a value part of a file name: no separators, no signs that a system forbids, no dots at the front."""
    return re.sub(r'[\x00-\x1f\x7f/\\:*?"<>|{}]+', "-", text).strip().lstrip(".").rstrip(". ") or "_"


def check_outputs(jobs: Sequence[Job], path: Path) -> None:
    """Find out whether each job has files of its own, and none that is read."""
    owners: dict[str, Job] = {}
    read = {os.path.realpath(path): str(path)}
    read |= {os.path.realpath(file): each.name for job in jobs for each in job.inputs for _, file in each.files}
    for job in jobs:
        for file in files_of(job.output):
            other = owners.setdefault(unicodedata.normalize("NFC", os.path.realpath(file)).casefold(), job)
            if other is not job:
                raise job.place.error(
                    f"{_told(job, other)} would write {file}, which the job of line {other.place.line} "
                    f"({_told(other, job)}) writes too: name what differs in output, by {{content}}, {{style}} or any "
                    "{option}"
                )
            if os.path.realpath(file) in read:
                raise job.place.error(f"{_told(job, job)} would replace {file}, which is read: choose another output")


def _told(job: Job, other: Job) -> str:
    """Tell a job from another: its pictures, and the options in which they differ."""
    pictures = [job.arguments["content"], *job.arguments["style"], *job.arguments["map"].values()]
    own = {name: value for name, value in job.given.items() if other.given.get(name) != value}
    return ", ".join([" + ".join(each.name for each in pictures), *([values_text(own)] if own else [])])


def _parsed(pattern: Located, text: str) -> list[tuple[str, str | None, str, str | None]]:
    try:
        return [(a, b, c or "", d) for a, b, c, d in string.Formatter().parse(text)]
    except ValueError as error:
        raise pattern.place.error(f"output {text!r} is no pattern ({error}): write {{content}} or {{{{") from None

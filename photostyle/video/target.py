"""Where a video goes: a file, or a folder of numbered pictures; checked before the work, filled after it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from photostyle.errors import OutputError, UsageError
from photostyle.images import write_atomically
from photostyle.report.beside import record_path
from photostyle.video.encode import FORMATS
from photostyle.video.footage import Footage


def is_folder(output: Path) -> bool:
    """Whether the result is a folder of pictures: an existing folder, or a name without a suffix."""
    if output.is_dir() or not output.suffix:
        return True
    if output.suffix.lower() not in FORMATS:
        raise UsageError(
            f"{output}: has the suffix {output.suffix}; allowed are {', '.join(FORMATS)}, or none for a folder of "
            "pictures: change the name"
        )
    return False


def check_target(output: Path, source: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Find out, before a long run, whether its result can be written."""
    folder = is_folder(output)
    try:
        if Path(source).exists() and output.resolve() == Path(source).resolve():
            raise UsageError(f"-o {output} would replace the video itself: name another file or folder")
        parent = output.resolve().parent
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            raise OutputError(f"{output}: {parent} is no folder that you may write to: create it, or choose another")
        if folder and output.exists() and not output.is_dir():
            raise OutputError(f"{output}: is a file, but without a suffix OUT is a folder: choose another name")
        occupied = any(output.iterdir()) if output.is_dir() else output.exists()
    except OSError as error:  # a name that is too long, or that can't be searched
        raise OutputError(f"{output}: can't be used ({error.strerror}): choose another place") from None
    if occupied and not overwrite:
        raise UsageError(
            f"{output} {'is not empty' if folder else 'exists already'}: choose another name, or pass --overwrite"
        )
    if record_path(output).exists() and not overwrite:
        raise UsageError(f"{record_path(output)} exists already: choose another output, or pass --overwrite")


def frame_names(footage: Footage, frames: range) -> list[str]:
    """Return the names of the pictures in a folder: those of numbered pictures again, else numbers."""
    return [f"{footage.stems[n]}.png" if footage.stems else f"frame-{n:06}.png" for n in frames]


def copy_pictures(pictures: Sequence[Path], names: Sequence[str], folder: Path) -> None:
    """Copy finished pictures into a folder, each in one step."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: can't be made ({error.strerror}): choose another place") from None
    for picture, name in zip(pictures, names, strict=True):
        write_atomically(folder / name, picture.read_bytes())

"""What a job reads: files by their content, so that a job is known again whatever they are called."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photostyle.batches.located import Located, Place
from photostyle.errors import ImageError
from photostyle.networks.cache import sha256_of

_MOST_FILES = 200  # of one folder of masks or of a segmenter
_LEGEND = "legend"


@dataclass(frozen=True)
class Input:
    """A file of a job, with the legend beside a label map, or a folder.

    Attributes
    ----------
    name : str
        As it was written, for people.
    path : Path
        Where it is.
    place : Place
        The line that names it.
    files : tuple of (str, Path)
        The name of each file within its folder, and where it is.
    kept : bool
        Whether a worker keeps it for the next job, as it does with networks.
    """

    name: str
    path: Path
    place: Place
    files: tuple[tuple[str, Path], ...]
    kept: bool = False

    @property
    def is_folder(self) -> bool:
        """Whether the input is a folder as a whole."""
        return all(file != self.path for _, file in self.files)


class Hashes:
    """SHA-256 of files, each read once."""

    def __init__(self) -> None:
        self._known: dict[Path, str] = {}

    def of_file(self, path: Path) -> str:
        """Hash a file; an OSError where it can't be read."""
        if path not in self._known:
            self._known[path] = sha256_of(path)
        return self._known[path]

    def is_same(self, path: Path, data: bytes) -> bool:
        """Whether these bytes are those that were hashed."""
        return hashlib.sha256(data).hexdigest() == self.of_file(path)

    def of_input(self, found: Input) -> str:
        """Hash an input: of a folder the names of its files count too, of anything else the content alone."""
        digest = hashlib.sha256()
        try:
            for name, path in found.files:
                role = name if found.is_folder else "" if path == found.path else _LEGEND
                digest.update(f"{role}\0{self.of_file(path)}\n".encode())
        except OSError as error:
            raise ImageError(f"{found.place}: {found.name} can't be read ({error.strerror}): check the file") from None
        return digest.hexdigest()


def find_input(found: Located, what: str, base: Path, *, folder: bool = False, legend: bool = False,
               kept: bool = False) -> Input:  # fmt: skip
    """Find the file that a value names."""
    text = found.text(what).strip()
    try:
        path = base / Path(text).expanduser()
        if path.is_dir() and folder:
            inside = sorted(each for each in path.iterdir() if each.is_file() and not each.name.startswith("."))
            if not 0 < len(inside) <= _MOST_FILES:
                raise found.place.error(f"{what} {text} is a folder with {len(inside)} files: allowed are 1 to 200")
            return Input(text, path, found.place, tuple((each.name, each) for each in inside), kept)
        if path.is_file():
            beside = path.with_suffix(".json")
            files = [(path.name, path), *([(beside.name, beside)] if legend and beside.is_file() else [])]
            return Input(text, path, found.place, tuple(files), kept)
        what_is = "is a folder" if path.is_dir() else "there is no such file"
    except (OSError, ValueError, RuntimeError) as error:  # too long, with a zero byte, of nobody
        what_is = str(getattr(error, "strerror", None) or error)
    hint = "; patterns belong to matrix:" if set(text) & set("*?[") else ""
    raise ImageError(f"{found.place}: {what} {text}: {what_is} (paths start from {base}){hint}")


def replaced(tree: Any, change: Callable[[Input], Any]) -> Any:
    """Return arguments, lists and mappings of inputs, with each input replaced by what `change` makes of it."""
    if isinstance(tree, Input):
        return change(tree)
    if isinstance(tree, Mapping):
        return {name: replaced(each, change) for name, each in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [replaced(each, change) for each in tree]
    return tree

"""The work folder beside a result: everything that is done so far, so that an interrupted video can be gone on with."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photostyle.errors import OutputError, UsageError
from photostyle.images import encode_picture, write_atomically
from photostyle.video.photo import KeyFields, load_fields, packed_fields

_JOB = "job.json"


def work_folder(output: Path) -> Path:
    """Return where the work on a result is kept: film.mp4 → film.mp4.frames."""
    return output.with_name(output.name + ".frames")


class Work:
    """The files of a run: a key frame's fields, a frame's picture, what is needed to go on, and its numbers.

    A frame is done when its numbers are written, which are written last.
    """

    def __init__(self, folder: Path, fingerprint: str, *, resume: bool, overwrite: bool) -> None:
        self.folder = folder
        check_work(folder, resume=resume, overwrite=overwrite)
        if resume:
            try:
                found = json.loads((folder / _JOB).read_text(encoding="utf-8"))["fingerprint"]
            except (OSError, ValueError, KeyError, TypeError):
                raise OutputError(f"{folder} is damaged: delete it and run without --resume") from None
            if found != fingerprint:
                raise UsageError(
                    f"{folder} belongs to a run with another video, other styles, masks or options: give the same "
                    "ones, or delete it and run without --resume"
                )
            return
        try:
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir()
        except OSError as error:
            raise OutputError(f"{folder} can't be made ({error.strerror}): choose another place for OUT") from None
        write_atomically(folder / _JOB, json.dumps({"fingerprint": fingerprint}).encode())

    def fields(self, key: int) -> KeyFields | None:
        """Return the fields of a key frame, None where they aren't solved yet."""
        path = self._path("key", key, ".npz")
        try:
            return load_fields(self._bytes(path)) if path.exists() else None
        except (ValueError, KeyError, zipfile.BadZipFile):
            raise self._damaged(path) from None

    def keep_fields(self, key: int, fields: KeyFields, losses: dict[str, float]) -> None:
        """Write the losses, then the fields of a key frame."""
        write_atomically(self._path("key", key, ".json"), json.dumps(losses).encode())
        write_atomically(self._path("key", key, ".npz"), packed_fields(fields))

    def key_losses(self, key: int) -> dict[str, float]:
        """Return the losses of a key frame; none where nothing was optimised for it."""
        path = self._path("key", key, ".json")
        return self._json(path) if path.exists() else {}

    def done(self, frames: range) -> int:
        """Return how many of some frames, one after the other from the first, are done."""
        return next((i for i, n in enumerate(frames) if not self._path("frame", n, ".json").exists()), len(frames))

    def keep(
        self, number: int, result: NDArray[np.float32], numbers: dict[str, Any], solved: NDArray[np.float32] | None
    ) -> None:
        """Write what came of a frame: its picture, what the next frame starts from, and last its numbers."""
        if solved is not None:
            buffer = io.BytesIO()
            np.save(buffer, solved)
            write_atomically(self._path("solved", number, ".npy"), buffer.getvalue())
        write_atomically(self.picture(number), encode_picture(result, suffix=".png"))
        write_atomically(self._path("frame", number, ".json"), json.dumps(numbers).encode())
        if solved is not None:
            self._path("solved", number - 1, ".npy").unlink(missing_ok=True)

    def solved(self, number: int) -> NDArray[np.float32]:
        """Return what was optimised for the last frame that is done."""
        path = self._path("solved", number, ".npy")
        try:
            return np.asarray(np.load(io.BytesIO(self._bytes(path)), allow_pickle=False), dtype=np.float32)
        except ValueError:
            raise self._damaged(path) from None

    def picture(self, number: int) -> Path:
        """Return where the picture of a frame lies."""
        return self._path("frame", number, ".png")

    def frame(self, number: int) -> NDArray[np.uint8]:
        """Return the picture of a frame that is done, shape (H, W, 3)."""
        try:
            with Image.open(self.picture(number), formats=["PNG"]) as image:
                return np.asarray(image.convert("RGB"))
        except (OSError, SyntaxError):
            raise self._damaged(self.picture(number)) from None

    def numbers(self, number: int) -> dict[str, Any]:
        """Return the numbers of a frame that is done."""
        return self._json(self._path("frame", number, ".json"))

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, kind: str, number: int, suffix: str) -> Path:
        return self.folder / f"{kind}-{number:06}{suffix}"

    def _json(self, path: Path) -> dict[str, Any]:
        try:
            return dict(json.loads(self._bytes(path)))
        except ValueError:
            raise self._damaged(path) from None

    def _bytes(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError:
            raise self._damaged(path) from None

    def _damaged(self, path: Path) -> OutputError:
        return OutputError(f"{path} is missing or damaged: delete {self.folder} and run without --resume")


def check_work(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Find out before the work whether there is something to resume, or in the way."""
    there = folder.exists()
    if resume and not (folder / _JOB).is_file():
        raise UsageError(f"nothing to resume: {folder} doesn't exist or is no work folder; run without --resume")
    if there and not resume and not overwrite:
        raise UsageError(f"{folder} holds an interrupted run: go on with --resume, or begin anew with --overwrite")
    if there and not resume and not (folder / _JOB).is_file():
        raise UsageError(f"{folder} is in the way, and is no work folder of photostyle: move it, or name another OUT")

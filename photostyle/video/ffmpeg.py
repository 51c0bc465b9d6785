"""The ffmpeg program that the extra ``video`` brings: how it is found, run, and what its complaints mean."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence

from photostyle.errors import PhotostyleError


def executable() -> str:
    """Return the path of ffmpeg."""
    try:
        import imageio_ffmpeg
    except ModuleNotFoundError:
        raise PhotostyleError(
            "video files need ffmpeg, which isn't installed: run pip install 'photostyle[video]' "
            "(folders of numbered pictures, in and out, need none)"
        ) from None
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError:
        raise PhotostyleError(
            "imageio-ffmpeg has no ffmpeg for this machine: install ffmpeg yourself and name it in the environment "
            "variable IMAGEIO_FFMPEG_EXE"
        ) from None


def as_url(path: str | os.PathLike[str]) -> str:
    """Return a path as ffmpeg takes it, whatever it begins with or holds."""
    return f"file:{os.fspath(path)}"


class Child:
    """A running ffmpeg, and what it complains about.

    Attributes
    ----------
    process : Popen
        With pipes for standard input and output, as they were asked for.
    """

    def __init__(self, process: subprocess.Popen[bytes], complaints: object) -> None:
        self.process = process
        self._complaints = complaints

    @property
    def complaint(self) -> str:
        """The line that says most of what was written to standard error, "" if there was none."""
        self._complaints.seek(0)  # type: ignore[attr-defined]
        text = self._complaints.read().decode(errors="replace")  # type: ignore[attr-defined]
        lines = [line.split("] ", 1)[-1].strip() for line in text.splitlines() if line.strip()]
        return lines[0] if lines else ""


@contextlib.contextmanager
def child(arguments: Sequence[str], *, write: bool = False) -> Iterator[Child]:
    """Run ffmpeg beside this process; at the end of the block it is gone, whatever happened.

    A Ctrl-C on the terminal doesn't reach it: it is this process that decides when to stop.
    """
    command = [executable(), "-hide_banner", "-v", "error", *([] if write else ["-nostdin"]), *arguments]
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if write else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if write else subprocess.PIPE,
            stderr=complaints,
            start_new_session=True,
        )
        try:
            yield Child(process, complaints)
        finally:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):  # what was still to be flushed has no reader any more
                        pipe.close()
            process.wait()


def run(arguments: Sequence[str]) -> tuple[int, bytes, str]:
    """Run ffmpeg to its end."""
    with child(arguments) as ffmpeg:
        assert ffmpeg.process.stdout is not None
        output = ffmpeg.process.stdout.read()
        return ffmpeg.process.wait(), output, ffmpeg.complaint

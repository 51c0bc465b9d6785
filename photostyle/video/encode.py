"""What comes out: a video file made of pictures, with the sound of another file, all of it or nothing."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photostyle.errors import OutputError
from photostyle.video.ffmpeg import as_url, child, run

_H264 = ("-c:v", "libx264", "-crf", "16", "-preset", "medium")
_VP9 = ("-c:v", "libvpx-vp9", "-crf", "20", "-b:v", "0", "-row-mt", "1")
FORMATS: dict[str, tuple[tuple[str, ...], str]] = {
    ".mp4": (_H264, "aac"),
    ".m4v": (_H264, "aac"),
    ".mov": (_H264, "aac"),
    ".mkv": (_H264, "aac"),
    ".webm": (_VP9, "libopus"),
}
"""By suffix: how frames are encoded, and how sound is where it can't be copied."""

_BT709 = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv")


@dataclass(frozen=True)
class Sound:
    """Where the sound comes from.

    Attributes
    ----------
    path : Path
        A file that may or may not have sound.
    start : Fraction
        Seconds from the beginning of that file to the first frame that is encoded.
    whole : bool
        Whether the frames go from the first to the last; else the sound is cut with them.
    """

    path: Path
    start: Fraction
    whole: bool


def encode_video(
    frames: Iterable[NDArray[np.uint8]],
    count: int,
    target: Path,
    rate: Fraction,
    *,
    pixel_aspect: Fraction = Fraction(1),
    sound: Sound | None = None,
    on_frame: Callable[[int], object] = lambda _done: None,
) -> tuple[str, list[str]]:
    """Encode frames, add the sound, and only then give the file its name."""
    codec, sound_codec = FORMATS[target.suffix.lower()]
    final = Path(os.path.realpath(target))
    notes: list[str] = []
    names = (_temporary(final, suffix) for suffix in (final.suffix, final.suffix, ".mka"))
    with next(names) as silent, next(names) as voiced, next(names) as part:
        _encode(frames, silent, rate, codec, pixel_aspect, notes, on_frame)
        kept = "none"
        result = silent
        if sound is not None and _has_sound(sound.path):
            if not sound.whole:
                sound = _cut(sound, count / rate, part)
            kept = _mux(silent, sound, voiced, sound_codec, notes)
            result = voiced
        try:
            with result.open("rb+") as file:
                os.fsync(file.fileno())
            result.replace(final)
        except OSError as error:
            raise OutputError(f"{target}: can't be written ({error.strerror}): choose another place") from None
    return kept, notes


@contextlib.contextmanager
def _temporary(final: Path, suffix: str) -> Iterator[Path]:
    """Yield the name of a file beside the final one; at the end it is gone, unless it was renamed."""
    path = final.with_name(f".photostyle-{secrets.token_hex(8)}{suffix}")
    try:
        yield path
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _encode(
    frames: Iterable[NDArray[np.uint8]],
    target: Path,
    rate: Fraction,
    codec: tuple[str, ...],
    pixel_aspect: Fraction,
    notes: list[str],
    on_frame: Callable[[int], object],
) -> None:
    frames = iter(frames)
    first = next(frames)
    height, width = first.shape[:2]
    pad = ((0, height % 2), (0, width % 2), (0, 0))
    if height % 2 or width % 2:
        notes.append(
            f"the video is {width + width % 2}×{height + height % 2} instead of {width}×{height}: "
            "its sides must be even, so the last pixels are repeated"
        )
    arguments = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width + width % 2}x{height + height % 2}"]
    arguments += ["-r", str(rate), "-i", "-", "-an", "-vf", _filters(pixel_aspect), "-r", str(rate), *codec, *_BT709]
    with child([*arguments, *_muxing(target), "-fflags", "+bitexact", "-y", as_url(target)], write=True) as ffmpeg:
        stream = ffmpeg.process.stdin
        assert stream is not None
        try:
            for number, frame in enumerate(_chained(first, frames), 1):
                stream.write(np.ascontiguousarray(np.pad(frame, pad, mode="edge")).data)
                on_frame(number)
            stream.close()
        except (BrokenPipeError, ConnectionError):
            pass  # it has ended; why, it has said
        if ffmpeg.process.wait() != 0:
            raise OutputError(
                f"{target.parent}: the video can't be written there ({ffmpeg.complaint or 'ffmpeg failed'}): "
                "make room, or choose another place; the frames are kept, go on with --resume"
            )


def _filters(pixel_aspect: Fraction) -> str:
    return f"scale=out_color_matrix=bt709:out_range=tv,format=yuv420p,setsar={pixel_aspect}"


def _muxing(target: Path) -> list[str]:
    """Return the switches of a container: MP4 with its index in front, so that it plays while it loads."""
    return ["-movflags", "+faststart"] if target.suffix.lower() in (".mp4", ".m4v", ".mov") else []


def _chained(first: NDArray[np.uint8], rest: Iterator[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    yield first
    yield from rest


def _has_sound(path: Path) -> bool:
    """Whether a file has a sound stream that holds anything."""
    return run(["-i", as_url(path), "-map", "0:a:0", "-c", "copy", "-frames:a", "1", "-f", "null", "-"])[0] == 0


def _cut(sound: Sound, seconds: Fraction, target: Path) -> Sound:
    """Copy a part of the sound: packets are a few hundredths of a second long, so it begins that exactly."""
    arguments = ["-i", as_url(sound.path), "-map", "0:a", "-c", "copy", "-ss", f"{float(sound.start):.6f}"]
    code, _, complaint = run([*arguments, "-t", f"{float(seconds):.6f}", "-y", as_url(target)])
    if code != 0:
        raise OutputError(f"{sound.path}: its sound can't be cut ({complaint}): take the whole video, or one without")
    return Sound(target, Fraction(0), whole=True)


def _mux(silent: Path, sound: Sound, target: Path, codec: str, notes: list[str]) -> str:
    """Put video and sound into one file: the sound copied where the container can hold it, else converted."""
    # the pictures may begin after the sound
    arguments = ["-itsoffset", f"{float(sound.start):.6f}", "-i", as_url(silent), "-i", as_url(sound.path)]
    arguments += ["-map", "0:v:0", "-map", "1:a?", "-c:v", "copy"]
    tail = [*_muxing(target), "-fflags", "+bitexact", "-y", as_url(target)]
    code, _, complaint = run([*arguments, "-c:a", "copy", *tail])
    if code == 0:
        return "copied"
    code, _, again = run([*arguments, "-c:a", codec, *tail])
    if code != 0:
        raise OutputError(
            f"{target.parent}: the sound can't be put into the video ({again or complaint}): make room, or name a "
            ".mkv, which holds any sound; the frames are kept, go on with --resume"
        )
    notes.append(
        f"the sound was converted to {codec.removeprefix('lib')}, since {target.suffix} can't hold it as it is"
    )
    return "converted"

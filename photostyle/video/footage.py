"""What goes in: the frames of a video file, or numbered pictures, as one thing that can be read again and again."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photostyle.errors import ImageError, UsageError
from photostyle.images import read_picture
from photostyle.video.ffmpeg import Child, as_url, child
from photostyle.video.timing import timing

_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".ppm")
_PATTERN = re.compile(r"%0?\d*d")
Frame = NDArray[np.uint8]


@dataclass(frozen=True)
class Footage:
    """Frames in their order.

    Attributes
    ----------
    name : str
        As it was given.
    rate : Fraction
        Frames a second.
    read : callable
        From the numbers of the first frame and of the one behind the last (None: all) to the frames between them,
        ndarrays of uint8, shape (H, W, 3), sRGB, upright.
    count : int
        How many there are; of a variable rate about how many.
    stems : tuple of str
        The names of numbered pictures; empty for a video file.
    sound : Path or None
        The file whose sound goes with the frames.
    start : Fraction
        Seconds from the beginning of the sound to the first frame.
    pixel_aspect : Fraction
        Width of a pixel over its height.
    notes : tuple of str
        Decisions, one line each.
    """

    name: str
    rate: Fraction
    read: Callable[[int, int | None], Iterator[Frame]]
    count: int
    stems: tuple[str, ...] = ()
    sound: Path | None = None
    start: Fraction = Fraction(0)
    pixel_aspect: Fraction = Fraction(1)
    notes: tuple[str, ...] = ()


def open_footage(
    source: str | os.PathLike[str], rate: Fraction | None = None, on_wait: Callable[[], object] = lambda: None
) -> Footage:
    """Find out what a source of frames is."""
    path = Path(source)
    name = os.fspath(source)
    if path.is_dir():
        return _pictures([p for p in path.iterdir() if p.suffix.lower() in _PICTURES], name, rate)
    if not path.exists() and ("*" in path.name or _PATTERN.search(path.name)):
        return _pictures(_matching(path), name, rate)
    if not path.exists():
        raise ImageError(f"{name}: there is no such video, folder or pattern of pictures: check the path")
    if rate is not None:
        raise UsageError("--fps belongs to numbered pictures, but a video file has its own: leave it out")
    on_wait()
    return _video(path, name)


def _matching(pattern: Path) -> list[Path]:
    """Return the pictures whose names fit a pattern: ``*`` is anything, ``%04d`` a number."""
    parts = [re.escape(part).replace(r"\*", ".*") for part in _PATTERN.split(pattern.name)]
    wanted = re.compile(r"\d+".join(parts))
    if not pattern.parent.is_dir():
        return []
    return [p for p in pattern.parent.iterdir() if wanted.fullmatch(p.name) and p.suffix.lower() in _PICTURES]


def _pictures(paths: list[Path], name: str, rate: Fraction | None) -> Footage:
    if not paths:
        raise ImageError(f"{name}: holds no pictures; allowed are {', '.join(_PICTURES)}: check the path")
    paths = sorted(paths, key=_natural)
    stems = tuple(path.stem for path in paths)
    twice = next((stem for one, stem in itertools.pairwise(sorted(stems)) if one == stem), None)
    if twice is not None:
        raise ImageError(f"{name}: two pictures are called {twice}, but each frame needs a name: take one away")
    first = read_picture(paths[0], role="frame")

    def read(start: int, stop: int | None) -> Iterator[Frame]:
        for path in paths[start:stop]:
            picture = read_picture(path, role="frame")
            if picture.size != first.size:
                raise ImageError(
                    f"frame {path} is {picture.size[0]}×{picture.size[1]}, but {paths[0].name} is {first.size[0]}×"
                    f"{first.size[1]}: all frames of a video have one size"
                )
            yield np.rint(picture.rgb * 255).astype(np.uint8)

    notes = []
    if first.alpha is not None:
        notes.append("the frames are opaque in the result: their alpha is left out")
    if first.bit_depth > 8:
        notes.append("the frames are worked on with 8 bits a colour")
    return Footage(name, rate or Fraction(25), read, len(stems), stems, notes=tuple(notes))


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort frame9 before frame10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name) if part]


def _video(path: Path, name: str) -> Footage:
    when = timing(path)
    notes = []
    cadence = ["-fps_mode", "passthrough"]
    if not when.constant:
        cadence = ["-fps_mode", "cfr", "-r", str(when.rate)]
        notes.append(
            f"the frames of {name} come at a variable rate; they are repeated or left out so that there are "
            f"{float(when.rate):.3f} a second throughout, and the sound fits"
        )

    if when.damage:
        notes.append(f"{name} is damaged ({when.damage}): its bad frames are taken as ffmpeg mends them")

    def read(start: int, stop: int | None) -> Iterator[Frame]:
        arguments = ["-i", as_url(path), "-map", "0:V:0", *cadence, "-pix_fmt", "rgb24"]
        with child([*arguments, "-c:v", "ppm", "-f", "image2pipe", "-"]) as ffmpeg:
            yield from _frames_of(ffmpeg, name, start, stop)

    count = round(when.seconds * when.rate)
    return Footage(name, when.rate, read, count, (), path, when.start, when.pixel_aspect, tuple(notes))


def _frames_of(ffmpeg: Child, name: str, start: int, stop: int | None) -> Iterator[Frame]:
    """Read frames as PPM pictures, each of which says how large it is."""
    stream = ffmpeg.process.stdout
    assert stream is not None
    number = 0
    while stop is None or number < stop:
        if stream.readline() != b"P6\n":
            break
        width, height = (int(word) for word in stream.readline().split())
        stream.readline()
        data = stream.read(3 * width * height)
        if len(data) < 3 * width * height:
            break
        if number >= start:
            yield np.frombuffer(data, np.uint8).reshape(height, width, 3)
        number += 1
    if number == 0:
        reason = ffmpeg.complaint or "it holds no frames"
        raise ImageError(f"{name} can't be decoded ({reason}): check the file, or convert it first")

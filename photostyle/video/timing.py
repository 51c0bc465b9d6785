"""When a video's frames are shown: their rate as an exact fraction, or that they have none."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from photostyle.errors import ImageError
from photostyle.video.ffmpeg import as_url, run

__all__ = ["Timing", "constant_rate", "timing"]

_NTSC = [Fraction(n * 1000, 1001) for n in (24, 30, 48, 60, 120)]
_DEFAULT_RATE = Fraction(25)  # of a single frame


@dataclass(frozen=True)
class Timing:
    """When a video's frames are shown.

    Attributes
    ----------
    rate : Fraction
        Frames a second; of a variable rate its mean.
    constant : bool
        Whether all frames come at that rate.
    start : Fraction
        Seconds from the beginning of the file, and of its sound, to the first frame.
    pixel_aspect : Fraction
        Width of a pixel over its height.
    stored_size : tuple of int
        (width, height) as stored: the sides are exchanged where the video is turned for display.
    """

    rate: Fraction
    constant: bool
    start: Fraction
    pixel_aspect: Fraction
    stored_size: tuple[int, int]


def timing(path: str | os.PathLike[str]) -> Timing:
    """Read the time stamps of a video file, without decoding it.

    Raises
    ------
    ImageError
        If it is no video that ffmpeg knows, or has no video stream, or no frames.
    """
    arguments = ["-i", as_url(path), "-map", "0:V:0", "-c", "copy", "-f", "framecrc", "-"]
    code, output, complaint = run(arguments)
    if "matches no streams" in complaint:
        raise ImageError(f"{path} has no video stream, only sound or pictures beside it: name another file")
    head: dict[str, str] = {}
    stamps: list[int] = []
    for line in output.decode(errors="replace").splitlines():
        if line.startswith("#"):
            key, _, value = line[1:].partition(":")
            head[key.removesuffix(" 0")] = value.strip()
        else:
            stamps.append(int(line.split(",")[2]))
    if not stamps:
        reason = complaint or ("it holds no frames" if code == 0 else f"ffmpeg ended with {code}")
        raise ImageError(f"{path} can't be read as a video ({reason}): check the file, or convert it first")
    tick = Fraction(head["tb"])
    stamps.sort()
    rate = constant_rate(stamps, tick)
    mean = Fraction(len(stamps) - 1, stamps[-1] - stamps[0]) / tick if stamps[-1] > stamps[0] else _DEFAULT_RATE
    width, _, height = head.get("dimensions", "0x0").partition("x")
    aspect = head.get("sar", "0/1")
    return Timing(
        rate=rate or mean.limit_denominator(1001),
        constant=rate is not None,
        start=max(Fraction(0), stamps[0] * tick),
        pixel_aspect=Fraction(1) if aspect.startswith("0/") else Fraction(aspect),
        stored_size=(int(width), int(height)),
    )


def constant_rate(stamps: Sequence[int], tick: Fraction) -> Fraction | None:
    """Return the rate at which frames come, exactly, or None where they come at no constant rate.

    Containers round time stamps to their ticks, Matroska to milliseconds, so 30000/1001 frames a second come after 33,
    33, 34 of them. A rate is that of the frames if each stamp is within a tick of where the rate puts it.

    Parameters
    ----------
    stamps : sequence of int
        In ticks, ascending.
    tick : Fraction
        Seconds.
    """
    count = len(stamps) - 1
    if count < 1 or stamps[-1] == stamps[0]:
        return _DEFAULT_RATE if count < 1 else None
    mean = Fraction(count, stamps[-1] - stamps[0]) / tick
    whole = Fraction(round(mean)) if round(mean) else mean
    for rate in (*_NTSC, whole, mean.limit_denominator(1001), mean):
        step = 1 / (rate * tick)
        if rate and all(abs(stamp - stamps[0] - i * step) <= 1 for i, stamp in enumerate(stamps)):
            return rate
    return None

"""When a video's frames are shown: their rate as an exact fraction, or that they have none."""

from __future__ import annotations

import itertools
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from photostyle.errors import ImageError
from photostyle.video.ffmpeg import as_url, run

_NTSC = [Fraction(n * 1000, 1001) for n in (24, 30, 48, 60, 120)]
_MOST = Fraction(120)  # to which a variable rate is evened out
_DEFAULT_RATE = Fraction(25)  # of a single frame


@dataclass(frozen=True)
class Timing:
    """When a video's frames are shown.

    Attributes
    ----------
    rate : Fraction
        Frames a second; of a variable rate what is usual.
    constant : bool
        Whether all frames come at that rate.
    start : Fraction
        Seconds from the beginning of the file, and of its sound, to the first frame.
    pixel_aspect : Fraction
        Width of a pixel over its height.
    seconds : Fraction
        From the first frame to the end of the last one.
    damage : str
        What ffmpeg complains about; "" if nothing.
    """

    rate: Fraction
    constant: bool
    start: Fraction
    pixel_aspect: Fraction
    seconds: Fraction
    damage: str


def timing(path: str | os.PathLike[str]) -> Timing:
    """Decode a video file once for the time stamps of its frames, which are those that will be read."""
    arguments = ["-i", as_url(path), "-map", "0:V:0", "-fps_mode", "passthrough", "-enc_time_base", "demux"]
    arguments += ["-noautoscale", "-pix_fmt", "gray", "-c:v", "rawvideo", "-f", "framecrc", "-"]
    code, output, complaint = run(arguments)
    if "matches no streams" in complaint:
        raise ImageError(f"{path} has no video stream, only sound or pictures beside it: name another file")
    head: dict[str, str] = {}
    stamps: list[int] = []
    sizes: list[int] = []  # in bytes, of one grey value a pixel
    for line in output.decode(errors="replace").splitlines():
        if line.startswith("#"):
            key, _, value = line[1:].partition(":")
            head[key.removesuffix(" 0")] = value.strip()
        else:
            _, _, stamp, _, size, *_ = line.split(",")
            stamps.append(int(stamp))
            sizes.append(int(size))
    if not stamps:
        reason = complaint or ("it holds no frames" if code == 0 else f"ffmpeg ended with {code}")
        raise ImageError(f"{path} can't be read as a video ({reason}): check the file, or convert it first")
    other = next((number for number, size in enumerate(sizes) if size != sizes[0]), None)
    if other is not None:
        raise ImageError(
            f"{path}: frame {other} has another size than those before, which are {head.get('dimensions', 'equal')}: "
            "all frames of a video have one size; cut the video there, or convert it first"
        )
    tick = Fraction(head["tb"])
    stamps.sort()
    rate = constant_rate(stamps, tick)
    aspect = head.get("sar", "0/1")
    usual = rate or _usual_rate(stamps, tick)
    return Timing(
        rate=usual,
        constant=rate is not None,
        start=max(Fraction(0), stamps[0] * tick),
        pixel_aspect=Fraction(1) if aspect.startswith("0/") else Fraction(aspect),
        seconds=(stamps[-1] - stamps[0]) * tick + 1 / usual,
        damage=complaint,
    )


def _usual_rate(stamps: Sequence[int], tick: Fraction) -> Fraction:
    """Return the rate at which half of the frames come, or a faster one, at most 120."""
    gap = statistics.median(b - a for a, b in itertools.pairwise(stamps))
    return min(_MOST, (1 / (Fraction(gap) * tick)).limit_denominator(1001)) if gap else _DEFAULT_RATE


def constant_rate(stamps: Sequence[int], tick: Fraction) -> Fraction | None:
    """Return the rate at which frames come, exactly, or None where they come at no constant rate.

    Containers round time stamps to their ticks, Matroska to milliseconds, so 30000/1001 frames a second come after 33,
    33, 34 of them. A rate is that of the frames if each stamp is within a tick of where the rate puts it.
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

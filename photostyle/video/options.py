"""The options of a video beside those of a transfer, with their defaults, once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from fractions import Fraction
from typing import Any

from photostyle.errors import UsageError
from photostyle.options.config import TransferConfig
from photostyle.options.values import check_integer, check_number

_TEMPORAL = {"photo": 3.0, "artistic": 10.0}


def _option(default: Any, help_text: str) -> Any:
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True)
class VideoOptions:
    """The options of a video; see :func:`video_help` for what each means.

    Raises
    ------
    UsageError
        If a value is not allowed; the message names the option, the value and what is allowed.
    """

    key_every: str = _option(
        "1s", "Greatest distance of key frames, at which fields are solved and regions are found: seconds, or frames."
    )
    temporal_weight: float | None = _option(
        None,
        "Weight of what changes over time: artistic mode's mean squared difference to the last result, moved by the "
        f"optical flow ({_TEMPORAL['artistic']:g}), or photo mode's difference to the key frame before "
        f"({_TEMPORAL['photo']:g}).",
    )
    frame_iterations: int = _option(30, "Artistic mode: iterations of each frame but a shot's first.")
    frames: tuple[int, int | None] = _option(
        (0, None), "A part of the video: from frame A, counted from 0, up to but without frame B; either may be empty."
    )
    fps: Fraction | None = field(
        default=None, metadata={"help": "Frames a second, where IN is numbered pictures. Default: 25."}
    )

    def __post_init__(self) -> None:
        key_distance(self.key_every, Fraction(25))
        check_number("temporal_weight", self.temporal_weight)
        check_integer("frame_iterations", self.frame_iterations, 1)
        start, stop = self.frames
        if start < 0 or (stop is not None and stop <= start):
            raise UsageError(
                f"--frames is {start}:{'' if stop is None else stop}, but must be A:B with 0 ≤ A < B: "
                "frames are counted from 0, and B is the first one that is left out"
            )
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise UsageError(f"--fps is {self.fps}, but must be above 0 and at most 1000")


def video_help(name: str) -> str:
    """Return the one-line explanation of an option."""
    return next(str(f.metadata["help"]) for f in fields(VideoOptions) if f.name == name)


def key_distance(text: str, rate: Fraction) -> int:
    """Return the greatest distance of key frames, in frames."""
    plain = text.strip().lower()
    try:
        seconds = plain.endswith("s")
        value = float(plain.removesuffix("s")) if seconds else int(plain)
        if not (math.isfinite(value) and value > 0):
            raise ValueError
    except ValueError:
        raise UsageError(
            f"--key-every is {text!r}, but must be seconds, such as 0.5s, or a number of frames, such as 12, above 0"
        ) from None
    return max(1, round(value * float(rate))) if seconds else int(value)


def temporal_weight(options: VideoOptions, mode: str) -> float:
    """Return the weight of what changes over time, which depends on the mode where none is given."""
    return _TEMPORAL[mode] if options.temporal_weight is None else options.temporal_weight


def check_transfer_options(config: TransferConfig) -> None:
    """Refuse options of a transfer that can't be for a video."""
    reasons = {
        "snapshots": (bool(config.snapshots), "takes snapshots of one picture's optimisation"),
        "snapshot-every": (config.snapshot_every is not None, "takes snapshots of one picture's optimisation"),
        "auto-contrast": (config.auto_contrast, "stretches each frame by itself, which flickers"),
        "padding circular": (config.tiles, "makes a picture that tiles"),
        "solver pixels": (
            config.mode == "photo" and config.solver == "pixels",
            "in photo mode solves each frame by itself, which flickers; the affine field is solved on key frames",
        ),
    }
    for name, (given, reason) in reasons.items():
        if given:
            raise UsageError(f"--{name} {reason}, so it isn't for videos: leave it out")

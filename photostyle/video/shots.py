"""Shots: where a video is cut, and which frames of a shot are its key frames."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

_THUMBNAIL = 64  # longest side of what a frame is compared by
_BINS = 8  # of each colour
_BLOCKS = 3  # down and across, whose colours are compared one by one: another scene in the same colours is another one
_CUT = 0.25  # distance of histograms, in [0, 1], of two frames with a cut between them
_ABOVE_USUAL = 3.0  # how far it exceeds that of the frames around


@dataclass(frozen=True)
class Survey:
    """What is known of a video before the work.

    Attributes
    ----------
    size : tuple of int
        (width, height) of its frames.
    count : int
        How many frames there are.
    distances : tuple of float
        Between each frame's colours and those of the one before, in [0, 1]; 0 for the first.
    digest : str
        Of all frames' thumbnails.
    """

    size: tuple[int, int]
    count: int
    distances: tuple[float, ...]
    digest: str


@dataclass(frozen=True)
class Interval:
    """The frames from one key frame to the next.

    Attributes
    ----------
    start, end : int
        The key frames, ``start`` = ``end`` where a shot has one frame only.
    frames : range
        Those that belong to it: the first key frame, not the next one unless it ends the shot.
    """

    start: int
    end: int
    frames: range

    def share(self, frame: int) -> float:
        """How far a frame is on its way from the first key frame to the second, in [0, 1]."""
        return 0.0 if self.end == self.start else (frame - self.start) / (self.end - self.start)


@dataclass(frozen=True)
class Shot:
    """Frames without a cut.

    Attributes
    ----------
    frames : range
    keys : tuple of int
        The key frames, among them the first and the last.
    """

    frames: range
    keys: tuple[int, ...]

    @property
    def intervals(self) -> list[Interval]:
        """The parts between neighbouring key frames."""
        if len(self.keys) == 1:
            return [Interval(self.keys[0], self.keys[0], self.frames)]
        return [
            Interval(start, end, range(start, end + (end == self.keys[-1])))
            for start, end in itertools.pairwise(self.keys)
        ]


def survey(
    frames: Iterator[NDArray[np.uint8]],
    on_frame: Callable[[int, tuple[int, int]], object] = lambda _done, _size: None,
) -> Survey:
    """Look at all frames once."""
    distances: list[float] = []
    digest = hashlib.sha256()
    size, before = (0, 0), None
    for frame in frames:
        size = (frame.shape[1], frame.shape[0])
        scale = min(1.0, _THUMBNAIL / max(size))
        small = tuple(max(_BLOCKS, round(side * scale)) for side in size)
        thumbnail = np.asarray(cv2.resize(frame, small, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        digest.update(thumbnail.tobytes())
        colors = _histograms(thumbnail)
        distances.append(0.0 if before is None else 0.5 * float(np.abs(colors - before).sum()) / _BLOCKS**2)
        before = colors
        on_frame(len(distances), size)
    return Survey(size, len(distances), tuple(distances), digest.hexdigest())


def _histograms(thumbnail: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the shares of colours in each block of a picture, shape (9, 8, 8, 8)."""
    bands = np.array_split(thumbnail, _BLOCKS, axis=0)
    return np.stack([_histogram(block) for band in bands for block in np.array_split(band, _BLOCKS, axis=1)])


def _histogram(block: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the shares of 8×8×8 colours, a little smoothed, so that a change of light is small."""
    counts = cv2.calcHist([np.ascontiguousarray(block)], [0, 1, 2], None, [_BINS] * 3, [0, 256] * 3).astype(np.float64)
    for axis in range(3):
        padded = np.pad(counts, [(1, 1) if i == axis else (0, 0) for i in range(3)], mode="edge")
        parts = [np.take(padded, range(start, start + _BINS), axis) for start in range(3)]
        counts = 0.25 * parts[0] + 0.5 * parts[1] + 0.25 * parts[2]
    shares: NDArray[np.float64] = counts / max(1.0, float(counts.sum()))
    return shares


def plan_shots(distances: Sequence[float], apart: int, first: int = 0) -> list[Shot]:
    """Divide a video into shots and spread key frames evenly over each.

    Two frames belong to different shots where their colours are far apart, and farther than those of their neighbours
    in time: not every frame of a fire is a shot of its own.
    """
    count = len(distances)
    cuts = [0, *(i for i in range(1, count) if _is_cut(distances, i)), count]
    shots = []
    for start, stop in itertools.pairwise(cuts):
        steps = math.ceil((stop - 1 - start) / apart)
        places = {round(start + (stop - 1 - start) * i / steps) for i in range(steps + 1)} if steps else {start}
        shots.append(Shot(range(first + start, first + stop), tuple(first + place for place in sorted(places))))
    return shots


def _is_cut(distances: Sequence[float], index: int) -> bool:
    around = [distances[i] for i in range(max(1, index - 3), min(len(distances), index + 4)) if i != index]
    usual = float(np.median(around)) if around else 0.0
    return distances[index] > max(_CUT, _ABOVE_USUAL * usual)

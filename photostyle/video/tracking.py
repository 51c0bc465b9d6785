"""Regions between key frames: masks are carried along the optical flow from both sides, and blended."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photostyle.images import resize
from photostyle.regions.labels import LabelMasks, normalise
from photostyle.video.flow import composed, consistent, optical_flow, warped
from photostyle.video.footage import Footage
from photostyle.video.shots import Interval
from photostyle.video.strip import Reel, picture_of

_DOUBTFUL = 0.05  # what a mask counts where its flow can't be believed
_LEAST_SHARE = 1e-3  # of a frame, below which a region isn't there
_LEAST_MASK = 2e-3


@dataclass(frozen=True)
class Tracked:
    """A frame with its regions.

    Attributes
    ----------
    number : int
    frame : ndarray of uint8, shape (H, W, 3)
    masks : ndarray of float32, shape (K, h, w)
        At the reel's small size; they sum to one.
    interval : Interval
    """

    number: int
    frame: NDArray[np.uint8]
    masks: NDArray[np.float32]
    interval: Interval


def tracked(footage: Footage, reel: Reel, intervals: Sequence[Interval], start: int) -> Iterator[Tracked]:
    """Go through the frames from a number on, with the regions of each.

    They are read twice, each time from the first to the last: a frame amidst a video can be had only by decoding what
    lies before it. Small ones are kept for a whole interval, at whose ends the regions are known.
    """
    intervals = [interval for interval in intervals if interval.frames.stop > start]
    if not intervals:
        return
    stop = intervals[-1].frames.stop
    frames = footage.read(start, stop)
    small = enumerate(_shrunk(footage.read(intervals[0].start, stop), reel.small), intervals[0].start)
    kept: dict[int, NDArray[np.uint8]] = {}
    for interval in intervals:
        if len(reel.labels) == 1 or interval.start == interval.end:
            masks = [reel.masks[interval.start]] * (interval.end - interval.start + 1)
        else:
            kept = {number: frame for number, frame in kept.items() if number == interval.start}
            while interval.end not in kept:
                kept |= [next(small)]
            between = [kept[number] for number in range(interval.start, interval.end + 1)]
            masks = carried_masks(between, reel.masks[interval.start], reel.masks[interval.end])
        for number in range(max(start, interval.frames.start), interval.frames.stop):
            yield Tracked(number, next(frames), masks[number - interval.start], interval)


def _shrunk(frames: Iterator[NDArray[np.uint8]], size: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    return (np.rint(resize(picture_of(frame).rgb, size) * 255).astype(np.uint8) for frame in frames)


def carried_masks(
    frames: Sequence[NDArray[np.uint8]], first: NDArray[np.float32], last: NDArray[np.float32]
) -> list[NDArray[np.float32]]:
    """Carry the masks of the first and of the last of some frames to all of them.

    Flows between neighbours are put together to flows to both ends, so that masks are interpolated once, however far
    they are carried. Nearer masks count more; those that came along a flow which can't be believed, nearly nothing.
    """
    count = len(frames)
    pairs = list(itertools.pairwise(frames))
    back = [optical_flow(after, before) for before, after in pairs]
    ahead = [optical_flow(before, after) for before, after in pairs]
    from_first = _to_end(back, ahead)
    from_last = _to_end(ahead[::-1], back[::-1])[::-1]
    result = [first]
    for index in range(1, count - 1):
        share = index / (count - 1)
        blend, total = np.zeros_like(first), np.zeros(first.shape[1:], np.float32)
        ways = ((1 - share, first, *from_first[index]), (share, last, *from_last[index]))
        for weight, masks, flow, sure in ways:
            factor = np.float32(weight) * (_DOUBTFUL + sure)
            blend += factor * np.stack([warped(mask, flow) for mask in masks])
            total += factor
        result.append(_summing_to_one(blend / total))
    return [*result, last]


def _to_end(
    steps: Sequence[NDArray[np.float32]], others: Sequence[NDArray[np.float32]]
) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Return the flow from each frame to the first one, and how far it can be believed."""
    flow, sure = np.zeros_like(steps[0]), np.ones(steps[0].shape[:2], np.float32)
    ways = [(flow, sure)]
    for step, other in zip(steps, others, strict=True):
        sure = consistent(step, other) * warped(sure, step)
        flow = composed(step, flow)
        ways.append((flow, sure))
    return ways


def _summing_to_one(masks: NDArray[np.float32]) -> NDArray[np.float32]:
    kept = np.clip(masks, 0, 1)
    normalise(kept, _LEAST_MASK)
    return kept


def present(labels: Sequence[str], masks: NDArray[np.float32]) -> tuple[LabelMasks, list[int]]:
    """Return the regions that are there in a frame, and their places among all."""
    places = [i for i, mask in enumerate(masks) if float(mask.mean()) >= _LEAST_SHARE] or [
        int(masks.sum((1, 2)).argmax())
    ]
    return LabelMasks(tuple(labels[i] for i in places), _summing_to_one(masks[places])), places

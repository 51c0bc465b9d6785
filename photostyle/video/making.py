"""A video in the making: key frames' fields, then frame after frame, each kept as soon as it is done."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photostyle.progress import Callback, Event, Message, Step
from photostyle.video.artistic import stylise_frame
from photostyle.video.footage import Footage
from photostyle.video.options import VideoOptions, temporal_weight
from photostyle.video.photo import KeyFields, Painter, solve_key
from photostyle.video.shots import Shot
from photostyle.video.strip import Reel, picked
from photostyle.video.tracking import tracked
from photostyle.video.work import Work


class Making:
    """A video in the making.

    Parameters
    ----------
    footage : Footage
    shots : list of Shot
        Of the frames that are wanted.
    reel : Reel
    video : VideoOptions
    work : Work
        Where what is done is kept, and found again.
    callback : callable
        Receives Steps and Messages; where it raises KeyboardInterrupt, what is done is kept.

    Attributes
    ----------
    frames : range
        All that are wanted.
    done : int
        How many of them are done.
    """

    def __init__(
        self,
        footage: Footage,
        shots: list[Shot],
        reel: Reel,
        video: VideoOptions,
        work: Work,
        callback: Callback,
    ) -> None:
        self.footage, self.shots, self.reel = footage, shots, reel
        self.video, self.work, self.callback = video, work, callback
        self.frames = range(shots[0].frames.start, shots[-1].frames.stop)
        self.photo = reel.prepared.config.mode == "photo"
        self.weight = temporal_weight(video, reel.prepared.config.mode)
        self.done = work.done(self.frames)
        self.began = time.monotonic()
        self.skipped = self.done  # were done before this run
        if self.done:
            callback(Message(f"resumed after frame {self.done} of {len(self.frames)}"))

    def run(self) -> None:
        """Make all frames that aren't done yet."""
        painters = self._painters() if self.photo and self.done < len(self.frames) else {}
        first = {shot.frames.start for shot in self.shots}
        start = self.frames.start + self.done
        before: NDArray[np.uint8] | None = None
        last: NDArray[np.float32] | None = None
        if not self.photo and self.done and start not in first and start < self.frames.stop:
            before, last = next(self.footage.read(start - 1, start)), self.work.solved(start - 1)
        self.began = time.monotonic()
        intervals = [interval for shot in self.shots for interval in shot.intervals]
        for each in tracked(self.footage, self.reel, intervals, start):
            began = time.monotonic()
            solved: NDArray[np.float32] | None = None
            losses: dict[str, Any] = {}
            if self.photo:
                result = painters[each.number](each)
            else:
                if each.number in first:
                    before = last = None
                result, solved, losses = stylise_frame(
                    self.reel, each, before, last, self.video.frame_iterations, self.weight, self._inner(each.number)
                )
                before, last = each.frame, solved
            numbers = {"number": each.number, "seconds": round(time.monotonic() - began, 3), "losses": _terms(losses)}
            self.work.keep(each.number, result, numbers, solved)
            self.done += 1
            self.callback(self.step("frames", self.done, _terms(losses)))

    def _painters(self) -> dict[int, Painter]:
        """Solve the key frames that aren't solved yet, in their order; return who paints each frame."""
        keys = [key for shot in self.shots for key in shot.keys]
        shot_of = {key: shot for shot in self.shots for key in shot.keys}
        missing = [key for key in keys if self.work.fields(key) is None]
        solved: dict[int, KeyFields] = {}
        last = np.zeros((0, 0, 3), np.uint8)
        for index, (key, frame) in enumerate(picked(self.footage, keys)):
            fields = self.work.fields(key)
            if fields is None:
                first = key == shot_of[key].keys[0]
                previous = None if first else solved[keys[index - 1]]
                prefix = f"key frame {index + 1} of {len(keys)}: "
                inner = self._relabelled(prefix, missing.index(key), len(missing))
                masks = self.reel.masks
                if not first and _alike(frame, masks[key], last, masks[keys[index - 1]]):
                    fields, losses = solved[keys[index - 1]], self.work.key_losses(keys[index - 1])
                else:
                    fields, losses = solve_key(self.reel, frame, masks[key], previous, self.weight, inner)
                self.work.keep_fields(key, fields, _terms(losses))
            solved[key], last = fields, frame
        painters: dict[int, Painter] = {}
        for shot in self.shots:
            painter = Painter(self.reel, shot, {key: solved[key] for key in shot.keys})
            painters |= dict.fromkeys(shot.frames, painter)
        return painters

    def _inner(self, number: int) -> Callback:
        place, count = number - self.frames.start, len(self.frames)
        return self._relabelled(f"frame {place + 1} of {count}: ", place - self.skipped, count - self.skipped)

    def _relabelled(self, prefix: str, done: int, count: int) -> Callback:
        """Return a callback for one optimisation of many, ``done`` of ``count``; its time left is that of all."""

        def tell(event: Event) -> None:
            if isinstance(event, Step):
                elapsed = time.monotonic() - self.began
                parts = done + event.iteration / event.iterations
                left = elapsed / parts * (count - parts)
                event = replace(event, stage=prefix + event.stage, elapsed=elapsed, remaining=left)
            self.callback(event)

        return tell

    def step(self, stage: str, done: int, losses: Mapping[str, float]) -> Step:
        """Return the event that tells how many frames are done of what is going on."""
        elapsed, fresh = time.monotonic() - self.began, done - (self.skipped if stage == "frames" else 0)
        remaining = elapsed / max(1, fresh) * (len(self.frames) - done)
        return Step(stage, self.reel.size, done, len(self.frames), losses, elapsed, remaining)


def _alike(
    frame: NDArray[np.uint8], masks: NDArray[np.float32], other: NDArray[np.uint8], other_masks: NDArray[np.float32]
) -> bool:
    """Whether two key frames are the same, so that there is nothing to solve anew: a still video stays still."""
    return np.array_equal(frame, other) and np.array_equal(masks, other_masks)


def _terms(losses: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(v) for name, v in losses.items() if isinstance(v, (int, float)) and name != "iteration"}

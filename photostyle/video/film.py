"""From a video to a result: the whole way, on one page.

::

    look through the frames → shots and key frames → regions, matched once → fields, or frames → flicker → encode
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photostyle.config import TransferConfig, resolve
from photostyle.errors import Interrupted, UsageError
from photostyle.images import write_atomically
from photostyle.preparation import PictureSource, with_options
from photostyle.progress import Callback, Event, Message, Snapshot, Step, ignore
from photostyle.regions.source import ContentMask, StyleMask
from photostyle.report.record import fingerprint, run_record
from photostyle.solvers.run import Solution
from photostyle.video.artistic import stylise_frame
from photostyle.video.encode import Sound, encode_video
from photostyle.video.ffmpeg import executable
from photostyle.video.flicker import flicker
from photostyle.video.footage import Footage, open_footage
from photostyle.video.options import VideoOptions, check_transfer_options, key_distance, temporal_weight
from photostyle.video.photo import KeyFields, Painter, solve_key
from photostyle.video.shots import Shot, Survey, plan_shots, survey
from photostyle.video.strip import Reel, load_reel, picked
from photostyle.video.target import check_target, frame_names, is_folder, move_pictures, record_file
from photostyle.video.tracking import tracked
from photostyle.video.work import Work, check_work, work_folder

__all__ = ["Video", "stylize_video"]


@dataclass(frozen=True)
class Video:
    """What became of a video.

    Attributes
    ----------
    path : Path
        The file, or the folder of pictures.
    record : dict
        What was done: options, key frames, losses, times, flicker. It lies beside the file as JSON.
    """

    path: Path
    record: dict[str, Any]


def stylize_video(
    source: str | os.PathLike[str],
    style: PictureSource | Sequence[PictureSource] = (),
    *,
    output: str | os.PathLike[str],
    map: Mapping[str, PictureSource] | None = None,
    content_mask: ContentMask | None = None,
    style_mask: StyleMask | Sequence[StyleMask | None] | None = None,
    video: VideoOptions | None = None,
    resume: bool = False,
    overwrite: bool = False,
    config: TransferConfig | None = None,
    callback: Callback = ignore,
    **options: Any,
) -> Video:
    """Give every frame of a video the style of one or more pictures, without flicker.

    Parameters
    ----------
    source : path
        A video file, a folder of numbered pictures, or a pattern of their names.
    style, map, style_mask, config, options
        As in :func:`photostyle.transfer`.
    output : path
        A video (.mp4, .m4v, .mov, .mkv, .webm), or a folder of pictures. Beside it lie, at the end, its record, and
        meanwhile the folder OUT.frames with what is done.
    content_mask : path, mapping or LabelMasks, optional
        Regions that hold for all frames, of a camera that stands still.
    video : VideoOptions, optional
    resume : bool
        Go on with an interrupted run; the result is the same as without the interruption.
    overwrite : bool
        Whether files that exist may be replaced.
    callback : callable
        Receives :class:`Step` events, of optimisations and of frames, and Messages. It may raise KeyboardInterrupt to
        end the run; what is done is kept.

    Returns
    -------
    Video

    Raises
    ------
    PhotostyleError
        One of the tree in :mod:`photostyle.errors`.
    """
    config = resolve(with_options(config or TransferConfig(), options))
    check_transfer_options(config)
    target, video = Path(output), video or VideoOptions()
    check_target(target, source, overwrite=overwrite or resume)
    check_work(work_folder(target), resume=resume, overwrite=overwrite)
    if not is_folder(target):
        executable()
    film: _Film | None = None
    try:
        footage = open_footage(source, video.fps)
        callback(Message("looking through the video", "wait"))
        found = survey(footage.read(*video.frames))
        if not found.count:
            raise UsageError(f"--frames begins at {video.frames[0]}, but {footage.name} ends before it: begin earlier")
        shots = plan_shots(found.distances, key_distance(video.key_every, footage.rate), video.frames[0])
        keys = [key for shot in shots for key in shot.keys]
        told = _once(callback)
        for note in footage.notes:
            told(Message(note))
        reel = load_reel(footage, keys, found.size, style, map, content_mask, style_mask, config, told)
        work = Work(work_folder(target), _fingerprint(reel, found, footage, video), resume=resume, overwrite=overwrite)
        film = _Film(footage, found, shots, reel, video, work, told)
        film.make()
        return film.finish(target)
    except KeyboardInterrupt:
        if film is None:
            raise Interrupted("interrupted before there was anything to keep") from None
        raise Interrupted(
            f"interrupted after {film.done} of {len(film.frames)} frames, which are kept in {film.work.folder}; "
            "go on with --resume"
        ) from None


def _once(callback: Callback) -> Callback:
    """Return a callback that passes on every event but a note that was told already, and snapshots."""
    said: set[str] = set()

    def tell(event: Event) -> None:
        if isinstance(event, Snapshot) or (isinstance(event, Message) and event.text in said):
            return
        if isinstance(event, Message):
            said.add(event.text)
        callback(event)

    return tell


def _fingerprint(reel: Reel, found: Survey, footage: Footage, video: VideoOptions) -> str:
    parts = (fingerprint(reel.prepared), found, footage.rate, asdict(video), reel.size, reel.solve_size)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


class _Film:
    """A video in the making."""

    def __init__(
        self,
        footage: Footage,
        found: Survey,
        shots: list[Shot],
        reel: Reel,
        video: VideoOptions,
        work: Work,
        callback: Callback,
    ) -> None:
        self.footage, self.found, self.shots, self.reel = footage, found, shots, reel
        self.video, self.work, self.callback = video, work, callback
        self.frames = range(shots[0].frames.start, shots[-1].frames.stop)
        self.photo = reel.prepared.config.mode == "photo"
        self.weight = temporal_weight(video, reel.prepared.config.mode)
        self.done = work.done(self.frames)
        self.began = time.monotonic()
        self.skipped = self.done  # were done before this run
        if self.done:
            callback(Message(f"resumed after frame {self.done} of {len(self.frames)}"))

    def make(self) -> None:
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
            self.callback(self._step("frames", self.done, _terms(losses)))

    def _painters(self) -> dict[int, Painter]:
        """Solve the key frames that aren't solved yet, in their order; return who paints each frame."""
        keys = [key for shot in self.shots for key in shot.keys]
        shot_of = {key: shot for shot in self.shots for key in shot.keys}
        solved: dict[int, KeyFields] = {}
        for index, (key, frame) in enumerate(picked(self.footage, keys)):
            fields = self.work.fields(key)
            if fields is None:
                previous = None if key == shot_of[key].keys[0] else solved[keys[index - 1]]
                inner = self._relabelled(f"key frame {index + 1} of {len(keys)}: ", index, len(keys))
                fields, _ = solve_key(self.reel, frame, self.reel.masks[key], previous, self.weight, inner)
                self.work.keep_fields(key, fields)
            solved[key] = fields
        painters: dict[int, Painter] = {}
        for shot in self.shots:
            painter = Painter(self.reel, shot, {key: solved[key] for key in shot.keys})
            painters |= dict.fromkeys(shot.frames, painter)
        return painters

    def _inner(self, number: int) -> Callback:
        place = number - self.frames.start
        return self._relabelled(f"frame {place + 1} of {len(self.frames)}: ", place - self.skipped, len(self.frames))

    def _relabelled(self, prefix: str, done: int, count: int) -> Callback:
        """Return a callback for one optimisation of many; its time left is that of all."""

        def tell(event: Event) -> None:
            if isinstance(event, Step):
                elapsed = time.monotonic() - self.began
                parts = done + event.iteration / event.iterations
                event = replace(
                    event,
                    stage=prefix + event.stage,
                    elapsed=elapsed,
                    remaining=elapsed / parts * (count - self.skipped - parts),
                )
            self.callback(event)

        return tell

    def _step(self, stage: str, done: int, losses: Mapping[str, float]) -> Step:
        elapsed, fresh = time.monotonic() - self.began, done - (self.skipped if stage == "frames" else 0)
        remaining = elapsed / max(1, fresh) * (len(self.frames) - done)
        return Step(stage, self.reel.size, done, len(self.frames), losses, elapsed, remaining)

    def finish(self, target: Path) -> Video:
        """Measure the flicker, write the result and its record, and take the work folder away."""
        sound, notes = "none", list[str]()
        self.began = time.monotonic()
        cuts = {shot.frames.start - self.frames.start for shot in self.shots}
        measured = flicker(
            self.footage.read(self.frames.start, self.frames.stop),
            self._pictures(),
            cuts,
            lambda done: self.callback(self._step("measuring flicker", done, {})),
        )
        record = self._record(measured)
        if is_folder(target):
            pictures = [self.work.picture(number) for number in self.frames]
            move_pictures(pictures, frame_names(self.footage, self.frames), target)
        else:
            self.began = time.monotonic()
            sound, notes = encode_video(
                self._pictures(),
                len(self.frames),
                target,
                self.footage.rate,
                pixel_aspect=self.footage.pixel_aspect,
                sound=self._sound(),
                on_frame=lambda done: self.callback(self._step("encoding", done, {})),
            )
        for note in notes:
            self.callback(Message(note))
        record |= {"sound": sound, "notes": [*record["notes"], *notes]}
        write_atomically(record_file(target), (json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode())
        self.work.remove()
        return Video(target, record)

    def _pictures(self) -> Iterator[NDArray[np.uint8]]:
        return (self.work.frame(number) for number in self.frames)

    def _sound(self) -> Sound | None:
        if self.footage.sound is None:
            return None
        whole = self.video.frames == (0, None)
        start = self.footage.start + self.frames.start / self.footage.rate
        return Sound(self.footage.sound, start, whole)

    def _record(self, measured: dict[str, Any]) -> dict[str, Any]:
        frames = [self.work.numbers(number) for number in self.frames]
        record = run_record(self.reel.prepared, Solution(), sum(frame["seconds"] for frame in frames))
        for name in ("content", "losses", "history", "solve_seconds"):
            del record[name]
        duration = len(self.frames) / self.footage.rate
        return {
            **record,
            "video": {
                "name": self.footage.name,
                "size": list(self.found.size),
                "rate": str(self.footage.rate),
                "frames": [self.frames.start, self.frames.stop],
                "seconds": round(float(duration), 3),
            },
            "options": {
                "key_every": self.video.key_every,
                "temporal_weight": self.weight,
                "frame_iterations": self.video.frame_iterations,
            },
            "size": list(self.reel.size),
            "solve_size": list(self.reel.solve_size),
            "shots": [[shot.frames.start, shot.frames.stop] for shot in self.shots],
            "key_frames": [key for shot in self.shots for key in shot.keys],
            "notes": [*self.footage.notes, *record["notes"]],
            "flicker": measured,
            "frames": frames,
        }


def _terms(losses: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(v) for name, v in losses.items() if isinstance(v, (int, float)) and name != "iteration"}

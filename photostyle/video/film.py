"""From a video to a result: the whole way, on one page.

::

    look through the frames → shots and key frames → regions, matched once → fields, or frames → flicker → encode
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from photostyle.errors import Interrupted, UsageError
from photostyle.images import write_atomically
from photostyle.options.config import TransferConfig, resolve
from photostyle.options.typed import TransferOptions
from photostyle.preparation import PictureSource, with_options
from photostyle.progress import Callback, Event, Message, Snapshot, Step, ignore
from photostyle.record import fingerprint, run_record
from photostyle.regions.source import ContentMask, StyleMask
from photostyle.report.beside import json_bytes, record_path
from photostyle.solvers.run import Solution
from photostyle.solvers.torch_state import own_torch_state
from photostyle.video.encode import Sound, encode_video
from photostyle.video.ffmpeg import executable
from photostyle.video.flicker import flicker
from photostyle.video.footage import Footage, open_footage
from photostyle.video.making import Making
from photostyle.video.options import VideoOptions, check_transfer_options, key_distance
from photostyle.video.shots import Survey, plan_shots, survey
from photostyle.video.strip import Reel, load_reel
from photostyle.video.target import check_target, copy_pictures, frame_names, is_folder
from photostyle.video.work import Work, check_work, work_folder


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


@own_torch_state()
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
    **options: Unpack[TransferOptions],
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
    making: Making | None = None
    try:
        footage = open_footage(
            source, video.fps, on_wait=lambda: callback(Message("looking through the video", "wait"))
        )
        found = survey(footage.read(*video.frames), _looking(footage, video, callback))
        if not found.count:
            raise UsageError(f"--frames begins at {video.frames[0]}, but {footage.name} ends before it: begin earlier")
        shots = plan_shots(found.distances, key_distance(video.key_every, footage.rate), video.frames[0])
        keys = [key for shot in shots for key in shot.keys]
        told = _once(callback)
        for note in footage.notes:
            told(Message(note))
        reel = load_reel(footage, keys, found.size, style, map, content_mask, style_mask, config, told)
        work = Work(work_folder(target), _fingerprint(reel, found, footage, video), resume=resume, overwrite=overwrite)
        making = Making(footage, shots, reel, video, work, told)
        making.run()
        return _finish(making, found, target)
    except KeyboardInterrupt:
        if making is None:
            raise Interrupted("interrupted before there was anything to keep") from None
        raise Interrupted(
            f"interrupted after {making.done} of {len(making.frames)} frames, which are kept in {making.work.folder}; "
            "go on with --resume"
        ) from None


def _looking(footage: Footage, video: VideoOptions, callback: Callback) -> Callable[[int, tuple[int, int]], object]:
    """Return what tells how much of a video is looked through."""
    began = time.monotonic()
    start, stop = video.frames
    count = max(1, min(footage.count, footage.count if stop is None else stop) - start)

    def tell(done: int, size: tuple[int, int]) -> None:
        elapsed = time.monotonic() - began
        left = elapsed / done * max(0, count - done)
        callback(Step("looking through", size, done, max(count, done), {}, elapsed, left))

    return tell


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


def _finish(making: Making, found: Survey, target: Path) -> Video:
    """Measure the flicker, write the result and its record, and take the work folder away."""
    sound, notes = "none", list[str]()
    making.began = time.monotonic()
    cuts = {shot.frames.start - making.frames.start for shot in making.shots}
    measured = flicker(
        making.footage.read(making.frames.start, making.frames.stop),
        _pictures(making),
        cuts,
        lambda done: making.callback(making.step("measuring flicker", done, {})),
    )
    record = _record(making, found, measured)
    if is_folder(target):
        pictures = [making.work.picture(number) for number in making.frames]
        copy_pictures(pictures, frame_names(making.footage, making.frames), target)
    else:
        making.began = time.monotonic()
        sound, notes = encode_video(
            _pictures(making),
            len(making.frames),
            target,
            making.footage.rate,
            pixel_aspect=making.footage.pixel_aspect,
            sound=_sound(making),
            on_frame=lambda done: making.callback(making.step("encoding", done, {})),
        )
    for note in notes:
        making.callback(Message(note))
    record |= {"sound": sound, "notes": [*record["notes"], *notes]}
    write_atomically(record_path(target), json_bytes(record))
    making.work.remove()
    return Video(target, record)


def _pictures(making: Making) -> Iterator[NDArray[np.uint8]]:
    return (making.work.frame(number) for number in making.frames)


def _sound(making: Making) -> Sound | None:
    if making.footage.sound is None:
        return None
    whole = making.video.frames == (0, None)
    start = making.footage.start + making.frames.start / making.footage.rate
    return Sound(making.footage.sound, start, whole)


def _record(making: Making, found: Survey, measured: dict[str, Any]) -> dict[str, Any]:
    frames = [making.work.numbers(number) for number in making.frames]
    record = run_record(making.reel.prepared, Solution(), sum(frame["seconds"] for frame in frames))
    for name in ("content", "losses", "history", "solve_seconds"):
        del record[name]
    duration = len(making.frames) / making.footage.rate
    return {
        **record,
        "video": {
            "name": making.footage.name,
            "size": list(found.size),
            "rate": str(making.footage.rate),
            "frames": [making.frames.start, making.frames.stop],
            "seconds": round(float(duration), 3),
        },
        "options": {
            "key_every": making.video.key_every,
            "temporal_weight": making.weight,
            "frame_iterations": making.video.frame_iterations,
        },
        "size": list(making.reel.size),
        "solve_size": list(making.reel.solve_size),
        "shots": [[shot.frames.start, shot.frames.stop] for shot in making.shots],
        "key_frames": [
            {"number": key, "losses": making.work.key_losses(key)} for shot in making.shots for key in shot.keys
        ],
        "notes": [*making.footage.notes, *record["notes"]],
        "flicker": measured,
        "frames": frames,
    }

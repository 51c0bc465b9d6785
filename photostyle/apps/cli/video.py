"""``photostyle video``: a video, or numbered pictures, in a style, without flicker."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import typer

from photostyle.apps.cli.arguments import (
    ContentMaskOption,
    JsonOption,
    MapOption,
    OverwriteOption,
    QuietOption,
    ResumeOption,
    StyleArgument,
    StyleMaskOption,
    inputs,
)
from photostyle.apps.cli.options import config_from, with_config_options
from photostyle.apps.cli.screen import Screen, gentle_interrupt, loading
from photostyle.errors import UsageError
from photostyle.video import VideoOptions, video_help

_Source = Annotated[
    str,
    typer.Argument(
        metavar="IN",
        help="A video file, a folder of numbered pictures, or a pattern of their names (frame_%04d.png).",
        show_default=False,
    ),
]
_Output = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="OUT",
        help="Result: .mp4 .mov .mkv .webm, or a folder of pictures (a name without suffix).",
        show_default=False,
    ),
]
_KeyEvery = Annotated[str, typer.Option("--key-every", metavar="N|Xs", help=video_help("key_every"))]
_TemporalWeight = Annotated[
    float | None, typer.Option("--temporal-weight", metavar="X", help=video_help("temporal_weight"))
]
_FrameIterations = Annotated[int, typer.Option("--frame-iterations", metavar="N", help=video_help("frame_iterations"))]
_Frames = Annotated[str | None, typer.Option("--frames", metavar="A:B", help=video_help("frames"))]
_Fps = Annotated[str | None, typer.Option("--fps", metavar="X", help=video_help("fps"))]


@with_config_options
def video_command(
    source: _Source,
    output: _Output,
    style: StyleArgument = None,
    map_: MapOption = None,
    content_mask: ContentMaskOption = None,
    style_mask: StyleMaskOption = None,
    key_every: _KeyEvery = VideoOptions.key_every,
    temporal_weight: _TemporalWeight = VideoOptions.temporal_weight,
    frame_iterations: _FrameIterations = VideoOptions.frame_iterations,
    frames: _Frames = None,
    fps: _Fps = None,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    json_: JsonOption = False,
    quiet: QuietOption = False,
    **options: Any,
) -> None:
    """Give every frame of a video the style of STYLE and write it to OUT, with the sound of IN."""
    with loading(quiet):
        from photostyle.video.film import stylize_video

    config = config_from(options)
    video = VideoOptions(
        key_every=key_every,
        temporal_weight=temporal_weight,
        frame_iterations=frame_iterations,
        frames=parse_frames(frames),
        fps=parse_rate(fps),
    )
    with Screen(quiet=quiet) as screen, gentle_interrupt(screen, "what is done is kept") as gate:
        found = stylize_video(
            source,
            **inputs(style, map_, content_mask, style_mask),
            output=output,
            video=video,
            resume=resume,
            overwrite=overwrite,
            config=config,
            callback=gate,
        )
    record = found.record
    count, ratio = len(record["frames"]), record["flicker"]["ratio"]
    told = "" if ratio is None else f"; flicker {ratio:.2f} times the video's own"
    sound = "" if record["sound"] == "none" else f", sound {record['sound']}"
    screen.say(f"wrote {output} ({count} frames, {record['size'][0]}×{record['size'][1]}{sound}){told}")
    if json_:
        typer.echo(json.dumps(record, ensure_ascii=False))


def parse_frames(text: str | None) -> tuple[int, int | None]:
    """Parse A:B."""
    if text is None:
        return VideoOptions.frames
    start, separator, stop = text.partition(":")
    try:
        if not separator:
            raise ValueError
        return int(start or 0), int(stop) if stop.strip() else None
    except ValueError:
        raise UsageError(
            f"--frames is {text!r}, but must be A:B, such as 0:48 or 100: for all from frame 100 on"
        ) from None


def parse_rate(text: str | None) -> Fraction | None:
    """Parse frames a second: 25, 29.97 or 30000/1001."""
    if text is None:
        return None
    try:
        return Fraction(text.strip())
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"--fps is {text!r}, but must be a number such as 25, 23.976 or 30000/1001") from None

"""``photostyle segment``: label maps of pictures, to look at, to mend and to pass back."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from photostyle.apps.screen import Screen
from photostyle.config import TransferConfig, option_help
from photostyle.errors import ImageError, OutputError, PhotostyleError, UsageError
from photostyle.progress import Message
from photostyle.segmenting import Segmentation, Segmenter, check_map, segment, write_map

__all__ = ["segment_command"]


def segment_command(
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="One or more pictures.", show_default=False)],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="MAP",
            help="The label map, a .png; for several pictures a folder, in which each map has its picture's stem.",
            show_default=False,
        ),
    ],
    segmenter: Annotated[
        str, typer.Option("--segmenter", metavar="NAME", help=option_help("segmenter"))
    ] = TransferConfig.segmenter,
    offline: Annotated[bool, typer.Option("--offline", help=option_help("offline"))] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the legends on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Find the regions of each IMAGE: a label map with its legend (.json) and an overlay to look at."""
    targets = _targets(images, output)
    for target in targets:
        if target.parent == output and not output.is_dir():  # the folder is new, and so is all in it
            _check_folder(output)
        else:
            check_map(target, overwrite=overwrite)
    legends: list[dict[str, Any]] = []
    failed: list[PhotostyleError] = []
    with Screen(quiet=quiet) as screen:
        shared = Segmenter(segmenter, offline=offline, callback=screen)
        for image, target in zip(images, targets, strict=True):
            try:
                found = segment(image, segmenter=shared)
            except ImageError as error:  # the others have their maps all the same
                failed.append(error)
                if len(images) > 1:
                    screen(Message(f"{error}; going on with the next picture", "warning"))
                continue
            _make_folder(target.parent)
            legends.append(write_map(found, image, target, overwrite=overwrite))
            screen.say(f"wrote {target}: {_told(found)}")
            if found.trust.doubt:
                screen(Message(f"{image}: {found.trust.doubt}; look at the overlay before you use the map", "warning"))
    if failed:
        several = f"{len(failed)} of {len(images)} pictures failed: " if len(images) > 1 else ""
        raise ImageError(f"{several}{failed[0]}")
    if json_:
        typer.echo(json.dumps(legends if len(images) > 1 else legends[0], ensure_ascii=False))


def _targets(images: list[str], output: Path) -> list[Path]:
    """One map for each picture: the output itself for one, files of a folder for several."""
    if len(images) == 1 and output.suffix and not output.is_dir():
        return [output]
    if output.suffix.lower() == ".png" and not output.is_dir():
        raise UsageError(f"-o is {output}, but there are {len(images)} pictures: name a folder")
    targets = [output / f"{Path(image).stem}.png" for image in images]
    twice = {target for target in targets if targets.count(target) > 1}
    if twice:
        raise UsageError(f"two pictures would have the map {min(twice)}: give them different names, or segment apart")
    same = [image for image, target in zip(images, targets, strict=True) if target.resolve() == Path(image).resolve()]
    if same:
        raise UsageError(f"the map of {same[0]} would replace the picture itself: name another folder")
    return targets


def _check_folder(folder: Path) -> None:
    """Find out before the work whether a folder that isn't there yet can be made."""
    place = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise OutputError(f"{folder} can't be used as a folder, since {place} is none that you may write to: change -o")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} can't be used as a folder ({error.strerror}): choose another place") from None


def _told(found: Segmentation) -> str:
    shares = sorted(found.masks.shares.items(), key=lambda item: -item[1])
    return f"{', '.join(f'{label} {share:.0%}' for label, share in shares)} ({found.trust.confidence:.0%} sure)"

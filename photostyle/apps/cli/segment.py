"""``photostyle segment``: label maps of pictures, to look at, to mend and to pass back."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from photostyle.apps.cli.screen import Screen
from photostyle.errors import ImageError, OutputError, PhotostyleError, UsageError
from photostyle.options.config import TransferConfig, option_help
from photostyle.progress import Message

if TYPE_CHECKING:
    from photostyle.studies.segment import Segmentation


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
    together: Annotated[
        bool,
        typer.Option("--together", help="Divide all pictures together, as photo mode does; content first."),
    ] = False,
    offline: Annotated[bool, typer.Option("--offline", help=option_help("offline"))] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the legends on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Find the regions of each IMAGE: a label map with its legend (.json) and an overlay to look at."""
    from photostyle.studies.segment import Segmenter, read_picture, segment, segment_together, write_map

    targets = _free_targets(images, output, overwrite=overwrite)
    legends: list[dict[str, Any]] = []
    failed: list[PhotostyleError] = []
    with Screen(quiet=quiet) as screen:
        shared = Segmenter(segmenter, offline=offline, callback=screen)
        divided: list[Segmentation] = []
        if together:
            screen(Message("dividing the pictures", "wait"))
            divided = segment_together(images, segmenter=segmenter, offline=offline, callback=screen)
        for index, (image, target) in enumerate(zip(images, targets, strict=True)):
            try:
                picture = read_picture(image)
            except ImageError as error:  # the others have their maps all the same
                failed.append(error)
                if len(images) > 1:
                    screen(Message(f"{error}; going on with the next picture", "warning"))
                continue
            found = divided[index] if together else segment(picture, segmenter=shared)
            _make_folder(target.parent)
            legends.append(write_map(found, picture, target, overwrite=overwrite))
            screen.say(f"wrote {target}: {found.summary}")
            if found.trust.doubt:
                screen(Message(f"{image}: {found.trust.doubt}; look at the overlay before you use the map", "warning"))
    if json_ and legends:
        typer.echo(json.dumps(legends if len(images) > 1 else legends[0], ensure_ascii=False))
    if failed:
        several = f"{len(failed)} of {len(images)} pictures failed: " if len(images) > 1 else ""
        raise ImageError(f"{several}{failed[0]}")


def _free_targets(images: list[str], output: Path, *, overwrite: bool) -> list[Path]:
    """Find out before the work where the maps go, and that they replace neither a picture nor one another."""
    from photostyle.studies.segment import check_map, map_files

    try:
        targets = _targets(images, output)
        files = [file.resolve() for target in targets for file in map_files(target)]
        if len(set(files)) < len(files):
            raise UsageError(f"two pictures would have the same files in {output}: give each a folder of its own")
        for image in images:
            if Path(image).resolve() in files:
                raise UsageError(f"-o {output} would replace the picture {image} itself: name another file or folder")
        for target in targets:
            if target.parent == output and not output.is_dir():  # the folder is new, and so is all in it
                _check_folder(output)
            else:
                check_map(target, overwrite=overwrite)
    except OSError as error:  # too long, or not to be searched
        raise OutputError(f"{output} can't be used ({error.strerror}): choose another place") from None
    return targets


def _targets(images: list[str], output: Path) -> list[Path]:
    """One map for each picture: the output itself for one, files of a folder for several."""
    if len(images) == 1 and output.suffix and not output.is_dir():
        return [output]
    if output.suffix.lower() == ".png" and not output.is_dir():
        raise UsageError(f"-o is {output}, but there are {len(images)} pictures: name a folder")
    return [output / f"{Path(image).stem}.png" for image in images]


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

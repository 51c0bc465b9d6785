"""What a job of the page does: a transfer, or a comparison; from the tab's pictures to files it may fetch."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photostyle.apps.cli.files import write_beside, write_json
from photostyle.apps.web.editing import KEEP, fitted
from photostyle.apps.web.session import Regions, Session
from photostyle.errors import Interrupted, StoppedError, UsageError
from photostyle.images import write_atomically, write_picture
from photostyle.options.config import TransferConfig
from photostyle.pipeline import Result, transfer
from photostyle.progress import Callback
from photostyle.report.beside import legend_bytes, record_path, regions_paths
from photostyle.report.masks import indexed_png
from photostyle.studies.compare import compare
from photostyle.studies.segment import Segmenter, read_picture, segment

RESULT = "photostyle.png"
"""What the picture of a run is called in its folder."""

_LEAST_SHARE = 0.006  # of a picture; smaller regions join their neighbour in a run, so nothing is chosen for them
_MAP_SIDE = 640
_SNAPSHOT_EVERY = 2  # iterations; the job shows two a second at most


@dataclass(frozen=True)
class Inputs:
    """Everything that a run reads, in a folder of its own: what the tab does meanwhile changes nothing.

    Attributes
    ----------
    folder : Path
    content, base : Path
        The content, and the style (or styles) of all regions that ask for no other.
    mapped : dict of str to Path
        Label to its style.
    config : TransferConfig
    regions : str
        "none"; "found": by the segmenter; "drawn": the map that lies in the folder.
    """

    folder: Path
    content: Path
    base: tuple[Path, ...]
    mapped: dict[str, Path]
    config: TransferConfig
    regions: str


@dataclass(frozen=True)
class Outcome:
    """What came out.

    Attributes
    ----------
    files : dict of str to Path
        By what they are.
    record : dict
    stopped : str
        Why it ended early, if it did.
    strength : float or None
        How far the style was asked to go, of a picture that goes all the way and may be shown at any strength.
    """

    files: dict[str, Path]
    record: dict[str, Any]
    stopped: str = ""
    strength: float | None = None


def find_regions(session: Session, segmenter: Segmenter) -> Regions:
    """Find the regions of a tab's content."""
    assert session.content is not None
    found = segment(read_picture(session.content.path), segmenter=segmenter)
    label_map = fitted(found.label_map, _MAP_SIDE)
    return Regions(found.labels, label_map, label_map, found.trust.doubt or None)


def choices_of(session: Session) -> dict[str, int]:
    """Return the number of the style, or `KEEP`, of each region: what was chosen, else the styles in turn."""
    if session.regions is None:
        return {}
    count = max(1, len(session.styles))
    there = [label for label, share in session.regions.shares.items() if share >= _LEAST_SHARE]
    turns = {label: turn % count for turn, label in enumerate(there)}
    chosen = {label: session.choices.get(label, count) for label in there}
    return {label: chosen[label] if chosen[label] < count else turns[label] for label in there}


def inputs_of(session: Session, config: TransferConfig, *, use_regions: bool) -> Inputs:
    """Gather what a run needs."""
    if session.content is None:
        raise UsageError("there is no content picture yet: choose the picture that shall be painted anew")
    if not session.styles:
        raise UsageError("there is no style picture yet: choose at least one")
    if use_regions and session.regions is None:
        raise UsageError("the regions aren't known yet: wait for them, or give the whole picture one style")
    choices: dict[str, int] = {}
    if use_regions and session.regions is not None:
        shares, choices = session.regions.shares, choices_of(session)
        if all(number == KEEP for number in choices.values()):
            raise UsageError("every region is to stay as it is, so there is nothing to do: give one of them a style")
        area: Counter[int] = Counter()
        for label, number in choices.items():
            area[number] += round(1e6 * shares[label])
        del area[KEEP]
        most = area.most_common(1)[0][0]
        config = replace(config, keep=tuple(label for label, number in choices.items() if number == KEEP))
    folder = session.new_run()
    content = Path(shutil.copy(session.content.path, folder / "content.png"))
    styles = [Path(shutil.copy(each.path, folder / f"style-{n}.png")) for n, each in enumerate(session.styles)]
    if not choices:
        return Inputs(folder, content, tuple(styles), {}, replace(config, regions="none"), "none")
    mapped = {label: styles[number] for label, number in choices.items() if number not in (KEEP, most)}
    assert session.regions is not None
    if session.regions.edited:
        _write_map(folder / "drawn.png", session.regions)
    return Inputs(folder, content, (styles[most],), mapped, config, "drawn" if session.regions.edited else "found")


def transfer_work(inputs: Inputs, segmenter: Segmenter) -> Callable[[Callback], Outcome]:
    """Return the work of a transfer; stopped in between, its outcome is the best so far.

    A field of colour maps goes all the way: its strength is chosen on the finished picture, see :func:`part_way`.
    """
    config = inputs.config
    strength = None
    if config.mode == "photo" and config.solver != "pixels" and config.preserve_color == "none":
        strength, inputs = config.strength, replace(inputs, config=replace(config, strength=1.0))

    def work(callback: Callback) -> Outcome:
        stopped = ""
        try:
            result = transfer(**_arguments(inputs, segmenter), callback=callback)
        except StoppedError as stop:
            if not isinstance(stop.result, Result):
                raise
            result, stopped = stop.result, "stopped" if isinstance(stop, Interrupted) else str(stop)
        return Outcome(_save(result, inputs), result.record, stopped, strength)

    return work


def part_way(picture: Path, strength: float) -> Path:
    """Write the picture of a run so far on the way from its content, 0, to itself, 1; return where it lies."""
    path = picture.with_name(f"{picture.stem}-{strength:.2f}.png")
    if not path.exists():
        whole, content = read_picture(picture), read_picture(picture.with_name("content.png"))
        plain = cv2.resize(content.rgb, whole.size, interpolation=cv2.INTER_AREA)
        rgb = plain + np.float32(strength) * (whole.rgb - plain)
        write_picture(path, rgb, alpha=whole.alpha, bit_depth=whole.bit_depth, exif=whole.exif)
    return path


def comparison_work(inputs: Inputs, segmenter: Segmenter) -> Callable[[Callback], Outcome]:
    """Return the work of a comparison: the same run with and without regions, and their scores."""

    def work(callback: Callback) -> Outcome:
        found = compare(**_arguments(inputs, segmenter), callback=callback)
        files = {}
        for name in ("segmented", "unsegmented"):
            found.results[name].save(inputs.folder / f"{name}.png")
            files[name] = inputs.folder / f"{name}.png"
            files[f"{name}-view"] = _view(found.results[name].rgb, inputs.folder / f"{name}.jpg")
        write_json(inputs.folder / "comparison.json", found.record)
        return Outcome({**files, "record": inputs.folder / "comparison.json"}, found.record)

    return work


def _arguments(inputs: Inputs, segmenter: Segmenter) -> dict[str, Any]:
    """Return what a transfer and a comparison are called with."""
    return {
        "content": inputs.content,
        "style": list(inputs.base),
        "map": inputs.mapped,
        "content_mask": _content_mask(inputs, segmenter),
        "config": replace(inputs.config, snapshot_every=_SNAPSHOT_EVERY),
    }


def _content_mask(inputs: Inputs, segmenter: Segmenter) -> Any:
    if inputs.regions == "none":
        return None
    if inputs.regions == "drawn":
        return inputs.folder / "drawn.png"
    return segment(read_picture(inputs.content), segmenter=segmenter).masks


def _write_map(path: Path, regions: Regions) -> None:
    write_atomically(path, indexed_png(regions.label_map, regions.labels))
    write_atomically(path.with_suffix(".json"), legend_bytes(regions.labels))


def _save(result: Result, inputs: Inputs) -> dict[str, Path]:
    """Write the result with its record and regions, and two views for the slider; return them by name.

    Nothing is rescued: where the folder is gone, the tab is closed.
    """
    output = inputs.folder / RESULT
    result.save(output)
    write_beside(result, output)
    height, width = result.rgb.shape[:2]
    content = read_picture(inputs.content).rgb
    files = {
        "picture": output,
        "record": record_path(output),
        "after": _view(result.rgb, inputs.folder / "after.jpg"),
        "before": _view(content, inputs.folder / "before.jpg", (width, height)),
    }
    if result.masks is not None:
        files["regions"], files["legend"] = regions_paths(output)
    return files


def _view(rgb: NDArray[np.float32], path: Path, size: tuple[int, int] | None = None) -> Path:
    image = Image.fromarray(np.round(np.clip(rgb, 0, 1) * 255).astype(np.uint8))
    if size is not None and size != image.size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    image.save(path, "JPEG", quality=92, subsampling=0)
    return path

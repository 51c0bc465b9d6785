"""What each open tab has: a folder of its own, the pictures it sent, and the files it may fetch."""

from __future__ import annotations

import itertools
import secrets
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from photostyle.apps.web.jobs import Job
from photostyle.errors import ImageError
from photostyle.images import write_picture
from photostyle.studies.segment import read_picture

_RUNS_KEPT = 2  # the one that is shown, and the one that is made


@dataclass(frozen=True)
class Limits:
    """What a client may ask for.

    Attributes
    ----------
    upload : int
        Bytes of a file.
    pixels : int
        Width × height of a picture; checked from its header.
    side : int
        Longest side of a result, and of what is kept of a picture.
    styles : int
        Style pictures of a tab.
    sessions : int
        Tabs with pictures at a time.
    idle : float
        Seconds after which a tab's pictures are removed if nothing happens.
    grace : float
        Seconds for which a tab is waited for whose line to the server was lost; one that was closed looks alike.
    inbox : float
        Seconds after which an upload is removed from the inbox that all tabs share.
    """

    upload: int = 20_000_000
    pixels: int = 24_000_000
    side: int = 1024
    styles: int = 6
    sessions: int = 200
    idle: float = 3600.0
    grace: float = 60.0
    inbox: float = 600.0


@dataclass(frozen=True)
class Stored:
    """A picture that was taken in: its file in the tab's folder, and what people call it."""

    path: Path
    name: str
    rgb_size: tuple[int, int]


@dataclass
class Regions:
    """The regions of the content, as far as the page knows them.

    Attributes
    ----------
    labels : tuple of str
        All labels; indices of the maps are places in here.
    found, label_map : ndarray of uint8, shape (H, W)
        What the segmenter found, and what it was mended to.
    doubt : str or None
        Why the segmenter doesn't trust itself.
    version : str
        Tells the regions of one content from those of another, so that a late answer of the page does no harm.
    """

    labels: tuple[str, ...]
    found: NDArray[np.uint8]
    label_map: NDArray[np.uint8]
    doubt: str | None
    version: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def edited(self) -> bool:
        """Whether something was painted."""
        return not np.array_equal(self.found, self.label_map)

    @property
    def shares(self) -> dict[str, float]:
        """The share of the picture that each label covers."""
        counts = np.bincount(self.label_map.ravel(), minlength=len(self.labels)) / self.label_map.size
        return dict(zip(self.labels, counts.tolist(), strict=True))


@dataclass
class Session:
    """One tab.

    Attributes
    ----------
    folder : Path
        Nobody else's.
    content : Stored or None
    styles : list of Stored
    regions : Regions or None
    choices : dict of str to int
        Label to style, where somebody chose.
    use_proposed : bool
        Whether the page was told for this content if its regions should be used.
    job : Job or None
        The last one.
    compares : bool
        Whether that is a comparison.
    asked : tuple
        What it was asked for: the values of the page's inputs.
    files : dict of str to (Path, str)
        What may be fetched: a key that can't be guessed, to the file and the name under which it is saved.
    used, left : float, float or None
        When it last did something; when it was last heard of since its line was lost. Both of ``time.monotonic()``.
    """

    folder: Path
    content: Stored | None = None
    styles: list[Stored] = field(default_factory=list)
    regions: Regions | None = None
    choices: dict[str, int] = field(default_factory=dict)
    use_proposed: bool = False
    job: Job | None = None
    files: dict[str, tuple[Path, str]] = field(default_factory=dict)
    compares: bool = False
    asked: tuple[Any, ...] = ()
    used: float = field(default_factory=time.monotonic)
    left: float | None = None
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def busy(self) -> bool:
        """Whether its job waits or runs."""
        return self.job is not None and not self.job.over

    def new_path(self, stem: str, suffix: str) -> Path:
        """Return a path in the folder that nothing has yet."""
        return self.folder / f"{stem}-{next(self._numbers)}{suffix}"

    def new_run(self) -> Path:
        """Make a folder for a run; of earlier ones the last is kept."""
        folder = self.new_path("run", "")
        folder.mkdir()
        runs = sorted(self.folder.glob("run-*"), key=lambda path: int(path.name.removeprefix("run-")))
        for old in runs[:-_RUNS_KEPT]:
            self.files = {key: file for key, file in self.files.items() if file[0].parent != old}
            shutil.rmtree(old, ignore_errors=True)
        return folder

    def offer(self, path: Path, name: str) -> str:
        """Let the tab fetch a file; returns its key."""
        key = secrets.token_urlsafe(24)
        self.files[key] = (path, name)
        return key


def store_picture(source: Path, name: str, target: Path, role: str, limits: Limits) -> Stored:
    """Decode a picture and keep it, upright, in sRGB, no larger than a result may be, without EXIF."""
    try:
        if source.stat().st_size > limits.upload:
            raise ImageError(
                f"{role} picture {name}: has {source.stat().st_size / 1e6:.0f} MB, but at most "
                f"{limits.upload / 1e6:.0f} MB are allowed: scale it down first"
            )
        picture = read_picture(source, role=role, max_pixels=limits.pixels, min_side=32)
    except ImageError as error:
        raise ImageError(str(error).replace(str(source), name)) from None
    except OSError:
        raise ImageError(f"{role} picture {name}: is no longer there: upload it again") from None
    width, height = picture.size
    share = min(1.0, limits.side / max(width, height))
    size = (max(1, round(width * share)), max(1, round(height * share)))
    if min(size) < 32:
        raise ImageError(f"{role} picture {name}: is {width}×{height}, which is too narrow: crop it first")

    def shrunk(plane: NDArray[np.float32]) -> NDArray[np.float32]:
        return plane if share == 1 else np.clip(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), 0, 1)

    alpha = None if picture.alpha is None else shrunk(picture.alpha)
    write_picture(target, shrunk(picture.rgb), alpha=alpha, bit_depth=picture.bit_depth)
    return Stored(target, name, size)

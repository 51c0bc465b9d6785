"""Every error that photostyle raises on purpose.

::

    PhotostyleError            exit code 1
    ├── UsageError             exit code 2    an option, or a combination of options, that can't be
    ├── ImageError                            a picture that is missing, corrupt, too large or too small
    ├── RegionError                           a mask or a label that doesn't fit
    ├── WeightsError                          weights that are missing, altered or can't be fetched
    ├── OutputError                           a result that can't be written
    └── StoppedError                          the end of a run before its time; carries the best picture so far
        ├── MemoryLimitError                  the run doesn't fit the memory of the device
        ├── DivergedError                     the optimisation left the finite numbers, or ran away
        └── Interrupted        exit code 130  Ctrl-C

A message is one line. It says what is wrong, what was found, what is allowed, and how to mend it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image


class SavablePicture(Protocol):
    """A picture that was made, with its record; a :class:`photostyle.Result` is one."""

    @property
    def rgb(self) -> NDArray[np.float32]:
        """The picture, sRGB in [0, 1], shape (H, W, 3)."""

    @property
    def record(self) -> dict[str, Any]:
        """What was done; it can be written as JSON."""

    @property
    def image(self) -> Image.Image:
        """The picture in 8 bits, RGB or RGBA."""

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the picture in one step; an existing file is replaced only if it may be."""


class PhotostyleError(Exception):
    """Base class of all errors of this package."""

    exit_code = 1


class UsageError(PhotostyleError):
    """An option has a value that is not allowed, or contradicts another option."""

    exit_code = 2


class ImageError(PhotostyleError):
    """A picture can't be read, or is too large or too small to work with."""


class RegionError(PhotostyleError):
    """A label map doesn't fit its picture, or labels don't match between content and style."""


class WeightsError(PhotostyleError):
    """Pretrained weights are missing, altered, of the wrong kind, or can't be fetched."""


class OutputError(PhotostyleError):
    """A result can't be written where it should go."""


class StoppedError(PhotostyleError):
    """An error that ends a run and carries what the run had reached.

    Parameters
    ----------
    message : str
        The one-line message.
    result : SavablePicture, optional
        The best picture so far with its record, a :class:`photostyle.Result`; None if there is none.
    """

    def __init__(self, message: str, result: SavablePicture | None = None) -> None:
        super().__init__(message)
        self.result = result


class DivergedError(StoppedError):
    """The loss became NaN or infinite, or grew far beyond where it began."""


class MemoryLimitError(StoppedError):
    """The device has not enough memory for the run, or for what was left of it."""


class Interrupted(StoppedError):  # noqa: N818 - not a fault: the user's own wish
    """The user stopped the run."""

    exit_code = 130

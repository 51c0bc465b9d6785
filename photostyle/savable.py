"""What is known of a result before the place where results are made: its picture, its record, that it can be saved."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

__all__ = ["SavablePicture"]


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

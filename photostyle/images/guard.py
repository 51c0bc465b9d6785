"""A fence around the decoders: whatever they raise becomes an ImageError, whatever they mutter a note."""

from __future__ import annotations

import logging
import lzma
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
from PIL import Image, ImageCms

from photostyle.errors import ImageError

_FAILURES: tuple[type[Exception], ...] = (
    OSError,
    SyntaxError,
    ValueError,  # tifffile.TiffFileError is one, numpy's reshape raises it, too
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    RuntimeError,
    EOFError,
    AssertionError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    cv2.error,
    Image.DecompressionBombError,
    ImageCms.PyCMSError,
)
"""All that Pillow, OpenCV and tifffile are known to raise for damaged files."""

_LOCK = threading.RLock()


class _Remarks(logging.Handler):
    """Collects what tifffile logs."""

    def __init__(self, remarks: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.remarks = remarks

    def emit(self, record: logging.LogRecord) -> None:
        self.remarks.append(record.getMessage())


@contextmanager
def decoding(label: str, notes: list[str]) -> Iterator[None]:
    """Run a decoder: one at a time, quietly, with one kind of error.

    Pillow's own size limit is off meanwhile, because :func:`photostyle.images.samples.check_size` sets ours;
    that limit, like Python's warning filters, belongs to the whole process, hence the lock.
    """
    remarks: list[str] = []
    handler, logger = _Remarks(remarks), logging.getLogger("tifffile")
    with _LOCK, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        limit, propagate = Image.MAX_IMAGE_PIXELS, logger.propagate
        Image.MAX_IMAGE_PIXELS = None
        logger.addHandler(handler)
        logger.propagate = False
        try:
            yield
        except MemoryError as error:
            raise ImageError(f"{label}: doesn't fit into memory: scale it down first") from error
        except _FAILURES as error:
            reason = _one_line(str(error)) or type(error).__name__
            raise ImageError(
                f"{label}: is damaged or cut off ({reason}): get the file again, or save it anew from an image editor"
            ) from error
        finally:
            logger.propagate = propagate
            logger.removeHandler(handler)
            Image.MAX_IMAGE_PIXELS = limit
    remarks += [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
    for text in dict.fromkeys(map(_one_line, remarks)):
        notes.append(f"the decoder remarks: {text}")


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]

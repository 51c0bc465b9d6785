"""A fence around the decoders: whatever they raise becomes an ImageError, whatever they mutter a note."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from photostyle.errors import ImageError, PhotostyleError

_LOCK = threading.RLock()


@contextmanager
def decoding(label: str, notes: list[str]) -> Iterator[None]:
    """Run a decoder: one at a time, quietly, with one kind of error; its remarks become notes.

    Pillow's own size limit is off meanwhile, because :func:`photostyle.images.picture.check_size` sets ours;
    that limit, like Python's warning filters, belongs to the whole process, hence the lock.
    """
    remarks: list[str] = []
    logger = logging.getLogger("tifffile")

    def keep(record: logging.LogRecord) -> bool:
        if record.levelno >= logging.WARNING:
            remarks.append(record.getMessage())
        return False

    with _LOCK, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        limit = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        logger.addFilter(keep)
        try:
            yield
        except PhotostyleError:
            raise
        except MemoryError as error:
            raise ImageError(f"{label}: doesn't fit into memory: scale it down first") from error
        except Exception as error:  # a damaged file can make a decoder raise anything
            raise ImageError(
                f"{label}: is damaged or cut off ({one_line(error)}): "
                "get the file again, or save it anew from an image editor"
            ) from error
        finally:
            logger.removeFilter(keep)
            Image.MAX_IMAGE_PIXELS = limit
    remarks += [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
    for text in dict.fromkeys(map(one_line, remarks)):
        notes.append(f"the decoder remarks: {text}")


def one_line(said: object) -> str:
    """Make one line of at most 200 characters of another program's message or error."""
    line = " ".join(str(said).split()) or type(said).__name__
    return line if len(line) <= 200 else line[:199] + "…"

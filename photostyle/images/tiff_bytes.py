"""TIFF with 8 or 16 bits a channel, with its profile and EXIF."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from photostyle.images.exif import PREFIX

__all__ = ["tiff_bytes"]

_TEXTS = (271, 272, 315, 316, 33432)
"""Make, model, artist, host computer, copyright: the texts that EXIF keeps in the main directory."""
_DESCRIPTION, _X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT, _SOFTWARE, _DATE_TIME = (
    270,
    282,
    283,
    296,
    305,
    306,
)
_PLACES = {34665: 34664, 34853: 34851}
"""The sub-directories, camera settings and place, and unused tags of the same rank that stand in for them."""


def tiff_bytes(samples: NDArray[np.uint8] | NDArray[np.uint16], icc: bytes, exif: bytes | None) -> bytes:
    """Encode (H, W, 3 | 4), deflated, with nothing in it that changes from run to run.

    Parameters
    ----------
    samples : ndarray of uint8 or uint16, shape (H, W, 3) or (H, W, 4)
        RGB, or RGB with alpha that is not multiplied in.
    icc : bytes
        The profile to embed.
    exif : bytes or None
        EXIF without its prefix. Its texts, its resolution and its two sub-directories are written.
    """
    tags = _exif_tags(exif)
    texts = {tag: value.encode() for tag, value in tags.items() if isinstance(value, str)}
    date = texts.get(_DATE_TIME, b"").rstrip(b"\0")
    present = [tag for tag in _PLACES if tag in tags]
    extra: list[Any] = [(tag, "s", 0, texts[tag], True) for tag in _TEXTS if tag in texts]
    extra += [(_PLACES[tag], "I", 1, 0, True) for tag in present]
    options: dict[str, Any] = {}
    if _X_RESOLUTION in tags and _Y_RESOLUTION in tags:
        options["resolution"] = (float(tags[_X_RESOLUTION]), float(tags[_Y_RESOLUTION]))
        options["resolutionunit"] = int(tags.get(_RESOLUTION_UNIT, 2))
    out = io.BytesIO()
    tifffile.imwrite(
        out,
        samples,
        byteorder="<",
        photometric="rgb",
        extrasamples=["unassalpha"] if samples.shape[2] == 4 else None,
        compression="zlib",
        iccprofile=icc,
        metadata=None,
        description=texts.get(_DESCRIPTION),
        software=texts.get(_SOFTWARE, False),
        datetime=date.decode("ascii") if len(date) == 19 and date.isascii() else None,
        extratags=extra,
        **options,
    )
    return _with_directories(out.getvalue(), {tag: tags[tag] for tag in present})


def _exif_tags(exif: bytes | None) -> dict[int, Any]:
    """Parse EXIF; the sub-directories come as dictionaries of their own."""
    if not exif:
        return {}
    parsed = Image.Exif()
    parsed.load(PREFIX + exif)
    tags: dict[int, Any] = dict(parsed)
    for tag in _PLACES:
        tags.pop(tag, None)
        if entries := parsed.get_ifd(tag):
            tags[tag] = dict(entries)
    return tags


def _with_directories(tiff: bytes, directories: dict[int, dict[int, Any]]) -> bytes:
    """Append sub-directories, and turn the tags that stand in for them into pointers to them.

    tifffile writes no such pointers itself.
    """
    if not directories:
        return tiff
    data = bytearray(tiff)
    with tifffile.TiffFile(io.BytesIO(tiff)) as file:
        page: Any = file.pages[0]
        places = {tag: page.tags[_PLACES[tag]] for tag in directories}
    for tag, entries in directories.items():
        data += bytes(-len(data) % 2)  # directories begin on a word
        directory = ImageFileDirectory_v2(ifh=b"II*\0\x08\0\0\0", group=tag)
        directory.update(entries)
        struct.pack_into("<H", data, places[tag].offset, tag)
        struct.pack_into("<I", data, places[tag].valueoffset, len(data))
        data += directory.tobytes(len(data))
    return bytes(data)

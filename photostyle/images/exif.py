"""EXIF: which way up a picture is, and what of its metadata goes with the result.

Kept are the tags that describe the scene (camera, exposure, place, author). Left out are those that describe
the old file: thumbnail, strip offsets, pixel dimensions, embedded profiles. The orientation is reset to 1, and the
colour space to sRGB.
"""

from __future__ import annotations

from typing import Any

from PIL import Image

from photostyle.errors import ImageError
from photostyle.images.guard import decoding

PREFIX = b"Exif\0\0"
MAX_EXIF_BYTES = 65_533
"""The longest EXIF, with its prefix, that a JPEG can hold."""

_ORIENTATION, _EXIF_IFD, _GPS_IFD, _MAKER_NOTE = 274, 34665, 34853, 37500
_KEPT = (270, 271, 272, 282, 283, 296, 305, 306, 315, 316, 33432, 40091, 40092, 40093, 40094, 40095)
_COLOR_SPACE, _SRGB = 40961, 1
_LATITUDE, _LONGITUDE = 2, 4
_STALE = (40962, 40963, 40965)  # pixel dimensions, and an offset into the old file


def exif_of(source: Image.Image | Image.Exif, notes: list[str]) -> tuple[int, bytes | None]:
    """Read the orientation, 1 to 8, and the EXIF to keep, with its prefix and short enough for a JPEG."""
    try:
        with decoding("EXIF", notes):
            return _exif_of(source.getexif() if isinstance(source, Image.Image) else source, notes)
    except ImageError as error:  # no reason to refuse a picture
        notes.append(f"EXIF can't be read and is ignored ({error})")
        return 1, None


def is_turned(image: Image.Image) -> bool:
    """Whether a picture's width is the height of how it is stored."""
    return image.getexif().get(_ORIENTATION, 1) in range(5, 9)


def tells_place(exif: bytes) -> bool:
    """Whether EXIF that was kept says where a picture was taken."""
    parsed = Image.Exif()
    parsed.load(exif)
    place = parsed.get_ifd(_GPS_IFD)
    return _LATITUDE in place or _LONGITUDE in place


def _exif_of(exif: Image.Exif, notes: list[str]) -> tuple[int, bytes | None]:
    orientation = exif.get(_ORIENTATION, 1)
    if orientation not in range(1, 9):
        orientation = 1
    kept: dict[int, Any] = {tag: exif[tag] for tag in _KEPT if tag in exif}
    for ifd in (_EXIF_IFD, _GPS_IFD):
        entries = {tag: value for tag, value in exif.get_ifd(ifd).items() if tag not in _STALE}
        if _COLOR_SPACE in entries:
            entries[_COLOR_SPACE] = _SRGB
        if entries:
            kept[ifd] = entries
    if not kept and _ORIENTATION not in exif:
        return orientation, None
    data = _pack(kept)
    if len(data) > MAX_EXIF_BYTES and _EXIF_IFD in kept:
        kept[_EXIF_IFD].pop(_MAKER_NOTE, None)
        notes.append("the EXIF is too long for a JPEG: its maker note is left out")
        data = _pack(kept)
    if len(data) > MAX_EXIF_BYTES:
        notes.append("the EXIF is too long for a JPEG and is left out")
        return orientation, None
    return orientation, data


def _pack(tags: dict[int, Any]) -> bytes:
    packed = Image.Exif()
    packed.update(tags)
    packed[_ORIENTATION] = 1
    return packed.tobytes()

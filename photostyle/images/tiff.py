"""TIFF: reading what Pillow can't without loss, 16 bits or floats a channel, and writing."""

from __future__ import annotations

import io
from typing import IO, Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from photostyle.errors import ImageError
from photostyle.images.exif import PREFIX, exif_of
from photostyle.images.picture import Samples, check_size, check_unit_range, full_scale, split_channels

_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_ASSOCIATED, _UNASSOCIATED = 1, 2
_ICC_TAG, _ORIENTATION_TAG = 34675, 274
_TEXTS = (271, 272, 315, 316, 33432)
"""Make, model, artist, host computer, copyright: the texts that EXIF keeps in the main directory."""
_DESCRIPTION, _X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT, _SOFTWARE, _DATE_TIME = 270, 282, 283, 296, 305, 306


def is_tiff(head: bytes) -> bool:
    """Tell from the first 4 bytes whether a file is a TIFF."""
    return head[:4] in _MAGICS


def samples_of_deep_tiff(
    stream: IO[bytes], label: str, max_pixels: int, min_side: int, notes: list[str]
) -> Samples | None:
    """Decode the first page of a deep TIFF; None if it is one that Pillow reads without loss.

    Sizes are checked before anything is decoded.
    """
    stream.seek(0)
    with tifffile.TiffFile(stream) as tiff:
        page: Any = tiff.pages[0]
        numbers = (page.imagewidth, page.imagelength, page.bitspersample, page.samplesperpixel)
        if not all(isinstance(number, int) for number in numbers):  # a damaged tag may hold a text or a list
            raise ValueError("its header can't be understood")
        check_size(label, (page.imagewidth, page.imagelength), max_pixels, min_side)
        if page.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB) or page.bitspersample <= 8:
            return None
        colors = 3 if page.photometric == _RGB else 1
        if page.dtype is None or page.dtype.kind not in "uf" or (page.dtype.kind == "u" and page.bitspersample != 16):
            raise ImageError(
                f"{label}: has {page.bitspersample} bits a sample of kind {page.dtype}; allowed are 8 or 16 "
                "bits and floating-point values in [0, 1]: save it with 8 or 16 bits"
            )
        if not colors <= page.samplesperpixel <= colors + 4 or set(page.axes) - set("YXS"):
            raise ImageError(
                f"{label}: has {page.samplesperpixel} samples a pixel in the order {page.axes}; allowed are "
                "grey or RGB, with or without alpha: save it as a plain picture"
            )
        values = page.asarray()
        values = values[..., None] if values.ndim == 2 else values
        values = np.moveaxis(values, 0, -1) if page.axes.startswith("S") else values
        if values.shape[2] != page.samplesperpixel:
            raise ValueError("a channel is missing")
        if len(tiff.pages) > 1:
            notes.append(f"the first of {len(tiff.pages)} pages is taken")
        samples = _samples(values, page, colors, label, notes)
        if icc := page.tags.get(_ICC_TAG):
            samples.icc = bytes(icc.value)
        if orientation := page.tags.get(_ORIENTATION_TAG):
            samples.orientation = int(orientation.value)
    stream.seek(0)
    exif = Image.Exif()
    exif.load_from_fp(stream)
    _, samples.exif = exif_of(exif, notes)
    return samples


def _samples(values: NDArray[Any], page: Any, colors: int, label: str, notes: list[str]) -> Samples:
    """Take the samples of (H, W, S)."""
    if values.dtype.kind == "f":
        values = check_unit_range(label, values)
        notes.append("floating-point values taken as sRGB-encoded or as the embedded profile says")
    full = full_scale(values)
    color, alpha = split_channels(values, colors)
    if page.photometric == _WHITE_IS_ZERO:
        color = (np.array(full, values.dtype) - color).astype(values.dtype)
    kind = page.extrasamples[0] if page.extrasamples else 0
    if alpha is not None and kind not in (_ASSOCIATED, _UNASSOCIATED):
        alpha = None
        notes.append("an extra channel that isn't marked as alpha is ignored")
    if alpha is not None and kind == _ASSOCIATED:  # below full transparency colours stay as they are
        divisor = np.where(alpha > 0, alpha, np.float32(1))
        color = color.astype(np.float32) / np.float32(full)
        color = np.clip(color / (divisor if color.ndim == 2 else divisor[..., None]), 0, 1).astype(np.float32)
    return Samples(color, alpha, 16)


def tiff_bytes(samples: NDArray[np.uint8] | NDArray[np.uint16], icc: bytes, exif: bytes | None) -> bytes:
    """Encode (H, W, 3 | 4), alpha not multiplied in, deflated, with nothing in it that changes from run to run.

    Of the EXIF its texts, date and resolution are written; camera settings and place are not.
    """
    tags = Image.Exif()
    if exif:
        tags.load(PREFIX + exif)
    texts = {tag: value.encode() for tag, value in tags.items() if isinstance(value, str)}
    date = texts.get(_DATE_TIME, b"").rstrip(b"\0")
    extra: list[Any] = [(tag, "s", 0, texts[tag], True) for tag in _TEXTS if tag in texts]
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
    return out.getvalue()

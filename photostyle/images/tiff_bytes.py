"""TIFF with 8 or 16 bits a channel, with its profile and the EXIF of its main directory."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from photostyle.images.exif import PREFIX

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


def tiff_bytes(samples: NDArray[np.uint8] | NDArray[np.uint16], icc: bytes, exif: bytes | None) -> bytes:
    """Encode (H, W, 3 | 4), deflated, with nothing in it that changes from run to run."""
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

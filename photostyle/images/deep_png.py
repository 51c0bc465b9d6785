"""PNG with 16 bits a channel: Pillow checks it and reads its metadata, OpenCV decodes its full depth."""

from __future__ import annotations

from typing import IO, Any

import cv2
import numpy as np
from PIL import Image

from photostyle.images.exif import exif_of
from photostyle.images.modes import keyed_alpha
from photostyle.images.samples import Samples

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_NEEDED = (b"IHDR", b"IDAT", b"IEND")
_GREY = (0, 4)
"""PNG colour types without colour."""


def is_deep_png(head: bytes) -> bool:
    """Tell from the first 26 bytes whether a file is a PNG with 16 bits a channel."""
    return head.startswith(PNG_MAGIC) and head[12:16] == b"IHDR" and head[24:25] == b"\x10"


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """List the chunks of a PNG: (type, the whole chunk with its length and checksum)."""
    chunks = []
    at = len(PNG_MAGIC)
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at:end]))
        at = end
    return chunks


def samples_of_deep_png(stream: IO[bytes], image: Image.Image) -> Samples:
    """Decode a 16-bit PNG; call it within :func:`photostyle.images.guard.decoding`."""
    notes: list[str] = []
    orientation, exif = exif_of(image, notes)
    stream.seek(0)
    data = stream.read()
    # without the ancillary chunks OpenCV finds no gamma, key colour or animation to act upon
    bare = PNG_MAGIC + b"".join(chunk for kind, chunk in png_chunks(data) if kind in _NEEDED)
    decoded: Any = cv2.imdecode(np.frombuffer(bare, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16:
        raise ValueError("OpenCV can't decode its 16-bit samples")
    alpha = None
    if decoded.ndim == 2:
        colour = decoded
    else:
        colour = decoded[..., 0] if data[25] in _GREY else decoded[..., 2::-1]
        if decoded.shape[2] == 4:
            alpha = decoded[..., 3].astype(np.float32) / np.float32(65535)
    if alpha is None:
        alpha = keyed_alpha(colour, image.info.get("transparency"))
    return Samples(colour, alpha, 16, image.info.get("icc_profile"), orientation, exif, notes)

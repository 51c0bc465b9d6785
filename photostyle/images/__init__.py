"""Pictures in and out: decode, colour to sRGB, resize, encode, write atomically."""

from __future__ import annotations

from photostyle.images.picture import Picture
from photostyle.images.read import read_picture
from photostyle.images.resize import fit_longest_side, resize
from photostyle.images.write import check_writable, encode_picture, write_atomically, write_picture

__all__ = [
    "Picture",
    "check_writable",
    "encode_picture",
    "fit_longest_side",
    "read_picture",
    "resize",
    "write_atomically",
    "write_picture",
]

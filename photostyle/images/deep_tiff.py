"""TIFF with 16 bits or floating-point numbers a channel, grey or RGB, with or without alpha.

tifffile decodes it; where tifffile lacks the compression (LZW, for example), OpenCV does.
"""

from __future__ import annotations

from typing import IO, Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from photostyle.errors import ImageError
from photostyle.images.exif import exif_of
from photostyle.images.samples import Samples, check_size, check_unit_range

_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_ASSOCIATED, _UNASSOCIATED = 1, 2
_ICC_TAG, _ORIENTATION_TAG = 34675, 274


def is_tiff(head: bytes) -> bool:
    """Tell from the first 4 bytes whether a file is a TIFF."""
    return head[:4] in _MAGICS


def samples_of_deep_tiff(stream: IO[bytes], label: str, max_pixels: int, min_side: int) -> Samples | None:
    """Decode the first page of a deep TIFF; call it within :func:`photostyle.images.guard.decoding`."""
    stream.seek(0)
    with tifffile.TiffFile(stream) as tiff:
        page: Any = tiff.pages[0]
        numbers = (page.imagewidth, page.imagelength, page.bitspersample, page.samplesperpixel)
        if not all(isinstance(number, int) for number in numbers):  # a damaged tag may hold a text or a list
            raise ValueError("its header can't be understood")
        check_size(label, (page.imagewidth, page.imagelength), max_pixels, min_side)
        if page.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB) or page.bitspersample <= 8:
            return None
        colours = 3 if page.photometric == _RGB else 1
        if page.dtype is None or page.dtype.kind not in "uf" or (page.dtype.kind == "u" and page.bitspersample != 16):
            raise ImageError(
                f"{label}: has {page.bitspersample} bits a sample of kind {page.dtype}; allowed are 8 or 16 "
                "bits and floating-point values in [0, 1]: save it with 8 or 16 bits"
            )
        if not colours <= page.samplesperpixel <= colours + 4 or set(page.axes) - set("YXS"):
            raise ImageError(
                f"{label}: has {page.samplesperpixel} samples a pixel in the order {page.axes}; allowed are "
                "grey or RGB, with or without alpha: save it as a plain picture"
            )
        values = _decoded(page, stream)
        if values.shape[2] != page.samplesperpixel:
            raise ValueError("a channel is missing")
        notes = [f"the first of {len(tiff.pages)} pages is taken"] if len(tiff.pages) > 1 else []
        samples = _samples(values, page, colours, label, notes)
        icc = page.tags.get(_ICC_TAG)
        samples.icc = bytes(icc.value) if icc is not None else None
        tag = page.tags.get(_ORIENTATION_TAG)
        samples.orientation = int(tag.value) if tag is not None else 1
    stream.seek(0)
    exif = Image.Exif()
    exif.load_from_fp(stream)
    _, samples.exif = exif_of(exif, samples.notes)
    return samples


def _decoded(page: Any, stream: IO[bytes]) -> NDArray[Any]:
    """Return the samples (H, W, S)."""
    try:
        values = page.asarray()
    except (ValueError, ImportError) as error:
        if "imagecodecs" not in str(error):
            raise
        values = _decoded_by_opencv(stream)
    if values.ndim == 2:
        return np.asarray(values[..., None])
    return np.asarray(np.moveaxis(values, 0, -1) if page.axes.startswith("S") else values)


def _decoded_by_opencv(stream: IO[bytes]) -> Any:
    stream.seek(0)
    values: Any = cv2.imdecode(np.frombuffer(stream.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None:
        raise ValueError("its compression is not supported, or its data are damaged")
    if values.ndim == 3:
        values = values[..., [2, 1, 0, *range(3, values.shape[2])]]
    return values


def _samples(values: NDArray[Any], page: Any, colours: int, label: str, notes: list[str]) -> Samples:
    """Split (H, W, S) into colour and alpha."""
    if values.dtype.kind == "f":
        values = check_unit_range(label, values)
        notes.append("floating-point values taken as sRGB-encoded or as the embedded profile says")
    full = 1.0 if values.dtype.kind == "f" else 65535.0
    colour: NDArray[Any] = values[..., 0] if colours == 1 else values[..., :3]
    if page.photometric == _WHITE_IS_ZERO:
        colour = (np.array(full, values.dtype) - colour).astype(values.dtype)
    alpha: NDArray[np.float32] | None = None
    if values.shape[2] > colours:
        kind = page.extrasamples[0] if page.extrasamples else 0
        if kind in (_ASSOCIATED, _UNASSOCIATED):
            alpha = values[..., colours].astype(np.float32) / np.float32(full)
        else:
            notes.append("an extra channel that isn't marked as alpha is ignored")
        if alpha is not None and kind == _ASSOCIATED:
            colour = _unpremultiplied(colour.astype(np.float32) / np.float32(full), alpha)
    return Samples(colour, alpha, 16, notes=notes)


def _unpremultiplied(colour: NDArray[np.float32], alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    """Divide colours by the alpha that was multiplied in; below full transparency they stay as they are."""
    divisor = np.where(alpha > 0, alpha, np.float32(1))
    return np.clip(colour / (divisor if colour.ndim == 2 else divisor[..., None]), 0, 1).astype(np.float32)

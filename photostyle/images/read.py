"""``read_picture``: from a path, a Pillow image, an array or a tensor to a :class:`Picture`."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from photostyle.errors import ImageError
from photostyle.images.decode import (
    PNG_MAGIC,
    is_deep_png,
    samples_of_array,
    samples_of_deep_png,
    samples_of_image,
)
from photostyle.images.guard import decoding
from photostyle.images.picture import Picture, Samples, check_size
from photostyle.images.profiles import to_srgb
from photostyle.images.tiff import is_tiff, samples_of_deep_tiff

if TYPE_CHECKING:
    import torch

_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM")
"""Formats that Pillow decodes by itself, not by other programs as EPS; JPEG includes MPO."""

_MAGICS = (b"\xff\xd8\xff", PNG_MAGIC, b"RIFF", b"GIF8", b"BM")


def read_picture(
    source: str | os.PathLike[str] | Image.Image | NDArray[Any] | torch.Tensor,
    *,
    role: str = "picture",
    max_pixels: int = 200_000_000,
    min_side: int = 1,
) -> Picture:
    """Read a picture: upright, in sRGB, with its alpha apart; an `ImageError` says why it can't be.

    ``source`` is a file in JPEG, PNG, WebP, TIFF, BMP, GIF or PPM; or a PIL image, whose pixels stay; or an array
    (H, W) or (H, W, 1 | 3 | 4), or a tensor (3, H, W), (1, 3, H, W) or (H, W, 3), of uint8, uint16 or floating-point
    values in [0, 1], sRGB-encoded. PNG and TIFF keep 16 bits, except CMYK, which is read with 8. Of several frames or
    pages the first is read; of a PIL image the one it stands at. ``role`` says in messages what the picture is for;
    one of more than ``max_pixels`` is refused from its header, before it is decoded.
    """
    role = role.removesuffix(" picture")
    kind = role if role == "picture" else f"{role} picture"
    notes: list[str] = []
    if isinstance(source, (str, os.PathLike)):
        name = os.fsdecode(source)
        samples = _samples_of_file(name, f"{kind} {name}", max_pixels, min_side, notes)
    elif isinstance(source, Image.Image):
        name = f"the {role} image"
        check_size(name, source.size, max_pixels, min_side)
        with decoding(name, notes):
            samples = samples_of_image(source, name, notes)
    else:
        name = f"the {role} array"
        samples = samples_of_array(source, name, max_pixels, min_side)
    rgb, alpha = to_srgb(samples.color, samples.icc, notes), samples.alpha
    if alpha is not None:
        alpha = None if bool((alpha >= 1).all()) else _upright(alpha, samples.orientation)
    return Picture(_upright(rgb, samples.orientation), alpha, samples.bit_depth, name, samples.exif, tuple(notes))


def _upright(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn and mirror an array (H, W, ...) as its EXIF orientation, 1 to 8, asks."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


def _samples_of_file(name: str, label: str, max_pixels: int, min_side: int, notes: list[str]) -> Samples:
    with _opened(name, label) as stream:
        head = stream.read(32)
        if not head:
            raise ImageError(f"{label}: is an empty file: get the file again")
        with decoding(label, notes):
            if is_tiff(head) and (samples := samples_of_deep_tiff(stream, label, max_pixels, min_side, notes)):
                return samples
            with _opened_by_pillow(stream, head, label) as image:
                check_size(label, image.size, max_pixels, min_side)
                frames = getattr(image, "n_frames", 1)
                if frames > 1 and image.format != "MPO":  # the further frames of an MPO are previews and depth maps
                    notes.append(f"the first of {frames} frames is taken")
                    image.seek(0)
                _mend_ycbcr_tiff(image)
                image.load()
                if not is_deep_png(head):
                    return samples_of_image(image, label, notes)
                stream.seek(0)
                return samples_of_deep_png(stream.read(), image, notes)


def _opened(name: str, label: str) -> IO[bytes]:
    """Open a file for reading, in a way that can be rewound."""
    try:
        mode = Path(name).stat().st_mode
        if stat.S_ISDIR(mode):
            raise ImageError(f"{label}: is a folder: name a picture in it")
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            raise ImageError(f"{label}: is not a file but a device: name a picture file")
        stream = Path(name).open("rb")  # noqa: SIM115 - the caller closes it
        if stream.seekable():
            return stream
        with stream:
            return io.BytesIO(stream.read())
    except FileNotFoundError as error:
        raise ImageError(f"{label}: there is no such file: check the path") from error
    except PermissionError as error:
        raise ImageError(f"{label}: may not be read by you (permission denied): change its permissions") from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ImageError(f"{label}: can't be opened ({reason}): check the path and the disk") from error


def _mend_ycbcr_tiff(image: Any) -> None:
    """Let Pillow below 13 read a TIFF of plain Y, Cb and Cr, which it takes for RGB with a fourth byte."""
    tiles = image.tile if image.format == "TIFF" and image.tag_v2.get(262) == 6 else []
    if tiles and all(codec == "raw" and arguments[0] == "RGBX" for codec, _, _, arguments in tiles):
        image._mode = "YCbCr"
        image.tile = [(*rest, ("YCbCr", *arguments[1:])) for *rest, arguments in tiles]


def _opened_by_pillow(stream: IO[bytes], head: bytes, label: str) -> Image.Image:
    stream.seek(0)
    try:
        return Image.open(stream, formats=_FORMATS)
    except UnidentifiedImageError as error:
        if is_tiff(head) or head.startswith(_MAGICS):
            raise ValueError("its header can't be understood") from error
        raise ImageError(
            f"{label}: is not a picture in a known format (it begins with {head[:8]!r}); allowed are JPEG, "
            "PNG, WebP, TIFF, BMP, GIF and PPM: convert it first"
        ) from error

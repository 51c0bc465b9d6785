"""From a loaded Pillow image of any mode, a deep PNG, an array or a tensor to samples."""

from __future__ import annotations

import sys
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from photostyle.errors import ImageError
from photostyle.images.exif import exif_of
from photostyle.images.picture import Samples, check_size, check_unit_range, split_channels
from photostyle.images.profiles import cmyk_to_rgb, lab_to_rgb

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_CHANNELS = (1, 3, 4)  # that an array may have
_DECODED_CHUNKS = (b"IHDR", b"tRNS", b"IDAT", b"IEND")
_GREY = ("1", "L", "LA", "La")
_EIGHT_BITS = (*_GREY, "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "YCbCr", "HSV")
_STRAIGHT = {"La": "LA", "RGBa": "RGBA", "PA": "RGBA"}  # to where Pillow converts them without losing the alpha


def samples_of_image(image: Image.Image, label: str, notes: list[str]) -> Samples:
    """Take the samples, the profile and the EXIF of an image that is loaded already; it isn't modified."""
    orientation, exif = exif_of(image, notes)
    icc, alpha, depth = image.info.get("icc_profile") or None, None, 8
    color: NDArray[Any]
    if image.mode.startswith("I;16"):
        color, depth = np.array(image).astype(np.uint16), 16
        if isinstance(key := image.info.get("transparency"), int):
            alpha = (color != key).astype(np.float32)
    elif image.mode == "I":
        color, depth = _integers(np.array(image), label), 16
    elif image.mode == "F":
        color, depth = check_unit_range(label, np.array(image)), 16
    elif image.mode == "CMYK":
        color, icc = cmyk_to_rgb(_polarity_mended(image, notes), icc, notes), None
    elif image.mode == "LAB":
        color, icc = lab_to_rgb(image, notes), None
    elif image.mode in _EIGHT_BITS:
        color, alpha = _split(image)
    else:
        allowed = ", ".join((*_EIGHT_BITS, "CMYK", "LAB", "I", "I;16"))
        raise ImageError(f"{label}: has the mode {image.mode}; allowed are {allowed} and F: convert it first")
    return Samples(color, alpha, depth, icc, orientation, exif)


def _split(image: Image.Image) -> tuple[NDArray[Any], NDArray[np.float32] | None]:
    """Return colour and alpha of an image with 8 bits a channel."""
    base = "L" if image.mode in _GREY else "RGB"
    keyed = image.info.get("transparency") is not None and image.mode in ("1", "L", "P", "RGB")
    if keyed or (image.mode == "P" and image.palette is not None and image.palette.mode == "RGBA"):
        image = image.convert("RGBA")
    elif image.mode in _STRAIGHT:
        image = image.convert(_STRAIGHT[image.mode])
    alpha = None
    if image.mode in ("RGBA", "LA"):
        alpha = np.array(image.getchannel("A")).astype(np.float32) / np.float32(255)
        image = image.getchannel(0) if base == "L" else Image.merge("RGB", image.split()[:3])
    return np.array(image if image.mode == base else image.convert(base)), alpha


def _integers(values: NDArray[Any], label: str) -> NDArray[np.uint16]:
    """Take 32-bit integers as 16-bit ones, which is what Pillow's mode I holds for deep grey pictures."""
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65_535:
        raise ImageError(
            f"{label}: has 32-bit integers with the value {low if low < 0 else high}, but at most 16 bits "
            "(0 to 65535) are allowed: save it with 8 or 16 bits"
        )
    return values.astype(np.uint16)


def _polarity_mended(image: Image.Image, notes: list[str]) -> Image.Image:
    """Undo Pillow's inversion of CMYK JPEGs where it doesn't apply.

    Adobe's programs store the inks inverted and mark the file; Pillow takes each CMYK JPEG as one of these.
    """
    if image.format != "JPEG" or "adobe" in image.info:
        return image
    notes.append("CMYK JPEG without Adobe's marker: its inks are taken as not inverted")
    return ImageChops.invert(image)


def is_deep_png(head: bytes) -> bool:
    """Tell from the first 26 bytes whether a file is a PNG with 16 bits a channel."""
    return head.startswith(PNG_MAGIC) and head[12:16] == b"IHDR" and head[24:25] == b"\x10"


def samples_of_deep_png(data: bytes, image: Image.Image, notes: list[str]) -> Samples:
    """Decode a 16-bit PNG that Pillow has loaded as ``image``: so its checksums are right, and nothing is cut off."""
    orientation, exif = exif_of(image, notes)
    bare, at = [PNG_MAGIC], len(PNG_MAGIC)
    while at + 12 <= len(data):  # libpng complains aloud of profiles, and needs none here
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] in _DECODED_CHUNKS:
            bare.append(data[at:end])
        at = end
    decoded = imagecodecs.png_decode(b"".join(bare))
    values = decoded[..., None] if decoded.ndim == 2 else decoded
    color, alpha = split_channels(values, 1 if values.shape[2] <= 2 else 3)
    return Samples(color, alpha, 16, image.info.get("icc_profile"), orientation, exif)


def _array_of_tensor(source: object, label: str) -> NDArray[Any] | None:
    """Bring a tensor (C, H, W), (1, C, H, W), (H, W) or (H, W, C) to an array (H, W) or (H, W, C); None if it is none.

    Channels come first where both readings are possible. PyTorch is not imported for the question: without
    it there are no tensors.
    """
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(source, torch.Tensor):
        return None
    tensor = source.detach().cpu()
    if tensor.is_floating_point() and tensor.dtype not in (torch.float32, torch.float64):
        tensor = tensor.float()
    array: NDArray[Any] = np.asarray(tensor.numpy())
    if array.ndim == 4:
        if array.shape[0] != 1:
            raise ImageError(
                f"{label}: has the shape {array.shape}, a batch of {array.shape[0]}; allowed is one picture, "
                "(3, H, W) or (1, 3, H, W): pass them one by one"
            )
        array = array[0]
    if array.ndim == 3 and array.shape[0] in _CHANNELS:
        array = np.moveaxis(array, 0, -1)
    return array


def samples_of_array(source: object, label: str, max_pixels: int, min_side: int) -> Samples:
    """Take the samples of a tensor or an array, (H, W) or (H, W, 1 | 3 | 4) in uint8, uint16 or floats in [0, 1]."""
    array = source if isinstance(source, np.ndarray) else _array_of_tensor(source, label)
    if array is None:
        raise ImageError(
            f"{label}: is of type {type(source).__name__}; allowed are a path, a PIL image, a NumPy array and a tensor"
        )
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in _CHANNELS):
        raise ImageError(
            f"{label}: has the shape {array.shape}; allowed are (H, W), (H, W, 1), (H, W, 3) and (H, W, 4), "
            "and for tensors (3, H, W) and (1, 3, H, W)"
        )
    check_size(label, (array.shape[1], array.shape[0]), max_pixels, min_side)
    if array.dtype.kind == "f":
        array = check_unit_range(label, array)
    elif array.dtype.kind == "u" and array.dtype.itemsize <= 2:
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
    else:
        raise ImageError(
            f"{label}: has the type {array.dtype}; allowed are uint8, uint16 and floats in [0, 1]: "
            "convert it with .astype()"
        )
    values = array[..., None] if array.ndim == 2 else array
    color, alpha = split_channels(values, 1 if values.shape[2] == 1 else 3)
    return Samples(color, alpha, 8 if array.dtype == np.uint8 else 16)

"""From a loaded Pillow image, whatever its mode, to samples: grey or RGB, and alpha apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from photostyle.errors import ImageError
from photostyle.images.exif import exif_of
from photostyle.images.profiles import cmyk_to_rgb, lab_to_rgb
from photostyle.images.samples import Samples, check_unit_range

_CARRY_ALPHA = {"RGBA": "RGB", "LA": "L", "PA": "RGB", "La": "L", "RGBa": "RGB"}
_TO_RGB = ("P", "YCbCr", "HSV", "RGBX")
_ALLOWED = "1, L, LA, P, PA, RGB, RGBA, RGBX, CMYK, YCbCr, HSV, LAB, I, I;16 and F"


def samples_of_image(image: Image.Image, label: str) -> Samples:
    """Take the samples, the profile and the EXIF of an image that is loaded already."""
    notes: list[str] = []
    orientation, exif = exif_of(image, notes)
    icc = image.info.get("icc_profile")
    colour, alpha, depth, icc = _split(image, label, icc if isinstance(icc, bytes) and icc else None, notes)
    return Samples(colour, alpha, depth, icc, orientation, exif, notes)


def _split(
    image: Image.Image, label: str, icc: bytes | None, notes: list[str]
) -> tuple[NDArray[Any], NDArray[np.float32] | None, int, bytes | None]:
    """Return colour, alpha, bit depth and the profile that is still to be applied."""
    mode = image.mode
    if mode.startswith("I;16"):
        deep = np.array(image).astype(np.uint16)
        return deep, keyed_alpha(deep, image.info.get("transparency")), 16, icc
    if mode == "I":
        return _integers(np.array(image), label), None, 16, icc
    if mode == "F":
        return check_unit_range(label, np.array(image)), None, 16, icc
    if mode == "CMYK":
        return np.array(cmyk_to_rgb(_polarity_mended(image, notes), icc, notes)), None, 8, None
    if mode == "LAB":
        return np.array(lab_to_rgb(image, notes)), None, 8, None

    alpha: NDArray[np.float32] | None = None
    if mode in _CARRY_ALPHA:
        base = _CARRY_ALPHA[mode]
        # PA has no way to RGB that keeps its alpha but through RGBA; premultiplied modes only to their twins
        straight = {"La": "LA", "RGBa": "RGBA", "PA": "RGBA"}.get(mode, mode)
        image = image if straight == mode else image.convert(straight)
        alpha = _unit(np.array(image.getchannel("A")))
    elif image.info.get("transparency") is not None and mode in ("1", "L", "P", "RGB"):
        base = "L" if mode in ("1", "L") else "RGB"
        image = image.convert("RGBA")
        alpha = _unit(np.array(image.getchannel("A")))
    elif mode == "P" and image.palette is not None and image.palette.mode == "RGBA":
        base, image = "RGB", image.convert("RGBA")
        alpha = _unit(np.array(image.getchannel("A")))
    elif mode in ("1", "L"):
        base = "L"
    elif mode in _TO_RGB or mode == "RGB":
        base = "RGB"
    else:
        raise ImageError(f"{label}: has the mode {mode}; allowed are {_ALLOWED}: convert it first")
    return np.array(_without_alpha(image, base)), alpha, 8, icc


def _without_alpha(image: Image.Image, base: str) -> Image.Image:
    """Drop the alpha and leave the colours as they are."""
    if image.mode == base:
        return image
    if image.mode in ("RGBA", "LA"):
        return image.getchannel(0) if base == "L" else Image.merge("RGB", image.split()[:3])
    return image.convert(base)


def keyed_alpha(colour: NDArray[Any], key: Any) -> NDArray[np.float32] | None:
    """Make the alpha of a picture whose one colour ``key``, a number or three, is transparent."""
    if key is None or isinstance(key, bytes):
        return None
    hit = colour == np.array(key)
    return np.asarray(~(hit if hit.ndim == 2 else hit.all(axis=2)), np.float32)


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


def _unit(values: NDArray[np.uint8]) -> NDArray[np.float32]:
    return values.astype(np.float32) / np.float32(255)

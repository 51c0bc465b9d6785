"""ICC colour profiles: from the profile of a picture to sRGB, and the sRGB profile that results carry.

LittleCMS converts, relative colorimetric with black-point compensation. Pictures deeper than 8 bits become floats, as
LittleCMS would send 16 bits through a coarse lattice.
"""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from photostyle.images.guard import one_line
from photostyle.images.picture import full_scale

_FAILURES = (ImageCms.PyCMSError, OSError, ValueError, TypeError, RuntimeError)


@cache
def srgb_profile() -> bytes:
    """Return an sRGB ICC profile whose bytes are always the same.

    LittleCMS stamps its profiles with the present time; here the date is fixed and the checksum (profile ID)
    cleared, which the ICC specification allows.
    """
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    data[24:36] = bytes((7, 208, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0))  # 2000-01-01 00:00:00
    data[84:100] = bytes(16)
    return bytes(data)


def to_srgb(color: NDArray[Any], icc: bytes | None, notes: list[str]) -> NDArray[np.float32]:
    """Convert grey or RGB samples to sRGB in [0, 1], (H, W, 3) of their own, and note what was done with the profile.

    Samples are uint8, uint16 or float32 (in [0, 1]), (H, W) or (H, W, 3). No profile, a broken one, one for another
    kind of picture, and one that changes no 8-bit value by more than 1 mean sRGB. Colours outside its gamut are
    clipped.
    """
    if not icc:
        return _plain(color)
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        space = str(profile.profile.xcolor_space).strip()
        name = _name(profile)
        if space == "RGB" and color.ndim == 2:
            color = np.repeat(color[..., None], 3, axis=2)
        if space != ("GRAY" if color.ndim == 2 else "RGB"):
            kind = "grey" if color.ndim == 2 else "RGB"
            notes.append(f"the ICC profile '{name}' is for {space}, not for {kind}: colours taken as sRGB")
            return _plain(color)
        if _changes_nothing(icc, space):
            return _plain(color)
        rgb = _plain(_converted(color, icc, space))
    except _FAILURES as error:
        notes.append(f"the ICC profile can't be used ({one_line(error)}): colours taken as sRGB")
        return _plain(color)
    notes.append(f"colours converted from the ICC profile '{name}' to sRGB")
    return rgb


def cmyk_to_rgb(image: Image.Image, icc: bytes | None, notes: list[str]) -> NDArray[np.uint8]:
    """Convert a CMYK image to sRGB: with its profile, or else by Pillow's plain formula."""
    if icc:
        try:
            name, rgb = _name(ImageCms.ImageCmsProfile(io.BytesIO(icc))), _converted(np.array(image), icc, "CMYK")
        except _FAILURES as error:
            notes.append(f"the ICC profile of the CMYK picture can't be used ({one_line(error)})")
        else:
            notes.append(f"CMYK converted with its ICC profile '{name}' to sRGB")
            return rgb
    notes.append("CMYK without a usable ICC profile converted to RGB by the plain formula: colours are approximate")
    return np.array(image.convert("RGB"))


def lab_to_rgb(image: Image.Image, notes: list[str]) -> NDArray[np.uint8]:
    """Convert a CIE L*a*b* image (D50) to sRGB."""
    notes.append("L*a*b* converted to sRGB")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    signed = np.array([0, 128, 128], np.uint8)  # Pillow's a* and b* are signed, the ICC's have an offset
    return _converted(np.array(image) ^ signed, profile, "LAB")


def _converted(samples: NDArray[Any], icc: bytes, space: str) -> NDArray[Any]:
    """Convert samples of a profile's space by LittleCMS: uint8 to uint8, and others to float32, free of rounding."""
    rgb: NDArray[Any] = imagecodecs.cms_transform(
        np.ascontiguousarray(samples),
        icc,
        srgb_profile(),
        colorspace=space.lower(),
        outcolorspace="rgb",
        outdtype=np.uint8 if samples.dtype == np.uint8 else np.float32,
        intent=imagecodecs.CMS.INTENT.RELATIVE_COLORIMETRIC,
        flags=imagecodecs.CMS.FLAGS.BLACKPOINTCOMPENSATION,
    )
    if not np.isfinite(rgb).all():
        raise ValueError("it makes values that are no numbers")
    return np.clip(rgb, 0, 1, out=rgb) if rgb.dtype == np.float32 else rgb


def _changes_nothing(icc: bytes, space: str) -> bool:
    """Tell whether a profile leaves a lattice of grey or RGB colours where it is, to 1/255."""
    steps = np.arange(0, 256, 15, dtype=np.uint8)
    probe = steps[None] if space == "GRAY" else np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    before = np.repeat(probe[..., None], 3, axis=2) if space == "GRAY" else probe
    return int(np.abs(_converted(probe, icc, space).astype(np.int16) - before).max()) <= 1


def _name(profile: ImageCms.ImageCmsProfile) -> str:
    try:
        text = ImageCms.getProfileDescription(profile)
    except _FAILURES:
        text = ""
    return " ".join(text.split())[:80] or "unnamed"


def _plain(color: NDArray[Any]) -> NDArray[np.float32]:
    """Scale samples to float32 RGB in [0, 1] without any colour conversion."""
    scaled: NDArray[np.float32] = color.astype(np.float32)
    scaled /= np.float32(full_scale(color))
    return np.repeat(scaled[..., None], 3, axis=2) if scaled.ndim == 2 else scaled

"""ICC colour profiles: from the profile of a picture to sRGB, and the sRGB profile that results carry.

8-bit pictures go through LittleCMS (``PIL.ImageCms``), relative colorimetric with black-point compensation.
Deeper ones would lose precision there, so they take :mod:`photostyle.images.deep_profiles`.
"""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from photostyle.images.deep_profiles import matrix_to_srgb, through_lattice

_FAILURES = (ImageCms.PyCMSError, OSError, ValueError, TypeError)


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


def to_srgb(colour: NDArray[Any], icc: bytes | None, notes: list[str]) -> NDArray[np.float32]:
    """Convert grey or RGB samples to sRGB."""
    if not icc:
        return _plain(colour)
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        space = str(profile.profile.xcolor_space).strip()
        name = _name(profile)
        if space == "RGB" and colour.ndim == 2:
            colour = np.repeat(colour[..., None], 3, axis=2)
        if space != ("GRAY" if colour.ndim == 2 else "RGB"):
            kind = "grey" if colour.ndim == 2 else "RGB"
            notes.append(f"the ICC profile '{name}' is for {space}, not for {kind}: colours taken as sRGB")
            return _plain(colour)
        transform = _transform(profile, "L" if colour.ndim == 2 else "RGB")
        if _changes_nothing(transform, colour.ndim == 2):
            return _plain(colour)
        if colour.dtype == np.uint8:
            rgb = _plain(_through(colour, transform))
        else:
            exact = matrix_to_srgb(_plain(colour), icc)
            rgb = exact if exact is not None else through_lattice(colour, lambda c: _through(c, transform))
    except _FAILURES as error:
        notes.append(f"the ICC profile can't be used ({' '.join(str(error).split())}): colours taken as sRGB")
        return _plain(colour)
    notes.append(f"colours converted from the ICC profile '{name}' to sRGB")
    return rgb


def cmyk_to_rgb(image: Image.Image, icc: bytes | None, notes: list[str]) -> Image.Image:
    """Convert a CMYK image to sRGB: with its profile, or else by Pillow's plain formula."""
    if icc:
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            converted = _applied(image, _transform(profile, "CMYK"))
        except _FAILURES as error:
            notes.append(f"the ICC profile of the CMYK picture can't be used ({' '.join(str(error).split())})")
        else:
            notes.append(f"CMYK converted with its ICC profile '{_name(profile)}' to sRGB")
            return converted
    notes.append("CMYK without a usable ICC profile converted to RGB by the plain formula: colours are approximate")
    return image.convert("RGB")


def lab_to_rgb(image: Image.Image, notes: list[str]) -> Image.Image:
    """Convert a CIE L*a*b* image (D50) to sRGB."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    notes.append("L*a*b* converted to sRGB")
    return _applied(image, _transform(profile, "LAB"))


def _transform(profile: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(
        profile,
        ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile())),
        mode,
        "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )


def _applied(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    converted = ImageCms.applyTransform(image, transform)
    if converted is None:  # only with inPlace
        raise ValueError("no picture came back from the colour transform")
    return converted


def _through(colour: NDArray[np.uint8], transform: ImageCms.ImageCmsTransform) -> NDArray[np.uint8]:
    """Send uint8 samples (H, W) or (H, W, 3) through LittleCMS; (H, W, 3) comes back."""
    return np.array(_applied(Image.fromarray(np.ascontiguousarray(colour)), transform))


def _changes_nothing(transform: ImageCms.ImageCmsTransform, grey: bool) -> bool:
    """Tell whether a transform to sRGB leaves a lattice of colours where it is, to 1/255."""
    steps = np.arange(0, 256, 15, dtype=np.uint8)
    if grey:
        probe = steps[None]
        before = np.repeat(probe[..., None], 3, axis=2)
    else:
        before = probe = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    after = _through(probe, transform)
    return int(np.abs(after.astype(np.int16) - before).max()) <= 1


def _name(profile: ImageCms.ImageCmsProfile) -> str:
    try:
        text = ImageCms.getProfileDescription(profile)
    except _FAILURES:
        text = ""
    return " ".join(text.split())[:80] or "unnamed"


def _plain(colour: NDArray[Any]) -> NDArray[np.float32]:
    """Scale samples to float32 RGB in [0, 1] without any colour conversion."""
    scaled: NDArray[np.float32] = colour.astype(np.float32)
    if colour.dtype != np.float32:
        scaled /= np.float32(np.iinfo(colour.dtype).max)
    return np.repeat(scaled[..., None], 3, axis=2) if scaled.ndim == 2 else scaled

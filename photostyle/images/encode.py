"""From a picture in floats to the bytes of a file, tagged as sRGB; the same picture gives the same bytes."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photostyle.errors import OutputError, UsageError
from photostyle.images.deep_png import PNG_MAGIC, png_chunks
from photostyle.images.exif import MAX_EXIF_BYTES, PREFIX
from photostyle.images.profiles import srgb_profile
from photostyle.images.tiff_bytes import tiff_bytes

_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}
_LONGEST_SIDE = {"JPEG": 65_500, "WEBP": 16_383}
_OPTIONS: dict[str, dict[str, Any]] = {
    "PNG": {},
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95, "exact": True},
}
_FAILURES = (OSError, ValueError, SyntaxError, TypeError, LookupError, RuntimeError, struct.error, cv2.error)


def check_suffix(suffix: str, name: str) -> str:
    """Return the format that a file name suffix stands for."""
    try:
        return _FORMATS[suffix.lower()]
    except KeyError:
        found = f"the suffix {suffix}" if suffix else "no suffix"
        raise UsageError(f"{name}: has {found}; allowed are {', '.join(_FORMATS)}: change the name") from None


def encode_picture(
    rgb: NDArray[np.floating[Any]],
    *,
    suffix: str,
    alpha: NDArray[np.floating[Any]] | None = None,
    bit_depth: int = 8,
    exif: bytes | None = None,
) -> bytes:
    r"""Encode a picture; an sRGB profile is embedded.

    JPEG is written at quality 95 without chroma subsampling (4:4:4) and WebP lossy at quality 95. JPEG has no
    alpha: the picture is composited over white. PNG and TIFF are lossless.
    """
    kind = check_suffix(suffix, f"a picture as {suffix or 'a file'}")
    if bit_depth not in (8, 16):
        raise UsageError(f"a bit depth of {bit_depth} can't be written: allowed are 8 and 16")
    _check(rgb, alpha, kind)
    tiff = None if not exif else exif.removeprefix(PREFIX)
    if kind == "JPEG":
        if tiff and len(tiff) + len(PREFIX) > MAX_EXIF_BYTES:
            raise OutputError(
                f"the EXIF has {len(tiff):,} bytes, but a JPEG holds at most {MAX_EXIF_BYTES - len(PREFIX):,}"
                ": write a PNG or leave the EXIF out"
            )
        if alpha is not None:
            opacity = np.clip(alpha, 0, 1)[..., None]
            rgb, alpha = np.clip(rgb, 0, 1) * opacity + (1 - opacity), None
    try:
        if kind == "TIFF" or (kind == "PNG" and bit_depth == 16):
            samples = _quantised(rgb, alpha, np.uint16 if bit_depth == 16 else np.uint8)
            return tiff_bytes(samples, srgb_profile(), tiff) if kind == "TIFF" else _deep_png_bytes(samples, tiff)
        options = dict(_OPTIONS[kind], icc_profile=srgb_profile())
        if tiff:
            options["exif"] = PREFIX + tiff
        out = io.BytesIO()
        Image.fromarray(_quantised(rgb, alpha, np.uint8)).save(out, kind, **options)
    except MemoryError as error:
        raise OutputError(f"a {kind} of this size can't be encoded: there is too little memory") from error
    except _FAILURES as error:
        raise OutputError(f"the picture can't be encoded as {kind}: {' '.join(str(error).split())}") from error
    return out.getvalue()


def _check(rgb: NDArray[np.floating[Any]], alpha: NDArray[np.floating[Any]] | None, kind: str) -> None:
    if rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape or rgb.dtype.kind != "f":
        raise OutputError(
            f"a picture of shape {rgb.shape} and type {rgb.dtype} can't be written: allowed are floats (H, W, 3)"
        )
    if alpha is not None and (alpha.shape != rgb.shape[:2] or alpha.dtype.kind != "f"):
        raise OutputError(
            f"an alpha of shape {alpha.shape} and type {alpha.dtype} doesn't fit a picture of shape "
            f"{rgb.shape}: allowed are floats {rgb.shape[:2]}"
        )
    for name, values in (("picture", rgb), ("alpha", alpha)):
        if values is not None and not np.isfinite(values).all():
            count = int((~np.isfinite(values)).sum())
            raise OutputError(
                f"the {name} holds {count:,} values that are NaN or infinite, so it isn't written: "
                "only finite values are allowed"
            )
    longest = max(rgb.shape[:2])
    if longest > _LONGEST_SIDE.get(kind, longest):
        raise OutputError(
            f"a {kind} holds at most {_LONGEST_SIDE[kind]:,} pixels a side, but the picture has {longest:,}: "
            "write a PNG or a TIFF"
        )


def _quantised(
    rgb: NDArray[np.floating[Any]],
    alpha: NDArray[np.floating[Any]] | None,
    dtype: type[np.uint8] | type[np.uint16],
) -> NDArray[Any]:
    """Round to integers, (H, W, 3) or with alpha (H, W, 4)."""
    full = np.iinfo(dtype).max
    out = np.empty((*rgb.shape[:2], 3 if alpha is None else 4), dtype)
    out[..., :3] = np.rint(np.clip(rgb, 0, 1) * full)
    if alpha is not None:
        out[..., 3] = np.rint(np.clip(alpha, 0, 1) * full)
    return out


def _deep_png_bytes(samples: NDArray[np.uint16], exif: bytes | None) -> bytes:
    """Encode (H, W, 3 | 4) of uint16 by OpenCV, which embeds no metadata itself."""
    order = [2, 1, 0, 3][: samples.shape[2]]
    ok, encoded = cv2.imencode(".png", np.ascontiguousarray(samples[..., order]))
    if not ok:
        raise ValueError("OpenCV can't encode it")
    extra = [_chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(srgb_profile(), 9))]
    if exif:
        extra.append(_chunk(b"eXIf", exif))
    return _with_chunks_after_header(encoded.tobytes(), extra)


def _with_chunks_after_header(png: bytes, extra: list[bytes]) -> bytes:
    """Insert chunks right behind a PNG's header, where those that describe colour belong."""
    (_, header), *others = png_chunks(png)
    return PNG_MAGIC + header + b"".join(extra) + b"".join(chunk for _, chunk in others)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

"""Writing a picture: from floats to the bytes of a file, and all of it or nothing to the disk."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import struct
import zlib
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photostyle.errors import OutputError, UsageError
from photostyle.images.exif import MAX_EXIF_BYTES, PREFIX
from photostyle.images.guard import one_line
from photostyle.images.profiles import srgb_profile
from photostyle.images.tiff import tiff_bytes

_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}
_PNG_HEADER = 8 + 25  # bytes of the signature and of the first chunk
_LONGEST_SIDE = {"JPEG": 65_500, "WEBP": 16_383}
_OPTIONS: dict[str, dict[str, Any]] = {
    "PNG": {},
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95, "exact": True},
}


def check_suffix(suffix: str, name: str) -> str:
    """Return the format that a file name suffix stands for; ``name`` begins the message that it is none."""
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
    r"""Encode floats (H, W, 3), clipped to [0, 1], as sRGB, with that profile; the same picture gives the same bytes.

    The suffix is one of .png, .jpg, .jpeg, .webp, .tif and .tiff. JPEG is written at quality 95 without chroma
    subsampling (4:4:4) and WebP lossy at quality 95; both hold 8 bits, PNG and TIFF also 16. JPEG has no alpha: the
    picture is composited over white. EXIF comes with or without its prefix; for a TIFF see
    :func:`photostyle.images.tiff.tiff_bytes`. What can't be written is a `UsageError` or, where the picture is at
    fault, an `OutputError`.
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
    except Exception as error:  # whatever an encoder raises
        raise OutputError(f"the picture can't be encoded as {kind}: {one_line(error)}") from error
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


def _quantised(rgb: NDArray[Any], alpha: NDArray[Any] | None, dtype: type[np.uint8 | np.uint16]) -> NDArray[Any]:
    """Round to integers, (H, W, 3) or with alpha (H, W, 4)."""
    full = np.iinfo(dtype).max
    out = np.empty((*rgb.shape[:2], 3 if alpha is None else 4), dtype)
    out[..., :3] = np.rint(np.clip(rgb, 0, 1) * full)
    if alpha is not None:
        out[..., 3] = np.rint(np.clip(alpha, 0, 1) * full)
    return out


def _deep_png_bytes(samples: NDArray[np.uint16], exif: bytes | None) -> bytes:
    """Encode (H, W, 3 | 4) of uint16; the metadata come right behind the header, where colours are described."""
    png = bytes(imagecodecs.png_encode(samples, level=1, strategy=3, filter=16))  # run lengths of differences: fast
    extra = _chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(srgb_profile(), 9))
    if exif:
        extra += _chunk(b"eXIf", exif)
    return png[:_PNG_HEADER] + extra + png[_PNG_HEADER:]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def check_writable(path: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Find out, before a long run, whether its picture can be written: a `UsageError` or an `OutputError` if not."""
    target = Path(path)
    try:
        if target.is_dir():
            raise OutputError(f"{target}: is a folder: name a file in it, such as {target / 'result.png'}")
        check_suffix(target.suffix, str(target))
        folder = Path(os.path.realpath(target)).parent
        if not folder.exists():
            raise OutputError(f"{target}: its folder {folder} doesn't exist: create it first")
        if not folder.is_dir():
            raise OutputError(f"{target}: {folder} is not a folder: choose another place")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OutputError(f"{target}: you may not write to the folder {folder}: choose another one")
        if target.exists() and not target.is_file():
            raise OutputError(f"{target}: is not a plain file: choose another name")
        if target.exists() and not overwrite:
            raise UsageError(f"{target}: exists already: choose another name, or pass --overwrite")
    except (OSError, ValueError) as error:  # a name that is too long, or holds a zero byte
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise OutputError(f"{target}: can't be written ({reason}): choose another name") from error


def write_picture(
    path: str | os.PathLike[str],
    rgb: NDArray[np.floating[Any]],
    *,
    alpha: NDArray[np.floating[Any]] | None = None,
    bit_depth: int = 8,
    exif: bytes | None = None,
    overwrite: bool = False,
) -> None:
    """Encode a picture as :func:`encode_picture` does, and write it as :func:`write_atomically` does.

    The suffix of ``path`` tells the format, its folder must exist, and a file is replaced only with ``overwrite``;
    anything else is a `UsageError` or an `OutputError`.
    """
    check_writable(path, overwrite=overwrite)
    data = encode_picture(rgb, suffix=Path(path).suffix, alpha=alpha, bit_depth=bit_depth, exif=exif)
    write_atomically(path, data)


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file in one step, over an older one, which stays after an `OutputError` or Ctrl-C; links are followed."""
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".photostyle-{secrets.token_hex(8)}.tmp")
    try:
        # "xb" creates it with the permissions that the umask leaves, as any new file
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # on the disk before it has the name
        temporary.replace(target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        raise OutputError(
            f"{os.fspath(path)}: can't be written ({error.strerror or error}): make room there, or choose another place"
        ) from error

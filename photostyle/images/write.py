"""Writing a picture: all of it or nothing."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photostyle.errors import OutputError, UsageError
from photostyle.images.encode import check_suffix, encode_picture


def check_writable(path: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Find out, before a long run, whether its result can be written.

    Parameters
    ----------
    path : path
        Where the picture should go. Its folder must exist.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    UsageError
        If the suffix is unknown, or the file exists and may not be replaced.
    OutputError
        If the path is a folder, or its folder doesn't exist or may not be written to.
    """
    target = Path(path)
    try:
        _check_target(target, overwrite=overwrite)
    except (OSError, ValueError) as error:  # a name that is too long, or holds a zero byte
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise OutputError(f"{target}: can't be written ({reason}): choose another name") from error


def _check_target(target: Path, *, overwrite: bool) -> None:
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
    if target.exists():
        if not target.is_file():
            raise OutputError(f"{target}: is not a plain file: choose another name")
        if not overwrite:
            raise UsageError(f"{target}: exists already: choose another name, or pass --overwrite")


def write_picture(
    path: str | os.PathLike[str],
    rgb: NDArray[np.floating[Any]],
    *,
    alpha: NDArray[np.floating[Any]] | None = None,
    bit_depth: int = 8,
    exif: bytes | None = None,
    overwrite: bool = False,
) -> None:
    """Encode a picture and write it in one step: after an error or Ctrl-C the old file, or none, is there.

    Parameters
    ----------
    path : path
        Ends in .png, .jpg, .jpeg, .webp, .tif or .tiff. Its folder must exist. A symbolic link is followed.
    rgb, alpha, bit_depth, exif
        See :func:`photostyle.images.encode_picture`; a JPEG is composited over white.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    UsageError
        If the suffix or the bit depth isn't allowed, or the file exists and may not be replaced.
    OutputError
        If the picture can't be encoded, or the file can't be written.
    """
    check_writable(path, overwrite=overwrite)
    data = encode_picture(rgb, suffix=Path(path).suffix, alpha=alpha, bit_depth=bit_depth, exif=exif)
    write_atomically(path, data)


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file in one step, replacing an older one.

    Parameters
    ----------
    path : path
        A symbolic link is followed.
    data : bytes
        The whole content.

    Raises
    ------
    OutputError
        If the file can't be written: a full disk, no permission, no such folder. An older file stays.
    """
    target = Path(os.path.realpath(path))
    try:
        _replace(target, data)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"{os.fspath(path)}: can't be written ({reason}): make room there, or choose another place"
        ) from error


def _replace(target: Path, data: bytes) -> None:
    """Write a temporary file beside the target, bring it to the disk, and only then give it the name."""
    temporary = target.with_name(f".photostyle-{secrets.token_hex(8)}.tmp")
    try:
        # "xb" creates it with the permissions that the umask leaves, as any new file
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise

"""Network outputs by content hash, so that a picture is segmented once."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photostyle.errors import OutputError, WeightsError
from photostyle.images import write_atomically
from photostyle.networks.cache import cache_folder

_MOST_FILES = 500
_FORMAT = 2  # goes up with every change of what is stored or how it is made


def cache_key(rgb: NDArray[np.float32], segmenter: str) -> str:
    """Give the SHA-256 of a picture's pixels, its size and the identity of the segmenter."""
    digest = hashlib.sha256(f"{_FORMAT} {segmenter} {rgb.shape} {rgb.dtype}".encode())
    digest.update(np.ascontiguousarray(rgb).data)
    return digest.hexdigest()


def load(key: str) -> NDArray[np.float32] | None:
    """Give the probabilities, shape (K, h, w), that were stored under a key; None if there are none that are sound."""
    try:
        path = _path(key)
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            stored = archive["probabilities"]
    except Exception:  # missing, cut off, no archive: whatever is wrong with it, it is computed anew
        return None
    if stored.ndim != 3 or 0 in stored.shape or stored.dtype != np.float16 or not np.isfinite(stored).all():
        return None
    with contextlib.suppress(OSError):  # of somebody else
        path.touch()
    probabilities: NDArray[np.float32] = stored.astype(np.float32)
    return probabilities


def rounded(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Round to what the cache holds: half precision, and nothing below a thousandth, which packs well."""
    return np.where(probabilities < 1e-3, 0, probabilities).astype(np.float16).astype(np.float32)


def store(key: str, probabilities: NDArray[np.float32]) -> None:
    """Keep probabilities that are `rounded`; where the cache can't be written, nothing is kept.

    The cache holds the 500 pictures that were used last.
    """
    buffer = io.BytesIO()
    # level 1: numpy's own archive takes three times as long
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("probabilities.npy", "w") as member,
    ):
        np.lib.format.write_array(member, probabilities.astype(np.float16), allow_pickle=False)
    with contextlib.suppress(OSError, OutputError, WeightsError):
        path = _path(key)
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, buffer.getvalue())
        kept = sorted(path.parent.glob("*.npz"), key=os.path.getmtime)
        for old in kept[:-_MOST_FILES]:
            old.unlink(missing_ok=True)


def _path(key: str) -> Path:
    return _folder() / f"{key}.npz"


def _folder() -> Path:
    return cache_folder() / "segmentations"

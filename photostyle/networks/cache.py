"""The folder of fetched networks, and the hashes by which their files are known."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from pathlib import Path

import platformdirs

from photostyle.errors import OutputError, WeightsError
from photostyle.images import write_atomically
from photostyle.progress import Callback, Message

_PINS = "pins.json"


def search_folders() -> list[Path]:
    """List where fetched networks may lie: ``PHOTOSTYLE_HOME`` where that is set, then the user's cache."""
    home = os.environ.get("PHOTOSTYLE_HOME")
    user = Path(platformdirs.user_cache_dir("photostyle", appauthor=False))
    return [Path(home).expanduser().absolute(), user] if home else [user]


def cache_folder() -> Path:
    """Give the first of the folders, to write to, and create it; a `WeightsError` where that can't be done."""
    folder = search_folders()[0]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise WeightsError(
            f"can't write to the weights cache {folder} ({error.strerror}): set PHOTOSTYLE_HOME to a folder of yours"
        ) from error
    return folder


def is_offline(option: bool) -> bool:
    """Say whether the network must not be touched, by the option or by ``PHOTOSTYLE_OFFLINE=1``."""
    return option or os.environ.get("PHOTOSTYLE_OFFLINE", "0") not in ("", "0")


def sha256_of(path: Path) -> str:
    """Hash a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digits_in(name: str) -> str | None:
    """Read the first digits of its SHA-256 from a file's name, where they stand in it as torch's hub puts them."""
    found = re.search(r"-([0-9a-f]{8,64})\.\w+$", name)
    return found[1] if found else None


def pinned(key: str) -> str | None:
    """Give the hash that a file whose maker publishes none had when it was first used; None if it never was."""
    return _pins().get(key)


def check_pin(key: str, value: str, callback: Callback) -> None:
    """Trust a file on first use, and from then on no other one in its place, else a `WeightsError`."""
    pins = _pins()
    if key not in pins:
        callback(Message(f"first use of {key}: from now on it must have the SHA-256 {value}"))
        try:
            text = json.dumps({**pins, key: value}, indent=1, sort_keys=True) + "\n"
            write_atomically(cache_folder() / _PINS, text.encode())
        except (OutputError, WeightsError) as error:
            callback(Message(f"that can't be kept: {error}", "warning"))
    elif pins[key] != value:
        raise WeightsError(
            f"{key} has the SHA-256 {value}, but on first use it had {pins[key]}: delete the file to fetch it anew, "
            f"or, if it is a new one that you trust, its line in {search_folders()[0] / _PINS}"
        )


def _pins() -> dict[str, str]:
    path = search_folders()[0] / _PINS
    try:
        pins = json.loads(path.read_text(encoding="utf-8"))
        return {str(key): str(value) for key, value in pins.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        raise WeightsError(f"{path}, which keeps hashes of first use, can't be read ({error}): delete it") from error

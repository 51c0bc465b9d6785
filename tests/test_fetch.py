"""Fetching: the real pip on tiny archives, torch's own download from a folder, and everything that goes wrong."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import io
import json
import multiprocessing
import os
import pickle
import shutil
import subprocess
import tarfile
import threading
import venv
import zipfile
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch
from helpers import flax_tree, keras_arrays, numbered, vgg_tensors

from photostyle.errors import UsageError, WeightsError
from photostyle.networks import cache, fetch, registry, weights
from photostyle.networks.convert import content_sha256
from photostyle.networks.fetch import fetch_model
from photostyle.networks.registry import Archive, HubFile, Member, Model
from photostyle.networks.weights import load_weights, verify_model
from photostyle.progress import Download, Message

WHEEL, SDIST = "tiny_edges-1.0-py3-none-any.whl", "tiny_arrays-1.0.tar.gz"
CODE = b"raise SystemExit('the code of an archive was run')\n"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def write_wheel(path: Path, member: bytes) -> None:
    info = "tiny_edges-1.0.dist-info"
    files = {
        "tiny_edges/weights/tiny.h5": member,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tiny-edges\nVersion: 1.0\nRequires-Dist: none\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def write_sdist(path: Path, members: dict[str, bytes]) -> None:
    """A source archive whose build must never run."""
    files = {f"tiny_arrays/{name}": data for name, data in members.items()}
    files |= {"setup.py": CODE, "tiny_arrays/__init__.py": CODE}
    files["PKG-INFO"] = b"Metadata-Version: 2.1\nName: tiny-arrays\nVersion: 1.0\n"
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(f"tiny_arrays-1.0/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


def member_of(path: Path, project: str, inside: str, data: bytes) -> Member:
    whole = path.read_bytes()
    archive = Archive(f"{project}==1.0", path.name, len(whole), sha256(whole))
    return Member(archive, inside, len(data), sha256(data))


def row(name: str, architecture: str, **sources: object) -> Model:
    return Model(name, architecture, "torchvision", "MIT", "d", **sources)


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """An empty cache, in which nothing of the user's is seen."""
    for name in ("PHOTOSTYLE_OFFLINE", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PHOTOSTYLE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(cache.platformdirs, "user_cache_dir", lambda *_, **__: str(tmp_path / "user"))
    return tmp_path / "home"


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> SimpleNamespace:
    """A wheel with a Keras file, and a source archive with two pickles of arrays, of networks of the real shapes."""
    folder = tmp_path_factory.mktemp("archives")
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, array in keras_arrays().items():
            file[name] = array
    keras, deep, alex = buffer.getvalue(), pickle.dumps(flax_tree("vgg16")), pickle.dumps(flax_tree("alexnet"))
    write_wheel(folder / WHEEL, keras)
    write_sdist(folder / SDIST, {"deep.ckpt": deep, "alex.ckpt": alex})
    return SimpleNamespace(
        folder=folder,
        edges=member_of(folder / WHEEL, "tiny-edges", "tiny_edges/weights/tiny.h5", keras),
        deep=member_of(folder / SDIST, "tiny-arrays", "tiny_arrays-1.0/tiny_arrays/deep.ckpt", deep),
        alex=member_of(folder / SDIST, "tiny-arrays", "tiny_arrays-1.0/tiny_arrays/alex.ckpt", alex),
    )


@pytest.fixture
def index(tmp_path, home, made, monkeypatch) -> Path:
    """A folder that pip takes for the only index, and a registry that knows what lies in it."""
    folder = tmp_path / "index"
    shutil.copytree(made.folder, folder)
    rows = {"edges": row("edges", "vgg16", member=made.edges), "tiny": row("tiny", "alexnet", member=made.alex)}
    rows["deep"] = row("deep", "vgg16", member=made.deep)
    monkeypatch.setattr(registry, "MODELS", rows)
    monkeypatch.setattr(fetch, "MODELS", rows)
    monkeypatch.setattr(weights, "MODELS", rows)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def copied(index, monkeypatch) -> None:
    """A copy in the place of pip, for the tests that are about something else."""

    def copy(name, archive, temporary, callback):
        return Path(shutil.copy(index / archive.file, temporary))

    monkeypatch.setattr(fetch, "fetch_archive", copy)


def fails(*words: str, name: str = "tiny", **options: object) -> str:
    with pytest.raises(WeightsError) as caught:
        fetch_model(name, **options)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message
    return message


def left(home: Path) -> list[str]:
    return sorted(path.name for path in home.iterdir() if not path.name.endswith(".lock"))


def test_a_wheel_with_the_real_pip(index, home, made):
    events = []
    loaded = load_weights("edges", callback=events.append)
    arrays = keras_arrays()
    pairs = {"conv1_2": "block1/layers/conv2d_1", "conv5_1": "block5/layers/conv2d", "hed.side1": "dsn1"}
    for layer, group in {**pairs, "hed.fuse": "fuse"}.items():
        assert np.array_equal(loaded.tensors[f"{layer}.weight"], np.einsum("hwio->oihw", arrays[f"{group}/vars/0"]))
        assert np.array_equal(loaded.tensors[f"{layer}.bias"], arrays[f"{group}/vars/1"])
    downloads = [event for event in events if isinstance(event, Download)]
    assert downloads[-1].done == downloads[-1].total == (index / WHEEL).stat().st_size
    assert left(home) == ["tiny.h5"]
    assert (home / "tiny.h5").stat().st_size == made.edges.size
    again: list[object] = []
    assert load_weights("edges", offline=True, callback=again.append).sha256 == loaded.sha256 == made.edges.sha256
    assert again == []
    assert verify_model("edges").state == weights.list_models()[0].state == "ready"


def test_a_source_archive_with_the_real_pip_of_which_nothing_is_run(index, home, made):
    """Its setup.py would end pip with an error; both members come with the first of them."""
    loaded = load_weights("tiny")
    assert left(home) == ["alex.ckpt", "deep.ckpt"]
    tree = flax_tree("alexnet")
    for number in range(5):
        kernel = tree["AlexNet_0"][f"Conv_{number}"]["kernel"]
        assert np.array_equal(loaded.tensors[f"conv{number + 1}.weight"], np.einsum("hwio->oihw", kernel))
        assert np.array_equal(loaded.tensors[f"conv{number + 1}.bias"], tree["AlexNet_0"][f"Conv_{number}"]["bias"])
        head = tree[f"NetLinLayer_{number}"]["Conv_0"]["kernel"]
        assert np.array_equal(loaded.tensors[f"lin{number + 1}.weight"], head[0, 0, :, 0])
    assert loaded.architecture == "alexnet"
    assert (loaded.sha256, loaded.origin) == (made.alex.sha256, str(home / "alex.ckpt"))
    deep = load_weights("deep", offline=True)
    assert list(deep.tensors) == list(vgg_tensors("vgg16"))
    kernel = flax_tree("vgg16")["VGG16_0"]["Conv_4"]["kernel"]
    assert np.array_equal(deep.tensors["conv3_1.weight"], np.einsum("hwio->oihw", kernel))


def test_what_the_cache_has_is_left_alone_by_another_of_the_same_archive(copied, home):
    fetch_model("tiny")
    (home / "alex.ckpt").unlink()
    (home / "deep.ckpt").write_bytes(b"altered")
    fetch_model("tiny")
    assert (home / "deep.ckpt").read_bytes() == b"altered", "it is the user's to decide about"
    fetch_model("tiny", force=True)
    assert verify_model("deep").state == "ready"


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


@pytest.mark.parametrize(("name", "file"), [("edges", WHEEL), ("tiny", SDIST)])
@pytest.mark.parametrize("damage", ["flip", "cut", "none"])
def test_wrong_archives(index, home, name, file, damage):
    """pip finds them out before it looks into them."""
    path = index / file
    data = path.read_bytes()
    if damage == "none":
        path.unlink()
        words = [f"can't fetch {name} from tiny-", "No matching distribution found", "check the network"]
    else:
        path.write_bytes(data[: len(data) // 2] if damage == "cut" else data[:-9] + b"x" + data[-8:])
        words = [f"{file} arrived altered or cut off", sha256(path.read_bytes()), sha256(data), "try again"]
    fails(*words, name=name)
    assert left(home) == []


@pytest.mark.parametrize(("name", "file"), [("edges", WHEEL), ("tiny", SDIST)])
def test_a_registry_that_names_what_is_not_in_the_archive(copied, home, monkeypatch, name, file):
    model = registry.MODELS[name]
    other = dataclasses.replace(model, member=dataclasses.replace(model.member, path="tiny_arrays-1.0/no"))
    monkeypatch.setitem(registry.MODELS, name, other)
    fails(f"{file} has no sound member tiny_arrays-1.0/no", name=name)
    assert left(home) == []


def test_tensors_that_are_others(copied, home, monkeypatch):
    model = dataclasses.replace(registry.MODELS["tiny"], content_sha256="1" * 64)
    monkeypatch.setitem(registry.MODELS, "tiny", model)
    with pytest.raises(WeightsError, match=f"its tensors have the content hash [0-9a-f]{{64}}, expected {'1' * 64}"):
        load_weights("tiny")


class _Code:
    def __reduce__(self):
        return os.system, ("exit 0",)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            pickle.dumps({"AlexNet_0": _Code()}),
            "asks for (posix|nt).system, but only arrays are taken, and no code is run",
        ),
        (pickle.dumps({"AlexNet_0": pickle.Pickler}), "asks for _pickle.Pickler"),
        (pickle.dumps([1, 2]), "is not the file of arrays that was expected"),
        (pickle.dumps({"AlexNet_0": {"Conv_0": {"kernel": np.array(None), "bias": 0}}}), "is not the file of arrays"),
        (b"\x80\x04cut", "is not the file of arrays that was expected"),
        (b"", "is not the file of arrays that was expected"),
    ],
)
def test_a_pickle_of_anything_but_arrays(home, made, monkeypatch, content, words):
    """Even one that the registry vouches for."""
    home.mkdir()
    (home / "alex.ckpt").write_bytes(content)
    member = dataclasses.replace(made.alex, size=len(content), sha256=sha256(content))
    monkeypatch.setitem(registry.MODELS, "tiny", row("tiny", "alexnet", member=member))
    with pytest.raises(WeightsError, match=words) as caught:
        load_weights("tiny")
    assert "\n" not in str(caught.value)


def test_no_pip(index, home, tmp_path, monkeypatch):
    venv.create(tmp_path / "bare", with_pip=False, symlinks=os.name != "nt")
    python = next(path for path in (tmp_path / "bare").rglob("python*") if os.access(path, os.X_OK) and path.is_file())
    monkeypatch.setattr(fetch.sys, "executable", str(python))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    fails("takes pip", f"`{python} -m ensurepip`", "`uv pip install pip`", "`photostyle models fetch tiny`")
    assert left(home) == []


def test_no_network_is_told_from_other_failures():
    archive = Archive("p==1", "p-1.tar.gz", 1, "0" * 64)
    log = "WARNING: Retrying (Retry(total=4)) after connection broken\nERROR: No matching distribution\n"
    told = str(fetch._pip_failure("n", archive, log))
    assert "no connection to the package index (No matching distribution)" in told
    assert "pip failed (odd)" in str(fetch._pip_failure("n", archive, "odd\n"))
    assert "it said nothing" in str(fetch._pip_failure("n", archive, ""))


def test_ctrl_c_kills_pip_and_leaves_nothing(index, home, monkeypatch):
    children = []

    class Recorded(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            children.append(self)

    def stop(event):
        raise KeyboardInterrupt

    monkeypatch.setattr(fetch.subprocess, "Popen", Recorded)
    with pytest.raises(KeyboardInterrupt):
        fetch_model("tiny", callback=stop)
    assert len(children) == 1
    assert children[0].returncode != 0
    assert left(home) == []
    assert fetch_model("tiny").is_file()  # the lock is free again


def test_left_overs_of_a_killed_process_go(copied, home):
    (home / ".tiny-arrays-dead").mkdir(parents=True)
    (home / ".tiny-arrays-dead" / "half.tar.gz").write_bytes(b"x")
    fetch_model("tiny")
    assert left(home) == ["alex.ckpt", "deep.ckpt"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, ["no space left", "PHOTOSTYLE_HOME"]),
        (errno.EIO, ["can't put tiny into", os.strerror(errno.EIO)]),
    ],
)
def test_full_or_failing_disk(copied, home, monkeypatch, number, words):
    def write(archive, member, folder):
        (folder / member.file).write_bytes(b"half")
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fetch, "unpack", write)
    fails(str(home), *words)
    assert left(home) == []


def test_a_disk_that_is_full_for_pip(index, home, monkeypatch):
    failure = fetch._pip_failure("tiny", registry.MODELS["tiny"].member.archive, f"ERROR: {os.strerror(28)}: '/x'")
    assert isinstance(failure, OSError)

    def full(*_):
        raise failure

    monkeypatch.setattr(fetch, "fetch_archive", full)
    fails("no space left", str(home), "PHOTOSTYLE_HOME")


def test_cache_that_can_not_be_written(index, home):
    home.write_text("a file where the folder should be")
    fails("can't write to the weights cache", str(home), "PHOTOSTYLE_HOME")


def test_unknown_name(home):
    with pytest.raises(UsageError, match="unknown model 'no'"):
        fetch_model("no")


def _child(model: Model, met, results) -> None:
    registry.MODELS["tiny"] = model
    events: list[object] = []

    def record(event):
        events.append(event)
        if isinstance(event, Message):
            met.set()

    path = fetch_model("tiny", callback=record)
    results.put((path.read_bytes(), events))


def test_two_processes_fetch_once(index, home):
    context = multiprocessing.get_context("spawn")
    met, results = context.Event(), context.Queue()
    child = context.Process(target=_child, args=(registry.MODELS["tiny"], met, results))
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


@pytest.fixture
def hub(tmp_path, home, monkeypatch) -> SimpleNamespace:
    """What torchvision offers, in a folder in the place of its host, and a row of the registry for it alone."""
    host = tmp_path / "host"
    host.mkdir()
    torch.save(
        {**numbered(vgg_tensors("vgg16", 2), "vgg16"), "classifier.0.weight": torch.zeros(2, 2)}, host / "new.pth"
    )
    digits = sha256((host / "new.pth").read_bytes())[:8]
    file = (host / "new.pth").rename(host / f"vgg-{digits}.pth")
    source = HubFile("W.V", file.name, file.stat().st_size)
    monkeypatch.setattr("torchvision.models.get_weight", lambda name: SimpleNamespace(url=file.as_uri()))
    model = row("tiny", "vgg16", hub=source, content_sha256=content_sha256(vgg_tensors("vgg16", 2)))
    monkeypatch.setitem(registry.MODELS, "tiny", model)
    there = tmp_path / "torch" / "hub" / "checkpoints" / file.name
    return SimpleNamespace(host=file, file=there, source=source)


def test_torchvision_s_file_is_used_as_it_is_and_kept_to(hub, home):
    events = []
    loaded = load_weights("tiny", callback=events.append)
    assert list(loaded.tensors) == list(vgg_tensors("vgg16", 2))
    assert loaded.sha256 == sha256(hub.file.read_bytes())
    assert json.loads((home / "pins.json").read_text()) == {hub.file.name: loaded.sha256}
    assert [event.text.split()[0] for event in events if isinstance(event, Message)] == ["fetching", "first"]
    hub.host.unlink()
    again: list[object] = []
    assert load_weights("tiny", offline=True, callback=again.append).sha256 == loaded.sha256
    assert again == []
    assert left(home) == ["pins.json"]


def test_torchvision_offline_takes_what_torch_has(hub, home):
    fails("offline", offline=True)
    hub.file.parent.mkdir(parents=True)
    shutil.copy(hub.host, hub.file)
    assert fetch_model("tiny", offline=True) == hub.file


@pytest.mark.parametrize("damage", ["flip", "cut"])
def test_torchvision_altered_files(hub, home, damage):
    path = fetch_model("tiny")
    good = path.read_bytes()
    path.write_bytes(good[:-1] if damage == "cut" else good[:-99] + b"x" + good[-98:])
    fails("altered or cut off", str(path), sha256(path.read_bytes()), hub.source.file[4:12])
    with pytest.raises(WeightsError, match="altered or cut off"):
        load_weights("tiny")
    assert fetch_model("tiny", force=True).read_bytes() == good


def test_another_file_with_the_same_digits(hub, home):
    """A forged one: the full hash of the first use tells it."""
    loaded = load_weights("tiny")
    (home / "pins.json").write_text(json.dumps({hub.file.name: loaded.sha256[:8] + "0" * 56}))
    fails("altered", loaded.sha256, loaded.sha256[:8] + "0" * 56)
    (home / "pins.json").write_text("[")
    fails("pins.json", "delete it")


def test_a_pin_that_can_not_be_kept(hub, home, monkeypatch):
    def refuse(*_):
        raise WeightsError("no place")

    fetch_model("tiny")
    monkeypatch.setattr(cache, "cache_folder", refuse)
    events = []
    load_weights("tiny", callback=events.append)
    assert events[-1] == Message("that can't be kept: no place", "warning")


def test_other_tensors_under_torchvision_s_name(hub, home, monkeypatch):
    monkeypatch.setitem(registry.MODELS, "tiny", dataclasses.replace(registry.MODELS["tiny"], content_sha256="1" * 64))
    with pytest.raises(WeightsError, match="its tensors have the content hash"):
        load_weights("tiny")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda host: host.unlink(), ["torchvision can't fetch vgg-", "No such file", "check the network"]),
        (lambda host: host.write_bytes(b"cut"), ["torchvision can't fetch vgg-", "invalid hash value"]),
    ],
)
def test_torchvision_failures(hub, home, make, words):
    make(hub.host)
    fails(*words, str(hub.file.parent))
    assert left(home) == []
    assert list(hub.file.parent.iterdir()) == []


def test_torchvision_with_a_full_disk(hub, home, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(torch.hub, "download_url_to_file", full)
    fails("no space left", "TORCH_HOME")


def test_torchvision_progress_is_read_from_the_partial_file(hub, home, monkeypatch):
    monkeypatch.setattr(fetch, "_POLL", 0.01)
    seen = threading.Event()
    give = torch.hub.download_url_to_file

    def slowly(url, path, *arguments, **options):
        partial = Path(path + ".123.partial")
        partial.write_bytes(b"pre")
        assert seen.wait(10)
        partial.unlink()
        give(url, path, *arguments, **options)

    monkeypatch.setattr(torch.hub, "download_url_to_file", slowly)
    events = []
    fetch_model("tiny", callback=lambda e: (events.append(e), isinstance(e, Download) and seen.set()))
    assert Download("tiny", 3, hub.source.size) in events


@pytest.fixture
def both(hub, made, monkeypatch) -> SimpleNamespace:
    """A network that lies in an archive which nobody can fetch, and with torchvision."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(hub.host.parent))
    monkeypatch.setitem(
        registry.MODELS, "tiny", dataclasses.replace(registry.MODELS["tiny"], member=made.deep, hub=hub.source)
    )
    return hub


def test_torchvision_stands_in_for_an_index_out_of_reach_and_says_so(both, home):
    events = []
    loaded = load_weights("tiny", callback=events.append)
    assert loaded.origin == str(both.file)
    warnings = [event.text for event in events if isinstance(event, Message) and event.kind == "warning"]
    assert len(warnings) == 1
    assert "can't fetch tiny from tiny-arrays==1.0" in warnings[0]
    assert warnings[0].endswith("taking the same network from torchvision")


def test_neither_the_index_nor_torchvision(both, home):
    both.host.unlink()
    fails("can't fetch tiny from tiny-arrays==1.0", "torchvision can't fetch", "check the network")
    assert left(home) == []

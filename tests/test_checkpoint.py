"""Checkpoints on disk: whole or not at all, and only for the run that wrote them."""

from __future__ import annotations

import errno
import os

import pytest
import torch

from photostyle.errors import OutputError, UsageError
from photostyle.solvers.checkpoint import load_checkpoint, save_checkpoint

STATE = {"stage": 1, "level": {"x": torch.arange(6.0).reshape(2, 3)}, "notes": ["a"], "elapsed": 0.5, "previous": None}


def test_round_trip(tmp_path):
    path = tmp_path / "a.checkpoint"
    save_checkpoint(path, "f", STATE)
    found = load_checkpoint(path, "f")
    assert torch.equal(found["level"].pop("x"), STATE["level"]["x"])
    assert found == {**STATE, "level": {}}
    assert [file.name for file in tmp_path.iterdir()] == ["a.checkpoint"]


def test_a_missing_one(tmp_path):
    with pytest.raises(UsageError, match=r"nothing to resume: .*gone.*run without --resume"):
        load_checkpoint(tmp_path / "gone", "f")


def test_one_of_another_run(tmp_path):
    save_checkpoint(tmp_path / "a", "f", STATE)
    with pytest.raises(UsageError, match="other pictures, masks, weights or options"):
        load_checkpoint(tmp_path / "a", "g")


def test_one_of_another_format(tmp_path, monkeypatch):
    monkeypatch.setattr("photostyle.solvers.checkpoint._FORMAT", 1)
    save_checkpoint(tmp_path / "a", "f", STATE)
    monkeypatch.undo()
    with pytest.raises(UsageError, match=r"vgg16 is now named hed.* run without --resume, with --backbone hed"):
        load_checkpoint(tmp_path / "a", "f")


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "flipped", "list", "object"])
def test_a_damaged_one(tmp_path, damage):
    path = tmp_path / "a"
    save_checkpoint(path, "f", STATE)
    data = path.read_bytes()
    if damage == "list":
        torch.save([1, 2], path)
    elif damage == "object":
        torch.save({"format": 2, "fingerprint": "f", "state": errno}, path, pickle_module=_Reckless)
    else:
        flipped = bytearray(data)
        flipped[data.index(STATE["level"]["x"].numpy().tobytes()) + 3] ^= 16  # a number of the picture
        path.write_bytes({"empty": b"", "cut": data[:-100], "text": b"hello\n" * 50, "flipped": bytes(flipped)}[damage])
    with pytest.raises(OutputError, match=r"is damaged .* delete it and run without --resume") as caught:
        load_checkpoint(path, "f")
    assert "\n" not in str(caught.value)


class _Reckless:
    """A pickle that would run code when loaded: it must not be."""

    import pickle

    class Pickler(pickle.Pickler):
        def reducer_override(self, obj):
            if obj is errno:
                return os.system, ("exit 0",)
            return NotImplemented

    dumps, dump, load, loads, Unpickler = pickle.dumps, pickle.dump, pickle.load, pickle.loads, pickle.Unpickler
    HIGHEST_PROTOCOL = pickle.HIGHEST_PROTOCOL


def test_a_full_disk_leaves_the_older_one(tmp_path, monkeypatch):
    path = tmp_path / "a"
    save_checkpoint(path, "f", STATE)
    before = path.read_bytes()

    def full(_number):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        save_checkpoint(path, "f", {**STATE, "stage": 2})
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_a_folder_that_is_gone(tmp_path):
    with pytest.raises(OutputError):
        save_checkpoint(tmp_path / "gone" / "a", "f", STATE)

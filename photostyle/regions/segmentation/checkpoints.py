"""Where a segmenter's weights come from: packaged, the model hub by smp's own interface, or the user's checkpoint."""

from __future__ import annotations

import hashlib
import json
import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from photostyle.errors import PhotostyleError, UsageError, WeightsError
from photostyle.networks.cache import check_pin, is_offline, pinned, sha256_of
from photostyle.networks.registry import PREPROCESSINGS
from photostyle.progress import Callback, Message, ignore
from photostyle.regions.segmentation.entries import (
    SEGMENTERS,
    LabelTable,
    SegmenterEntry,
    label_table,
    read_label_table,
    read_table,
    segmenter_entry,
)
from photostyle.regions.segmentation.network import Network, build_model

_TABLE = "labels.toml"
_LONGEST = 512
_HUB_FILES = ("config.json", "model.safetensors")
_SAVE = "save it with smp's model.save_pretrained(FOLDER), which writes config.json and model.safetensors"


def identify(name: str) -> str:
    """Give what a segmenter is known by without loading it: changes whenever its weights, table or size may have."""
    path = _path_of(name)
    parts: tuple[object, ...]
    if path is None:
        entry = segmenter_entry(name)
        parts = (entry.sha256 or entry.repository, entry.table, entry.longest, entry.preprocessing)
    else:
        files = [path / file for file in (*_HUB_FILES, _TABLE)] if path.is_dir() else [path]
        parts = tuple((file.name, hashlib.sha256(_read(file)).hexdigest()) for file in files if file.is_file())
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def load_network(name: str, *, offline: bool = False, callback: Callback = ignore) -> Network:
    """Load a segmenter."""
    path = _path_of(name)
    if path is None:
        entry = segmenter_entry(name)
        return _packaged(entry) if not entry.repository else _from_hub(entry, offline, callback)
    if path.is_dir():
        table = _table_of(path)
        settings = read_table(table)
        preprocessing, longest = settings.get("preprocessing", "torchvision"), settings.get("longest", _LONGEST)
        _check_settings(table, preprocessing, longest)
        return _from_folder(path, str(path), read_label_table(table), longest, preprocessing)
    return _from_file(path)


def _path_of(name: str) -> Path | None:
    """Tell a path from a name of the registry, which goes before a file of the same name."""
    if name in SEGMENTERS:
        return None
    try:
        path = Path(name).expanduser()
        there = path.exists()
    except (OSError, RuntimeError, ValueError) as error:  # too long, not to be searched, of nobody
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"--segmenter is {name[:200]!r}, which is no path ({reason}): check it") from error
    if there:
        return path
    if any(sign in name for sign in ("/", os.sep, ".")):
        raise UsageError(f"--segmenter is {name!r}, but there is no such file or folder: check the path")
    return None


def _packaged(entry: SegmenterEntry) -> Network:
    data = _read(entry.file)
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != entry.sha256:
        raise WeightsError(
            f"{entry.file} is altered or cut off (found {len(data)} bytes, SHA-256 {sha256}, expected {entry.sha256}): "
            "install photostyle again"
        )
    tensors, _ = _parse(data, entry.file)
    model = build_model(entry.architecture, entry.encoder, len(entry.table.classes))
    _fill(model, tensors, str(entry.file))
    return _network(entry.name, model, entry.table, entry.preprocessing, entry.longest, sha256)


def _from_file(path: Path) -> Network:
    """Load a single file of our own training: its metadata say what it is."""
    if path.suffix.lower() != ".safetensors":
        raise WeightsError(
            f"segmenter {path} is no .safetensors file; a pickled checkpoint is never opened, since it may run code, "
            f"and a bare state dict doesn't say its architecture: {_SAVE}"
        )
    data = _read(path)
    tensors, metadata = _parse(data, path)
    try:
        table = label_table(path.name, json.loads(metadata["labels"]))
        architecture, encoder = metadata["architecture"], metadata["encoder"]
        preprocessing, longest = metadata["preprocessing"], int(metadata["longest"])
    except (KeyError, ValueError) as error:
        raise WeightsError(
            f"{path} doesn't say what it is (metadata found: {', '.join(sorted(metadata)) or 'none'}; expected: "
            f"architecture, encoder, labels, preprocessing, longest): {_SAVE}"
        ) from error
    _check_settings(path, preprocessing, longest)
    model = build_model(architecture, encoder, len(table.classes))
    _fill(model, tensors, str(path))
    return _network(str(path), model, table, preprocessing, longest, hashlib.sha256(data).hexdigest())


def _check_settings(path: Path, preprocessing: Any, longest: Any) -> None:
    if (
        not isinstance(preprocessing, str)
        or preprocessing not in PREPROCESSINGS
        or not isinstance(longest, int)
        or not 32 <= longest <= 4096
    ):
        raise WeightsError(
            f"{path} names the preprocessing {preprocessing!r} and the longest side {longest}; allowed are "
            f"{', '.join(PREPROCESSINGS)}, and 32 to 4096 pixels"
        )


def _from_hub(entry: SegmenterEntry, offline: bool, callback: Callback) -> Network:
    """Let smp load a network of the hub, from the hub's own cache if it is there."""
    import huggingface_hub

    weights = f"{entry.repository}/{_HUB_FILES[1]}"
    commit = pinned(f"commit of {weights}")
    cached = [huggingface_hub.try_to_load_from_cache(entry.repository, file, revision=commit) for file in _HUB_FILES]
    if not all(isinstance(file, str) for file in cached):
        if is_offline(offline):
            raise WeightsError(
                f"segmenter {entry.name} ({entry.repository}) is not in the hub's cache and photostyle is offline: "
                "run once without --offline, take --segmenter outdoor, which needs no network, or give a label map"
            )
        callback(Message(f"fetching segmenter {entry.name} ({entry.repository}) from the model hub", kind="wait"))
        cached = [_fetch(entry, file, commit) for file in _HUB_FILES]
    folder = Path(str(cached[0])).parent
    check_pin(weights, sha256_of(folder / _HUB_FILES[1]), callback)
    if commit is None and re.fullmatch("[0-9a-f]{40}", folder.name):  # the hub's cache has a folder for each commit
        check_pin(f"commit of {weights}", folder.name, callback)
    return _from_folder(folder, entry.name, entry.table, entry.longest, entry.preprocessing)


def _fetch(entry: SegmenterEntry, file: str, commit: str | None) -> str:
    import huggingface_hub

    try:
        return str(huggingface_hub.hf_hub_download(entry.repository, file, revision=commit))
    except Exception as error:  # the hub's client raises errors of several libraries
        raise WeightsError(
            f"can't fetch segmenter {entry.name} ({entry.repository}/{file}) from the model hub "
            f"({type(error).__name__}: {' '.join(str(error).split())[:120]}): check the network, take --segmenter "
            "outdoor, which needs none, or give a label map with --content-mask and --style-mask"
        ) from error


def _from_folder(folder: Path, name: str, table: LabelTable, longest: int, preprocessing: str) -> Network:
    """Load what smp's ``save_pretrained`` wrote, through smp's ``from_pretrained``."""
    config_file, weights = (folder / file for file in _HUB_FILES)
    for file in (config_file, weights):
        if not file.is_file():
            there = ", ".join(sorted(each.name for each in folder.iterdir())) or "nothing"
            raise WeightsError(
                f"segmenter folder {folder} has no {file.name} (found: {there}); a pickled checkpoint is never "
                f"opened, since it may run code: {_SAVE}"
            )
    import segmentation_models_pytorch as smp

    data = _read(weights)
    _parse(data, weights)
    try:
        config: dict[str, Any] = json.loads(config_file.read_text(encoding="utf-8"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # about names that smp would rather have
            model: nn.Module = smp.from_pretrained(str(folder), encoder_weights=None)
    except PhotostyleError:
        raise
    except Exception as error:  # whatever smp stumbles over, the checkpoint is none of its own
        raise WeightsError(
            f"segmenter {folder} is no checkpoint of segmentation-models-pytorch "
            f"({type(error).__name__}: {' '.join(str(error).split())[:160]}): {_SAVE}"
        ) from error
    classes = config.get("classes")
    if classes != len(table.classes):
        raise WeightsError(
            f"segmenter {folder} has {classes} classes, but its table lists {len(table.classes)}: mend [classes]"
        )
    digest = hashlib.sha256(data)
    digest.update(repr((table, config)).encode())
    return _network(name, model, table, preprocessing, longest, digest.hexdigest())


def _table_of(folder: Path) -> Path:
    path = folder / _TABLE
    if not path.is_file():
        raise WeightsError(
            f'segmenter folder {folder} has no {_TABLE}, which says what its classes mean: write labels = ["sky", …] '
            'and under [classes] a line CLASS = "LABEL" for each class in the network\'s order'
        )
    return path


def _network(name: str, model: nn.Module, table: LabelTable, preprocessing: str, longest: int, sha256: str) -> Network:
    model = model.eval().to(memory_format=torch.channels_last)
    return Network(
        name, table.labels, model, torch.from_numpy(table.merge()), PREPROCESSINGS[preprocessing], longest, sha256
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WeightsError(f"can't read segmenter {path}: {error.strerror or error}") from error


def _parse(data: bytes, path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load(data)
        length = int.from_bytes(data[:8], "little")
        metadata: dict[str, str] = json.loads(data[8 : 8 + length]).get("__metadata__") or {}
    except Exception as error:  # whatever the parser stumbles over, the file is damaged or something else
        raise WeightsError(
            f"segmenter {path} is no sound safetensors file ({' '.join(str(error).split())[:120]}): {_SAVE}"
        ) from error
    return tensors, metadata


def _fill(model: nn.Module, tensors: Mapping[str, Tensor], name: str) -> None:
    """Put the tensors into a model; they must be exactly its own, of the same shapes."""
    own = model.state_dict()
    lacking, unknown = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
    other = [key for key in own.keys() & tensors.keys() if own[key].shape != tensors[key].shape]
    if lacking or unknown or other:
        raise WeightsError(
            f"segmenter {name} is of the wrong kind: {len(lacking)} tensors are missing ({', '.join(lacking[:1])}), "
            f"{len(unknown)} are unknown ({', '.join(unknown[:1])}), {len(other)} have another shape: give a "
            "checkpoint of the architecture that it names"
        )
    model.load_state_dict({key: t.to(own[key].dtype) if t.is_floating_point() else t for key, t in tensors.items()})

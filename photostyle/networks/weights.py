"""Weights by the name of a registered network or from a file of one's own; always verified.

A registered network is checked on every load: its file against the registry's SHA-256, and the tensors that come out of
it. A file of one's own is checked as well as it can be: the hash that torch hub writes into file names, the checksums
inside a .pth archive, and numbers that must be finite.
"""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from photostyle.errors import UsageError, WeightsError
from photostyle.images.guard import one_line
from photostyle.networks.cache import check_pin, digits_in, sha256_of
from photostyle.networks.convert import canonical, content_sha256, from_flax, from_keras, plain_state_dict
from photostyle.networks.fetch import altered, find_model, inspect, verified_file
from photostyle.networks.registry import MODELS, PREPROCESSINGS, Model, Preprocessing, model_entry
from photostyle.progress import Callback, ignore

_SUFFIXES = (".safetensors", ".pth", ".pt")


@dataclass(frozen=True)
class Weights:
    """Verified weights of a VGG, or of the AlexNet of LPIPS.

    ``name`` is the registered one or the file's path, ``tensors`` are float32 on the CPU and named as
    :mod:`photostyle.networks.convert` says, ``sha256`` and ``origin`` are those of the file that was loaded.
    """

    name: str
    architecture: str
    tensors: dict[str, Tensor]
    preprocessing: Preprocessing
    sha256: str
    origin: str


@dataclass(frozen=True)
class ModelStatus:
    """How a registered network stands on this machine.

    ``state`` is "ready", "missing" or "altered", and ``detail`` says what to run, or what was found and expected.
    """

    name: str
    architecture: str
    licence: str
    description: str
    size: int
    state: str
    path: str | None
    detail: str


def load_weights(
    name_or_path: str | os.PathLike[str],
    *,
    preprocessing: str | None = None,
    offline: bool = False,
    callback: Callback = ignore,
) -> Weights:
    """Load and verify weights; a registered network that no cache has is fetched first.

    A file is anything with a path separator or one of the suffixes .safetensors, .pth and .pt; everything else is a row
    of the registry. The preprocessing is by default what the registry or the file itself says, else "torchvision".
    """
    if preprocessing is not None and preprocessing not in PREPROCESSINGS:
        raise UsageError(f"unknown preprocessing {preprocessing!r}: use one of {', '.join(PREPROCESSINGS)}")
    text = os.fspath(name_or_path)
    separators = [separator for separator in ("/", os.sep, os.altsep) if separator]
    if any(separator in text for separator in separators) or text.lower().endswith(_SUFFIXES):
        return _load_file(Path(text).expanduser(), preprocessing)
    model = model_entry(text)
    path, sha256 = verified_file(model, offline=offline, callback=callback)
    tensors = _read_model(model, path)
    if model.hub and path.name == model.hub.file:
        check_pin(path.name, sha256, callback)
    used = PREPROCESSINGS[preprocessing or model.preprocessing]
    return Weights(model.name, model.architecture, tensors, used, sha256, str(path))


def _read_model(model: Model, path: Path) -> dict[str, Tensor]:
    """Read the tensors of a verified file, which must be the same from whichever source it is."""
    if path.suffix == ".pth":
        tensors = canonical(_parse_pth(path, checksums=False), str(path))[1]
    else:
        tensors = {".ckpt": from_flax, ".h5": from_keras}[path.suffix](path, model.architecture)
    if model.content_sha256 is not None and (found := content_sha256(tensors)) != model.content_sha256:
        raise altered(model, path, f"its tensors have the content hash {found}, expected {model.content_sha256}")
    return tensors


def read_state_dict(path: Path) -> tuple[dict[str, Tensor], dict[str, str], str]:
    """Read a .safetensors, .pth or .pt file with any state dict, verified as well as it can be.

    Tensors, on the CPU and as they are stored, the metadata of a .safetensors file, and the SHA-256 come back.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise WeightsError(f"{path} is no weights file: expected the suffix {', '.join(_SUFFIXES)}")
    if not path.exists():
        raise WeightsError(f"weights file {path} does not exist: check the path")
    if path.is_dir():
        raise WeightsError(f"{path} is a folder: give a .safetensors, .pth or .pt file")
    try:
        if path.stat().st_size == 0:
            raise WeightsError(f"{path} is empty (0 bytes): fetch it again")
        sha256, digits = sha256_of(path), digits_in(path.name)
        if digits and not sha256.startswith(digits):
            raise WeightsError(
                f"{path} is altered or cut off (found SHA-256 {sha256}, its name says {digits}…): fetch it again"
            )
        safe = path.suffix.lower() == ".safetensors"
        tensors, metadata = _parse_safetensors(path) if safe else (_parse_pth(path, checksums=not digits), {})
    except OSError as error:
        raise WeightsError(f"can't read {path}: {error.strerror or error}") from error
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise WeightsError(f"{path}: {name} holds NaN or infinite numbers, so the file is damaged: fetch it again")
    return tensors, metadata, sha256


def verify_model(name: str) -> ModelStatus:
    """Check a registered network in the cache against its full SHA-256; nothing is fetched or raised."""
    model = model_entry(name)
    path = find_model(model)
    state, detail = "missing", f"run `photostyle models fetch {name}`"
    if path is not None:
        detail = inspect(model, path)[1]
        state = "altered" if detail else "ready"
    found = None if path is None else str(path)
    return ModelStatus(name, model.architecture, model.licence, model.description, model.size, state, found, detail)


def list_models() -> list[ModelStatus]:
    """Give the state of every registered network, each verified."""
    return [verify_model(name) for name in MODELS]


def _load_file(path: Path, preprocessing: str | None) -> Weights:
    found, metadata, sha256 = read_state_dict(path)
    architecture, tensors = canonical(found, str(path))
    used = preprocessing or metadata.get("preprocessing", "torchvision")
    if used not in PREPROCESSINGS:
        raise WeightsError(
            f"{path} names the preprocessing {used!r}, known are {', '.join(PREPROCESSINGS)}: "
            "choose one of these by option"
        )
    if metadata.get("architecture") == "vgg19" and len(tensors) <= 2 * 7:  # cut before the two architectures part
        architecture = "vgg19"
    return Weights(str(path), architecture, tensors, PREPROCESSINGS[used], sha256, str(path))


def _parse_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    data = path.read_bytes()
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load(data)
        length = int.from_bytes(data[:8], "little")
        metadata: dict[str, str] = json.loads(data[8 : 8 + length]).get("__metadata__") or {}
    except Exception as error:  # whatever the parser stumbles over, the file is damaged
        raise WeightsError(f"{path} is no sound safetensors file ({one_line(error)}): fetch it again") from error
    expected = metadata.get("content_sha256")  # in the files that photostyle wrote before 0.2
    if expected is not None and (found := content_sha256(tensors)) != expected:
        raise WeightsError(
            f"{path} is altered (found the content hash {found}, its header says {expected}): fetch it again"
        )
    return plain_state_dict(tensors, str(path)), metadata


def _parse_pth(path: Path, *, checksums: bool) -> dict[str, Tensor]:
    try:
        if checksums and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if member := archive.testzip():
                    raise WeightsError(f"{path} is altered (the checksum of {member} is wrong): fetch it again")
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except WeightsError:
        raise
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} is damaged or holds Python objects beside tensors, which are never run: "
            "fetch it again, or save model.state_dict() alone"
        ) from error
    except Exception as error:  # a damaged archive or pickle can raise anything
        raise WeightsError(f"{path} is no sound PyTorch file ({one_line(error)}): fetch it again") from error
    return plain_state_dict(loaded, str(path))

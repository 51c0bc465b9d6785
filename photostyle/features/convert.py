"""State dicts of any layout → the one layout of this package, and its file.

Inside the package a VGG is ``conv1_1.weight``, ``conv1_1.bias``, …, float32, weights (out, in, 3, 3). Weights
that were trained as an edge detector keep its side outputs as ``hed.side1.weight``, …, ``hed.fuse.bias``.

The file is safetensors, written by hand: the library keeps metadata in a hash map, whose order differs from
run to run, while a converted file must be the same to the byte on every machine to be known by its SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor

from photostyle.errors import WeightsError
from photostyle.features.registry import ARCHITECTURES, layer_names

__all__ = ["canonical", "content_sha256", "from_keras", "plain_state_dict", "write_safetensors"]

_CHANNELS = (3, 64, 128, 256, 512, 512)  # of the input and of the five blocks
_WRAPPERS = ("state_dict", "model")
_CONV_KEY = re.compile(r"(?:features\.(\d+)|(conv\d_\d))\.(weight|bias)")


def plain_state_dict(loaded: object, path: str) -> dict[str, Tensor]:
    """Unwrap what ``torch.load`` gave: "state_dict" or "model" around it, "module." before each name.

    Parameters
    ----------
    loaded : object
        The content of a .pth file.
    path : str
        For the message.

    Returns
    -------
    dict of str to Tensor
        Its tensors; other values, such as an epoch, are left out.
    """
    for wrapper in _WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(wrapper), Mapping):
            loaded = loaded[wrapper]
    tensors: dict[str, Tensor] = {}
    if isinstance(loaded, Mapping):
        tensors = {str(k).removeprefix("module."): v for k, v in loaded.items() if isinstance(v, Tensor)}
    if not tensors:
        raise WeightsError(
            f"{path} holds no tensors by name (found {type(loaded).__name__}): save model.state_dict() instead"
        )
    return tensors


def canonical(tensors: Mapping[str, Tensor], path: str) -> tuple[str, dict[str, Tensor]]:
    """Recognise a VGG-16 or VGG-19 and rename its convolutions.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        Named ``features.N.weight`` (torchvision's order) or ``conv1_1.weight``; other tensors are left out,
        ``hed.*`` excepted. The network may end early, but must begin with conv1_1.
    path : str
        For the messages.

    Returns
    -------
    architecture : str
        "vgg16" or "vgg19"; "vgg16" for a network that ends before the two part.
    tensors : dict of str to Tensor
        float32, contiguous, in the order of the network.
    """
    found = {match: name for name in tensors if (match := _CONV_KEY.fullmatch(name))}
    if not found:
        raise _not_a_vgg(path, f"the names {_some(tensors)}")
    problem = ""
    for architecture in ARCHITECTURES:
        layers = layer_names(architecture)
        indices = _torchvision_indices(architecture)
        renamed: dict[str, Tensor] = {}
        for match, name in found.items():
            layer = match[2] or indices.get(int(match[1]), name)
            renamed[f"{layer}.{match[3]}"] = tensors[name]
        present = [layer for layer in layers if f"{layer}.weight" in renamed]
        wanted = [f"{layer}.{kind}" for layer in present for kind in ("weight", "bias")]
        if tuple(present) == layers[: len(present)] and present and set(renamed) == set(wanted):
            problem = _misfit(renamed, present)
            if not problem:
                extras = {k: tensors[k] for k in sorted(tensors) if k.startswith("hed.")}
                ordered = {**{k: renamed[k] for k in wanted}, **extras}
                return architecture, {k: _float32(k, v, path) for k, v in ordered.items()}
    raise _not_a_vgg(path, problem or f"the layers {_some(found.values())}")


def from_keras(path: Path, layers: Sequence[str]) -> dict[str, Tensor]:
    """Read the Keras file of Holistically-Nested Edge Detection.

    Parameters
    ----------
    path : Path
        An HDF5 file: ``block1/layers/conv2d_1/vars/0`` is the kernel (H, W, in, out) of conv1_2, ``…/1`` its
        bias; ``dsn1`` to ``dsn5`` are the side outputs and ``fuse`` weighs them.
    layers : sequence of str
        The convolutions to read.

    Returns
    -------
    dict of str to Tensor
        In this package's names.
    """
    tensors: dict[str, Tensor] = {}
    try:
        with h5py.File(path, "r") as file:
            groups = {layer: _keras_group(layer) for layer in layers}
            groups |= {f"hed.side{k}": f"dsn{k}" for k in range(1, 6) if f"dsn{k}" in file}
            groups |= {"hed.fuse": "fuse"} if "fuse" in file else {}
            for name, group in groups.items():
                kernel = np.asarray(file[f"{group}/vars/0"], dtype=np.float32)
                bias = np.asarray(file[f"{group}/vars/1"], dtype=np.float32)
                tensors[f"{name}.weight"] = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
                tensors[f"{name}.bias"] = torch.from_numpy(bias.copy())
    except (OSError, KeyError, ValueError) as error:
        raise WeightsError(f"{path.name} is not the Keras file that was expected ({error})") from error
    return tensors


def content_sha256(tensors: Mapping[str, Tensor]) -> str:
    """Hash names, types, shapes and bytes of tensors, whatever file they lie in."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Write float32 tensors as safetensors, sorted by name, the same bytes every time.

    Parameters
    ----------
    path : Path
        The new file.
    tensors : mapping of str to Tensor
        float32.
    metadata : mapping of str to str
        ``content_sha256`` is added to it.

    Returns
    -------
    str
        SHA-256 of the file.
    """
    header: dict[str, Any] = {
        "__metadata__": dict(sorted({**metadata, "content_sha256": content_sha256(tensors)}.items()))
    }
    end = 0
    for name in sorted(tensors):
        begin, end = end, end + 4 * tensors[name].numel()
        header[name] = {"dtype": "F32", "shape": list(tensors[name].shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    digest = hashlib.sha256()
    with path.open("xb") as file:
        for part in [len(text).to_bytes(8, "little"), text]:
            file.write(part)
            digest.update(part)
        for name in sorted(tensors):
            data = tensors[name].contiguous().numpy().astype("<f4", copy=False).tobytes()
            file.write(data)
            digest.update(data)
    return digest.hexdigest()


def _keras_group(layer: str) -> str:
    block, number = int(layer[4]), int(layer[6])
    return f"block{block}/layers/conv2d{'' if number == 1 else f'_{number - 1}'}"


def _torchvision_indices(architecture: str) -> dict[int, str]:
    """Map N of ``features.N`` to the layer: a ReLU follows each convolution, a pool each block."""
    pools = {name: int(name[4]) - 1 for name in layer_names(architecture)}
    return {2 * i + pools[name]: name for i, name in enumerate(layer_names(architecture))}


def _misfit(tensors: Mapping[str, Tensor], layers: Sequence[str]) -> str:
    """Say which tensor has the wrong shape, if one has."""
    inputs = _CHANNELS[0]
    for layer in layers:
        outputs = _CHANNELS[int(layer[4])]
        for kind, expected in (("weight", (outputs, inputs, 3, 3)), ("bias", (outputs,))):
            shape = tuple(tensors[f"{layer}.{kind}"].shape)
            if shape != expected:
                return f"{layer}.{kind} of shape {shape} where {expected} fits"
        inputs = outputs
    return ""


def _float32(name: str, tensor: Tensor, path: str) -> Tensor:
    if not tensor.is_floating_point():
        raise WeightsError(f"{path}: {name} has the type {tensor.dtype}, but weights are floating-point numbers")
    tensor = tensor.detach().to(device="cpu", dtype=torch.float32).contiguous()
    if not bool(torch.isfinite(tensor).all()):
        raise WeightsError(f"{path}: {name} holds NaN or infinite numbers, so the file is damaged: fetch it again")
    return tensor


def _not_a_vgg(path: str, found: str) -> WeightsError:
    return WeightsError(
        f"{path} is no VGG-16 or VGG-19 (found {found}): give a state dict named features.N.weight or "
        "conv1_1.weight, with weights and biases from conv1_1 on and without batch normalisation"
    )


def _some(names: Any) -> str:
    names = sorted(names)
    return ", ".join(map(repr, names[:4])) + (f" and {len(names) - 4} more" if len(names) > 4 else "")

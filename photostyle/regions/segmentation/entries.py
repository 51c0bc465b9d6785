"""The registered segmenters, one row each, and the tables that merge classes to labels."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photostyle.errors import UsageError, WeightsError
from photostyle.networks import registry


@dataclass(frozen=True)
class LabelTable:
    """Which label each class of a network counts as.

    Attributes
    ----------
    labels : tuple of str
        K labels; a label map's index is the place in here.
    classes : tuple of (class, label)
        C classes of the network, in the order of its outputs.
    """

    labels: tuple[str, ...]
    classes: tuple[tuple[str, str], ...]

    def merge(self) -> NDArray[np.float32]:
        """Give the matrix, shape (K, C), that sums the probabilities of classes to those of labels."""
        matrix = np.zeros((len(self.labels), len(self.classes)), dtype=np.float32)
        for index, (_, label) in enumerate(self.classes):
            matrix[self.labels.index(label), index] = 1
        return matrix


@dataclass(frozen=True)
class SegmenterEntry:
    """One row.

    Attributes
    ----------
    name, description, licence, origin : str
        For people; NAME.md in the models folder is the model card.
    longest : int
        Longest side, in pixels, at which the network looks at a picture.
    preprocessing : str
        A key of :data:`photostyle.networks.registry.PREPROCESSINGS`.
    labels : tuple of str
        Where the network's classes are its labels: in the order of its outputs. A map's index is the place in here.
    architecture, encoder, sha256 : str
        Of a packaged network, NAME.safetensors in the models folder; as segmentation-models-pytorch calls them.
    repository : str
        The name on the model hub of one that isn't packaged; NAME.toml in the models folder says what its classes mean.
    """

    name: str
    description: str
    licence: str
    origin: str
    longest: int
    preprocessing: str
    labels: tuple[str, ...] = ()
    architecture: str = ""
    encoder: str = ""
    sha256: str = ""
    repository: str = ""

    @property
    def table(self) -> LabelTable:
        """Its classes and labels."""
        if self.repository:
            return read_label_table(registry.models_folder() / f"{self.name}.toml")
        return LabelTable(self.labels, tuple((label, label) for label in self.labels))

    @property
    def file(self) -> Path:
        """The packaged file."""
        return registry.models_folder() / f"{self.name}.safetensors"


_ROWS = (
    SegmenterEntry(
        name="outdoor",
        description="EfficientNet-Lite2 FPN for outdoor scenes, trained by photostyle",
        licence="research only",
        origin="scripts/train_segmenter.py on MSRC v2, LabelMeFacade and CamVid, from ImageNet weights (Apache-2.0)",
        longest=512,
        preprocessing="half",
        labels=(
            *("sky", "building", "vegetation", "mountain", "water"),
            *("ground", "person", "animal", "vehicle", "object"),
        ),
        architecture="FPN",
        encoder="timm-tf_efficientnet_lite2",
        sha256="8424b4bd586ce5249ff6d56015b70f6c8a2f4548436f634032ade753d4212215",
    ),
    SegmenterEntry(
        name="ade20k",
        description="SegFormer B3 of smp's hub, ADE20K at 512 pixels",
        licence="see the hub's page (NVIDIA source code licence, non-commercial)",
        origin="smp-hub, converted from the authors' release (Xie et al. 2021)",
        longest=512,
        preprocessing="torchvision",
        repository="smp-hub/segformer-b3-512x512-ade-160k",
    ),
)
SEGMENTERS: dict[str, SegmenterEntry] = {row.name: row for row in _ROWS}
"""The registered segmenters by name."""


def segmenter_entry(name: str) -> SegmenterEntry:
    """Look a segmenter up by its name; an unknown name is a `UsageError` that lists the known ones."""
    if name not in SEGMENTERS:
        raise UsageError(
            f"--segmenter is {name!r}, but must be one of {', '.join(SEGMENTERS)}, or the PATH of a checkpoint: a "
            "folder that smp's save_pretrained wrote, with a labels.toml, or a .safetensors file of "
            "scripts/train_segmenter.py"
        )
    return SEGMENTERS[name]


def read_table(path: Path) -> dict[str, Any]:
    """Read a file of a table as plain data; a `WeightsError` if it is missing or no TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WeightsError(
            f"can't read the table of labels {path} ({error.strerror or error}): check the file"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WeightsError(f"the table of labels {path} is not valid TOML ({error}): mend it") from error


def read_label_table(path: Path) -> LabelTable:
    """Read a table: ``labels = [...]`` and ``[classes]``, each class in the network's order = its label."""
    document = read_table(path)
    labels, classes = document.get("labels"), document.get("classes")
    return _table(path.name, labels, classes.items() if isinstance(classes, dict) else None)


def label_table(name: str, labels: Any) -> LabelTable:
    """Make the table of a network whose classes are the labels; ``name`` is for messages."""
    return _table(name, labels, [(label, label) for label in labels] if isinstance(labels, list) else None)


def _table(name: str, labels: Any, classes: Any) -> LabelTable:
    if not isinstance(labels, list) or not labels or not all(isinstance(label, str) and label for label in labels):
        raise WeightsError(f"{name}: labels is {labels!r}, but must be a list of names")
    if len(set(labels)) < len(labels) or len(labels) > 64:
        raise WeightsError(f"{name}: labels holds {len(labels)} names, but must be 64 different ones at most")
    pairs = tuple(classes or ())
    if not pairs:
        raise WeightsError(f"{name}: no [classes] found: list each class of the network in its order, CLASS = LABEL")
    for each, label in pairs:
        if label not in labels:
            raise WeightsError(f"{name}: class {each!r} has the label {label!r}, which is not among {labels}")
    return LabelTable(tuple(labels), pairs)

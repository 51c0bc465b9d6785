"""The registered segmenters: rows [segmenter.NAME] of the registry, and the tables that merge classes to labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photostyle.errors import UsageError, WeightsError
from photostyle.features import registry
from photostyle.features.rows import Row, read_rows, read_toml

__all__ = ["LabelTable", "SegmenterEntry", "label_table", "load_segmenters", "read_label_table", "segmenter_entry"]


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
    """One row of the registry.

    Attributes
    ----------
    name, description, licence, origin, card : str
        For people; `card` is the file name of the model card.
    architecture, encoder : str or None
        As segmentation-models-pytorch calls them; None for a network of the hub, which says so itself.
    table : LabelTable
        Its classes and labels.
    longest : int
        Longest side, in pixels, at which the network looks at a picture.
    preprocessing : str
        A key of :data:`photostyle.features.registry.PREPROCESSINGS`.
    file : Path or None
        A packaged safetensors file.
    sha256 : str or None
        Of that file.
    repository : str or None
        Its name on the model hub, where it isn't packaged.
    """

    name: str
    description: str
    licence: str
    origin: str
    card: str
    architecture: str | None
    encoder: str | None
    table: LabelTable
    longest: int
    preprocessing: str
    file: Path | None
    sha256: str | None
    repository: str | None


def load_segmenters() -> dict[str, SegmenterEntry]:
    """Read the rows.

    Returns
    -------
    dict of str to SegmenterEntry
        In the order of the file.

    Raises
    ------
    WeightsError
        If a row or a table is not as it should be; the message names the row and the field.
    """
    rows = read_rows(registry.registry_document(), "segmenter")
    return {name: _entry(name, row) for name, row in rows.items()}


def segmenter_entry(name: str) -> SegmenterEntry:
    """Look a segmenter up by its name; an unknown name is a `UsageError` that lists the known ones."""
    entries = load_segmenters()
    if name not in entries:
        raise UsageError(
            f"--segmenter is {name!r}, but must be one of {', '.join(entries)}, or the PATH of a checkpoint: a "
            "folder that smp's save_pretrained wrote, with a labels.toml, or a .safetensors file of "
            "scripts/train_segmenter.py"
        )
    return entries[name]


def read_label_table(path: Path) -> LabelTable:
    """Read a table: ``labels = [...]`` and ``[classes]``, each class in the network's order = its label.

    Raises
    ------
    WeightsError
        If the file can't be read, or a class has a label that ``labels`` doesn't list.
    """
    document = read_toml(path, "the table of labels", "check the file")
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


def _entry(name: str, row: Row) -> SegmenterEntry:
    folder = registry.models_folder()
    hub = "repository" in row
    if "table" in row:
        table = read_label_table(folder / row.text("table"))
    else:
        table = label_table(f"registry.toml, row [segmenter.{name}]", row.take("labels", list))
    entry = SegmenterEntry(
        name=name,
        architecture=None if hub else row.text("architecture"),
        encoder=None if hub else row.text("encoder"),
        table=table,
        longest=row.count("longest"),
        preprocessing=row.choice("preprocessing", tuple(registry.PREPROCESSINGS)),
        file=None if hub else folder / row.text("file"),
        sha256=None if hub else row.digest("sha256"),
        repository=row.text("repository") if hub else None,
        **{field: row.text(field) for field in ("licence", "origin", "description", "card")},
    )
    return row.done(entry)

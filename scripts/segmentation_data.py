"""The labelled photographs that the packaged segmenter learns from: read, mapped to our labels, split by scene.

Three research sets, each a folder ``images`` (JPEG) and ``labels`` (PNG, one index a pixel, 255 = void), with the
names of the indices in ``labels.json``: MSRC v2, LabelMeFacade, CamVid. None of their pictures is part of photostyle.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["LABELS", "MAIN_LABELS", "SETS", "VOID", "Photograph", "confusion", "iou", "read_set", "split"]

LABELS = ("sky", "building", "vegetation", "mountain", "water", "ground", "person", "animal", "vehicle", "object")
MAIN_LABELS = ("sky", "building", "vegetation", "water", "ground")
VOID = 255

_NAMES = {
    "sky": "sky",
    "building": "building facade:door facade:window",
    "vegetation": "grass tree flower vegetation",
    "mountain": "mountain",
    "water": "water",
    "ground": "road pavement",
    "person": "face body pedestrian bicyclist",
    "animal": "cow horse sheep bird cat dog",
    "vehicle": "aeroplane car bicycle boat",
    "object": "sign book chair pole fence",
}
_OURS = {name.split(":")[-1]: label for label, names in _NAMES.items() for name in names.split()}
_HELD_BACK_DRIVE = "0006R0"

SETS = ("msrc", "facade", "camvid")


@dataclass(frozen=True)
class Photograph:
    """A photograph and its labels.

    Attributes
    ----------
    name : str
        "set/stem".
    rgb : ndarray of uint8, shape (H, W, 3)
    labels : ndarray of uint8, shape (H, W)
        Indices into `LABELS`; `VOID` where nobody said.
    """

    name: str
    rgb: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    @property
    def set(self) -> str:
        """The set that it belongs to."""
        return self.name.split("/")[0]


def read_set(folder: Path, name: str) -> list[Photograph]:
    """Read all photographs of a set with our labels; a name that `LABELS` has no place for is an error."""
    names: list[str] = json.loads((folder / "labels.json").read_text(encoding="utf-8"))[name]
    table = np.full(256, VOID, dtype=np.uint8)
    table[: len(names)] = [LABELS.index(_OURS[each]) for each in names]
    result = []
    for path in sorted((folder / name / "images").glob("*.jpg")):
        with Image.open(path) as image, Image.open(folder / name / "labels" / f"{path.stem}.png") as labels:
            rgb, index = np.asarray(image.convert("RGB")), np.asarray(labels)
        if rgb.shape[:2] != index.shape:
            raise SystemExit(f"{path} is {rgb.shape[:2]} but its labels are {index.shape}")
        result.append(Photograph(f"{name}/{path.stem}", rgb, table[index]))
    if not result:
        raise SystemExit(
            f"{folder / name / 'images'} holds no .jpg file: --data must name the folder of the three sets"
        )
    return result


def split(photographs: Sequence[Photograph], share: float = 0.2) -> tuple[list[Photograph], list[Photograph]]:
    """Split into training and validation by scene, as far as the names tell scenes.

    CamVid by drive: one of three is held back. Of each group of MSRC and each larger place of LabelMeFacade, the last
    ``share`` of the photographs is held back, so that neighbours in time part only at one cut; a street may still be on
    both sides of it. A place with fewer than five photographs is a scene of its own, and every fifth of these is held
    back whole.
    """
    groups: dict[str, list[Photograph]] = defaultdict(list)
    for photograph in photographs:
        groups[_group(photograph.name)].append(photograph)
    training: list[Photograph] = []
    validation: list[Photograph] = []
    small = 0
    for group, members in sorted(groups.items()):
        members = sorted(members, key=lambda p: [int(n) for n in re.findall(r"\d+", p.name)])
        if group.startswith("camvid"):
            (validation if group.endswith(_HELD_BACK_DRIVE) else training).extend(members)
        elif len(members) < 5:
            small += 1
            (training if small % round(1 / share) else validation).extend(members)
        else:
            cut = len(members) - round(share * len(members))
            training += members[:cut]
            validation += members[cut:]
    return training, validation


def _group(name: str) -> str:
    kind, stem = name.split("/")
    if kind == "camvid":
        return f"camvid/{stem.split('_')[1]}"
    return f"{kind}/{stem.split('__')[0] if kind == 'facade' else stem.split('_')[0]}"


def confusion(truth: NDArray[np.uint8], found: NDArray[np.integer]) -> NDArray[np.int64]:
    """Count pixels by true label (row) and found label (column); void is left out."""
    known, count = truth != VOID, len(LABELS)
    pairs = truth[known].astype(np.int64) * count + found[known].astype(np.int64)
    return np.bincount(pairs, minlength=count * count).reshape(count, count)


def iou(matrix: NDArray[np.int64], labels: Iterable[str] = LABELS) -> dict[str, float]:
    """Intersection over union of each label that occurs in a confusion matrix."""
    both = np.diag(matrix)
    either = matrix.sum(0) + matrix.sum(1) - both
    return {
        label: float(both[i] / either[i]) for label in labels if matrix[i := LABELS.index(label)].sum() and either[i]
    }

"""Toy segmenters: small smp networks with random weights, in each of the forms in which one may come."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import segmentation_models_pytorch as smp
import torch
from safetensors.torch import save_file

from photostyle.images import Picture
from photostyle.networks import registry
from photostyle.regions.labels import LabelMasks
from photostyle.regions.segmentation import Segmentation, entries
from photostyle.regions.segmentation.trust import Trust

ARCHITECTURE, ENCODER = "Linknet", "timm-mobilenetv3_small_minimal_100"


def network(classes: int, seed: int = 0, channels: int = 3) -> torch.nn.Module:
    """A small network; its last layer is scaled up, so that its maps are not all of one label."""
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        model = smp.create_model(ARCHITECTURE, ENCODER, encoder_weights=None, classes=classes, in_channels=channels)
    with torch.no_grad():
        model.segmentation_head[0].weight *= 30
    return model.eval()


def folder(path: Path, labels: Sequence[str], table: str | None = None) -> Path:
    """What smp's own ``save_pretrained`` writes, with a table of labels."""
    network(len(labels)).save_pretrained(str(path))
    lines = [f"labels = {json.dumps(sorted(set(labels)))}", "[classes]"]
    lines += [f'class{index} = "{label}"' for index, label in enumerate(labels)]
    (path / "labels.toml").write_text(table if table is not None else "\n".join(lines))
    return path


def file(path: Path, names: Sequence[str], **changes: str | None) -> Path:
    """A single file with metadata, as the training script writes it."""
    metadata = {
        "architecture": ARCHITECTURE,
        "encoder": ENCODER,
        "labels": json.dumps(list(names)),
        "preprocessing": "half",
        "longest": "96",
    }
    metadata = {key: value for key, value in (metadata | changes).items() if value is not None}
    tensors = {key: tensor.contiguous() for key, tensor in network(len(names)).state_dict().items()}
    save_file(tensors, path, metadata=metadata)
    return path


def register(path: Path, name: str, labels: Sequence[str], monkeypatch) -> None:
    """Make such a file, NAME.safetensors, the only registered segmenter."""
    entry = entries.SegmenterEntry(
        name=name,
        description="a toy",
        licence="MIT",
        origin="tests",
        longest=96,
        preprocessing="half",
        labels=tuple(labels),
        architecture=ARCHITECTURE,
        encoder=ENCODER,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    monkeypatch.setattr(registry, "models_folder", lambda: path.parent)
    for known in reversed(list(entries.SEGMENTERS)):  # undone in the order that they had
        monkeypatch.delitem(entries.SEGMENTERS, known)
    monkeypatch.setitem(entries.SEGMENTERS, name, entry)


def found(picture: Picture, shares: dict[str, float], doubt: str = "") -> Segmentation:
    """A segmentation into columns of the given shares."""
    width, height = picture.size
    edges = np.round(np.cumsum([0, *shares.values()]) * width).astype(int)
    masks = np.zeros((len(shares), height, width), dtype=np.float32)
    for mask, left, right in zip(masks, edges, edges[1:], strict=False):
        mask[:, left:right] = 1
    return Segmentation(
        LabelMasks(tuple(shares), masks), tuple(shares), Trust(0.9, dict.fromkeys(shares, 0.9), doubt), "toy"
    )

"""Label maps between server and page: run lengths as text, and which style each label takes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photostyle.errors import RegionError

KEEP = -1
"""Stands for "keep as it is" where else the number of a style stands."""

_RUNS = re.compile(r"\d{1,8}x\d{1,3}(,\d{1,8}x\d{1,3})*")


@dataclass(frozen=True)
class Edits:
    """What was changed on the page.

    Attributes
    ----------
    label_map : ndarray of uint8, shape (H, W), or None
        The mended map; None where nothing was painted.
    choices : dict of str to int
        Label to the number of its style, from 0, or `KEEP`.
    """

    label_map: NDArray[np.uint8] | None = None
    choices: dict[str, int] = field(default_factory=dict)


def encode_runs(label_map: NDArray[np.uint8]) -> str:
    """Write a label map as COUNTxINDEX runs, row by row: "300x0,20x3"."""
    flat = label_map.ravel()
    starts = np.concatenate(([0], np.flatnonzero(np.diff(flat)) + 1))
    counts = np.diff(np.concatenate((starts, [flat.size])))
    return ",".join(f"{count}x{index}" for count, index in zip(counts.tolist(), flat[starts].tolist(), strict=True))


def decode_runs(text: str, size: tuple[int, int], labels: int) -> NDArray[np.uint8]:
    """Read what `encode_runs` wrote, or the page."""
    width, height = size
    if not _RUNS.fullmatch(text):
        raise RegionError("the label map from the page can't be read: load the page again")
    runs = np.array([part.split("x") for part in text.split(",")], dtype=np.int64)
    if runs[:, 0].sum() != width * height or runs[:, 1].max() >= labels:
        raise RegionError(
            f"the label map from the page doesn't fit the picture, {width}×{height} with {labels} labels: find the "
            "regions again"
        )
    return np.repeat(runs[:, 1].astype(np.uint8), runs[:, 0]).reshape(height, width)


def read_edits(text: str | None, version: str, size: tuple[int, int], labels: tuple[str, ...], styles: int) -> Edits:
    """Read what the page says of the regions: {"version": "…", "runs": "300x0,…" or null, "choices": {"sky": 0}}.

    What belongs to another version of the regions is ignored; choices of labels or styles that aren't there are left
    out.
    """
    if not text:
        return Edits()
    try:
        data: Any = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, Mapping) or not isinstance(data.get("choices", {}), Mapping):
        raise RegionError("what the page says of the regions can't be read: load the page again")
    if data.get("version") != version:
        return Edits()
    runs = data.get("runs")
    label_map = decode_runs(runs, size, len(labels)) if isinstance(runs, str) else None
    choices = {
        label: number
        for label, number in data.get("choices", {}).items()
        if label in labels and type(number) is int and KEEP <= number < styles
    }
    return Edits(label_map, choices)


def fitted(label_map: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Shrink a label map to at most `side` pixels, by nearest pixels."""
    height, width = label_map.shape
    share = min(1.0, side / max(width, height))
    size = (max(1, round(width * share)), max(1, round(height * share)))
    small = Image.fromarray(label_map).resize(size, Image.Resampling.NEAREST)
    result: NDArray[np.uint8] = np.asarray(small)
    return result

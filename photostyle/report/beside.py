"""The files beside a result: where they lie and what they hold."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from photostyle.regions.labels import LabelMasks
from photostyle.report.masks import indexed_png


def record_path(output: Path) -> Path:
    """Return where the record of a result goes: castle.png → castle.record.json."""
    return output.with_suffix(".record.json")


def regions_paths(output: Path) -> tuple[Path, Path]:
    """Return where the content's label map of a result and its legend go: castle.png → castle.regions.png and .json."""
    return output.with_suffix(".regions.png"), output.with_suffix(".regions.json")


def regions_bytes(masks: LabelMasks) -> tuple[bytes, bytes]:
    """Return the content of the label map, in which each pixel has its likeliest label, and of its legend."""
    return indexed_png(masks.masks.argmax(0), masks.labels), legend_bytes(masks.labels)


def legend_bytes(labels: Sequence[str]) -> bytes:
    """Return the content of the legend of a map whose indices are the places of its labels."""
    return json_bytes({"labels": {str(index): label for index, label in enumerate(labels)}})


def json_bytes(data: Any) -> bytes:
    """Return data as the JSON text that all files of photostyle hold."""
    return (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode()

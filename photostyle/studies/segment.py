"""Segmentation for its own sake: see what is found in a picture, keep it as a label map, mend it, pass it back."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from photostyle._version import __version__
from photostyle.errors import UsageError
from photostyle.images import Picture, check_writable, encode_picture, read_picture, write_atomically
from photostyle.networks.shared import ModelCache
from photostyle.preparation import PictureSource
from photostyle.progress import Callback, ignore
from photostyle.regions.segmentation import Segmentation, Segmenter, label_palette
from photostyle.regions.segmentation.trust import Trust
from photostyle.report.masks import indexed_png, labelled_overlay
from photostyle.solvers.torch_state import own_torch_state

__all__ = [
    "Segmentation",
    "Segmenter",
    "check_map",
    "map_files",
    "read_picture",
    "segment",
    "segment_together",
    "write_map",
]


@own_torch_state()
def segment(
    picture: PictureSource | Picture,
    *,
    segmenter: str | Segmenter = "outdoor",
    offline: bool = False,
    callback: Callback = ignore,
) -> Segmentation:
    """Find the regions of a picture.

    Parameters
    ----------
    picture : path, PIL image, ndarray, Tensor or Picture
    segmenter : str or Segmenter
        "outdoor" (packaged), "ade20k" (model hub), the path of an smp checkpoint; or one that is loaded already, for
        several pictures.
    offline : bool
        Never touch the network.
    callback : callable
        Receives a :class:`Message` before each wait.

    Returns
    -------
    Segmentation
        Soft masks at the picture's own size, and how far they can be trusted.

    Raises
    ------
    PhotostyleError
        One of the tree in :mod:`photostyle.errors`.
    """
    if isinstance(segmenter, str):
        segmenter = Segmenter(segmenter, offline=offline, callback=callback)
    return segmenter(_read(picture))


@own_torch_state()
def segment_together(
    pictures: Sequence[PictureSource | Picture],
    *,
    segmenter: str = "outdoor",
    offline: bool = False,
    callback: Callback = ignore,
) -> list[Segmentation]:
    """Divide pictures into regions that they share, as photo mode does: the first is the content.

    Parameters and errors are those of :func:`segment`.
    """
    models = ModelCache()
    shared = models.segmenter(segmenter, offline=offline, callback=callback)
    divided = models.divide(shared, offline=offline, callback=callback)([_read(picture) for picture in pictures])
    labels = tuple(dict.fromkeys(label for masks in divided for label in masks.labels))
    result = []
    for masks in divided:
        best, winner = masks.masks.max(0), masks.masks.argmax(0)
        by_label = {label: float(best[winner == k].mean()) for k, label in enumerate(masks.labels)}
        result.append(Segmentation(masks, labels, Trust(float(best.mean()), by_label, ""), segmenter))
    return result


def map_files(path: str | os.PathLike[str]) -> tuple[Path, Path, Path]:
    """Return the three files of a label map: the map, its legend, its overlay."""
    target = Path(path)
    return target, target.with_suffix(".json"), target.with_name(f"{target.stem}-overlay.png")


def check_map(path: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Find out before the work whether a label map can be written."""
    target, legend, overlay = map_files(path)
    if target.suffix.lower() != ".png":
        raise UsageError(f"{target} can't be a label map: name it .png, since other formats change indices")
    for file in (target, overlay):
        check_writable(file, overwrite=overwrite)
    if legend.exists() and not overwrite:
        raise UsageError(f"{legend} exists already: choose another name, or pass --overwrite")


def write_map(
    found: Segmentation,
    picture: PictureSource | Picture,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write a label map with its legend and its overlay.

    The map is an indexed PNG of the picture's own size whose indices are the places in ``found.labels``; edited in any
    paint program it may be passed back as ``content_mask``, as long as the legend stays beside it or its colours stay.

    Parameters
    ----------
    found : Segmentation
    picture : path, PIL image, ndarray, Tensor or Picture
        The picture that was segmented.
    path : path
        Ends in .png; the legend has the same name with .json, the overlay ends in -overlay.png.
    overwrite : bool

    Returns
    -------
    dict
        The legend as it was written.

    Raises
    ------
    UsageError, OutputError
        See :func:`check_map`.
    """
    check_map(path, overwrite=overwrite)
    target, legend_path, overlay_path = map_files(path)
    image = _read(picture)
    legend = _legend(found, image.name)
    overlay = labelled_overlay(image.rgb, found.masks)
    write_atomically(legend_path, (json.dumps(legend, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace"))
    write_atomically(overlay_path, encode_picture(overlay, suffix=".png"))
    write_atomically(target, indexed_png(found.label_map, found.labels))
    return legend


def _read(picture: PictureSource | Picture) -> Picture:
    return picture if isinstance(picture, Picture) else read_picture(picture)


def _legend(found: Segmentation, name: str) -> dict[str, Any]:
    areas = np.bincount(found.label_map.ravel(), minlength=len(found.labels)) / found.label_map.size
    labels = {
        str(index): {
            "name": label,
            "color": color,
            "area": round(float(areas[index]), 4),
            "confidence": round(found.trust.labels[label], 3) if label in found.trust.labels else None,
        }
        for index, (label, color) in enumerate(label_palette(found.labels).items())
    }
    return {
        "photostyle": __version__,
        "image": Path(name).name,
        "size": list(found.masks.size),
        "segmenter": found.segmenter,
        "confidence": round(found.trust.confidence, 3),
        "doubt": found.trust.doubt,
        "labels": labels,
    }

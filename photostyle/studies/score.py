"""Scores of any result against its content, its style, their regions, and the right answer where one is known."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from photostyle.errors import ImageError, UsageError
from photostyle.images import Picture, read_picture
from photostyle.preparation import MIN_SIDE, PictureSource
from photostyle.progress import Callback, Message, ignore
from photostyle.regions.labelmap.legend import COMMON_COLORS
from photostyle.regions.labels import LabelMasks
from photostyle.regions.segmentation import Segmenter
from photostyle.regions.source import ContentMask, StyleMask, read_regions
from photostyle.solvers.torch_state import own_torch_state
from photostyle.studies.measure import RegionPair, Ruler, check_truth, load_networks, truth_scores

_ASPECT = 0.02  # by which a result's aspect may differ from the content's


@own_torch_state()
def score(
    content: PictureSource,
    style: PictureSource,
    results: Sequence[PictureSource],
    *,
    content_mask: ContentMask | None = None,
    style_mask: StyleMask | None = None,
    regions: str | None = None,
    truth: PictureSource | None = None,
    segmenter: str = "outdoor",
    offline: bool = False,
    callback: Callback = ignore,
) -> list[dict[str, float]]:
    """Score results, made by whatever means; :data:`photostyle.studies.measure.SCORES` tells what the numbers mean.

    Parameters
    ----------
    content, style : path, PIL image, ndarray or Tensor
        What the results were made of.
    results : sequence of the same
        Of the content's aspect, at any size.
    content_mask, style_mask : path, mapping or LabelMasks, optional
        Label maps, as for :func:`photostyle.transfer`. Labels that both have are scored. Of maps in the nine common
        colours each pixel counts as the nearest of them, without any tidying of borders.
    regions : str, optional
        "none" (everything is one region), "auto" (segmentation) or a label map FILE. By default what the masks imply,
        else "none".
    truth : path, PIL image, ndarray or Tensor, optional
        The right answer, where one is known, of the size of the results.
    segmenter : str
        What "auto" asks.
    offline : bool
        Never fetch weights.
    callback : callable
        Receives messages, and the progress of a download.

    Returns
    -------
    list of dict
        For each result ``edge_ssim``, ``color``, ``gram``, ``matting``, ``h_corr`` and ``h_chi``; ``lpips``,
        ``style_alex``, ``grain_chroma`` and ``grain_luma``; with a truth also ``delta_e``, ``psnr`` and ``ssim``.

    Raises
    ------
    PhotostyleError
        One of the tree in :mod:`photostyle.errors`.
    """
    if not results:
        raise UsageError("no result was given: name one or more pictures to score")
    source = read_picture(content, role="content picture", min_side=MIN_SIDE)
    target = read_picture(style, role="style picture", min_side=MIN_SIDE)
    pictures = [read_picture(result, role="result", min_side=MIN_SIDE) for result in results]
    for picture in pictures:
        _check_aspect(picture, source)
    answer = None if truth is None else read_picture(truth, role="truth", min_side=MIN_SIDE)
    if answer is not None:
        for picture in pictures:
            check_truth(answer, picture)
    found = read_regions(
        source,
        [target],
        regions=regions,
        content_mask=content_mask,
        style_mask=style_mask,
        segment=Segmenter(segmenter, offline=offline, callback=callback),
        named=True,
    )
    for note in found.notes:
        callback(Message(note))
    theirs = found.styles[0]
    pairs = _pairs(_as_drawn(found.content, content_mask), None if theirs is None else _as_drawn(theirs, style_mask))
    ruler = Ruler(load_networks(offline=offline, callback=callback), source.rgb, [target.rgb], pairs)
    return [ruler(each.rgb) | (truth_scores(answer.rgb, each.rgb) if answer else {}) for each in pictures]


def _as_drawn(masks: LabelMasks, source: object) -> LabelMasks:
    """Read a map in the nine common colours again, each pixel as the nearest of them, blurred borders too.

    Regions to be optimised lose such fringes first. Scores that others publish with these maps have them, though.
    """
    common = set(masks.labels) <= set(COMMON_COLORS)
    if not common or not isinstance(source, (str, os.PathLike)) or not Path(source).is_file():
        return masks
    height, width = masks.masks.shape[1:]
    with Image.open(source) as image:
        rgb = np.asarray(
            ImageOps.exif_transpose(image).convert("RGB").resize((width, height), Image.Resampling.NEAREST),
            dtype=np.int32,
        )
    distances = np.stack([np.square(rgb - color).sum(-1) for color in COMMON_COLORS.values()])
    nearest = distances.argmin(0)
    present = np.unique(nearest)
    names = list(COMMON_COLORS)
    return LabelMasks(
        tuple(names[index] for index in present), np.stack([nearest == index for index in present]).astype(np.float32)
    )


def _pairs(content: LabelMasks, style: LabelMasks | None) -> list[RegionPair]:
    """Pair the labels that both have; a style without masks is one region for all."""
    if style is None:
        return [RegionPair(mask, np.ones((1, 1), dtype=np.float32)) for mask in content.masks]
    theirs = dict(zip(style.labels, style.masks, strict=True))
    return [
        RegionPair(mask, theirs[label])
        for label, mask in zip(content.labels, content.masks, strict=True)
        if label in theirs
    ]


def _check_aspect(result: Picture, content: Picture) -> None:
    width, height = result.size
    expected = width * content.size[1] / content.size[0]
    if abs(height - expected) > max(1.0, _ASPECT * expected):
        raise ImageError(
            f"{result.name} is {width}×{height}, but its content {content.name} is "
            f"{content.size[0]}×{content.size[1]}: a result to be scored must have the content's aspect"
        )

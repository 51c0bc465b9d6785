"""Everything of a transfer that can fail early: inputs read and checked, regions matched, the backbone loaded."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from numpy.typing import NDArray
from PIL import Image

from photostyle.colors.grade import Look, maps_of_looks
from photostyle.colors.preserve import colors_of_content
from photostyle.colors.style_contrast import within_contrast
from photostyle.errors import ImageError, UsageError
from photostyle.field.space import field_space
from photostyle.images import Picture, fit_longest_side, read_picture, resize
from photostyle.images.exif import tells_place
from photostyle.images.margins import inside_margins
from photostyle.networks import Backbone, Padding, computes_half
from photostyle.networks.shared import ModelCache
from photostyle.objective.build import Problem
from photostyle.options.checks import weights_by_label
from photostyle.options.config import Resolved, TransferConfig, resolve
from photostyle.options.values import pairs
from photostyle.progress import Callback, Message, ignore
from photostyle.regions.automatic import Segment
from photostyle.regions.labels import LabelMasks
from photostyle.regions.match import Assignment, Wishes, match_labels
from photostyle.regions.source import ContentMask, RegionSet, StyleMask, read_regions
from photostyle.regions.tiny import TINY
from photostyle.solvers.estimate import check_memory
from photostyle.solvers.schedule import field_size, plan, tile_size
from photostyle.solvers.torch_state import own_torch_state

PictureSource = str | os.PathLike[str] | Image.Image | NDArray[Any] | torch.Tensor

MIN_SIDE = 32
"""The shorter side that a picture must have at the size at which it is worked on."""

_ARTISTIC_SIZE = 512
_LEAST_SIDE = MIN_SIDE // 2  # of a file: enlarged more than twice there is nothing to see


@dataclass(frozen=True)
class Prepared:
    """A transfer that is ready to be solved: nothing that can fail early is left.

    Attributes
    ----------
    problem : Problem
        With pictures and masks at the size at which is optimised.
    content, styles : Picture
        As they were read.
    masks : LabelMasks
        The content's regions, at its own size.
    config : TransferConfig
        Resolved.
    size, solve_size : tuple of int
        (width, height) of the result, and of what is optimised.
    notes : tuple of str
        Decisions, one line each.
    seconds : float
        What the preparation took.
    """

    problem: Problem
    content: Picture
    masks: LabelMasks
    styles: tuple[Picture, ...]
    config: Resolved
    size: tuple[int, int]
    solve_size: tuple[int, int]
    notes: tuple[str, ...]
    seconds: float


@own_torch_state()
def prepare(
    content: PictureSource,
    style: PictureSource | Sequence[PictureSource] = (),
    *,
    map: Mapping[str, PictureSource] | None = None,
    content_mask: ContentMask | None = None,
    style_mask: StyleMask | Sequence[StyleMask | None] | None = None,
    config: TransferConfig | None = None,
    segment: Segment | None = None,
    tiny: float = TINY,
    callback: Callback = ignore,
    models: ModelCache | None = None,
    **options: Any,
) -> Prepared:
    """Read and check all inputs of a transfer, find and match the regions, and load the backbone.

    Parameters and errors are those of :func:`photostyle.transfer`, but for three: ``segment`` finds automatic
    regions in place of the config's segmenter, ``tiny`` is the smallest share of the content that a label needs, and
    ``models`` are networks that transfers share.
    """
    began = time.monotonic()
    models = models or ModelCache()
    config = resolve(with_options(config or TransferConfig(), options))
    device = _device(config.device)
    picture, styles, plain, labels = _read(content, style, map or {}, config)
    size, solve_size = result_sizes(picture, config)
    fitted = tile_size(size) if config.tiles else size
    solve_size = tile_size(solve_size) if config.tiles else solve_size
    longest = max(MIN_SIDE, round(max(solve_size) * config.style_scale))
    for each in styles:
        check_side(each, fit_longest_side(each.size, longest))
    regions = read_regions(
        picture,
        styles,
        regions=config.regions,
        content_mask=content_mask,
        style_mask=style_mask,
        mapped=len(labels),
        photo=config.mode == "photo" and config.solver != "grade",  # which needs none
        **_finders(segment, models, config, callback),
        named=bool(config.match or config.keep or config.region_weights),
        strict=config.strict_labels,
        tiny=tiny,
    )
    if config.mode == "artistic":  # a scan's bright edge would be painted around the result
        styles, regions = _inside_margins(styles, regions)
    notes = _notes(picture, styles, regions, config, size, fitted)
    for note in notes:
        callback(Message(note))
    assignments, decisions = _matched(regions, config, plain, labels)
    for note in decisions:
        callback(Message(note))
    backbone = _network(config, models, device, callback)
    if config.solver == "pixels":
        check_memory(backbone, device, plan(config, solve_size), config, fitted)
    if config.preserve_color != "none":
        callback(Message("matching the colours of the style to the content's", "wait"))
    problem = _problem(picture, styles, regions, assignments, backbone, config, size, solve_size, longest, device)
    if config.solver == "grade":
        problem = _graded(problem, picture, models.look(offline=config.offline, callback=callback))
    took = time.monotonic() - began
    return Prepared(
        problem, picture, regions.content, tuple(styles), config, fitted, solve_size, (*notes, *decisions), took
    )


def _read(
    content: PictureSource,
    style: PictureSource | Sequence[PictureSource],
    mapping: Mapping[str, PictureSource],
    config: Resolved,
) -> tuple[Picture, list[Picture], int, tuple[str, ...]]:
    """Return the content, all styles, how many of them are no region's own, and the labels of the others."""
    plain: list[Any] = list(style) if isinstance(style, (list, tuple)) else [style]
    if not plain and not mapping:
        raise UsageError("no style was given: name a STYLE picture, or give regions theirs with --map LABEL=FILE")
    picture = read_picture(content, role="content picture", min_side=_LEAST_SIDE)
    styles = [read_picture(s, role="style picture", min_side=_LEAST_SIDE) for s in (*plain, *mapping.values())]
    if config.style_weights is not None and len(config.style_weights) != len(plain):
        raise UsageError(
            f"--style-weights has {len(config.style_weights)} values for {len(plain)} STYLE pictures: give one for each"
        )
    return picture, styles, len(plain), tuple(mapping)


def _finders(segment: Segment | None, models: ModelCache, config: Resolved, callback: Callback) -> dict[str, Any]:
    """Return what finds automatic and joint regions: what was given finds the former alone."""
    if segment is not None:
        return {"segment": segment, "divide": None}
    segmenter = models.segmenter(config.segmenter, offline=config.offline, callback=callback)
    return {"segment": segmenter, "divide": models.divide(segmenter, offline=config.offline, callback=callback)}


def _matched(
    regions: RegionSet, config: Resolved, plain: int, labels: Sequence[str]
) -> tuple[list[Assignment], list[str]]:
    """Match the regions of content and styles; a note for every decision."""
    wishes = Wishes(
        pairs("match", config.match), config.keep, weights_by_label(config.region_weights), config.strict_labels
    )
    return match_labels(
        regions.content,
        regions.styles,
        weights=[*(config.style_weights or [1.0] * plain), *[1.0] * len(labels)],
        mapping={label: plain + index for index, label in enumerate(labels)},
        wishes=wishes,
        by_hand=regions.by_hand,
    )


def _notes(
    picture: Picture,
    styles: Sequence[Picture],
    regions: RegionSet,
    config: Resolved,
    size: tuple[int, int],
    fitted: tuple[int, int],
) -> list[str]:
    """Return what a user should know of the inputs, one line each."""
    notes = [*(note for p in (picture, *styles) for note in p.notes), *regions.notes]
    if picture.exif is not None and not config.strip_metadata and tells_place(picture.exif):
        notes.append(
            "the content's EXIF tells where it was taken, and goes with the result unless that is a TIFF; "
            "--strip-metadata leaves it out"
        )
    if fitted != size:
        notes.append(
            f"the result is {fitted[0]}×{fitted[1]} instead of {size[0]}×{size[1]}: "
            "the sides of a picture that tiles are multiples of 16"
        )
    return notes


def _network(config: Resolved, models: ModelCache, device: str, callback: Callback) -> Backbone:
    """Load the backbone, and check that there is a weight for each of its layers."""
    backbone = models.backbone(
        config.backbone,
        content_layers=config.content_layers,
        style_layers=config.style_layers,
        weights=config.weights,
        weights_preprocessing=config.weights_preprocessing,
        pooling=config.pooling,
        padding=cast(Padding, config.padding),
        edges=config.needs_edges,
        half=computes_half(device),
        device=device,
        offline=config.offline,
        callback=callback,
    )
    for kind in ("content", "style"):
        layers, weights = getattr(backbone, f"{kind}_layers"), getattr(config, f"{kind}_layer_weights")
        if weights is not None and len(weights) != len(layers):
            raise UsageError(f"--{kind}-layer-weights has {len(weights)} values, but there are {len(layers)} layers")
    return backbone


def _problem(
    picture: Picture,
    styles: Sequence[Picture],
    regions: RegionSet,
    assignments: Sequence[Assignment],
    backbone: Backbone,
    config: Resolved,
    size: tuple[int, int],
    solve_size: tuple[int, int],
    longest: int,
    device: str,
) -> Problem:
    """Bring pictures and masks to the size at which is optimised, or a field is measured, in the colours wanted."""
    needs_field = config.solver != "pixels" or config.start == "affine"
    matte_size = field_size(size)
    measured = max(solve_size, matte_size) if needs_field else solve_size
    content = resize(picture.rgb, measured)
    masks = regions.content.resized(measured)
    rgbs, space = [style.rgb for style in styles], None
    if config.preserve_color != "none":
        rgbs = [
            resize(each.rgb, fit_longest_side(each.size, longest)) if longest < max(each.size) else each.rgb
            for each in styles
        ]  # no larger than they are used
        content, rgbs = colors_of_content(config.preserve_color, content, masks, rgbs, regions.styles, assignments)
    if needs_field:
        if config.solver != "grade":
            rgbs = within_contrast(content, masks, rgbs, regions.styles, assignments)
        space = field_space(content, masks, rgbs, regions.styles, assignments, matte_size, device)
    return Problem(content, masks, rgbs, regions.styles, assignments, backbone, device, space)


def _graded(problem: Problem, picture: Picture, look: Look) -> Problem:
    """Return the problem with the maps of a grade in place of those of statistics."""
    takes = [{source.style: source.weight for source in each.sources} for each in problem.assignments]
    assert problem.space is not None
    return replace(problem, space=replace(problem.space, maps=maps_of_looks(picture.rgb, problem.styles, takes, look)))


def _inside_margins(styles: Sequence[Picture], regions: RegionSet) -> tuple[list[Picture], RegionSet]:
    """Cut the margins of scans off the style pictures and their masks, and note it."""
    pictures, labels = [], []
    for style, masks in zip(styles, regions.styles, strict=True):
        rows, columns = inside_margins(style.rgb)
        inner = style.rgb[rows, columns]
        if inner.shape != style.rgb.shape:
            size = f"{inner.shape[1]}×{inner.shape[0]} of {style.size[0]}×{style.size[1]}"
            alpha = None if style.alpha is None else style.alpha[rows, columns]
            style = replace(
                style, rgb=inner, alpha=alpha, notes=(*style.notes, f"{style.name}: {size} lie inside its margins")
            )
            masks = None if masks is None else replace(masks, masks=masks.masks[:, rows, columns])
        pictures.append(style)
        labels.append(masks)
    return pictures, replace(regions, styles=tuple(labels))


def with_options(config: TransferConfig, options: Mapping[str, Any]) -> TransferConfig:
    """Return a config with changes by name; a `UsageError` where there is no such option or value."""
    known = TransferConfig.__dataclass_fields__
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise UsageError(f"unknown option {unknown[0]!r}; allowed are: {', '.join(known)}")
    changes: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in options.items()}
    return replace(config, **changes)


def result_sizes(content: Picture, config: TransferConfig) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return (width, height) of the result, and of what is optimised, for a content picture."""
    longest = config.size
    if longest is None:
        longest = max(content.size) if config.mode == "photo" else min(max(content.size), _ARTISTIC_SIZE)
    size = content.size if longest == max(content.size) else fit_longest_side(content.size, longest)
    least = math.ceil(MIN_SIDE * max(size) / min(size))  # a panorama is solved at more than its solve size
    solve_size = fit_longest_side(size, min(max(size), max(least, config.solve_size or max(size))))
    check_side(content, solve_size)
    return size, solve_size


def check_side(picture: Picture, size: tuple[int, int]) -> None:
    """Raise an `ImageError` where a picture would be worked on at a size, (width, height), that is too small."""
    if min(size) < MIN_SIDE:
        raise ImageError(
            f"{picture.name} is {picture.size[0]}×{picture.size[1]} and would be worked on at {size[0]}×{size[1]}, "
            f"but each side needs at least {MIN_SIDE} pixels: take a larger or less narrow picture, or a larger --size"
        )


def _device(name: str) -> str:
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device, there in available.items() if there)
    if not available[name]:
        there = ", ".join(device for device, is_there in available.items() if is_there)
        raise UsageError(f"--device {name} is not available here; available: {there}")
    return name

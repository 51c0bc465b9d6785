"""Segmented beside unsegmented: what regions, and in photo mode the Matting Laplacian, bring."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from photostyle.errors import Interrupted, RegionError, StoppedError, UsageError, WeightsError
from photostyle.images import resize
from photostyle.networks.shared import ModelCache
from photostyle.options.config import TransferConfig
from photostyle.options.typed import TransferOptions
from photostyle.pipeline import Result, run_prepared
from photostyle.preparation import PictureSource, Prepared, prepare, with_options
from photostyle.progress import Callback, Message, ignore
from photostyle.regions.source import ContentMask, StyleMask
from photostyle.report.curves import loss_curves
from photostyle.report.masks import label_colors, overlay
from photostyle.report.sheet import Tile, contact_sheet
from photostyle.solvers.torch_state import own_torch_state
from photostyle.studies.measure import (
    SCORES,
    ObjectiveTerms,
    RegionPair,
    Ruler,
    load_networks,
    most_telling_first,
    told,
)


@dataclass(frozen=True)
class Comparison:
    """What :func:`compare` gives.

    Attributes
    ----------
    results : dict of str to Result
        By variant: "segmented", "unsegmented", and with the pixel solver of photo mode the same with "-no-matting".
    masks : dict of str to ndarray, shape (H, W, 3)
        Overlays of the regions: "content", "style-1", ….
    curves, sheet : ndarray of float32, shape (H, W, 3)
        The loss curves, and all pictures on one sheet.
    record : dict
        "scores" of each variant, those that say most of the mode first; their "meaning"; the "size" at which terms of
        the objective are measured; and the records of the "runs".
    """

    results: dict[str, Result]
    masks: dict[str, NDArray[np.float32]]
    curves: NDArray[np.float32]
    sheet: NDArray[np.float32]
    record: dict[str, Any]


@contextmanager
def _interruptible() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted("interrupted") from None


@_interruptible()
@own_torch_state()
def compare(
    content: PictureSource,
    style: PictureSource | Sequence[PictureSource],
    *,
    map: Mapping[str, PictureSource] | None = None,
    content_mask: ContentMask | None = None,
    style_mask: StyleMask | Sequence[StyleMask | None] | None = None,
    config: TransferConfig | None = None,
    callback: Callback = ignore,
    on_result: Callable[[str, Result], Any] = lambda _name, _result: None,
    **options: Unpack[TransferOptions],
) -> Comparison:
    """Run the same transfer with and without regions; with the pixel solver of photo mode also without photorealism.

    What has the suffix "-no-matting" is the style stage alone: neither the Matting Laplacian nor local affine maps
    take part. Parameters and errors are those of :func:`photostyle.transfer`; the regions come from masks,
    from ``regions="grid:RxC"``, or by default from what photo mode finds, in artistic mode from the segmenter. Without
    regions the styles of ``map`` are blended with the others, in equal shares. ``on_result`` is called with each
    variant's name and result as soon as there is one, also with the best so far of a variant that is interrupted.

    Returns
    -------
    Comparison

    Raises
    ------
    UsageError
        If there are no regions to compare with.
    Interrupted
        After Ctrl-C; ``on_result`` has received what is finished.
    """
    asked = with_options(config or TransferConfig(), options)
    if asked.regions is None and content_mask is None and asked.mode != "photo":
        options["regions"] = "auto"
    given = {"map": map, "content_mask": content_mask, "style_mask": style_mask, "config": config}
    models = ModelCache()
    segmented = prepare(content, style, **given, callback=callback, models=models, **options)  # type: ignore[arg-type]
    if len(segmented.problem.content_masks.labels) < 2:
        raise UsageError(
            f"compare needs regions, but there is only one, {segmented.problem.content_masks.labels[0]!r}: give "
            "--content-mask and --style-mask, --regions auto, or --regions grid:RxC"
        )
    prepared = _variants(segmented, content, style, map, models)
    ruler = _ruler(segmented, callback)
    whole = prepared["unsegmented"].problem
    terms = ObjectiveTerms(segmented.problem, whole, segmented.config, segmented.solve_size)
    results: dict[str, Result] = {}
    for number, (name, each) in enumerate(prepared.items(), 1):
        callback(Message(f"{name} ({number} of {len(prepared)})", "wait"))
        try:
            results[name] = run_prepared(each, callback=callback)
        except StoppedError as stop:
            if isinstance(stop.result, Result):
                on_result(name, stop.result)
            raise
        on_result(name, results[name])
    scores = {
        name: most_telling_first(ruler(result.rgb) | terms(result.rgb), segmented.config.mode)
        for name, result in results.items()
    }
    masks = _overlays(segmented)
    curves = loss_curves({name: result.record["history"] for name, result in results.items()}, 1600)
    return Comparison(
        results,
        masks,
        curves,
        _sheet(segmented, results, scores, masks, curves),
        {
            "scores": scores,
            "meaning": told(scores["segmented"]),
            "size": list(segmented.solve_size),
            "runs": {name: result.record for name, result in results.items()},
        },
    )


def _variants(
    segmented: Prepared,
    content: PictureSource,
    style: PictureSource | Sequence[PictureSource],
    map: Mapping[str, PictureSource] | None,
    models: ModelCache,
) -> dict[str, Prepared]:
    """Return what is run, by name: with regions, without, and of pixels both without photorealism too."""
    plain = replace(segmented.config, regions="none", match=(), region_weights=(), keep=(), strict_labels=False)
    whole: Any = style
    if map:
        plain = replace(plain, style_weights=None)
        whole = [*(style if isinstance(style, (list, tuple)) else [style]), *map.values()]
    prepared = {"segmented": segmented, "unsegmented": prepare(content, whole, config=plain, models=models)}
    if segmented.config.mode == "photo" and segmented.config.solver == "pixels":
        for name, each in list(prepared.items()):
            without = replace(each.config, matting_weight=0.0, smoothing=0.0, start="content")
            prepared[f"{name}-no-matting"] = replace(each, config=without)
    return prepared


def _ruler(prepared: Prepared, callback: Callback) -> Callable[[NDArray[np.float32]], dict[str, float]]:
    """Return what measures results, each region against the style that weighs most in it; nothing where it can't."""
    problem = prepared.problem
    pairs, shares = [], np.zeros(len(problem.styles))
    for mask, assignment in zip(prepared.masks.masks, problem.assignments, strict=True):
        if not assignment.sources:
            continue
        for each in assignment.sources:
            shares[each.style] += each.weight * float(mask.mean())
        source = max(assignment.sources, key=lambda each: each.weight)
        labels = problem.style_masks[source.style]
        theirs = np.ones((1, 1), dtype=np.float32)
        if source.label is not None and labels is not None:
            theirs = labels.masks[labels.labels.index(source.label)]
        pairs.append(RegionPair(mask, theirs, source.style))
    try:
        networks = load_networks(offline=prepared.config.offline, callback=callback)
        return Ruler(networks, prepared.content.rgb, problem.styles, pairs, shares.tolist())
    except (RegionError, WeightsError) as error:
        callback(Message(f"only the terms of the objective are measured: {error}", "warning"))
        return lambda _picture: {}


def _overlays(prepared: Prepared) -> dict[str, NDArray[np.float32]]:
    problem = prepared.problem
    pairs = [("content", prepared.content.rgb, prepared.masks)]
    for number, (picture, labels) in enumerate(zip(prepared.styles, problem.style_masks, strict=True), 1):
        if labels is not None:
            pairs.append((f"style-{number}", picture.rgb, labels))
    colors = label_colors([label for _, _, labels in pairs for label in labels.labels])
    return {name: overlay(picture, labels, colors) for name, picture, labels in pairs}


def _sheet(
    prepared: Prepared,
    results: dict[str, Result],
    scores: dict[str, dict[str, float]],
    masks: dict[str, NDArray[np.float32]],
    curves: NDArray[np.float32],
) -> NDArray[np.float32]:
    problem = prepared.problem
    inputs = [Tile(resize(prepared.content.rgb, prepared.size), ("content",))]
    inputs += [Tile(picture.rgb, (f"style {number}",)) for number, picture in enumerate(prepared.styles, 1)]
    labels = {"content": problem.content_masks}
    labels |= {f"style-{n}": masks for n, masks in enumerate(problem.style_masks, 1) if masks is not None}
    inputs += [
        Tile(picture, (f"regions of {name}", ", ".join(f"{k} {v:.0%}" for k, v in labels[name].shares.items())))
        for name, picture in masks.items()
    ]
    tiles = [Tile(result.rgb, (name, *_lines(scores[name]))) for name, result in results.items()]
    rows = [inputs, *(tiles[i : i + 2] for i in range(0, len(tiles), 2)), [Tile(curves, ("losses",))]]
    return contact_sheet(rows)


def _lines(scores: dict[str, float]) -> list[str]:
    """Write scores in lines of at most three: of photographs, of paintings, and of the objective."""
    groups: dict[str, list[str]] = {}
    for name, value in scores.items():
        groups.setdefault(SCORES[name].tells, []).append(f"{name} {value:.{SCORES[name].digits}f}")
    lines = []
    for texts in groups.values():
        each = math.ceil(len(texts) / math.ceil(len(texts) / 3))
        lines += ["   ".join(texts[i : i + each]) for i in range(0, len(texts), each)]
    return lines

"""From what was optimised to the picture that is handed over: its final size, colours, contrast and kept regions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from photostyle.colors.luminance import grey, recombine
from photostyle.field.space import paint
from photostyle.filters.local_affine import lift, smoothing_radius
from photostyle.finish.contrast import auto_contrast
from photostyle.finish.deband import deband
from photostyle.finish.denoise import denoised
from photostyle.images import resize
from photostyle.options.config import Resolved
from photostyle.preparation import Prepared
from photostyle.progress import Callback, Event, Rows, Snapshot, ignore
from photostyle.regions.labels import area_average
from photostyle.solvers.run import Solution

_KEEP_BLUR = 0.003  # of the longest side: how wide the border of a kept region is blended


def finished(prepared: Prepared, solution: Solution, callback: Callback = ignore) -> NDArray[np.float32]:
    """Carry what was optimised to its final size, with colours, contrast and kept regions as the options say."""
    config = prepared.config
    large = resize(prepared.content.rgb, prepared.size)
    rgb = _clean(prepared, solution, large, callback)
    if config.preserve_color == "luminance":
        rgb = recombine(rgb, large)
    if config.auto_contrast:
        rgb = auto_contrast(rgb)
    return _keep(prepared, rgb, large)


def _clean(
    prepared: Prepared, solution: Solution, content: NDArray[np.float32], callback: Callback
) -> NDArray[np.float32]:
    """Return what was optimised, without its noise, at its final size.

    What is enlarged is denoised before: enlarged noise is coarser than what denoising looks for.
    """
    config = prepared.config

    def clean(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
        return denoised(rgb, config.denoise, config.denoise_strength, lambda done, total: callback(Rows(done, total)))

    if solution.field is None and not config.smoothing:
        assert solution.image is not None
        return resize(clean(solution.image), prepared.size, wraps=config.tiles)
    rgb = solution.image if solution.field is None else _apply(prepared, solution.field, content, callback)
    assert rgb is not None
    if config.smoothing:
        small = prepared.problem.content
        target = resize(rgb, (small.shape[1], small.shape[0]))
        guide = grey(content) if config.preserve_color == "luminance" else content
        rgb = np.clip(lift(target, small, guide, smoothing_radius(small.shape), config.smoothing), 0, 1)
    return clean(rgb)


def whole_way(config: Resolved) -> Resolved:
    """Return the options with which a field is solved: all the way, since ``strength`` acts on the finished field."""
    return config if config.solver == "pixels" else replace(config, strength=1.0)


def as_finished(prepared: Prepared, callback: Callback) -> Callback:
    """Return a callback that sees snapshots as far from the content, and as coloured, as the result will be."""
    config = prepared.config
    luminance = config.preserve_color == "luminance"
    if not luminance and whole_way(config) == config:
        return callback

    def finished_snapshot(event: Event) -> Any:
        if isinstance(event, Snapshot):
            content = resize(prepared.content.rgb, (event.image.shape[1], event.image.shape[0]))
            image = _part_way(config, content, event.image)
            event = replace(event, image=recombine(image, content) if luminance else image)
        return callback(event)

    return finished_snapshot


def _part_way(config: Resolved, content: NDArray[np.float32], rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what the field I + s (A - I) makes of a content, where A makes ``rgb``; pixels went so far already."""
    return rgb if whole_way(config) == config else content + np.float32(config.strength) * (rgb - content)


def _apply(
    prepared: Prepared, field: NDArray[np.float32], content: NDArray[np.float32], callback: Callback
) -> NDArray[np.float32]:
    """Apply an affine field to the content at its final size."""
    if prepared.config.deband and prepared.content.bit_depth == 8:
        content = deband(content)
    assert prepared.problem.space is not None
    rgb = paint(field, prepared.problem.space, content, lambda done, total: callback(Rows(done, total)))
    return _part_way(prepared.config, content, rgb)


def _keep(prepared: Prepared, rgb: NDArray[np.float32], content: NDArray[np.float32]) -> NDArray[np.float32]:
    """Put the content back into the regions that stay as they are, with a soft border."""
    masks, keep = prepared.masks, prepared.config.keep
    if not keep:
        return rgb
    mask = masks.masks[[label in keep for label in masks.labels]].sum(0)
    mask = area_average(np.clip((mask - 0.25) / 0.5, 0, 1), prepared.size)  # three quarters certain is all of it
    mask = cv2.GaussianBlur(mask, (0, 0), max(1.0, _KEEP_BLUR * max(mask.shape)))[..., None]
    blended: NDArray[np.float32] = np.clip(rgb + mask * (content - rgb), 0, 1)
    return blended

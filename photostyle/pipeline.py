"""From pictures to a result: the whole way, on one page. A newcomer starts here.

::

    read the pictures → find their regions → match them → load the backbone → solve → finish → record
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photostyle.colors.luminance import grey, recombine
from photostyle.errors import Interrupted, StoppedError, UsageError
from photostyle.field.space import paint
from photostyle.filters.local_affine import lift, smoothing_radius
from photostyle.finish.contrast import auto_contrast
from photostyle.finish.deband import deband
from photostyle.finish.denoise import denoised
from photostyle.images import resize, write_picture
from photostyle.options.config import TransferConfig
from photostyle.preparation import PictureSource, Prepared, prepare
from photostyle.progress import Callback, Event, Message, Rows, Snapshot, ignore
from photostyle.record import fingerprint, run_record
from photostyle.regions.labels import LabelMasks, area_average
from photostyle.regions.source import ContentMask, StyleMask
from photostyle.solvers.estimate import announcement
from photostyle.solvers.run import Checkpoint, Solution, solve
from photostyle.solvers.schedule import plan
from photostyle.solvers.torch_state import own_torch_state

_KEEP_BLUR = 0.003  # of the longest side: how wide the border of a kept region is blended


@dataclass(frozen=True)
class Result:
    """What a transfer gives.

    Attributes
    ----------
    rgb : ndarray of float32, shape (H, W, 3)
        sRGB in [0, 1].
    alpha : ndarray of float32, shape (H, W), or None
        The content's.
    record : dict
        What was done: options, inputs, decisions, losses, times, memory. It can be written as JSON.
    bit_depth : int
        The content's, 8 or 16.
    exif : bytes or None
        The content's; None if it shall be left out.
    masks : LabelMasks or None
        The content's regions, at the content's own size; None if there is only one.
    """

    rgb: NDArray[np.float32]
    alpha: NDArray[np.float32] | None
    record: dict[str, Any]
    bit_depth: int = 8
    exif: bytes | None = None
    masks: LabelMasks | None = None

    @property
    def image(self) -> Image.Image:
        """The result as an 8-bit picture, RGB or RGBA."""
        planes = self.rgb if self.alpha is None else np.dstack([self.rgb, self.alpha])
        return Image.fromarray(np.round(planes * 255).astype(np.uint8))

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the picture in one step, with the content's alpha, EXIF and bit depth, tagged as sRGB."""
        write_picture(path, self.rgb, alpha=self.alpha, bit_depth=self.bit_depth, exif=self.exif, overwrite=overwrite)


def transfer(
    content: PictureSource,
    style: PictureSource | Sequence[PictureSource] = (),
    *,
    map: Mapping[str, PictureSource] | None = None,
    content_mask: ContentMask | None = None,
    style_mask: StyleMask | Sequence[StyleMask | None] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    config: TransferConfig | None = None,
    callback: Callback = ignore,
    **options: Any,
) -> Result:
    """Give a content picture the style of one or more others.

    Parameters
    ----------
    content : path, PIL image, ndarray or Tensor
        Arrays are (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), uint8, uint16 or float in [0, 1].
    style : the same, or a sequence of them
        Several are blended by ``style_weights``, region by region where they have masks.
    map : mapping of label to picture, optional
        The style picture of a region of its own; the label "rest" stands for all that aren't named.
    content_mask : path, mapping or LabelMasks, optional
        A label map, or a grey soft mask for each label.
    style_mask : the same, or a sequence of them, optional
        One for each style picture in turn, those of ``map`` last; None where a picture is used whole.
    checkpoint : path, optional
        Where to keep the state of the run for ``resume``. It may be deleted once the result is saved.
    resume : bool
        Go on from the checkpoint.
    config : TransferConfig, optional
        The options; ``options`` are changes to it by name.
    callback : callable
        Receives :class:`Step`, :class:`Snapshot`, :class:`Message` and :class:`Download` events. It may raise
        KeyboardInterrupt to end the run.
    **options
        Fields of :class:`TransferConfig`.

    Returns
    -------
    Result

    Raises
    ------
    PhotostyleError
        One of the tree in :mod:`photostyle.errors`. A StoppedError carries the best result so far.
    """
    try:
        prepared = prepare(
            content,
            style,
            map=map,
            content_mask=content_mask,
            style_mask=style_mask,
            config=config,
            callback=callback,
            **options,
        )
    except KeyboardInterrupt:
        raise Interrupted("interrupted") from None
    return run_prepared(prepared, checkpoint=checkpoint, resume=resume, callback=callback)


@own_torch_state()
def run_prepared(
    prepared: Prepared,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    callback: Callback = ignore,
) -> Result:
    """Solve a transfer that is prepared, and finish its result.

    Parameters and errors are those of :func:`transfer`.
    """
    began = time.monotonic()
    place = None
    if checkpoint is not None:
        place = Checkpoint(Path(checkpoint), fingerprint(prepared), resume)
    elif resume:
        raise UsageError("resume needs the path of a checkpoint")
    stages = plan(prepared.config, prepared.solve_size)
    if prepared.config.solver == "pixels":
        for note in announcement(prepared.problem, stages, prepared.config, prepared.size):
            callback(Message(note))
    solution = solve(prepared.problem, stages, whole_way(prepared.config), _as_finished(prepared, callback), place)
    try:
        result = _finish(prepared, solution, began, callback)
    except KeyboardInterrupt:
        again = "; its checkpoint is kept, go on with resume" if place is not None and place.path.exists() else ""
        raise Interrupted(f"interrupted while the result was painted{again}") from None
    if isinstance(solution.stopped, KeyboardInterrupt):
        raise Interrupted("interrupted", result) from None
    if isinstance(solution.stopped, StoppedError):
        raise type(solution.stopped)(str(solution.stopped), result) from None
    assert result is not None
    return result


def _finish(prepared: Prepared, solution: Solution, began: float, callback: Callback) -> Result | None:
    """Carry what was optimised to its final size and put it together with the rest."""
    if solution.image is None and solution.field is None:
        return None
    content = prepared.content
    rgb = finished(prepared, solution, callback)
    alpha = None if content.alpha is None else resize(content.alpha, prepared.size)
    record = run_record(prepared, solution, prepared.seconds + time.monotonic() - began)
    masks = prepared.masks if len(prepared.masks.labels) > 1 else None
    exif = None if prepared.config.strip_metadata else content.exif
    return Result(rgb, alpha, record, content.bit_depth, exif, masks)


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


def whole_way(config: TransferConfig) -> TransferConfig:
    """Return the options with which a field is solved: all the way, since ``strength`` acts on the finished field."""
    return config if config.solver == "pixels" else replace(config, strength=1.0)


def _as_finished(prepared: Prepared, callback: Callback) -> Callback:
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


def _part_way(config: TransferConfig, content: NDArray[np.float32], rgb: NDArray[np.float32]) -> NDArray[np.float32]:
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

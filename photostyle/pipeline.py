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

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from photostyle.config import TransferConfig, resolve
from photostyle.errors import DivergedError, ImageError, Interrupted, UsageError
from photostyle.features import load_backbone
from photostyle.finish.local_affine import lift
from photostyle.images import (
    Picture,
    check_writable,
    fit_longest_side,
    read_picture,
    resize,
    write_atomically,
    write_picture,
)
from photostyle.progress import Callback, Message, ignore
from photostyle.regions.match import match_labels
from photostyle.regions.source import ContentMask, StyleMask, read_regions
from photostyle.report.record import fingerprint, run_record
from photostyle.solvers.run import Checkpoint, Problem, Solution, solve
from photostyle.solvers.schedule import plan

__all__ = [
    "MIN_SIDE",
    "PictureSource",
    "Prepared",
    "Result",
    "check_writable",
    "prepare",
    "run_prepared",
    "transfer",
    "write_atomically",
    "write_picture",
]

PictureSource = str | os.PathLike[str] | Image.Image | NDArray[Any] | torch.Tensor

MIN_SIDE = 32
"""The shorter side that a picture must have at the size at which it is worked on."""

_ARTISTIC_SIZE = 512


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
        The content's.
    """

    rgb: NDArray[np.float32]
    alpha: NDArray[np.float32] | None
    record: dict[str, Any]
    bit_depth: int = 8
    exif: bytes | None = None

    @property
    def image(self) -> Image.Image:
        """The result as an 8-bit picture, RGB or RGBA."""
        planes = self.rgb if self.alpha is None else np.dstack([self.rgb, self.alpha])
        return Image.fromarray(np.round(planes * 255).astype(np.uint8))

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the picture in one step, with the content's alpha, EXIF and bit depth, tagged as sRGB.

        Parameters
        ----------
        path : path
            Ends in .png, .jpg, .jpeg, .webp, .tif or .tiff.
        overwrite : bool
            Whether an existing file may be replaced.

        Raises
        ------
        UsageError, OutputError
            See :func:`photostyle.images.write_picture`.
        """
        write_picture(path, self.rgb, alpha=self.alpha, bit_depth=self.bit_depth, exif=self.exif, overwrite=overwrite)


@dataclass(frozen=True)
class Prepared:
    """A transfer that is ready to be solved: nothing that can fail early is left."""

    problem: Problem
    content: Picture
    styles: tuple[Picture, ...]
    config: TransferConfig
    size: tuple[int, int]
    solve_size: tuple[int, int]
    notes: tuple[str, ...]


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
        One of the tree in :mod:`photostyle.errors`. Interrupted and DivergedError carry the best result so far.
    """
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
    return run_prepared(prepared, checkpoint=checkpoint, resume=resume, callback=callback)


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
    solution = solve(prepared.problem, stages, prepared.config, callback, place)
    result = _finish(prepared, solution, began)
    if isinstance(solution.stopped, KeyboardInterrupt):
        raise Interrupted("interrupted", result) from None
    if isinstance(solution.stopped, DivergedError):
        raise DivergedError(str(solution.stopped), result) from None
    assert result is not None
    return result


def prepare(
    content: PictureSource,
    style: PictureSource | Sequence[PictureSource] = (),
    *,
    map: Mapping[str, PictureSource] | None = None,
    content_mask: ContentMask | None = None,
    style_mask: StyleMask | Sequence[StyleMask | None] | None = None,
    config: TransferConfig | None = None,
    callback: Callback = ignore,
    **options: Any,
) -> Prepared:
    """Read and check all inputs of a transfer, find and match the regions, and load the backbone.

    Parameters and errors are those of :func:`transfer`.
    """
    config = resolve(_with_options(config or TransferConfig(), options))
    device = _device(config.device)
    mapping = dict(map or {})
    plain: list[Any] = list(style) if isinstance(style, (list, tuple)) else [style]
    if not plain and not mapping:
        raise UsageError("no style was given: name a STYLE picture, or give regions theirs with --map LABEL=FILE")
    picture = read_picture(content, role="content picture")
    styles = [read_picture(s, role="style picture") for s in (*plain, *mapping.values())]
    if config.style_weights is not None and len(config.style_weights) != len(plain):
        raise UsageError(
            f"--style-weights has {len(config.style_weights)} values, but there are {len(plain)} STYLE pictures"
        )
    size, solve_size = _sizes(picture, config)
    for each in styles:
        _check_side(each, fit_longest_side(each.size, max(32, round(max(solve_size) * config.style_scale))))
    regions = read_regions(
        picture,
        styles,
        regions=config.regions,
        content_mask=content_mask,
        style_mask=style_mask,
        mapped=len(mapping),
        photo=config.mode == "photo",
    )
    assignments, decisions = match_labels(
        regions.content,
        regions.styles,
        weights=[*(config.style_weights or [1.0] * len(plain)), *[1.0] * len(mapping)],
        mapping={label: len(plain) + index for index, label in enumerate(mapping)},
    )
    notes = [note for p in (picture, *styles) for note in p.notes] + [*regions.notes, *decisions]
    for note in notes:
        callback(Message(note))
    backbone = load_backbone(
        config.backbone,
        content_layers=config.content_layers,
        style_layers=config.style_layers,
        weights=config.weights,
        weights_preprocessing=config.weights_preprocessing,
        pooling=config.pooling,
        offline=config.offline,
        callback=callback,
    )
    for kind in ("content", "style"):
        layers, weights = getattr(backbone, f"{kind}_layers"), getattr(config, f"{kind}_layer_weights")
        if weights is not None and len(weights) != len(layers):
            raise UsageError(f"--{kind}-layer-weights has {len(weights)} values, but there are {len(layers)} layers")
    backbone.network.to(device)
    problem = Problem(
        picture.rgb, regions.content, [s.rgb for s in styles], regions.styles, assignments, backbone, device
    )
    return Prepared(problem, picture, tuple(styles), config, size, solve_size, tuple(notes))


def _with_options(config: TransferConfig, options: Mapping[str, Any]) -> TransferConfig:
    known = TransferConfig.__dataclass_fields__
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise UsageError(f"unknown option {unknown[0]!r}; allowed are: {', '.join(known)}")
    changes: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in options.items()}
    return replace(config, **changes)


def _sizes(content: Picture, config: TransferConfig) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the size of the result, and the size up to which it is optimised."""
    longest = config.size
    if longest is None:
        longest = max(content.size) if config.mode == "photo" else min(max(content.size), _ARTISTIC_SIZE)
    size = content.size if longest == max(content.size) else fit_longest_side(content.size, longest)
    solve_size = fit_longest_side(size, min(max(size), config.solve_size or max(size)))
    _check_side(content, solve_size)
    return size, solve_size


def _check_side(picture: Picture, size: tuple[int, int]) -> None:
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


def _finish(prepared: Prepared, solution: Solution, began: float) -> Result | None:
    """Carry the optimised picture to its final size and put it together with the rest."""
    if solution.image is None:
        return None
    rgb, content = solution.image, prepared.content
    large = resize(content.rgb, prepared.size)
    if prepared.config.mode == "photo" and prepared.size != prepared.solve_size:
        rgb = np.clip(lift(rgb, resize(content.rgb, prepared.solve_size), large), 0, 1)
    elif rgb.shape != large.shape:
        rgb = resize(rgb, prepared.size)
    alpha = None if content.alpha is None else resize(content.alpha, prepared.size)
    record = run_record(prepared, solution, time.monotonic() - began)
    return Result(rgb, alpha, record, content.bit_depth, content.exif)

"""From pictures to a result: the whole way, on one page. A newcomer starts here.

::

    prepare   read the pictures → find their regions → match them → load the backbone
    solve     for each stage of the schedule: objective_at(stage) → optimise
    finish    paint at the final size → colours, contrast, kept regions → record

The maths is three hops away: :func:`photostyle.objective.build.objective_at` →
:func:`photostyle.objective.encoding.encoder` → :func:`photostyle.objective.gram.masked_grams`.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photostyle.errors import Interrupted, StoppedError, UsageError
from photostyle.finish.result import as_finished, finished, whole_way
from photostyle.images import resize, write_picture
from photostyle.objective.build import Problem, objective_at
from photostyle.options.config import Resolved, TransferConfig
from photostyle.options.typed import TransferOptions
from photostyle.preparation import PictureSource, Prepared, prepare
from photostyle.progress import Callback, Message, ignore
from photostyle.record import fingerprint, run_record
from photostyle.regions.labels import LabelMasks
from photostyle.regions.source import ContentMask, StyleMask
from photostyle.solvers.estimate import announcement, tiled_choices
from photostyle.solvers.run import Checkpoint, Solution, solve
from photostyle.solvers.schedule import Stage, plan
from photostyle.solvers.start import Source
from photostyle.solvers.torch_state import own_torch_state


@dataclass(frozen=True, repr=False)
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

    @property
    def losses(self) -> dict[str, float]:
        """The weighted terms of the last iteration, by name, and "total"; none of a closed form."""
        return {name: value for name, value in (self.record["losses"] or {}).items() if isinstance(value, float)}

    @property
    def seconds(self) -> float:
        """What the run took."""
        return float(self.record["seconds"])

    def __repr__(self) -> str:
        height, width = self.rgb.shape[:2]
        return f"<Result {width}×{height}, {self.record['config']['mode']}, {self.seconds:.0f} s>"

    def _repr_png_(self) -> bytes:
        """Show the picture in a notebook."""
        buffer = io.BytesIO()
        self.image.save(buffer, "PNG")
        return buffer.getvalue()

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
    **options: Unpack[TransferOptions],
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
    config, problem = prepared.config, prepared.problem
    stages = plan(config, prepared.solve_size)
    if config.solver == "pixels":
        for note in announcement(problem, stages, config, prepared.size):
            callback(Message(note))
    solution = solve_problem(problem, stages, whole_way(config), as_finished(prepared, callback), place)
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


def solve_problem(
    problem: Problem,
    stages: Sequence[Stage],
    config: Resolved,
    callback: Callback,
    checkpoint: Checkpoint | None = None,
) -> Solution:
    """Hand the solver what it needs of a problem: the objective of each stage, and what to start from.

    Parameters and errors are those of :func:`photostyle.solvers.run.solve`.
    """
    return solve(
        stages,
        partial(objective_at, problem),
        Source(problem.content, problem.styles[0], config, problem.device, problem.space),
        callback,
        tilings=lambda stage: tiled_choices(problem.backbone, stage, config, problem.device),
        checkpoint=checkpoint,
    )


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

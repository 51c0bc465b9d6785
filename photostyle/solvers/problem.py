"""A problem to solve, and its objective at the size of a stage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from photostyle.field.objective import field_objective
from photostyle.field.space import FieldSpace
from photostyle.images import fit_longest_side, resize
from photostyle.networks import Backbone
from photostyle.objective.build import ContentInput, build_objective
from photostyle.objective.matting import matting_laplacian
from photostyle.objective.style_targets import StyleInput
from photostyle.objective.total import Objective
from photostyle.options.config import TransferConfig
from photostyle.regions.labels import LabelMasks
from photostyle.regions.match import Assignment
from photostyle.solvers.memory import keep_freed_memory
from photostyle.solvers.schedule import Stage


@dataclass(frozen=True)
class Problem:
    """Everything that doesn't depend on the size of a stage.

    Attributes
    ----------
    content : ndarray, shape (H, W, 3)
        sRGB in [0, 1].
    content_masks : LabelMasks
        K regions.
    styles : sequence of ndarray, shape (H', W', 3)
    style_masks : sequence of LabelMasks or None
        The regions of each style; None where it is used whole.
    assignments : sequence of K Assignment
    backbone : Backbone
    device : str
    space : FieldSpace or None
        What an affine field is measured and blended by, where one is wanted.
    """

    content: NDArray[np.float32]
    content_masks: LabelMasks
    styles: Sequence[NDArray[np.float32]]
    style_masks: Sequence[LabelMasks | None]
    assignments: Sequence[Assignment]
    backbone: Backbone
    device: str = "cpu"
    space: FieldSpace | None = None


def build_stage(
    problem: Problem, stage: Stage, config: TransferConfig, tiled_blocks: int = 0
) -> tuple[Objective, Tensor, Tensor]:
    """Bring content, styles and masks to a stage's size and build its objective.

    Parameters
    ----------
    problem : Problem
    stage : Stage
    config : TransferConfig
        Resolved.
    tiled_blocks : int
        How many blocks of the network see the picture tile by tile.

    Returns
    -------
    objective : Objective
        Of pixels, or where the stage has a grid, of an affine field.
    content, style : Tensor, shape (1, 3, H, W)
        The content, and the first style stretched to the same size, to start from.
    """
    keep_freed_memory()
    device = problem.device
    content = resize(problem.content, stage.size)
    masks = torch.from_numpy(problem.content_masks.resized(stage.size).masks).to(device)
    laplacian = matting_laplacian(content) if stage.matting and config.matting_weight else None
    styles = []
    for picture, labels in zip(problem.styles, problem.style_masks, strict=True):
        size = _style_size(picture, stage, config.style_scale)
        by_label: dict[str, Tensor] = {}
        if labels is not None:
            small = torch.from_numpy(labels.resized(size).masks).to(device)
            by_label = dict(zip(labels.labels, small, strict=True))
        styles.append(StyleInput(to_tensor(resize(picture, size), device), by_label))
    image = to_tensor(content, device)
    objective = build_objective(
        problem.backbone, ContentInput(image, masks, laplacian), styles, problem.assignments, config, tiled_blocks
    )
    if stage.grid is not None:
        assert problem.space is not None
        objective = field_objective(objective, problem.space, content, stage.grid, config)
    return objective, image, to_tensor(resize(problem.styles[0], stage.size), device)


def _style_size(picture: NDArray[np.float32], stage: Stage, scale: float) -> tuple[int, int]:
    """Return the size of a style picture at a stage, so many times as long as the result.

    A small one isn't enlarged but for that scale: blurred strokes would make a blurred result. Its shorter side stays
    long enough for the deepest layers.
    """
    height, width = picture.shape[:2]
    least = math.ceil(32 * max(height, width) / min(height, width))
    longest = round(min(max(stage.size) * scale, max(height, width) * max(scale, 1.0)))
    return fit_longest_side((width, height), max(least, longest))


def to_tensor(picture: NDArray[np.float32], device: str) -> Tensor:
    """Turn a picture of shape (H, W, 3) into a tensor of shape (1, 3, H, W) on a device."""
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None].to(device)


def to_array(x: Tensor) -> NDArray[np.float32]:
    """Turn a tensor of shape (1, 3, H, W) into a picture of shape (H, W, 3), clipped to [0, 1]."""
    array: NDArray[np.float32] = x[0].detach().clamp(0, 1).permute(1, 2, 0).cpu().numpy()
    return np.ascontiguousarray(array)

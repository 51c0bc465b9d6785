"""Artistic mode over time: each frame starts from the last result, moved as the frame moved (Ruder et al. 2016).

What was painted stays where it was painted: a frame is initialised with the last result, warped by the optical flow of
the video, and a temporal term holds it there. Where the flow can't be believed, since something came into view, the
frame starts from the content, in the colours of the result, and the term is silent.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from photostyle.colors.luminance import grey
from photostyle.colors.statistics import moments, transport_map
from photostyle.finish.result import finished
from photostyle.images import resize
from photostyle.images.tensors import to_array, to_tensor
from photostyle.objective.build import Problem
from photostyle.objective.total import Features, LossFunction, Objective
from photostyle.options.config import Resolved
from photostyle.pipeline import solve_problem
from photostyle.progress import Callback
from photostyle.solvers.run import Solution
from photostyle.solvers.schedule import PHOTOREALISM, STYLE, plan
from photostyle.video.flow import consistent, explained, optical_flow, warped
from photostyle.video.solving import solve_from
from photostyle.video.strip import Reel, picture_of
from photostyle.video.tracking import Tracked, present

_ENOUGH = 0.1  # share of the frame that must be known for its colours to say something


def stylise_frame(
    reel: Reel,
    tracked: Tracked,
    before: NDArray[np.uint8] | None,
    last: NDArray[np.float32] | None,
    iterations: int,
    temporal: float,
    callback: Callback,
) -> tuple[NDArray[np.float32], NDArray[np.float32], dict[str, Any]]:
    """Stylise one frame."""
    config = reel.prepared.config
    problem = _problem(reel, tracked)
    if before is None or last is None:
        solution = solve_problem(problem, plan(config, reel.solve_size), config, callback)
        if solution.stopped is not None:
            raise solution.stopped
        assert solution.image is not None
        solved, losses = solution.image, dict(solution.history[-1])
    else:
        start, sure = moved(last, before, tracked.frame, problem.content)
        target, mask = to_tensor(start, problem.device), torch.from_numpy(sure).to(problem.device)

        def extended(objective: Objective) -> Objective:
            term = (temporal_loss(target, mask), temporal)
            return replace(objective, terms={**objective.terms, "temporal": term})

        stage = replace(PHOTOREALISM if config.matting_weight else STYLE, size=reel.solve_size, iterations=iterations)
        best, losses = solve_from(problem, stage, _settling(config), target, extended, callback)
        solved = to_array(best)
    picture = picture_of(tracked.frame)
    prepared = replace(reel.prepared, problem=problem, content=picture, masks=problem.content_masks, size=reel.size)
    return finished(prepared, Solution(image=solved)), solved, losses


def moved(
    last: NDArray[np.float32], before: NDArray[np.uint8], frame: NDArray[np.uint8], content: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Move a result as the video moved."""
    size = (last.shape[1], last.shape[0])
    old, new = (np.rint(resize(picture_of(each).rgb, size) * 255).astype(np.uint8) for each in (before, frame))
    back = optical_flow(new, old)
    sure = consistent(back, optical_flow(old, new)) * explained(new, warped(old, back))
    carried = np.clip(warped(last, back, sharp=True), 0, 1)
    fresh = content
    if _ENOUGH < float(sure.mean()) < 1:
        fresh = _recolored(content, transport_map(moments(content, sure), moments(carried, sure)))
    return np.where(sure[..., None] > 0, carried, fresh).astype(np.float32), sure


def _recolored(content: NDArray[np.float32], colors: NDArray[np.float64]) -> NDArray[np.float32]:
    """Apply one map of colours, shape (3, 4), to a picture."""
    return np.clip(content @ colors[:, :3].T + colors[:, 3], 0, 1).astype(np.float32)


def temporal_loss(target: Tensor, sure: Tensor) -> LossFunction:
    """Return the mean squared difference to a target, over the pixels at which it is known."""
    total = 3 * sure.sum().clamp_min(1.0)

    def loss(x: Tensor, _features: Features) -> Tensor:
        return (sure * (x - target).square()).sum() / total

    return loss


def _settling(config: Resolved) -> Resolved:
    """Let a frame that begins near its end take all its iterations: there is little that a loss could still lose."""
    return replace(config, settle=0.0)


def _problem(reel: Reel, tracked: Tracked) -> Problem:
    shared = reel.prepared.problem
    regions, places = present(reel.labels, tracked.masks)
    content = resize(picture_of(tracked.frame).rgb, reel.solve_size)
    if reel.prepared.config.preserve_color == "luminance":
        content = grey(content)  # as the styles are
    return replace(
        shared,
        content=content,
        content_masks=regions.resized(reel.solve_size),
        assignments=[shared.assignments[place] for place in places],
        space=None,
    )

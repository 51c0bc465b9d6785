"""Photo mode over time: affine fields are solved on key frames, and every frame is painted by what lies between.

A field says what happens to colours, place by place and tone by tone. It hardly changes from one second to the next, so
neighbouring key frames' fields are kept alike (each starts from the one before and pays for its distance to it),
smoothed over time, and interpolated. The frames' own detail is never optimised, so it can't flicker.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from photostyle.field.mattes import soft_matte
from photostyle.field.space import FieldSpace, field_space
from photostyle.finish.result import finished, whole_way
from photostyle.images import resize
from photostyle.objective.build import Problem
from photostyle.objective.matting import matting_laplacian
from photostyle.objective.total import Objective
from photostyle.options.defaults import CLOSED_FORMS
from photostyle.pipeline import solve_problem
from photostyle.progress import Callback
from photostyle.solvers.run import Solution
from photostyle.solvers.schedule import plan
from photostyle.video.fields import Field, fields_at, filled, smoothed
from photostyle.video.shots import Interval, Shot
from photostyle.video.solving import solve_from
from photostyle.video.strip import Reel, picture_of
from photostyle.video.tracking import Tracked, present

_MATTE_EPSILON = 1e-5  # the Matting Laplacian's ε for mattes, as where fields are solved

KeyFields = dict[str, Field]
"""By label, shape (D, N, N, 15)."""


def solve_key(
    reel: Reel,
    frame: NDArray[np.uint8],
    masks: NDArray[np.float32],
    previous: KeyFields | None,
    temporal: float,
    callback: Callback,
) -> tuple[KeyFields, dict[str, Any]]:
    """Solve the fields of a key frame."""
    config = whole_way(reel.prepared.config)
    problem, labels = _key_problem(reel, frame, masks)
    space = problem.space
    assert space is not None
    if config.solver in CLOSED_FORMS:
        field = space.field(space.start(*space.grid)).cpu().numpy()
        return dict(zip(labels, field, strict=True)), {}
    stages = plan(config, reel.solve_size)
    if previous is None:
        solution = solve_problem(problem, stages, config, callback)
        if solution.stopped is not None:
            raise solution.stopped
        assert solution.field is not None
        return dict(zip(labels, solution.field, strict=True)), dict(solution.history[-1])
    stage = stages[-1]
    assert stage.grid is not None
    start, known = _start(space, labels, previous, stage.grid)

    def extended(objective: Objective) -> Objective:
        return replace(
            objective, penalties={**objective.penalties, "temporal": (_distance(start, known, space), temporal)}
        )

    best, losses = solve_from(problem, stage, config, start, extended, callback)
    return dict(zip(labels, space.field(best).cpu().numpy(), strict=True)), losses


def _key_problem(reel: Reel, frame: NDArray[np.uint8], masks: NDArray[np.float32]) -> tuple[Problem, tuple[str, ...]]:
    """Return the problem of one key frame, with the regions that it has."""
    shared = reel.prepared.problem
    regions, places = present(reel.labels, masks)
    content = resize(picture_of(frame).rgb, reel.solve_size)
    assignments = [shared.assignments[place] for place in places]
    regions = regions.resized(reel.solve_size)
    space = field_space(
        content, regions, shared.styles, shared.style_masks, assignments, reel.small, device=shared.device
    )
    if reel.prepared.config.solver == "grade":  # that of the whole shot
        assert shared.space is not None
        space = replace(space, maps=shared.space.maps[list(places)])
    problem = replace(shared, content=content, content_masks=regions, assignments=assignments, space=space)
    return problem, regions.labels


def _start(
    space: FieldSpace, labels: Sequence[str], previous: Mapping[str, Field], grid: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Return the coordinates to start from, and which labels, 0 or 1, have them from the key frame before."""
    fresh = space.start(*grid)
    fields = space.field(fresh).clone()
    for index, label in enumerate(labels):
        if label in previous:
            fields[index] = torch.from_numpy(previous[label]).to(fields)
    known = torch.tensor([float(label in previous) for label in labels]).to(fields)
    return space.coordinates(fields).detach(), known


def _distance(start: Tensor, known: Tensor, space: FieldSpace) -> Callable[[Tensor], Tensor]:
    """Return the mean square of what a change of the fields does to their regions' colours."""
    shares = space.shares.to(start) * known

    def distance(coordinates: Tensor) -> Tensor:
        return (shares * (coordinates - start).square().sum(-1).mean((1, 2, 3))).sum()

    return distance


class Painter:
    """Paints the frames of a shot."""

    def __init__(self, reel: Reel, shot: Shot, fields: Mapping[int, KeyFields]) -> None:
        self.reel = reel
        times = [float(key) for key in shot.keys]
        areas = [dict(zip(reel.labels, reel.masks[key].mean((1, 2)).tolist(), strict=True)) for key in shot.keys]
        smooth = smoothed(filled([fields[key] for key in shot.keys]), times, areas)
        self.fields = dict(zip(shot.keys, smooth, strict=True))

    def field(self, interval: Interval, number: int) -> KeyFields:
        """Return the fields of a frame."""
        return fields_at(self.fields[interval.start], self.fields[interval.end], interval.share(number))

    def __call__(self, tracked: Tracked) -> NDArray[np.float32]:
        """Return the result of a frame, shape (H, W, 3), in [0, 1]."""
        reel, by_label = self.reel, self.field(tracked.interval, tracked.number)
        shared = reel.prepared.problem
        picture = picture_of(tracked.frame)
        content = resize(picture.rgb, reel.solve_size)
        places = [i for i, label in enumerate(reel.labels) if label in by_label]
        regions, there = present([reel.labels[i] for i in places], tracked.masks[places])
        labels = [reel.labels[places[i]] for i in there]
        small = resize(content, reel.small)
        mattes = soft_matte(regions.masks, matting_laplacian(small, _MATTE_EPSILON))
        nothing = torch.zeros(0)
        space = FieldSpace(mattes, nothing, np.zeros((0, 3, 4)), nothing, nothing, small)
        problem = replace(shared, content=content, content_masks=regions, space=space)
        prepared = replace(reel.prepared, problem=problem, content=picture, masks=regions, size=reel.size)
        return finished(prepared, Solution(field=np.stack([by_label[label] for label in labels])))


def packed_fields(fields: KeyFields) -> bytes:
    """Return fields as the bytes of a file."""
    buffer = io.BytesIO()
    np.savez(buffer, labels=np.array(list(fields)), fields=np.stack(list(fields.values())))
    return buffer.getvalue()


def load_fields(data: bytes) -> KeyFields:
    """Return the fields of such a file."""
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return dict(zip(archive["labels"].tolist(), archive["fields"], strict=True))

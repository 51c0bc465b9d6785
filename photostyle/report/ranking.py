"""One objective for the results of many runs, each of which has minimised another."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from photostyle.images import resize
from photostyle.images.tensors import to_tensor
from photostyle.objective.build import Problem, objective_at
from photostyle.options.config import Resolved
from photostyle.solvers.schedule import PHOTOREALISM


class FixedObjective:
    """The objective of pixels that belongs to a problem and its options, to rank any pictures of the same content.

    For the affine solver these are the terms of the picture that a field makes; the field's own smoothness, which
    no picture shows, is left out.
    """

    def __init__(self, problem: Problem, config: Resolved, size: tuple[int, int]) -> None:
        self.problem, self.config, self.size = problem, config, size
        self.objective = objective_at(problem, replace(PHOTOREALISM, size=size), config)

    def __call__(self, picture: NDArray[np.float32]) -> dict[str, float]:
        """Return the weighted terms at a picture, shape (H, W, 3) in [0, 1], and their sum as "total"."""
        with torch.no_grad():
            losses = self.objective.losses(to_tensor(resize(picture, self.size), self.problem.device))
        values = {name: float(loss) for name, loss in losses.items()}
        return {"total": sum(values.values()), **values}

    @cached_property
    def record(self) -> dict[str, Any]:
        """What the objective is, as plain data."""
        backbone = self.problem.backbone
        return {
            "meaning": "the weighted sum of these terms at a result brought to this size, by the options below; lower "
            "is better. An affine field's own smoothness is no part of it",
            "size": list(self.size),
            "weights": {name: weight for name, (_, weight) in self.objective.terms.items() if weight},
            "backbone": backbone.name,
            "weights_sha256": backbone.sha256,
            "content_layers": list(backbone.content_layers),
            "style_layers": list(backbone.style_layers),
            "regions": {label: round(share, 6) for label, share in self.problem.content_masks.shares.items()},
            "notes": list(self.objective.notes),
            "config": {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self.config).items()},
        }

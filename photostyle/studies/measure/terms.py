"""The terms of the objective, unweighted and by the same layers and regions for all pictures of a comparison."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from photostyle.errors import RegionError
from photostyle.images import resize
from photostyle.images.tensors import to_tensor
from photostyle.objective.build import Problem, objective_at
from photostyle.options.config import Resolved
from photostyle.solvers.schedule import STYLE


class ObjectiveTerms:
    """Measures pictures at one size against content, style and regions.

    Parameters
    ----------
    segmented, unsegmented : Problem
        The same pictures with their regions, and with one region.
    config : Resolved
    size : tuple of int
        (width, height) at which is measured.

    Raises
    ------
    RegionError
        If no region is large enough to be measured.
    """

    def __init__(self, segmented: Problem, unsegmented: Problem, config: Resolved, size: tuple[int, int]) -> None:
        plain = replace(
            config,
            mode="artistic",  # no tolerances
            strength=1.0,
            normalisation="relative",
            content_weight=1.0,
            style_weight=1.0,
            tv_weight=0.0,
            matting_weight=0.0,
            edge_weight=0.0,
            color_weight=0.0,
            grain_weight=0.0,
            calm_weight=0.0,
            detail_weight=0.0,
            gamut_weight=0.0,
        )
        self.size, self.device = size, segmented.device
        stage = replace(STYLE, size=size)
        self.regions = objective_at(segmented, stage, plain)
        if not self.regions.terms["style"][1]:
            raise RegionError(
                f"no region has enough cells on any style layer at {size[0]}×{size[1]} to be measured: "
                "take a larger --size, fewer regions, or shallower --style-layers"
            )
        self.whole = objective_at(unsegmented, stage, plain)

    def __call__(self, picture: NDArray[np.float32]) -> dict[str, float]:
        """Return ``content``, ``style_regions`` and ``style_global`` of a picture, shape (H, W, 3) in [0, 1]."""
        x = to_tensor(resize(picture, self.size), self.device)
        with torch.no_grad():
            regions, whole = self.regions.losses(x), self.whole.losses(x)
        return {
            "content": float(regions["content"]),
            "style_regions": float(regions["style"]),
            "style_global": float(whole["style"]),
        }

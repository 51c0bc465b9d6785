"""The objective of an affine field: that of the picture which it makes, and what the field costs by itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from photostyle.field.cosines import smoothness
from photostyle.field.grid import Slicer, normalised
from photostyle.field.space import FieldSpace
from photostyle.images.tensors import to_tensor
from photostyle.objective.calm import calm_loss, calm_targets
from photostyle.objective.detail import detail_loss, log_contrast
from photostyle.objective.total import Objective
from photostyle.options.config import Resolved
from photostyle.regions.labels import area_average


def field_objective(
    objective: Objective,
    space: FieldSpace,
    content: NDArray[np.float32],
    grid: tuple[int, int],
    config: Resolved,
) -> Objective:
    """Turn an objective of pixels into one of a field's coordinates.

    Parameters
    ----------
    objective : Objective
        Of pixels, at the content's size.
    space : FieldSpace
    content : ndarray, shape (H, W, 3)
    grid : tuple of int
        (tones, cells).
    config : Resolved

    Returns
    -------
    Objective
        Of tensors of shape (K, tones, cells, cells, 15).
    """
    size = (content.shape[1], content.shape[0])
    mattes = normalised(np.stack([area_average(matte, size) for matte in space.mattes]))
    slicer = Slicer(content, mattes, *grid, str(space.inputs.device))

    def picture(coordinates: Tensor) -> Tensor:
        return slicer(space.field(coordinates))

    def penalty(coordinates: Tensor) -> Tensor:
        return smoothness(coordinates, space.shares)

    with torch.no_grad():
        closed_form = picture(space.start(*grid, config.strength)).clamp(0, 1)
        image = to_tensor(content, closed_form.device)
        gradients, contrast = calm_targets(image, closed_form), log_contrast(closed_form)

    def calm(x: Tensor, _features: object) -> Tensor:
        return calm_loss(x, gradients)

    def detail(x: Tensor, _features: object) -> Tensor:
        return detail_loss(x, contrast)

    terms = {**objective.terms, "calm": (calm, config.calm_weight), "detail": (detail, config.detail_weight)}
    return replace(objective, terms=terms, picture=picture, penalties={"field": (penalty, config.field_weight)})

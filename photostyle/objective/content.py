"""The content loss: distance between the features of the result and those of the content picture."""

from __future__ import annotations

from torch import Tensor

_TINY = 1e-12


def content_loss(features: Tensor, target: Tensor, normalisation: str = "relative") -> Tensor:
    r"""Return the content loss of one layer.

    With F the features of the result and P those of the content picture:

    - ``papers``: :math:`L = \frac12 \operatorname{mean} (F - P)^2`, equation 1 of Gatys et al. (2016) with a mean
      in place of their sum, so that a weight means the same at every size;
    - ``relative``: :math:`L = \sum (F - P)^2 / \sum P^2`, which also balances layers and pictures.

    Parameters
    ----------
    features, target : Tensor, same shape
        F and P.
    normalisation : str
        "relative" or "papers".

    Returns
    -------
    Tensor, shape ()
        Zero at the target, never negative.

    Examples
    --------
    >>> import torch
    >>> target = torch.ones(1, 8, 4, 4)
    >>> float(content_loss(target, target)), float(content_loss(0 * target, target))
    (0.0, 1.0)
    """
    squared = (features - target).square()
    if normalisation == "papers":
        return 0.5 * squared.mean()
    return squared.sum() / target.square().sum().clamp_min(_TINY)

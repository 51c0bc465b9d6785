"""The whole objective: one pass through the network, then a table of weighted terms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Evaluation", "Features", "LossFunction", "Objective"]

Features = Mapping[str, Tensor]
LossFunction = Callable[[Tensor, Features], Tensor]
"""From the picture, shape (1, 3, H, W), and its features to a loss of shape ()."""


@dataclass(frozen=True)
class Evaluation:
    """The objective at one picture.

    Attributes
    ----------
    total : float
        The weighted sum.
    gradient : Tensor, shape (1, 3, H, W)
        Its derivative with respect to the picture.
    losses : mapping of str to float
        The weighted terms by name, then their sum as "total".
    """

    total: float
    gradient: Tensor
    losses: Mapping[str, float]


@dataclass(frozen=True)
class Objective:
    """A weighted sum of losses that share one pass through a network.

    Attributes
    ----------
    network : callable
        From a picture to its features.
    terms : mapping of str to (function, weight)
        The losses. A term of weight zero isn't computed.
    scale : float
        What the content and style terms would amount to without any features: the yardstick by which a loss
        counts as run away.
    notes : tuple of str
        What was left out, and why.
    """

    network: Callable[[Tensor], Features]
    terms: Mapping[str, tuple[LossFunction, float]]
    scale: float = 1.0
    notes: tuple[str, ...] = ()

    def losses(self, x: Tensor) -> dict[str, Tensor]:
        """Return the weighted terms at the picture ``x``, shape (1, 3, H, W), by name."""
        features = self.network(x)
        return {name: weight * function(x, features) for name, (function, weight) in self.terms.items() if weight}

    def __call__(self, x: Tensor) -> Evaluation:
        """Evaluate the objective and its gradient.

        Parameters
        ----------
        x : Tensor, shape (1, 3, H, W)
            sRGB, nominally in [0, 1].

        Returns
        -------
        Evaluation
        """
        x = x.detach().requires_grad_()
        losses = self.losses(x)
        total = torch.stack(list(losses.values())).sum()
        (gradient,) = torch.autograd.grad(total, x)
        # One transfer from the device for all numbers.
        values = torch.stack([total.detach(), *(loss.detach() for loss in losses.values())]).tolist()
        return Evaluation(values[0], gradient, {**dict(zip(losses, values[1:], strict=True)), "total": values[0]})

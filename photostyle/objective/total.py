"""The whole objective: a picture from parameters, one pass through the network, then a table of weighted terms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

Features = Mapping[str, Tensor]
LossFunction = Callable[[Tensor, Features], Tensor]
"""From the picture, shape (1, 3, H, W), and its features to a loss of shape ()."""
Penalty = Callable[[Tensor], Tensor]
"""From the parameters to a loss of shape ()."""


@dataclass(frozen=True)
class Evaluation:
    """The objective at one point.

    Attributes
    ----------
    total : float
        The weighted sum.
    gradient : Tensor
        Its derivative with respect to the parameters, of their shape.
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
    picture : callable
        From the parameters that are optimised to the picture, shape (1, 3, H, W). By default they are its pixels.
    penalties : mapping of str to (function, weight)
        Losses of the parameters themselves.
    """

    network: Callable[[Tensor], Features]
    terms: Mapping[str, tuple[LossFunction, float]]
    scale: float = 1.0
    notes: tuple[str, ...] = ()
    picture: Callable[[Tensor], Tensor] = lambda x: x
    penalties: Mapping[str, tuple[Penalty, float]] = field(default_factory=dict)

    def losses(self, x: Tensor) -> dict[str, Tensor]:
        """Return the weighted terms at the picture ``x``, shape (1, 3, H, W), by name."""
        features = self.network(x)
        return {name: weight * function(x, features) for name, (function, weight) in self.terms.items() if weight}

    def __call__(self, parameters: Tensor) -> Evaluation:
        """Evaluate the objective and its gradient.

        Parameters
        ----------
        parameters : Tensor
            What ``picture`` takes: by default pixels, shape (1, 3, H, W), sRGB, nominally in [0, 1].

        Returns
        -------
        Evaluation
        """
        parameters = parameters.detach().requires_grad_()
        losses = self.losses(self.picture(parameters))
        losses |= {name: weight * penalty(parameters) for name, (penalty, weight) in self.penalties.items() if weight}
        total = torch.stack(list(losses.values())).sum()
        (gradient,) = torch.autograd.grad(total, parameters)
        # One transfer from the device for all numbers.
        values = torch.stack([total.detach(), *(loss.detach() for loss in losses.values())]).tolist()
        return Evaluation(values[0], gradient, {**dict(zip(losses, values[1:], strict=True)), "total": values[0]})

"""The edge loss: distance between the edges of the result and those of the content."""

from __future__ import annotations

from torch import Tensor


def edge_loss(edges: Tensor, target: Tensor) -> Tensor:
    r"""Return :math:`\frac1M \sum_p (e_p - t_p)^2`.

    A map of colours can't move an edge, but it can swallow one, where two colours become alike, or make one of what
    was noise. The content loss, on a grid eight times as coarse, hardly sees that; an edge detector does.

    Parameters
    ----------
    edges, target : Tensor, same shape
        The probability of an edge in each pixel of the result and of the content.

    Returns
    -------
    Tensor, shape ()
        Zero at the target, never negative.
    """
    return (edges - target).square().mean()

"""Total variation: the price of noise."""

from __future__ import annotations

from torch import Tensor

REFERENCE_SIZE = 512
"""The longest side at which the weights of gradient terms mean what they say."""


def size_factor(height: int, width: int) -> float:
    """Return the factor by which a mean of squared differences is to be scaled at this size.

    A difference between neighbouring pixels of the same picture halves when its side doubles, so its square
    falls with the square of the side: ``(longest side / 512)²`` makes up for it.
    """
    return (max(height, width) / REFERENCE_SIZE) ** 2


def total_variation(x: Tensor, *, wraps: bool = False) -> Tensor:
    r"""Return the squared total variation of a picture, the same at every size.

    :math:`L = (s/512)^2 \left(\operatorname{mean} (\partial_h x)^2 + \operatorname{mean} (\partial_v x)^2\right)`
    with s the longest side; the quadratic form of Mahendran & Vedaldi (2015), equation 4 with β = 2, as a mean.

    Parameters
    ----------
    x : Tensor, shape (N, C, H, W)
        In [0, 1]; H and W of at least 2.
    wraps : bool
        Whether opposite borders are neighbours, as in a picture that tiles.

    Returns
    -------
    Tensor, shape ()
        Zero for a constant picture, never negative.

    Examples
    --------
    >>> import torch
    >>> float(total_variation(torch.full((1, 3, 8, 8), 0.5)))
    0.0
    """
    if wraps:
        horizontal, vertical = x.roll(-1, 3) - x, x.roll(-1, 2) - x
    else:
        horizontal, vertical = x[..., :, 1:] - x[..., :, :-1], x[..., 1:, :] - x[..., :-1, :]
    return size_factor(*x.shape[-2:]) * (horizontal.square().mean() + vertical.square().mean())

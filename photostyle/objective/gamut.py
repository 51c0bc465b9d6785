"""The gamut loss: the price of colours that no screen can show, and that would be clipped."""

from __future__ import annotations

from torch import Tensor


def gamut_loss(picture: Tensor) -> Tensor:
    r"""Return :math:`\frac1M \sum_p \|x_p - \operatorname{clip}(x_p, 0, 1)\|^2`.

    Parameters
    ----------
    picture : Tensor, shape (1, 3, H, W)
        sRGB, nominally in [0, 1].

    Returns
    -------
    Tensor, shape ()
        Zero if all M pixels lie in [0, 1], never negative.

    Examples
    --------
    >>> import torch
    >>> float(gamut_loss(torch.full((1, 3, 4, 4), 1.5)))
    0.75
    """
    return (picture - picture.clamp(0, 1)).square().sum(1).mean()

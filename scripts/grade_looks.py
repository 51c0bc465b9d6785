"""Random looks, of the kinds that photographers use, to learn grades from: each is one map of colours.

Every look takes and gives sRGB in [0, 1], shape (B, P, 3), another for each of the B rows, from a seeded generator.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["random_looks"]

_LUMA = torch.tensor([0.299, 0.587, 0.114])
_KNOTS = torch.linspace(0, 1, 5)
_TEAL = 3.5  # the angle of a favourite tint of shadows


def random_looks(colors: Tensor, generator: torch.Generator) -> Tensor:
    """Give each row of colours a look of its own, from faint to strong."""
    dice = _Dice(len(colors), generator)
    looks = torch.where(dice.chance(0.75), _film(colors, dice), _any(colors, dice))
    return colors + (0.4 + 0.6 * dice.even()) * (looks - colors)


class _Dice:
    """Random numbers, one a row, of shape (B, 1, 1) or (B, 1, N)."""

    def __init__(self, count: int, generator: torch.Generator) -> None:
        self.count, self.generator = count, generator

    def even(self, numbers: int = 1) -> Tensor:
        return torch.rand(self.count, 1, numbers, generator=self.generator)

    def both(self, numbers: int = 1) -> Tensor:
        return 2 * self.even(numbers) - 1

    def chance(self, share: float) -> Tensor:
        return self.even() < share


def _film(x: Tensor, dice: _Dice) -> Tensor:
    """White balance, exposure, night, split toning, an S curve with lifted blacks, saturation: each now and then."""
    warm, green = dice.both() * dice.chance(0.45), dice.both() * dice.chance(0.45)
    x = x * torch.cat([1 + 0.16 * warm, 1 + 0.04 * green, 1 - 0.2 * warm], 2) + 0.03 * dice.both(3) * dice.chance(0.3)
    exposure = torch.where(dice.chance(0.25), 0.35 + 0.6 * dice.even(), 1 + 0.15 * dice.both() * dice.chance(0.3))
    night = dice.chance(0.22)
    x = (x * exposure).clamp(1e-4, 1.1) ** (1 + night * (0.3 + 1.9 * dice.even()))
    dark = (1 - exposure).clamp(0, 1) + 0.8 * night * dice.even()
    x = x * torch.cat([1 - 0.4 * dark * dice.even(), 1 - 0.15 * dark * dice.even(), 1 + 0.3 * dark * dice.even()], 2)
    x = x + dice.chance(0.5) * _split_toning(x, dice)
    contrast = (0.5 * dice.both() + 0.2) * dice.chance(0.6)
    lift, drop = 0.16 * dice.even() * dice.chance(0.35), 0.14 * dice.even() * dice.chance(0.35)
    middle = 0.06 * dice.both() * dice.chance(0.4) * torch.tensor([0, 0.7, 1, 0.7, 0])
    curve = lift + (1 - lift - drop) * (_KNOTS + contrast * torch.tensor([0, -0.1, 0, 0.1, 0]) + middle)
    x = _curved(x, curve)
    change = torch.where(dice.chance(0.7), -0.7 * dice.even(), 0.25 * dice.even())
    return _saturated(x, 1 + dice.chance(0.6) * change)


def _any(x: Tensor, dice: _Dice) -> Tensor:
    """Gains, offsets, gamma, tints and curves without any relation to each other."""
    x = x * (1 + 0.2 * dice.both(3) * dice.chance(0.5)) + 0.05 * dice.both(3) * dice.chance(0.4)
    x = x * (1 + 0.35 * dice.both() * dice.chance(0.4))
    x = x.clamp(1e-4, 1.2) ** torch.exp2(1.2 * dice.both() * dice.chance(0.35))
    x = x * (1 - 0.3 * dice.even() * dice.chance(0.2))
    luma = (x.clamp(0, 1) @ _LUMA)[..., None]
    shadows, lights, middle = (_coloured(size * dice.both(3), 0.7) for size in (0.1, 0.1, 0.05))
    toned = (1 - luma) ** 2 * shadows + luma**2 * lights + 4 * luma * (1 - luma) * middle * dice.chance(0.4)
    x = x + dice.chance(0.6) * toned
    ends = torch.cat([0.15 * dice.even() * dice.chance(0.4), -0.2 * dice.even() * dice.chance(0.4)], 2)
    slope = ends @ torch.stack([1 - _KNOTS, _KNOTS])
    bumps = dice.both(5) * torch.tensor([0, 0.09, 0.1, 0.09, 0])
    x = _curved(x, _KNOTS + dice.chance(0.8) * (slope + bumps))
    return _saturated(x, (1 + (0.4 * dice.both() - 0.15) * dice.chance(0.7)).clamp(0.1, 1.6))


def _split_toning(x: Tensor, dice: _Dice) -> Tensor:
    """One tint for the shadows, about the opposite one for the lights."""
    luma = (x.clamp(0, 1) @ _LUMA)[..., None]
    angle = torch.where(dice.chance(0.5), 0.5 * dice.both() + _TEAL, 2 * math.pi * dice.even())
    opposite, power, neutral = angle + math.pi + 0.6 * dice.both(), 1 + dice.even(), dice.even()

    def tint(at: Tensor) -> Tensor:
        third = 2 * math.pi / 3
        return _coloured(torch.cat([at.cos(), (at - third).cos(), (at + third).cos()], 2), neutral)

    return 0.1 * ((1 - luma) ** power * tint(angle) * dice.even() + luma**power * tint(opposite) * dice.even())


def _coloured(tint: Tensor, share: Tensor | float) -> Tensor:
    """Take a share of its luma off a tint."""
    return tint - share * (tint @ _LUMA)[..., None]


def _curved(x: Tensor, values: Tensor) -> Tensor:
    """Apply a rising tone curve, given at five values of a channel, shape (B, 1, 5)."""
    values = values[:, 0].cummax(1)[0]
    place = 4 * x.clamp(0, 1)
    below = place.long().clamp(max=3)
    low, high = (values.gather(1, (below + step).flatten(1)).view_as(x) for step in (0, 1))
    return low + (place - below) * (high - low)


def _saturated(x: Tensor, saturation: Tensor) -> Tensor:
    luma = (x @ _LUMA)[..., None]
    return (luma + saturation * (x - luma)).clamp(0, 1)

"""The schedule: at which sizes a picture is optimised, for how many iterations, and with which terms."""

from __future__ import annotations

from dataclasses import dataclass

from photostyle.config import TransferConfig

__all__ = ["COARSEST", "Stage", "plan"]

COARSEST = 128
"""The schedule begins at the first size, halving from the result's, whose half would be below this."""

_LEAST_SIDE = 32  # a shorter side leaves nothing of the deepest layers
_MATTING_SHARE = 0.4  # of photo mode's iterations


@dataclass(frozen=True)
class Stage:
    """One level of the schedule.

    Attributes
    ----------
    name : str
        "style", or "photorealism" where the Matting Laplacian takes part.
    size : tuple of int
        (width, height).
    iterations : int
        At least one.
    """

    name: str
    size: tuple[int, int]
    iterations: int

    @property
    def matting(self) -> bool:
        """Whether the Matting Laplacian takes part."""
        return self.name == "photorealism"


def plan(config: TransferConfig, size: tuple[int, int]) -> list[Stage]:
    """Return the stages of a run, in order.

    In artistic mode the sizes double up to ``size``; a level with n levels after it and itself gets a number of
    iterations in proportion to n, since an iteration on a coarse level costs a quarter of one on the next. In
    photo mode with a matting weight these levels are followed by the second stage of Luan et al. (2017),
    section 3: the same sizes without the coarsest, with the Matting Laplacian in the loss.

    Parameters
    ----------
    config : TransferConfig
        Resolved.
    size : tuple of int
        (width, height) at which the optimisation ends.

    Returns
    -------
    list of Stage
        Their iterations sum to ``config.iterations``.
    """
    assert config.iterations is not None
    sizes = _sizes(size) if config.schedule == "coarse-to-fine" else [size]
    if config.mode != "photo" or not config.matting_weight or config.iterations < 2:
        name = "photorealism" if config.matting_weight else "style"
        return _split(name, sizes, config.iterations)
    second = max(1, round(_MATTING_SHARE * config.iterations))
    return [
        *_split("style", sizes, config.iterations - second),
        *_split("photorealism", sizes[1:] or sizes, second),
    ]


def _sizes(size: tuple[int, int]) -> list[tuple[int, int]]:
    sizes = [size]
    while max(sizes[0]) >= 2 * COARSEST and min(sizes[0]) >= 2 * _LEAST_SIDE:
        width, height = sizes[0]
        sizes.insert(0, (-(-width // 2), -(-height // 2)))
    return sizes


def _split(name: str, sizes: list[tuple[int, int]], iterations: int) -> list[Stage]:
    """Share out iterations as n : n - 1 : … : 1; with fewer than there are levels, only the finest remain."""
    sizes = sizes[-iterations:]
    parts = list(range(len(sizes), 0, -1))
    ends = [round(iterations * sum(parts[: i + 1]) / sum(parts)) for i in range(len(parts))]
    counts = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    for index in range(len(counts)):
        if counts[index] == 0:
            counts[counts.index(max(counts))] -= 1
            counts[index] = 1
    return [Stage(name, size, count) for size, count in zip(sizes, counts, strict=True)]

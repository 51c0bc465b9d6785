"""The schedule: at which sizes a picture is optimised, for how many iterations, and with which terms."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from photostyle.images import fit_longest_side
from photostyle.options.config import Resolved
from photostyle.options.defaults import CLOSED_FORMS

COARSEST = 128
"""The schedule begins at the first size, halving from the result's, whose half would be below this."""

_CELL = 16  # pixels that the four poolings of a VGG make one cell
_LEAST_SIDE = 32  # a shorter side leaves nothing of the deepest layers
_FIELD_GRID = (8, 16)  # tones and cells of an affine field
_COARSE_FIELD = (0.5, 0.4)  # its first level: the share of the longest side, and of the iterations
_MOST_WORK = 5e7  # pixels times iterations of a level that may settle
_LEAST_ITERATIONS = 4
_STYLE_SHARE = 0.6  # of photo mode's iterations, for the first stage of Luan et al.
_FIELD_SHARE = 0.3  # of the iterations of the pixel solver in photo mode
FIELD_SIZE = 256
"""Longest side up to which the affine field is optimised from which the pixel solver starts."""


@dataclass(frozen=True)
class Stage:
    """One level of the schedule.

    Attributes
    ----------
    name : str
        For people: "style"; "photorealism" where the Matting Laplacian takes part; "affine field".
    size : tuple of int
        (width, height).
    iterations : int
        At least one.
    grid : tuple of int or None
        (tones, cells) of an affine field; None where the pixels are optimised.
    matting : bool
        Whether the Matting Laplacian takes part, where it has a weight.
    """

    name: str
    size: tuple[int, int]
    iterations: int
    grid: tuple[int, int] | None = None
    matting: bool = False


STYLE, PHOTOREALISM = Stage("style", (0, 0), 0), Stage("photorealism", (0, 0), 0, matting=True)
"""What the stages over pixels have in common; each takes size and iterations of its own."""
_FIELD = Stage("affine field", (0, 0), 0, _FIELD_GRID, matting=True)


def plan(config: Resolved, size: tuple[int, int]) -> list[Stage]:
    """Return the stages of a run, in order.

    In artistic mode the sizes double up to ``size``; a level with n levels after it and itself gets a number of
    iterations in proportion to n, since an iteration on a coarse level costs a quarter of one on the next. Where a
    level ends as soon as the loss settles, these are the most it gets, and above a megapixel it gets fewer.

    An affine field is optimised on two levels. The pixel solver of photo mode starts from such a field, instead of the
    first stage of Luan et al. (2017), section 3, and goes on with their second one: the sizes that double up to
    ``size`` without the coarsest, with the Matting Laplacian in the loss. From any other start it goes through both
    of their stages. There is nothing to optimise for statistics and grades.

    Parameters
    ----------
    config : Resolved
    size : tuple of int
        (width, height) at which the optimisation ends.

    Returns
    -------
    list of Stage
        Their iterations sum to ``config.iterations``, or less where levels may settle; none for statistics and grades.
    """
    iterations = config.iterations
    single = config.schedule == "single"
    if config.solver in CLOSED_FORMS:
        return []
    if config.solver == "affine":
        return _field_stages(size, iterations, single)
    sizes = [size] if single else _sizes(size)
    if config.tiles:
        sizes = [tile_size(each) for each in sizes]
    last = PHOTOREALISM if config.matting_weight else STYLE
    if config.start == "affine":
        first = _field_stages(field_size(size), max(1, round(_FIELD_SHARE * iterations)), single)
    elif config.mode == "photo" and last.matting and iterations > 1:
        first = _split(STYLE, sizes, max(1, round(_STYLE_SHARE * iterations)))
    else:
        stages = _split(last, sizes, iterations)
        return [_few(stage) for stage in stages] if config.settle else stages
    left = iterations - sum(stage.iterations for stage in first)
    return [*first, *(_split(last, sizes[1:] or sizes, left) if left else [])]


def _few(stage: Stage) -> Stage:
    """Leave a large level a few iterations: what they can still change there is small, and each takes a minute."""
    most = max(_LEAST_ITERATIONS, int(_MOST_WORK / math.prod(stage.size)))
    return replace(stage, iterations=min(stage.iterations, most))


def field_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the size at which a field ends that is optimised for pictures of a size; small ones keep theirs."""
    least = math.ceil(_LEAST_SIDE * max(size) / min(size))
    return fit_longest_side(size, min(max(size), max(least, FIELD_SIZE)))


def tile_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the nearest size that a network sees as a tile: its sides are multiples of 16, and at least 32."""
    width, height = (max(_LEAST_SIDE, (side + _CELL // 2) // _CELL * _CELL) for side in size)
    return width, height


def _field_stages(size: tuple[int, int], iterations: int, single: bool) -> list[Stage]:
    """Return the levels of an affine field; a coarse one that is too small, or gets no iterations, is left out."""
    share, part = _COARSE_FIELD
    coarse, count = fit_longest_side(size, max(1, round(share * max(size)))), int(part * iterations)
    if single or not count or min(coarse) < _LEAST_SIDE:
        return [replace(_FIELD, size=size, iterations=iterations)]
    return [replace(_FIELD, size=coarse, iterations=count), replace(_FIELD, size=size, iterations=iterations - count)]


def _sizes(size: tuple[int, int]) -> list[tuple[int, int]]:
    sizes = [size]
    while max(sizes[0]) >= 2 * COARSEST and min(sizes[0]) >= 2 * _LEAST_SIDE:
        width, height = sizes[0]
        sizes.insert(0, (-(-width // 2), -(-height // 2)))
    return sizes


def _split(stage: Stage, sizes: list[tuple[int, int]], iterations: int) -> list[Stage]:
    """Share out iterations as n : n - 1 : … : 1; with fewer than there are levels, only the finest remain."""
    sizes = sizes[-iterations:]
    parts = list(range(len(sizes), 0, -1))
    ends = [round(iterations * sum(parts[: i + 1]) / sum(parts)) for i in range(len(parts))]
    counts = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    for index in range(len(counts)):
        if counts[index] == 0:
            counts[counts.index(max(counts))] -= 1
            counts[index] = 1
    return [replace(stage, size=size, iterations=count) for size, count in zip(sizes, counts, strict=True)]

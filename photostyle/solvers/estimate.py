"""What a run will need: memory, which decides whether pictures are encoded tile by tile, and time."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from photostyle.errors import MemoryLimitError, UsageError
from photostyle.images import fit_longest_side
from photostyle.networks import Backbone
from photostyle.networks.vgg import VGG, block_of
from photostyle.objective.build import Problem
from photostyle.options.config import Resolved
from photostyle.solvers.schedule import Stage, plan

# Bytes of an evaluation with its gradient, fixed and a pixel, by the number of tiled blocks; and how much longer it
# takes. Measured with VGG-16 on a CPU at 1 to 10 megapixels.
_EVALUATION = {0: (0.0, 2950.0), 2: (0.8e9, 740.0), 3: (0.5e9, 690.0)}
_SLOWER = {0: 1.0, 2: 1.15, 3: 1.3}
_PICTURE = 12  # bytes a pixel of a picture of three floats
_PICTURES = 6  # at the same time: start, best, gradient, direction, trial point, content
_CPU_BUDGET = 6.5e9  # a CPU has more memory than it can fill with pixels in a reasonable time
_BEFORE = 3  # evaluations that encoding content and style and the first step cost, at each level
_SHARE = 0.85  # of what is available
_LARGE = 1e6  # pixels from which on a run is announced
_SMALLEST = 64


def available_memory(device: str) -> float:
    """Return the bytes that a run may use on a device; infinity where that can't be known."""
    if device == "cuda":
        free, _ = torch.cuda.mem_get_info()
        return float(free)
    if device == "mps":
        return float(torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory())
    found = [*_from_proc(Path("/proc/meminfo")), *_from_cgroup(Path("/sys/fs/cgroup"))]
    if not found and hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        found.append(float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE"))
    return min(found, default=float("inf"))


def _from_proc(meminfo: Path) -> list[float]:
    try:
        lines = meminfo.read_text().splitlines()
    except OSError:
        return []
    return [1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]


def _from_cgroup(folder: Path) -> list[float]:
    """Return what the limit of a container leaves, where there is one."""
    try:
        limit, used = ((folder / name).read_text().strip() for name in ("memory.max", "memory.current"))
        return [] if limit == "max" else [float(limit) - float(used)]
    except (OSError, ValueError):
        return []


def tiled_choices(backbone: Backbone, stage: Stage, config: Resolved, device: str) -> list[int]:
    """Return how many blocks to tile at a stage, and what to try next where the memory doesn't suffice.

    Parameters
    ----------
    backbone : Backbone
    stage : Stage
    config : Resolved
    device : str

    Returns
    -------
    list of int
        0, 2 or 3: as few as the memory allows, then more.

    Raises
    ------
    UsageError
        If tiles are asked for and can't be had.
    """
    choices = _choices(backbone, stage, config)
    if config.evaluation == "tiles":
        choices = choices[1:]
        if not choices:
            raise UsageError(
                "--evaluation tiles is for the pixels of artistic mode, with a VGG, content layers behind its second "
                "block, and no circular padding: leave it out"
            )
    budget = _SHARE * available_memory(device)
    if device == "cpu":
        budget = min(budget, _CPU_BUDGET)
    fitting = [blocks for blocks in choices if _memory(stage, blocks, config) <= budget]
    return choices[choices.index(fitting[0]) :] if fitting else choices[-1:]


def check_memory(
    backbone: Backbone, device: str, stages: Sequence[Stage], config: Resolved, size: tuple[int, int]
) -> None:
    """Refuse a run over pixels that doesn't fit, before any picture of its size is made.

    Parameters
    ----------
    backbone : Backbone
    device : str
    stages : sequence of Stage
    config : Resolved
    size : tuple of int
        (width, height) of the result, for the offer of a smaller one.

    Raises
    ------
    MemoryLimitError
        If the largest stage doesn't fit into the memory; the message names the largest size that does.
    """
    stage, _, memory = _largest_stage(backbone, device, stages, config)
    available = _SHARE * available_memory(device)
    if memory > available:
        raise MemoryLimitError(
            f"{stage.size[0]}×{stage.size[1]} needs about {memory / 1e9:.1f} GB, but {available / 1e9:.1f} GB can be "
            f"used on {device}: pass --size {_largest(backbone, config, device, size, available)} or less"
            + ("; --evaluation auto needs less" if config.evaluation == "whole" else "")
        )


def announcement(problem: Problem, stages: Sequence[Stage], config: Resolved, size: tuple[int, int]) -> list[str]:
    """Return what a user should know before a run over pixels: nothing for a small one.

    Parameters
    ----------
    problem : Problem
    stages : sequence of Stage
    config : Resolved
    size : tuple of int
        (width, height) of the result.

    Raises
    ------
    MemoryLimitError
        See :func:`check_memory`.
    """
    check_memory(problem.backbone, problem.device, stages, config, size)
    stage, blocks, memory = _largest_stage(problem.backbone, problem.device, stages, config)
    if stage.size[0] * stage.size[1] < _LARGE:
        return []
    tiles = f", tile by tile in the first {blocks} blocks of the network" if blocks else ""
    minutes = _seconds(problem, stages, config) / 60
    return [f"{stage.size[0]}×{stage.size[1]} will take at most {minutes:.0f} min and {memory / 1e9:.1f} GB{tiles}"]


def _largest_stage(
    backbone: Backbone, device: str, stages: Sequence[Stage], config: Resolved
) -> tuple[Stage, int, float]:
    """Return the largest stage, how many blocks it tiles, and the bytes that it needs."""
    stage = max(stages, key=lambda s: s.size[0] * s.size[1])
    blocks = tiled_choices(backbone, stage, config, device)[0]
    return stage, blocks, _memory(stage, blocks, config)


def _largest(backbone: Backbone, config: Resolved, device: str, size: tuple[int, int], available: float) -> int:
    """Return the largest longest side, in steps of 5 %, that fits."""
    longest = max(size)
    while longest > _SMALLEST:
        longest = int(longest * 0.95)
        top = plan(config, fit_longest_side(size, longest))[-1]
        if _memory(top, tiled_choices(backbone, top, config, device)[0], config) <= available:
            break
    return longest


def _seconds(problem: Problem, stages: Sequence[Stage], config: Resolved) -> float:
    """Return about how long the stages will take, from the time of one pass at 128×128, forward and back."""
    backbone, device = problem.backbone, problem.device
    x = torch.zeros(1, 3, 128, 128, device=device, requires_grad=True)

    def once() -> float:
        began = time.perf_counter()
        total = torch.stack([feature.sum() for feature in backbone(x).values()]).sum()
        (gradient,) = torch.autograd.grad(total, x)
        float(gradient.sum())  # waits for the device
        return time.perf_counter() - began

    once()
    a_pixel = min(once(), once()) / 128**2
    slower = [_SLOWER[tiled_choices(backbone, stage, config, device)[0]] for stage in stages]
    evaluations = [math.prod(stage.size) * (stage.iterations + _BEFORE) for stage in stages]
    return a_pixel * sum(a * b for a, b in zip(slower, evaluations, strict=True))


def _choices(backbone: Backbone, stage: Stage, config: Resolved) -> list[int]:
    """Return the numbers of blocks that can be tiled, fewest first."""
    network = backbone.network
    if config.evaluation == "whole" or config.tiles or stage.grid or backbone.edges is not None:
        return [0]
    if not isinstance(network, VGG):
        return [0]
    shallowest = min(block_of(layer) for layer in backbone.content_layers)
    return [blocks for blocks in _EVALUATION if not blocks or blocks < min(shallowest, network.blocks)]


def _memory(stage: Stage, blocks: int, config: Resolved) -> float:
    pixels = stage.size[0] * stage.size[1]
    fixed, a_pixel = _EVALUATION[blocks]
    if config.edge_weight and config.backbone != "hed":  # a second network finds the edges
        a_pixel *= 2
    pairs = min(config.history, stage.iterations) if config.optimizer == "lbfgs" else 2
    return fixed + pixels * (a_pixel + _PICTURE * (2 * pairs + _PICTURES))

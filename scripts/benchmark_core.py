"""Measure the two costs that every run pays: an evaluation of the objective, and the Matting Laplacian.

    python scripts/benchmark_core.py [--repeat 7]

Times are medians, ratios are within one process with the two sides taking turns; each measurement runs in a
process of its own, so that peak memory is its own too. PyMatting (extra `dev`) is the yardstick of the Laplacian.
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

SAMPLES = Path(__file__).resolve().parents[1] / "samples"


def peak_mb() -> float:
    """Return the largest memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def take_turns(functions: dict[str, Callable[[], object]], repeat: int) -> dict[str, float]:
    """Return the median seconds of each function, called in turn after a warm-up."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeat + 1):
        for name, function in functions.items():
            began = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - began)
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def objective(size: int, repeat: int, with_bare: bool, regions: str) -> str:
    """Time an evaluation with its gradient against the bare network at size × size."""
    from torch import nn

    from photostyle.images.tensors import to_tensor
    from photostyle.objective.build import objective_at
    from photostyle.preparation import prepare
    from photostyle.solvers.schedule import STYLE

    rng = np.random.default_rng(0)
    picture = rng.random((size, size, 3), dtype=np.float32)
    prepared = prepare(picture, picture[::-1].copy(), size=size, regions=regions, tv_weight=0.5)
    evaluate = objective_at(prepared.problem, replace(STYLE, size=(size, size)), prepared.config)
    x = to_tensor(prepared.problem.content, prepared.problem.device)
    functions: dict[str, Callable[[], object]] = {"objective": lambda: evaluate(x)}
    if with_bare:
        network: Any = prepared.problem.backbone.network
        layers: list[nn.Module] = []
        for name in network.names:
            if name.startswith("conv"):
                if name.endswith("_1") and name != "conv1_1":
                    layers.append(nn.AvgPool2d(2))
                layers.append(network.convolutions[name])
            else:
                layers.append(nn.ReLU())
        plain = nn.Sequential(*layers)

        def bare() -> None:
            y = x.detach().clone().requires_grad_()
            plain(y).sum().backward()

        functions["bare"] = bare
    medians = take_turns(functions, repeat)
    text = f"objective {size}×{size}, VGG-16, regions {regions}: {medians['objective']:.3f} s"
    if with_bare:
        text += (
            f"; bare forward and backward {medians['bare']:.3f} s; ratio {medians['objective'] / medians['bare']:.3f}"
        )
    return f"{text}; peak {peak_mb():.0f} MB"


def laplacian(width: int, height: int, repeat: int, with_pymatting: bool) -> str:
    """Time the Matting Laplacian of a sample picture against PyMatting's."""
    from photostyle.images import read_picture, resize
    from photostyle.objective.matting import matting_laplacian

    image = resize(read_picture(SAMPLES / "schwerinPalace.webp").rgb, (width, height))
    before = peak_mb()
    functions: dict[str, Callable[[], object]] = {"ours": lambda: matting_laplacian(image)}
    if with_pymatting:
        from pymatting import cf_laplacian

        double = image.astype(np.float64)
        functions["pymatting"] = lambda: cf_laplacian(double, epsilon=1e-7)
    medians = take_turns(functions, repeat)
    text = f"Laplacian {width}×{height}: {medians['ours']:.3f} s"
    if with_pymatting:
        ratio = medians["ours"] / medians["pymatting"]
        return f"{text}; PyMatting {medians['pymatting']:.3f} s; ratio {ratio:.2f}"
    return f"{text}; peak {peak_mb():.0f} MB, {peak_mb() - before:.0f} MB above the imports"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=7, help="how often each is timed (default: 7)")
    parser.add_argument("--size", type=int, default=512, help="side of the picture of the objective (default: 512)")
    arguments = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {multiprocessing.cpu_count()} cores, Python "
          f"{platform.python_version()}")  # fmt: skip
    jobs: list[tuple[Callable[..., str], tuple[object, ...]]] = [
        (objective, (arguments.size, arguments.repeat, True, "none")),
        (objective, (arguments.size, arguments.repeat, True, "grid:2x3")),
        (objective, (arguments.size, 1, False, "none")),
        (laplacian, (700, 525, arguments.repeat, True)),
        (laplacian, (700, 525, 1, False)),
    ]
    for function, values in jobs:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            print(pool.apply(function, values), flush=True)


if __name__ == "__main__":
    main()

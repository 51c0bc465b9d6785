"""The record of a run: what was done, with what, and how it went; as plain data for JSON."""

from __future__ import annotations

import datetime
import hashlib
import platform
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from photostyle._version import __version__
from photostyle.options.config import OPTIONS, Resolved

if TYPE_CHECKING:
    from photostyle.images import Picture
    from photostyle.preparation import Prepared
    from photostyle.regions.labels import LabelMasks
    from photostyle.solvers.run import Solution


def fingerprint(prepared: Prepared) -> str:
    """Return a hash of all that the result depends on: pictures, masks, weights, options and versions."""
    config = {n: v for n, v in asdict(prepared.config).items() if OPTIONS[n].changes in ("picture", "machine")}
    digest = hashlib.sha256()
    digest.update(repr(sorted(config.items())).encode())
    digest.update(repr((_versions(), prepared.problem.device, prepared.problem.backbone.sha256)).encode())
    digest.update(repr((prepared.size, prepared.solve_size, prepared.problem.assignments)).encode())
    problem = prepared.problem
    for picture in (problem.content, *problem.styles):
        digest.update(np.ascontiguousarray(picture).data)
    for masks in (problem.content_masks, *problem.style_masks):
        if masks is not None:
            digest.update(np.ascontiguousarray(masks.masks).data)
    return digest.hexdigest()


def run_record(prepared: Prepared, solution: Solution, seconds: float) -> dict[str, Any]:
    """Return the record of a run."""
    problem, history = prepared.problem, solution.history
    return {
        "photostyle": _versions()["photostyle"],
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "complete": solution.stopped is None,
        "stopped": None if solution.stopped is None else str(solution.stopped) or "interrupted",
        "config": _plain(prepared.config),
        "content": _picture(prepared.content, problem.content_masks),
        "styles": [
            _picture(picture, masks) for picture, masks in zip(prepared.styles, problem.style_masks, strict=True)
        ],
        "size": list(prepared.size),
        "solve_size": list(prepared.solve_size),
        "assignments": [
            {"label": a.label, "weight": a.weight, "sources": [asdict(source) for source in a.sources]}
            for a in problem.assignments
        ],
        "notes": [*prepared.notes, *solution.notes],
        "backbone": {
            "name": problem.backbone.name,
            "content_layers": list(problem.backbone.content_layers),
            "style_layers": list(problem.backbone.style_layers),
            "weights_sha256": problem.backbone.sha256,
        },
        "device": problem.device,
        "machine": {"processor": platform.machine(), "system": platform.system(), "threads": torch.get_num_threads()},
        "versions": _versions(),
        "losses": history[-1] if history else None,
        "history": history,
        "seconds": round(seconds, 3),
        "solve_seconds": round(solution.elapsed, 3),
        "peak_memory_bytes": _peak_memory(problem.device),
    }


def _picture(picture: Picture, masks: LabelMasks | None) -> dict[str, Any]:
    regions = None if masks is None else {label: round(share, 6) for label, share in masks.shares.items()}
    return {"name": picture.name, "size": list(picture.size), "bit_depth": picture.bit_depth, "regions": regions}


def _plain(config: Resolved) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(config).items()}


def _versions() -> dict[str, str]:
    import scipy

    return {
        "photostyle": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
    }


def _peak_memory(device: str) -> int | None:
    """Return the process's largest memory so far in bytes; None where the system doesn't tell."""
    if device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)

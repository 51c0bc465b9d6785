"""photostyle: style transfer by optimisation, with regions and photorealism.

>>> import photostyle
>>> result = photostyle.transfer("castle.jpg", "starry_night.jpg")  # doctest: +SKIP
>>> result.save("castle_by_night.png")  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from photostyle._version import __version__
from photostyle.errors import (
    DivergedError,
    ImageError,
    Interrupted,
    MemoryLimitError,
    OutputError,
    PhotostyleError,
    RegionError,
    StoppedError,
    UsageError,
    WeightsError,
)
from photostyle.options.config import TransferConfig
from photostyle.progress import Download, Message, Rows, Snapshot, Step
from photostyle.video import VideoOptions

if TYPE_CHECKING:
    from photostyle.pipeline import Result, transfer
    from photostyle.report.folder import html_report
    from photostyle.report.sweep import Cell, Sweep
    from photostyle.studies.compare import Comparison, compare
    from photostyle.studies.reconstruct import Reconstruction, reconstruct
    from photostyle.studies.score import score
    from photostyle.studies.segment import Segmentation, Segmenter, segment, write_map
    from photostyle.studies.sweep import sweep
    from photostyle.video.film import Video, stylize_video

__all__ = [
    "Cell",
    "Comparison",
    "DivergedError",
    "Download",
    "ImageError",
    "Interrupted",
    "MemoryLimitError",
    "Message",
    "OutputError",
    "PhotostyleError",
    "Reconstruction",
    "RegionError",
    "Result",
    "Rows",
    "Segmentation",
    "Segmenter",
    "Snapshot",
    "Step",
    "StoppedError",
    "Sweep",
    "TransferConfig",
    "UsageError",
    "Video",
    "VideoOptions",
    "WeightsError",
    "__version__",
    "compare",
    "html_report",
    "reconstruct",
    "score",
    "segment",
    "stylize_video",
    "sweep",
    "transfer",
    "write_map",
]

_HOMES = {
    "studies.compare": ("Comparison", "compare"),
    "pipeline": ("Result", "transfer"),
    "studies.reconstruct": ("Reconstruction", "reconstruct"),
    "report.folder": ("html_report",),
    "studies.score": ("score",),
    "studies.segment": ("Segmentation", "Segmenter", "segment", "write_map"),
    "studies.sweep": ("Cell", "Sweep", "sweep"),
    "video.film": ("Video", "stylize_video"),
}


def __getattr__(name: str) -> Any:
    """Import what needs torch, which takes seconds, when it is first asked for (PEP 562)."""
    for home, names in _HOMES.items():
        if name in names:
            found = globals()[name] = getattr(import_module(f"photostyle.{home}"), name)
            return found
    raise AttributeError(f"module 'photostyle' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

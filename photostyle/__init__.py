"""photostyle: style transfer by optimisation, with regions and photorealism.

>>> import photostyle
>>> result = photostyle.transfer("castle.jpg", "starry_night.jpg")  # doctest: +SKIP
>>> result.save("castle_by_night.png")  # doctest: +SKIP
"""

from __future__ import annotations

from photostyle._version import __version__
from photostyle.comparison import Comparison, compare
from photostyle.config import TransferConfig
from photostyle.errors import (
    DivergedError,
    ImageError,
    Interrupted,
    MemoryLimitError,
    OutputError,
    PhotostyleError,
    RegionError,
    UsageError,
    WeightsError,
)
from photostyle.pipeline import Result, transfer
from photostyle.progress import Download, Message, Rows, Snapshot, Step
from photostyle.reconstruction import Reconstruction, reconstruct
from photostyle.reporting import html_report
from photostyle.scoring import score
from photostyle.segmenting import Segmentation, Segmenter, segment, write_map
from photostyle.sweeping import Cell, Sweep, sweep
from photostyle.video import Video, VideoOptions, stylize_video

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

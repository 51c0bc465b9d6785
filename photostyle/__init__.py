"""photostyle: style transfer by optimisation, with regions and photorealism.

>>> import photostyle
>>> result = photostyle.transfer("castle.jpg", "starry_night.jpg")  # doctest: +SKIP
>>> result.save("castle_by_night.png")  # doctest: +SKIP

For researchers, with the same promise of stability as the functions above: the losses (``losses``), the Matting
Laplacian (``matting_laplacian``), the encoders (``load_backbone``), regions that belong together (``joint_regions``),
masks by label (``LabelMasks``), and the affine field (``field_space``, ``paint``). ``samples/own_loss.py`` is a loss
term of one's own in an optimisation.
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
    from photostyle import objective as losses
    from photostyle.apps.cli.screen import Screen as ProgressBar
    from photostyle.field.space import FieldSpace, field_space, paint
    from photostyle.networks import Backbone, load_backbone
    from photostyle.objective.matting import matting_laplacian
    from photostyle.pipeline import Result, transfer
    from photostyle.regions.joint import divide as joint_regions
    from photostyle.regions.labels import LabelMasks
    from photostyle.report.folder import html_report
    from photostyle.report.sweep import Cell, Sweep
    from photostyle.studies.compare import Comparison, compare
    from photostyle.studies.reconstruct import Reconstruction, reconstruct
    from photostyle.studies.score import score
    from photostyle.studies.segment import Segmentation, Segmenter, segment, write_map
    from photostyle.studies.sweep import sweep
    from photostyle.video.film import Video, stylize_video

__all__ = [
    "Backbone",
    "Cell",
    "Comparison",
    "DivergedError",
    "Download",
    "FieldSpace",
    "ImageError",
    "Interrupted",
    "LabelMasks",
    "MemoryLimitError",
    "Message",
    "OutputError",
    "PhotostyleError",
    "ProgressBar",
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
    "field_space",
    "html_report",
    "joint_regions",
    "load_backbone",
    "losses",
    "matting_laplacian",
    "paint",
    "reconstruct",
    "score",
    "segment",
    "stylize_video",
    "sweep",
    "transfer",
    "write_map",
]

_HOMES = {
    "apps.cli.screen": {"ProgressBar": "Screen"},
    "field.space": ("FieldSpace", "field_space", "paint"),
    "networks": ("Backbone", "load_backbone"),
    "objective": {"losses": ""},
    "objective.matting": ("matting_laplacian",),
    "pipeline": ("Result", "transfer"),
    "regions.joint": {"joint_regions": "divide"},
    "regions.labels": ("LabelMasks",),
    "report.folder": ("html_report",),
    "studies.compare": ("Comparison", "compare"),
    "studies.reconstruct": ("Reconstruction", "reconstruct"),
    "studies.score": ("score",),
    "studies.segment": ("Segmentation", "Segmenter", "segment", "write_map"),
    "studies.sweep": ("Cell", "Sweep", "sweep"),
    "video.film": ("Video", "stylize_video"),
}
"""Where each name is defined; of a mapping under which name, a module itself under none."""


def __getattr__(name: str) -> Any:
    """Import what needs torch, which takes seconds, when it is first asked for (PEP 562)."""
    for home, names in _HOMES.items():
        if name in names:
            module = import_module(f"photostyle.{home}")
            defined = names[name] if isinstance(names, dict) else name
            found = globals()[name] = getattr(module, defined) if defined else module
            return found
    raise AttributeError(f"module 'photostyle' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""Loss curves of one or more runs, drawn with matplotlib."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def loss_curves(histories: Mapping[str, Sequence[Mapping[str, Any]]], width: int = 1200) -> NDArray[np.float32]:
    """Draw the terms of the loss over the iterations, one panel a run."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(_figure(histories, width))
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba(), dtype=np.float32)  # type: ignore[no-untyped-call]
    return pixels[..., :3] / np.float32(255)


def loss_curves_svg(histories: Mapping[str, Sequence[Mapping[str, Any]]], width: int = 900) -> str:
    """Draw the same as an SVG element for a page; the same histories give the same text."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "photostyle"}):
        FigureCanvasSVG(_figure(histories, width)).print_svg(buffer, metadata={"Date": None})  # type: ignore[no-untyped-call]
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _figure(histories: Mapping[str, Sequence[Mapping[str, Any]]], width: int) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 100, 3.2), dpi=100, layout="constrained")
    panels = figure.subplots(1, len(histories), sharey=True, squeeze=False)[0]
    for panel, (name, history) in zip(panels, histories.items(), strict=True):
        iterations = [row["iteration"] for row in history]
        terms = [key for key in history[-1] if key not in ("iteration", "stage", "size")] if history else []
        for term in terms:
            values = [row.get(term, np.nan) for row in history]
            panel.plot(iterations, values, label=term, linewidth=2 if term == "total" else 1)
        levels = [b["iteration"] for a, b in pairwise(history) if _level(a) != _level(b)]
        for start in levels:
            panel.axvline(start, color="0.8", linewidth=0.8, zorder=0)
        panel.set_yscale("log")
        panel.set_title(name, fontsize=9)
        panel.set_xlabel("iteration", fontsize=8)
        panel.tick_params(labelsize=7)
        if terms:
            panel.legend(fontsize=7)
    return figure


def _level(row: Mapping[str, Any]) -> tuple[Any, Any]:
    return row["stage"], tuple(row["size"])

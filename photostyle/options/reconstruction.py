"""What can be reconstructed, by which layers, and with which options."""

from __future__ import annotations

from photostyle.options.config import option_help
from photostyle.options.defaults import RECONSTRUCTIONS

CONTENT_RECONSTRUCTIONS = ("relu1_2", "relu2_2", "relu3_2", "relu4_2", "relu5_2")
"""Default layers whose content is reconstructed (Gatys et al. 2016, figure 1: their "conv1_2" is after the ReLU)."""

KINDS = tuple(RECONSTRUCTIONS)
"""What can be reconstructed: "content", "style" or "texture"."""

LARGEST = 512
"""Longest side at which a picture is seen where no size is given."""


def _told(name: str) -> str:
    """Explain an option whose default depends on what is reconstructed."""
    by_value: dict[float, list[str]] = {}
    for what, defaults in RECONSTRUCTIONS.items():
        by_value.setdefault(defaults[name], []).append(what)
    values = ", ".join(f"{value:g} ({', '.join(kinds)})" for value, kinds in by_value.items())
    return f"{option_help(name).partition(' Default:')[0]} Default: {values}."


OPTIONS: dict[str, str] = {
    "size": f"Longest side of IMAGE in pixels, as the network sees it. Default: its own, at most {LARGEST}.",
    "style_layer_weights": "Weight of each layer, by comma, for style and texture; they are divided by their sum. "
    "Default: those of a transfer, equal for layers of your own and with --normalisation papers.",
    **{name: _told(name) for name in RECONSTRUCTIONS["texture"]},
    **{
        name: option_help(name)
        for name in (
            "backbone",
            "weights",
            "weights_preprocessing",
            "pooling",
            "padding",
            "normalisation",
            "optimizer",
            "learning_rate",
            "history",
            "schedule",
            "seed",
            "device",
            "offline",
        )
    },
}
"""The fields of :class:`TransferConfig` that mean something to a reconstruction, with what they mean."""

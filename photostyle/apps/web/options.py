"""The options of the page: which there are, in what order, and how their values become those of a transfer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from photostyle.errors import UsageError
from photostyle.options.config import OPTIONS as TABLE
from photostyle.options.config import TransferConfig, option_help
from photostyle.options.parsing import parse_text

OPTIONS = (
    "mode",
    "size",
    "strength",
    "iterations",
    "preserve_color",
    "style_loss",
    "denoise",
    "preset",
    "style_weight",
    "content_weight",
    "style_scale",
    "seed",
)
"""Fields of the config, in the order of the inputs."""

_SIZES = {256: "Quick", 384: "Good", 512: "Fine", 768: "Large", 1024: "Larger", 1536: "Very large", 2048: "Huge"}
_MODES = [("Artistic: like a painting", "artistic"), ("Photo: stays a photograph", "photo")]
_NUMBERS = tuple(name for name in OPTIONS[3:] if not TABLE[name].choices)
_LONGEST = 40  # characters of a number


def option_inputs(most: int) -> list[gr.components.Component]:
    """Make the inputs, inside the layout that is open: the first three in sight, the rest folded away."""
    sizes = [(f"{name}, {size} px", size) for size, name in _SIZES.items() if size <= most] or [(f"{most} px", most)]
    inputs: list[gr.components.Component] = [
        gr.Radio(_MODES, value="artistic", label="Mode", elem_id="mode"),
        gr.Dropdown(sizes, value=sizes[0][1], label="Size", info="Larger takes longer.", elem_id="size"),
        gr.Slider(0, 1, value=TransferConfig.strength, step=0.05, label="Strength", elem_id="strength"),
    ]
    with gr.Accordion("More options", open=False, elem_id="more"):
        inputs += [_input(name) for name in OPTIONS[3:]]
    return inputs


def _input(name: str) -> gr.components.Component:
    label, default = name.replace("_", " ").capitalize(), getattr(TransferConfig, name)
    shared: dict[str, Any] = {"label": label, "info": option_help(name), "elem_id": name.replace("_", "-")}
    if TABLE[name].choices:
        choices = [*([("none", "")] if default is None else []), *((word, word) for word in TABLE[name].choices)]
        return gr.Dropdown(choices, value=default or "", **shared)
    # gradio's own number input says 0 where nothing was said
    return gr.Textbox(value="" if default is None else f"{default:g}", placeholder="default", max_lines=1, **shared)


def config_options(values: Sequence[Any]) -> dict[str, Any]:
    """Return the options that the inputs give; what was left empty keeps its default."""
    if len(values) != len(OPTIONS):
        raise UsageError("the page and the server don't agree on the options: load the page again")
    options: dict[str, Any] = {}
    for name, value in zip(OPTIONS, values, strict=True):
        if value is None or value == "":
            continue
        if name in _NUMBERS:
            options[name] = parse_text(name, str(value)[:_LONGEST])
        elif isinstance(value, str) if TABLE[name].choices else type(value) in (int, float):
            options[name] = value
        else:
            raise UsageError(f"the {name.replace('_', ' ')} is {value!r}, which is no such value: load the page again")
    return options

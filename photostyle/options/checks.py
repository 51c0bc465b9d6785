"""Checks of the options of a transfer, one by one; what depends on several is checked where defaults are filled in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from photostyle.errors import UsageError
from photostyle.options.defaults import CHOICES
from photostyle.options.values import check_integer, check_number, check_weights, flag, pairs


class _Options(Protocol):
    """What is asked for by its name here of the options of a transfer; the others are looked up in lists of names."""

    @property
    def snapshots(self) -> Sequence[int]: ...
    @property
    def checkpoint_every(self) -> int: ...
    @property
    def seed(self) -> int: ...
    @property
    def settle(self) -> float | None: ...
    @property
    def style_weights(self) -> Sequence[float] | None: ...
    @property
    def match(self) -> Sequence[str]: ...
    @property
    def keep(self) -> Sequence[str]: ...
    @property
    def region_weights(self) -> Sequence[str]: ...
    @property
    def segmenter(self) -> str: ...


def check_config(config: _Options) -> None:
    """Raise a `UsageError` if a value is not allowed; it names the option, the value and what is allowed."""
    for name, allowed in CHOICES.items():
        value = getattr(config, name)
        if value is not None and value not in allowed:
            raise UsageError(f"{flag(name)} is {value!r}, but must be one of: {', '.join(allowed)}")
    for name, least in (("size", 32), ("solve_size", 32), ("iterations", 1), ("history", 1), ("snapshot_every", 1)):
        check_integer(name, getattr(config, name), least)
    check_integer("checkpoint_every", config.checkpoint_every, 0)
    check_integer("seed", config.seed, 0)
    for number in config.snapshots:
        check_integer("snapshots", number, 1)
    for name in (
        "content_weight",
        "style_weight",
        "tv_weight",
        "matting_weight",
        "edge_weight",
        "color_weight",
        "grain_weight",
        "calm_weight",
        "detail_weight",
        "gamut_weight",
        "field_weight",
        "smoothing",
        "learning_rate",
        "style_scale",
        "denoise_strength",
    ):
        check_number(name, getattr(config, name), above_zero=name in ("learning_rate", "style_scale"))
    for name in ("noise_share", "strength"):
        check_number(name, getattr(config, name))
        if getattr(config, name) > 1:
            raise UsageError(f"{flag(name)} is {getattr(config, name)}, but must lie between 0 and 1")
    check_number("settle", config.settle)
    _check_layers(config, "content")
    _check_layers(config, "style")
    check_weights("style_weights", config.style_weights)
    for name in ("keep", "match", "region_weights"):
        if isinstance(getattr(config, name), str):
            raise UsageError(f"{flag(name)} is the text {getattr(config, name)!r}, but must be a list of texts")
    pairs("match", config.match)
    weights_by_label(config.region_weights)
    if not all(isinstance(label, str) and label.strip() for label in config.keep):
        raise UsageError(f"--keep is {','.join(map(str, config.keep))!r}: name labels, such as sky")
    if not isinstance(config.segmenter, str) or not config.segmenter:
        raise UsageError(f"--segmenter is {config.segmenter!r}, but must be a name or a path")


def _check_layers(config: _Options, kind: str) -> None:
    layers: Sequence[str] | None = getattr(config, f"{kind}_layers")
    weights: Sequence[float] | None = getattr(config, f"{kind}_layer_weights")
    if layers is not None and (not layers or len(set(layers)) < len(layers)):
        raise UsageError(f"--{kind}-layers is {','.join(layers)!r}: name at least one layer, and none twice")
    check_weights(f"{kind}_layer_weights", weights)


def weights_by_label(region_weights: Sequence[str]) -> dict[str, float]:
    """Return the weights of regions, given as LABEL=X, by label; a `UsageError` where one is no number from 0 on."""
    result = {}
    for label, text in pairs("region_weights", region_weights).items():
        try:
            result[label] = float(text)
        except ValueError:
            raise UsageError(f"--region-weights gives {label!r} the weight {text!r}, which is no number") from None
        check_number("region_weights", result[label])
    return result

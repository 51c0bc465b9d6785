"""Checks of the lists of a transfer's options; the table checks single values, `resolve` what depends on several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from photostyle.errors import UsageError
from photostyle.options.values import check_number, pairs


class _Options(Protocol):
    @property
    def match(self) -> Sequence[str]: ...
    @property
    def keep(self) -> Sequence[str]: ...
    @property
    def region_weights(self) -> Sequence[str]: ...
    @property
    def segmenter(self) -> str: ...


def check_lists(config: _Options) -> None:
    """Raise a `UsageError` if labels, their pairs and weights, or layers can't be read."""
    for kind in ("content", "style"):
        layers: Sequence[str] | None = getattr(config, f"{kind}_layers")
        if layers is not None and (not layers or len(set(layers)) < len(layers)):
            raise UsageError(f"--{kind}-layers is {','.join(layers)!r}: name at least one layer, and none twice")
    pairs("match", config.match)
    weights_by_label(config.region_weights)
    if not all(isinstance(label, str) and label.strip() for label in config.keep):
        raise UsageError(f"--keep is {','.join(map(str, config.keep))!r}: name labels, such as sky")
    if not isinstance(config.segmenter, str) or not config.segmenter:
        raise UsageError(f"--segmenter is {config.segmenter!r}, but must be a name or a path")


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

"""Every option of a transfer with its default, once, for all faces: command line, Python, and those to come.

A default of ``None`` depends on the mode or on another option; :func:`resolve` fills it in, and the record of
a run holds the filled-in values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from photostyle.errors import UsageError

__all__ = ["CHOICES", "TransferConfig", "option_help", "pairs", "resolve", "weights_by_label"]

CHOICES: dict[str, tuple[str, ...]] = {
    "mode": ("artistic", "photo"),
    "pooling": ("average", "max"),
    "padding": ("replicate", "zeros"),
    "start": ("content", "style", "noise", "mix"),
    "optimizer": ("lbfgs", "adam"),
    "schedule": ("coarse-to-fine", "single"),
    "normalisation": ("relative", "papers"),
    "device": ("auto", "cpu", "cuda", "mps"),
    "weights_preprocessing": ("torchvision", "caffe"),
}
"""The allowed values of the options that take a word."""

# What depends on the mode. The weights belong to the normalisation "relative"; see _PAPERS for the other one.
_BY_MODE: dict[str, dict[str, Any]] = {
    "artistic": {
        "content_weight": 0.02,
        "tv_weight": 0.3,
        "matting_weight": 0.0,
        "smoothing": 0.0,
        "iterations": 150,
    },
    "photo": {
        "content_weight": 0.05,
        "tv_weight": 0.0,
        "matting_weight": 1000.0,
        "iterations": 200,
        "smoothing": 1e-3,
        "solve_size": 512,
    },
}
# Of the five default style layers, found by eye. Deep layers respond to sharpness: their relative distance between a
# photograph and a painting is up to a hundred times that of the first layers, and weighing them like those smooths
# the strokes away.
_STYLE_LAYER_WEIGHTS = {"artistic": (1.0, 1.0, 0.5, 0.05, 0.005), "photo": (1.0, 1.0, 1.0, 0.3, 0.05)}
# Gatys et al. (2016) report alpha/beta of 1e-3 to 1e-4 for networks scaled to a mean activation of one; on
# features as these networks give them, the means below keep the two terms in the same order of magnitude.
_PAPERS = {"content_weight": 1.0, "style_weight": 10.0, "tv_weight": 0.0}


def _option(default: Any, help_text: str) -> Any:
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True)
class TransferConfig:
    """The options of one transfer; see :func:`option_help` for what each means.

    Raises
    ------
    UsageError
        If a value is not allowed; the message names the option, the value and what is allowed.
    """

    mode: str = _option("artistic", "artistic (Gatys et al. 2016) or photo (Luan et al. 2017).")
    size: int | None = _option(
        None, "Longest side of the result in pixels. Default: the content's own, in artistic mode at most 512."
    )
    solve_size: int | None = _option(
        None,
        "Longest side up to which is optimised; the rest of the way to --size is done by local affine maps where there "
        "is smoothing, else by plain enlargement. Default: 512 in photo mode, else the size.",
    )
    regions: str | None = _option(
        None,
        "none, auto (segmentation), grid:RxC, or a label map FILE (as --content-mask). Default: what the masks imply, "
        "else auto in photo mode, with --map and in compare, else none.",
    )
    segmenter: str = _option(
        "outdoor", "What --regions auto asks: outdoor (packaged), ade20k (model hub), or the PATH of an smp checkpoint."
    )
    strict_labels: bool = _option(False, "A label without a counterpart in the style is an error.")
    match: tuple[str, ...] = _option(
        (), "Pairs of your own, CONTENT_LABEL=STYLE_LABEL, by comma or repeated: mountain=vegetation."
    )
    keep: tuple[str, ...] = _option((), "Labels whose regions stay as they are, by comma or repeated.")
    region_weights: tuple[str, ...] = _option(
        (), "Weight of the style in a region, LABEL=X, by comma or repeated; 1 where nothing is said."
    )
    style_weights: tuple[float, ...] | None = _option(
        None, "Shares of several styles that are blended, by comma. Default: equal shares."
    )
    style_scale: float = _option(1.0, "Size of the style pictures relative to the result's longest side.")
    backbone: str = _option("vgg16", "vgg16, vgg19, or any torchvision classifier by its name.")
    weights: str | None = _option(None, "Weights FILE (.safetensors, .pth) instead of the backbone's own.")
    weights_preprocessing: str | None = _option(
        None,
        "What a weights FILE expects: torchvision (RGB, ImageNet mean and deviation) or caffe (BGR, 0-255). "
        "Default: what the file says, else torchvision.",
    )
    pooling: str = _option("average", "average (as Gatys et al. advise) or max.")
    padding: str = _option(
        "replicate", "What a VGG sees beyond the border: replicate (no dark frame) or zeros (as it was trained)."
    )
    content_layers: tuple[str, ...] | None = _option(
        None,
        "Layers of the content loss, by comma: relu4_2 is the response after the ReLU, conv4_2 before it. "
        "Default: relu4_2.",
    )
    style_layers: tuple[str, ...] | None = _option(
        None, "Layers of the style loss, by comma. Default: relu1_1,relu2_1,relu3_1,relu4_1,relu5_1."
    )
    content_layer_weights: tuple[float, ...] | None = _option(
        None, "Weight of each content layer, by comma; they are divided by their sum. Default: equal."
    )
    style_layer_weights: tuple[float, ...] | None = _option(
        None,
        "Weight of each style layer, by comma; they are divided by their sum. Default: equal for layers of your own "
        "and with --normalisation papers, else 1,1,0.5,0.05,0.005, in photo mode 1,1,1,0.3,0.05.",
    )
    normalisation: str = _option(
        "relative",
        "relative (each feature term divided by its target's squared norm) or papers (Gatys' formula, as means).",
    )
    content_weight: float | None = _option(
        None, "Weight of the content loss. Default: 0.02, in photo mode 0.05 (papers: 1)."
    )
    style_weight: float | None = _option(None, "Weight of the style loss. Default: 1 (papers: 10).")
    tv_weight: float | None = _option(
        None, "Weight of the total variation. Default: 0.3 in artistic mode, 0 in photo mode and for papers."
    )
    matting_weight: float | None = _option(
        None, "Weight of the Matting Laplacian. Default: 0 in artistic mode, 1000 in photo mode."
    )
    smoothing: float | None = _option(
        None,
        "Photo mode: how smooth the local affine maps are from which the result is made again at full size, in "
        "squared colour units; 0: the optimised pixels as they are. Default: 0.001 in photo mode, else 0.",
    )
    start: str = _option("content", "Picture to start from: content, style, noise (white), or mix.")
    noise_share: float = _option(0.5, "Share of white noise in the start mix, 0 to 1.")
    optimizer: str = _option("lbfgs", "lbfgs (with a weak Wolfe line search) or adam.")
    learning_rate: float | None = _option(None, "First step of the optimiser. Default: 1 for lbfgs, 0.02 for adam.")
    history: int = _option(20, "Pairs that L-BFGS remembers.")
    iterations: int | None = _option(None, "Iterations in all, over all levels. Default: 150, in photo mode 200.")
    schedule: str = _option(
        "coarse-to-fine", "coarse-to-fine (128 px, doubling up to the size) or single (the classic algorithm)."
    )
    seed: int = _option(0, "Seed of the white noise; the same seed gives the same bytes on one machine.")
    device: str = _option("auto", "auto, cpu, cuda or mps.")
    offline: bool = _option(False, "Never fetch weights from the network.")
    snapshot_every: int | None = _option(None, "Keep a snapshot after every N iterations.")
    snapshots: tuple[int, ...] = _option((), "Keep snapshots after these iterations, by comma.")
    checkpoint_every: int = _option(25, "Write a checkpoint after every N iterations; 0: only on Ctrl-C.")

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            value = getattr(self, name)
            if value is not None and value not in allowed:
                raise UsageError(f"{_flag(name)} is {value!r}, but must be one of: {', '.join(allowed)}")
        for name, least in (("size", 32), ("solve_size", 32), ("iterations", 1), ("history", 1), ("snapshot_every", 1)):
            _check_integer(name, getattr(self, name), least)
        _check_integer("checkpoint_every", self.checkpoint_every, 0)
        _check_integer("seed", self.seed, 0)
        for number in self.snapshots:
            _check_integer("snapshots", number, 1)
        for name in (
            "content_weight",
            "style_weight",
            "tv_weight",
            "matting_weight",
            "smoothing",
            "learning_rate",
            "style_scale",
        ):
            _check_number(name, getattr(self, name), above_zero=name in ("learning_rate", "style_scale"))
        _check_number("noise_share", self.noise_share)
        if self.noise_share > 1:
            raise UsageError(f"--noise-share is {self.noise_share}, but must lie between 0 and 1")
        self._check_layers("content")
        self._check_layers("style")
        _check_weights("style_weights", self.style_weights)
        for name in ("keep", "match", "region_weights"):
            if isinstance(getattr(self, name), str):
                raise UsageError(f"{_flag(name)} is the text {getattr(self, name)!r}, but must be a list of texts")
        pairs("match", self.match)
        weights_by_label(self)
        if not all(isinstance(label, str) and label.strip() for label in self.keep):
            raise UsageError(f"--keep is {','.join(map(str, self.keep))!r}: name labels, such as sky")
        if not isinstance(self.segmenter, str) or not self.segmenter:
            raise UsageError(f"--segmenter is {self.segmenter!r}, but must be a name or a path")

    def _check_layers(self, kind: str) -> None:
        layers: Sequence[str] | None = getattr(self, f"{kind}_layers")
        weights: Sequence[float] | None = getattr(self, f"{kind}_layer_weights")
        if layers is not None and (not layers or len(set(layers)) < len(layers)):
            raise UsageError(f"--{kind}-layers is {','.join(layers)!r}: name at least one layer, and none twice")
        _check_weights(f"{kind}_layer_weights", weights)


def option_help(name: str) -> str:
    """Return the one-line explanation of an option.

    Parameters
    ----------
    name : str
        A field of :class:`TransferConfig`.
    """
    return next(str(f.metadata["help"]) for f in fields(TransferConfig) if f.name == name)


def resolve(config: TransferConfig) -> TransferConfig:
    """Fill in every default that depends on the mode, the normalisation or the optimiser.

    Layers stay None when the backbone's own defaults are meant: they belong to the backbone.

    Parameters
    ----------
    config : TransferConfig

    Returns
    -------
    TransferConfig
        The same with no None among the weights, the iterations and the learning rate.
    """
    defaults: dict[str, Any] = {
        "style_weight": 1.0,
        "learning_rate": 1.0 if config.optimizer == "lbfgs" else 0.02,
        **_BY_MODE[config.mode],
        **(_PAPERS if config.normalisation == "papers" else {}),
    }
    if config.style_layers is None and config.normalisation == "relative":
        defaults["style_layer_weights"] = _STYLE_LAYER_WEIGHTS[config.mode]
    missing = {name: value for name, value in defaults.items() if getattr(config, name) is None}
    filled = replace(config, **missing)
    if not any((filled.content_weight, filled.style_weight)):
        raise UsageError("--content-weight and --style-weight are both 0, but one must be above 0")
    return filled


def pairs(name: str, values: Sequence[str]) -> dict[str, str]:
    """Take KEY=VALUE texts apart.

    Parameters
    ----------
    name : str
        The option, for messages.
    values : sequence of str

    Raises
    ------
    UsageError
        If one has no "=" or an empty side, or a key occurs twice.
    """
    result: dict[str, str] = {}
    for value in values:
        key, separator, other = (part.strip() for part in str(value).partition("="))
        if not (key and separator and other) or key in result:
            raise UsageError(f"{_flag(name)} is {','.join(map(str, values))!r}: each must be LABEL=…, no label twice")
        result[key] = other
    return result


def weights_by_label(config: TransferConfig) -> dict[str, float]:
    """Return the weights of regions that were given, by label; a `UsageError` where one is no number from 0 on."""
    result = {}
    for label, text in pairs("region_weights", config.region_weights).items():
        try:
            result[label] = float(text)
        except ValueError:
            raise UsageError(f"--region-weights gives {label!r} the weight {text!r}, which is no number") from None
        _check_number("region_weights", result[label])
    return result


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _check_integer(name: str, value: Any, least: int) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UsageError(f"{_flag(name)} is {value!r}, but must be a whole number of at least {least}")


def _check_number(name: str, value: Any, above_zero: bool = False) -> None:
    if value is None:
        return
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not number or value < 0 or (above_zero and value == 0):
        raise UsageError(
            f"{_flag(name)} is {value!r}, but must be a number {'above' if above_zero else 'of at least'} 0"
        )


def _check_weights(name: str, weights: Sequence[float] | None) -> None:
    if weights is None:
        return
    for weight in weights:
        _check_number(name, weight)
    if not weights or sum(weights) <= 0:
        raise UsageError(f"{_flag(name)} is {','.join(map(str, weights))!r}, but its sum must be above 0")

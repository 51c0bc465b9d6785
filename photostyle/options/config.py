"""Every option of a transfer with its default, once, for all faces: command line, Python, and those to come.

A default of ``None`` depends on the mode or on another option; :func:`resolve` fills it in, and the record of
a run holds the filled-in values.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

from photostyle.errors import UsageError
from photostyle.options.checks import check_config
from photostyle.options.defaults import BY_SOLVER, CLOSED_FORMS, PAPERS, PRESETS, SETTLE, STARTS
from photostyle.options.values import flag


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
    solver: str | None = _option(
        None,
        "What is optimised: affine (a field of local colour maps), pixels, or nothing: statistics (a colour map in "
        "closed form for each region; a preview), grade (the style's look alone: tone curve, tints, saturation, where "
        "it shows other things than the content). Default: affine in photo mode, else pixels.",
    )
    preset: str | None = _option(None, f"Weights of photo mode for a kind of picture: {', '.join(PRESETS)}.")
    strength: float = _option(1.0, "How far to go from the content's own look (0) to the style's (1).")
    size: int | None = _option(
        None, "Longest side of the result in pixels. Default: the content's own, in artistic mode at most 512."
    )
    solve_size: int | None = _option(
        None,
        "Longest side up to which is optimised; the rest of the way to --size is done by local affine maps where there "
        "is smoothing, else by plain enlargement; the affine field needs no way. Default: 224 for affine, "
        "statistics and grade, 512 for pixels in photo mode, else the size.",
    )
    regions: str | None = _option(
        None,
        "none, auto (each picture segmented), joint (content and styles divided together by what they show), "
        "grid:RxC, or a label map FILE (as --content-mask). Default: what the masks imply, else joint in photo mode, "
        "auto with --map, with labels that are named, and in compare, else none.",
    )
    segmenter: str = _option(
        "outdoor",
        "What --regions auto and joint ask: outdoor (packaged), ade20k (model hub), or the PATH of an smp checkpoint.",
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
    style_scale: float = _option(
        1.0,
        "Size of the style pictures relative to the result's longest side; small ones aren't enlarged but for a scale "
        "above 1.",
    )
    backbone: str | None = _option(
        None,
        "vgg16, vgg19, hed (a VGG-16 tuned for edges), or any torchvision classifier by its name. Default: vgg16, in "
        "photo mode hed.",
    )
    weights: str | None = _option(None, "Weights FILE (.safetensors, .pth) instead of the backbone's own.")
    weights_preprocessing: str | None = _option(
        None,
        "What a weights FILE expects: torchvision (RGB, ImageNet mean and deviation) or caffe (BGR, 0-255). "
        "Default: what the file says, else torchvision.",
    )
    pooling: str = _option("average", "average (as Gatys et al. advise) or max.")
    padding: str = _option(
        "replicate",
        "What a VGG sees beyond the border: replicate (no dark frame), zeros (as it was trained) or circular (the "
        "result tiles without a seam; artistic mode).",
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
        "and with --normalisation papers, else 1,1,1,0.3,0.05, for the affine field equal.",
    )
    style_loss: str = _option(
        "gram", "gram (Gatys et al.) or wasserstein (distance of means and covariances of the features)."
    )
    normalisation: str = _option(
        "relative",
        "relative (each feature term divided by its target's squared norm) or papers (Gatys' formula, as means).",
    )
    content_weight: float | None = _option(None, "Weight of the content loss.")
    style_weight: float | None = _option(None, "Weight of the style loss. Default: 1 (papers: 1000), affine solver 12.")
    tv_weight: float | None = _option(None, "Weight of the total variation.")
    matting_weight: float | None = _option(None, "Weight of the Matting Laplacian.")
    edge_weight: float | None = _option(None, "Weight of the distance between edges (HED).")
    color_weight: float | None = _option(None, "Weight of the distance between colour distributions, region by region.")
    grain_weight: float | None = _option(
        None,
        "Weight, times that of the style, of how strong the finest detail is in luma and colour, region by region.",
    )
    calm_weight: float | None = _option(None, "Weight of coarse gradients beside the closed form's.")
    detail_weight: float | None = _option(None, "Weight of local contrast that leaves the closed form's.")
    gamut_weight: float | None = _option(None, "Weight of colours outside [0, 1].")
    field_weight: float | None = _option(None, "Weight of the affine field's smoothness.")
    smoothing: float | None = _option(
        None,
        "How smooth the local affine maps are from which the result is made again at full size, in squared colour "
        "units; 0: not at all.",
    )
    deband: bool = _option(True, "Affine field: smooth the content's steps of 8 bits before they are stretched.")
    preserve_color: str = _option(
        "none",
        "Artistic mode: keep the content's colours. luminance: transfer that alone; histogram, linear (mean and "
        "covariance): match the colours of the style to the content's first.",
    )
    denoise: str = _option("none", "Take noise out of the result: none, tv (total variation) or nlm (non-local means).")
    denoise_strength: float = _option(1.0, "How much of it; 1 is what is usual for the noise that is found.")
    auto_contrast: bool = _option(False, "Stretch the result's brightness to the full range.")
    strip_metadata: bool = _option(
        False,
        "Leave the content's EXIF (camera, author, place) out of the result, which keeps it otherwise; a TIFF keeps no "
        "camera settings and no place.",
    )
    start: str | None = _option(
        None,
        "Picture to start from: content, style, noise (white), or mix; in photo mode also affine (the affine solver's "
        "result, for pixels) and statistics (for affine). Default: the last two in photo mode, else content.",
    )
    noise_share: float = _option(0.5, "Share of white noise in the start mix, 0 to 1.")
    optimizer: str = _option("lbfgs", "lbfgs (with a weak Wolfe line search) or adam.")
    learning_rate: float | None = _option(None, "First step of the optimiser. Default: 1 for lbfgs, 0.02 for adam.")
    history: int = _option(20, "Pairs that L-BFGS remembers.")
    iterations: int | None = _option(None, "Iterations in all, over all levels; fewer where the loss settles.")
    schedule: str = _option(
        "coarse-to-fine", "coarse-to-fine (128 px, doubling up to the size) or single (the classic algorithm)."
    )
    settle: float | None = _option(
        None,
        "A level ends when ten iterations lower the loss by less than this share; 0: never. Default: 0.03 in artistic "
        "mode with the default number of iterations, else 0.",
    )
    evaluation: str = _option(
        "auto",
        "Whether the network sees a picture whole or tile by tile, with the same result: whole, tiles, or auto (tiles "
        "where the memory asks for them).",
    )
    seed: int = _option(0, "Seed of the white noise; the same seed gives the same bytes on one machine.")
    device: str = _option("auto", "auto, cpu, cuda or mps.")
    offline: bool = _option(False, "Never fetch weights from the network.")
    snapshot_every: int | None = _option(None, "Keep a snapshot after every N iterations.")
    snapshots: tuple[int, ...] = _option((), "Keep snapshots after these iterations, by comma.")
    checkpoint_every: int = _option(25, "Write a checkpoint after every N iterations; 0: only on Ctrl-C.")

    def __post_init__(self) -> None:
        check_config(self)

    @property
    def tiles(self) -> bool:
        """Whether the result shall tile without a seam."""
        return self.padding == "circular"

    @property
    def needs_edges(self) -> bool:
        """Whether an edge detector is needed; of a resolved config."""
        return self.solver not in CLOSED_FORMS and (bool(self.edge_weight) or self.start == "affine")


_OPTIMISED = tuple(name for name in BY_SOLVER["photo", "affine"] if name not in ("backbone", "smoothing", "solve_size"))


def option_help(name: str) -> str:
    """Return the one-line explanation of an option."""
    text = next(str(f.metadata["help"]) for f in fields(TransferConfig) if f.name == name)
    values = {mode: defaults[name] for mode, defaults in BY_SOLVER.items() if name in defaults}
    if not values or "Default" in text or name == "style_layer_weights":
        return text
    told = ", ".join(
        f"{value:g} ({mode} {solver})" for (mode, solver), value in values.items() if solver not in CLOSED_FORMS
    )
    return f"{text} Default: {told}."


def resolve(config: TransferConfig) -> TransferConfig:
    """Fill in every default that depends on the mode, the normalisation or the optimiser.

    Layers stay None when the backbone's own defaults are meant: they belong to the backbone.
    """
    solver = config.solver or {"artistic": "pixels", "photo": "affine"}[config.mode]
    if (config.mode, solver) not in BY_SOLVER:
        raise UsageError(f"--solver {solver} makes photographs of photographs: pass --mode photo with it")
    if config.preset and config.mode != "photo":
        raise UsageError(f"--preset {config.preset} belongs to photo mode: pass --mode photo with it")
    if config.preserve_color != "none" and config.mode == "photo":
        raise UsageError(
            f"--preserve-color {config.preserve_color} keeps the content's colours, but photo mode exists to change "
            "them: leave it out, or pass --mode artistic"
        )
    if config.denoise_strength != 1 and config.denoise == "none":
        raise UsageError(f"--denoise-strength is {config.denoise_strength:g}, but needs --denoise tv or nlm beside it")
    defaults: dict[str, Any] = {
        "solver": solver,
        "style_weight": 1.0,
        "learning_rate": 1.0 if config.optimizer == "lbfgs" else 0.02,
        "settle": 0.0,
        **BY_SOLVER[config.mode, solver],
        **(PRESETS[config.preset] if config.preset and solver != "pixels" else {}),
        **(PAPERS if config.normalisation == "papers" else {}),
    }
    if defaults.pop("settles", False) and config.iterations is None:
        defaults["settle"] = SETTLE
    if solver in CLOSED_FORMS:
        for name in _OPTIMISED:
            if getattr(config, name) not in (None, defaults[name]):
                raise UsageError(f"--solver {solver} optimises nothing, so {flag(name)} changes nothing: leave it out")
    if config.style_layers is not None or config.normalisation == "papers":
        del defaults["style_layer_weights"]
    starts = STARTS[config.mode, solver]
    if config.start is not None and config.start not in starts:
        raise UsageError(
            f"--start is {config.start!r}, but the solver {solver} of {config.mode} mode begins with: "
            f"{', '.join(starts)}"
        )
    defaults["start"] = starts[0]
    missing = {name: value for name, value in defaults.items() if getattr(config, name) is None}
    filled = replace(config, **missing)
    if filled.tiles and (filled.mode != "artistic" or filled.smoothing):
        raise UsageError(
            "--padding circular makes a result that tiles, but photo mode and --smoothing follow a content that "
            "doesn't: leave one of them out"
        )
    if not any((filled.content_weight, filled.style_weight, filled.color_weight)):
        raise UsageError("--content-weight, --style-weight and --color-weight are all 0, but one must be above 0")
    return filled


def affine_start(config: TransferConfig) -> TransferConfig:
    """Return the options of the affine field from which the pixel solver of photo mode starts: its defaults."""
    names = [name for name in BY_SOLVER["photo", "affine"] if name != "backbone"]
    unset: dict[str, Any] = dict.fromkeys((*names, "start", "style_weight", "learning_rate"))
    return resolve(replace(config, **unset, solver="affine", optimizer="lbfgs", normalisation="relative"))

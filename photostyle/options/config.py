"""Every option of a transfer with its default, once, for all faces: command line, Python, and those to come.

A default of ``None`` depends on the mode or on another option; :func:`resolve` fills it in, and the record of
a run holds the filled-in values.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from photostyle.errors import UsageError
from photostyle.options.checks import check_lists
from photostyle.options.defaults import BY_SOLVER, CLOSED_FORMS, PAPERS, PRESETS, SETTLE, STARTS
from photostyle.options.table import (
    FINISH,
    FIRST,
    MACHINE,
    NETWORK,
    OPTIMISATION,
    PHOTO,
    REGIONS,
    STYLES,
    WEIGHTS,
    option,
    table_of,
)
from photostyle.options.values import flag


@dataclass(frozen=True)
class TransferConfig:
    """The options of one transfer; see :func:`option_help` for what each means.

    Raises
    ------
    UsageError
        If a value is not allowed; the message names the option, the value and what is allowed.
    """

    mode: str = option(
        "artistic",
        "artistic (Gatys et al. 2016) or photo (Luan et al. 2017).",
        theme=FIRST,
        choices=("artistic", "photo"),
    )
    solver: str | None = option(
        None,
        "What is optimised: affine (a field of local colour maps), pixels, or nothing: statistics (a colour map in "
        "closed form for each region; a preview), grade (the style's look alone: tone curve, tints, saturation, where "
        "it shows other things than the content). Default: affine in photo mode, else pixels.",
        theme=PHOTO,
        choices=("pixels", "affine", "statistics", "grade"),
    )
    preset: str | None = option(
        None,
        f"Weights of photo mode for a kind of picture: {', '.join(PRESETS)}.",
        theme=PHOTO,
        choices=tuple(PRESETS),
        prepared=False,
    )
    strength: float = option(
        1.0, "How far to go from the content's own look (0) to the style's (1).", theme=FIRST, most=1, prepared=False
    )
    size: int | None = option(
        None,
        "Longest side of the result in pixels. Default: the content's own, in artistic mode at most 512.",
        theme=FIRST,
        least=32,
        fixed="all cells are measured by one objective, at one size",
    )
    solve_size: int | None = option(
        None,
        "Longest side up to which is optimised; the rest of the way to --size is done by local affine maps where there "
        "is smoothing, else by plain enlargement; the affine field needs no way. Default: 256 for affine, "
        "statistics and grade, 512 for pixels in photo mode, else the size.",
        theme=OPTIMISATION,
        least=32,
    )
    regions: str | None = option(
        None,
        "none, auto (each picture segmented), joint (content and styles divided together by what they show), "
        "grid:RxC, or a label map FILE (as --content-mask). Default: what the masks imply, else joint in photo mode, "
        "auto with --map, with labels that are named, and in compare, else none.",
        theme=FIRST,
    )
    segmenter: str = option(
        "outdoor",
        "What --regions auto and joint ask: outdoor (packaged), ade20k (model hub), or the PATH of an smp checkpoint.",
        theme=REGIONS,
    )
    strict_labels: bool = option(False, "A label without a counterpart in the style is an error.", theme=REGIONS)
    match: tuple[str, ...] = option(
        (), "Pairs of your own, CONTENT_LABEL=STYLE_LABEL, by comma or repeated: mountain=vegetation.", theme=REGIONS
    )
    keep: tuple[str, ...] = option((), "Labels whose regions stay as they are, by comma or repeated.", theme=FIRST)
    region_weights: tuple[str, ...] = option(
        (), "Weight of the style in a region, LABEL=X, by comma or repeated; 1 where nothing is said.", theme=REGIONS
    )
    style_weights: tuple[float, ...] | None = option(
        None, "Shares of several styles that are blended, by comma. Default: equal shares.", theme=STYLES
    )
    style_scale: float = option(
        1.0,
        "Size of the style pictures relative to the result's longest side; small ones aren't enlarged but for a scale "
        "above 1.",
        theme=STYLES,
        above=True,
    )
    backbone: str | None = option(
        None,
        "vgg16, vgg19, hed (a VGG-16 tuned for edges), or any torchvision classifier by its name. Default: vgg16, in "
        "photo mode hed.",
        theme=NETWORK,
    )
    weights: str | None = option(
        None, "Weights FILE (.safetensors, .pth) instead of the backbone's own.", theme=NETWORK
    )
    weights_preprocessing: str | None = option(
        None,
        "What a weights FILE expects: torchvision (RGB, ImageNet mean and deviation) or caffe (BGR, 0-255). "
        "Default: what the file says, else torchvision.",
        theme=NETWORK,
        choices=("torchvision", "caffe"),
    )
    pooling: str = option(
        "average", "average (as Gatys et al. advise) or max.", theme=NETWORK, choices=("average", "max")
    )
    padding: str = option(
        "replicate",
        "What a VGG sees beyond the border: replicate (no dark frame), zeros (as it was trained) or circular (the "
        "result tiles without a seam; artistic mode).",
        theme=NETWORK,
        choices=("replicate", "zeros", "circular"),
    )
    content_layers: tuple[str, ...] | None = option(
        None,
        "Layers of the content loss, by comma: relu4_2 is the response after the ReLU, conv4_2 before it. "
        "Default: relu4_2.",
        theme=NETWORK,
    )
    style_layers: tuple[str, ...] | None = option(
        None, "Layers of the style loss, by comma. Default: relu1_1,relu2_1,relu3_1,relu4_1,relu5_1.", theme=NETWORK
    )
    content_layer_weights: tuple[float, ...] | None = option(
        None, "Weight of each content layer, by comma; they are divided by their sum. Default: equal.", theme=NETWORK
    )
    style_layer_weights: tuple[float, ...] | None = option(
        None,
        "Weight of each style layer, by comma; they are divided by their sum. Default: equal for layers of your own "
        "and with --normalisation papers, else 1,1,1,0.3,0.05, for the affine field equal.",
        theme=NETWORK,
    )
    style_loss: str = option(
        "gram",
        "gram (Gatys et al.) or wasserstein (distance of means and covariances of the features).",
        theme=STYLES,
        choices=("gram", "wasserstein"),
    )
    normalisation: str = option(
        "relative",
        "relative (each feature term divided by its target's squared norm) or papers (Gatys' formula, as means).",
        theme=STYLES,
        choices=("relative", "papers"),
        prepared=False,
    )
    content_weight: float | None = option(None, "Weight of the content loss.", theme=WEIGHTS, prepared=False)
    style_weight: float | None = option(
        None, "Weight of the style loss. Default: 1 (papers: 1000), affine solver 12.", theme=WEIGHTS, prepared=False
    )
    tv_weight: float | None = option(None, "Weight of the total variation.", theme=WEIGHTS, prepared=False)
    matting_weight: float | None = option(None, "Weight of the Matting Laplacian.", theme=WEIGHTS, prepared=False)
    edge_weight: float | None = option(None, "Weight of the distance between edges (HED).", theme=WEIGHTS)
    color_weight: float | None = option(
        None, "Weight of the distance between colour distributions, region by region.", theme=WEIGHTS, prepared=False
    )
    grain_weight: float | None = option(
        None,
        "Weight, times that of the style, of how strong the finest detail is in luma and colour, region by region.",
        theme=WEIGHTS,
        prepared=False,
    )
    calm_weight: float | None = option(
        None, "Weight of coarse gradients beside the closed form's.", theme=WEIGHTS, prepared=False
    )
    detail_weight: float | None = option(
        None, "Weight of local contrast that leaves the closed form's.", theme=WEIGHTS, prepared=False
    )
    gamut_weight: float | None = option(None, "Weight of colours outside [0, 1].", theme=WEIGHTS, prepared=False)
    field_weight: float | None = option(None, "Weight of the affine field's smoothness.", theme=WEIGHTS, prepared=False)
    smoothing: float | None = option(
        None,
        "How smooth the local affine maps are from which the result is made again at full size, in squared colour "
        "units; 0: not at all.",
        theme=PHOTO,
        prepared=False,
    )
    deband: bool = option(
        True,
        "Affine field: smooth the content's steps of 8 bits before they are stretched.",
        theme=PHOTO,
        prepared=False,
    )
    preserve_color: str = option(
        "none",
        "Artistic mode: keep the content's colours. luminance: transfer that alone; histogram, linear (mean and "
        "covariance): match the colours of the style to the content's first.",
        theme=FIRST,
        choices=("none", "luminance", "histogram", "linear"),
    )
    denoise: str = option(
        "none",
        "Take noise out of the result: none, tv (total variation) or nlm (non-local means).",
        theme=FINISH,
        choices=("none", "tv", "nlm"),
    )
    denoise_strength: float = option(
        1.0, "How much of it; 1 is what is usual for the noise that is found.", theme=FINISH
    )
    auto_contrast: bool = option(
        False, "Stretch the result's brightness to the full range.", theme=FINISH, prepared=False
    )
    strip_metadata: bool = option(
        False,
        "Leave the content's EXIF (camera, author, place) out of the result, which keeps it otherwise; a TIFF keeps no "
        "camera settings and no place.",
        theme=FINISH,
        changes="file",
        fixed="it changes no picture",
    )
    start: str | None = option(
        None,
        "Picture to start from: content, style, noise (white), or mix; in photo mode also affine (the affine solver's "
        "result, for pixels) and statistics (for affine). Default: the last two in photo mode, else content.",
        theme=OPTIMISATION,
        choices=("content", "style", "noise", "mix", "affine", "statistics"),
    )
    noise_share: float = option(
        0.5, "Share of white noise in the start mix, 0 to 1.", theme=OPTIMISATION, most=1, prepared=False
    )
    optimizer: str = option(
        "lbfgs",
        "lbfgs (with a weak Wolfe line search) or adam.",
        theme=OPTIMISATION,
        choices=("lbfgs", "adam"),
        prepared=False,
    )
    learning_rate: float | None = option(
        None,
        "First step of the optimiser. Default: 1 for lbfgs, 0.02 for adam.",
        theme=OPTIMISATION,
        above=True,
        prepared=False,
    )
    history: int = option(20, "Pairs that L-BFGS remembers.", theme=OPTIMISATION, least=1, prepared=False)
    iterations: int | None = option(
        None, "Iterations in all, over all levels; fewer where the loss settles.", theme=FIRST, least=1, prepared=False
    )
    schedule: str = option(
        "coarse-to-fine",
        "coarse-to-fine (128 px, doubling up to the size) or single (the classic algorithm).",
        theme=OPTIMISATION,
        choices=("coarse-to-fine", "single"),
        prepared=False,
    )
    settle: float | None = option(
        None,
        "A level ends when ten iterations lower the loss by less than this share; 0: never. Default: 0.03 in artistic "
        "mode with the default number of iterations, else 0.",
        theme=OPTIMISATION,
    )
    evaluation: str = option(
        "auto",
        "Whether the network sees a picture whole or tile by tile, with the same result: whole, tiles, or auto (tiles "
        "where the memory asks for them).",
        theme=OPTIMISATION,
        choices=("auto", "whole", "tiles"),
    )
    seed: int = option(
        0, "Seed of the white noise; the same seed gives the same bytes on one machine.", theme=MACHINE, prepared=False
    )
    device: str = option(
        "auto",
        "auto, cpu, cuda or mps.",
        theme=MACHINE,
        choices=("auto", "cpu", "cuda", "mps"),
        changes="machine",
        fixed="it changes where is computed, not what",
    )
    offline: bool = option(
        False, "Never fetch weights from the network.", theme=MACHINE, changes="nothing", fixed="it changes no picture"
    )
    snapshot_every: int | None = option(
        None,
        "Keep a snapshot after every N iterations.",
        theme=MACHINE,
        least=1,
        changes="nothing",
        fixed="a sweep keeps no snapshots",
    )
    snapshots: tuple[int, ...] = option(
        (),
        "Keep snapshots after these iterations, by comma.",
        theme=MACHINE,
        least=1,
        changes="nothing",
        fixed="a sweep keeps no snapshots",
    )
    checkpoint_every: int = option(
        25,
        "Write a checkpoint after every N iterations; 0: only on Ctrl-C.",
        theme=MACHINE,
        changes="nothing",
        fixed="a sweep keeps no checkpoints",
    )

    def __post_init__(self) -> None:
        for name, each in OPTIONS.items():
            each.check(getattr(self, name))
        check_lists(self)

    @property
    def tiles(self) -> bool:
        """Whether the result shall tile without a seam."""
        return self.padding == "circular"

    @property
    def needs_edges(self) -> bool:
        """Whether an edge detector is needed, once it is resolved."""
        return self.solver not in CLOSED_FORMS and (bool(self.edge_weight) or self.start == "affine")


OPTIONS = table_of(TransferConfig)
"""Everything that is known of each option, by name."""


@dataclass(frozen=True)
class Resolved(TransferConfig):
    """Options with every default filled in, see :func:`resolve`; layers that are None are the backbone's own."""

    solver: str = ""
    backbone: str = ""
    content_weight: float = 0.0
    style_weight: float = 0.0
    tv_weight: float = 0.0
    matting_weight: float = 0.0
    edge_weight: float = 0.0
    color_weight: float = 0.0
    grain_weight: float = 0.0
    calm_weight: float = 0.0
    detail_weight: float = 0.0
    gamut_weight: float = 0.0
    field_weight: float = 0.0
    smoothing: float = 0.0
    start: str = ""
    learning_rate: float = 0.0
    iterations: int = 0
    settle: float = 0.0


_OPTIMISED = tuple(name for name in BY_SOLVER["photo", "affine"] if name not in ("backbone", "smoothing", "solve_size"))


def option_help(name: str) -> str:
    """Return the one-line explanation of an option."""
    text = OPTIONS[name].help
    values = {mode: defaults[name] for mode, defaults in BY_SOLVER.items() if name in defaults}
    if not values or "Default" in text or name == "style_layer_weights":
        return text
    told = ", ".join(
        f"{value:g} ({mode} {solver})" for (mode, solver), value in values.items() if solver not in CLOSED_FORMS
    )
    return f"{text} Default: {told}."


def resolve(config: TransferConfig) -> Resolved:
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
    for name in ("calm_weight", "detail_weight", "field_weight") if solver == "pixels" else ():
        if getattr(config, name):
            raise UsageError(
                f"{flag(name)} is for the affine field, but the solver pixels of {config.mode} mode optimises none by "
                "weights of yours: leave it out, or pass --mode photo --solver affine"
            )
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
    filled = Resolved(**{**asdict(config), **missing})
    if filled.tiles and (filled.mode != "artistic" or filled.smoothing):
        raise UsageError(
            "--padding circular makes a result that tiles, but photo mode and --smoothing follow a content that "
            "doesn't: leave one of them out"
        )
    if not any((filled.content_weight, filled.style_weight, filled.color_weight)):
        raise UsageError("--content-weight, --style-weight and --color-weight are all 0, but one must be above 0")
    return filled


def affine_start(config: TransferConfig) -> Resolved:
    """Return the options of the affine field from which the pixel solver of photo mode starts: its defaults."""
    names = [name for name in BY_SOLVER["photo", "affine"] if name != "backbone"]
    unset: dict[str, Any] = dict.fromkeys((*names, "start", "style_weight", "learning_rate"))
    return resolve(replace(config, **unset, solver="affine", optimizer="lbfgs", normalisation="relative"))

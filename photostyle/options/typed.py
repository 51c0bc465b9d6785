"""The options by their names, for editors and type checkers; a test keeps them those of the config."""

from __future__ import annotations

from typing import TypedDict


class TransferOptions(TypedDict, total=False):
    """Fields of :class:`photostyle.TransferConfig`."""

    mode: str
    solver: str | None
    preset: str | None
    strength: float
    size: int | None
    solve_size: int | None
    regions: str | None
    segmenter: str
    strict_labels: bool
    match: tuple[str, ...]
    keep: tuple[str, ...]
    region_weights: tuple[str, ...]
    style_weights: tuple[float, ...] | None
    style_scale: float
    backbone: str | None
    weights: str | None
    weights_preprocessing: str | None
    pooling: str
    padding: str
    content_layers: tuple[str, ...] | None
    style_layers: tuple[str, ...] | None
    content_layer_weights: tuple[float, ...] | None
    style_layer_weights: tuple[float, ...] | None
    style_loss: str
    normalisation: str
    content_weight: float | None
    style_weight: float | None
    tv_weight: float | None
    matting_weight: float | None
    edge_weight: float | None
    color_weight: float | None
    grain_weight: float | None
    calm_weight: float | None
    detail_weight: float | None
    gamut_weight: float | None
    field_weight: float | None
    smoothing: float | None
    deband: bool
    preserve_color: str
    denoise: str
    denoise_strength: float
    auto_contrast: bool
    strip_metadata: bool
    start: str | None
    noise_share: float
    optimizer: str
    learning_rate: float | None
    history: int
    iterations: int | None
    schedule: str
    settle: float | None
    evaluation: str
    seed: int
    device: str
    offline: bool
    snapshot_every: int | None
    snapshots: tuple[int, ...]
    checkpoint_every: int

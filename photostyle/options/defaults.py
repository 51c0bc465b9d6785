"""The default values that depend on the mode, the solver, the normalisation or a preset: tables, and nothing else."""

from __future__ import annotations

from typing import Any

# What depends on the mode and the solver. The weights belong to the normalisation "relative"; see PAPERS for the
# other one. Those of the affine field were measured one by one: scripts/benchmark_photo.py --ablation.
_AFFINE: dict[str, Any] = {
    "backbone": "hed",
    "content_weight": 0.0,
    "style_weight": 12.0,
    "tv_weight": 0.0,
    "matting_weight": 120.0,
    "edge_weight": 15.0,
    "color_weight": 400.0,
    "grain_weight": 0.0,
    "calm_weight": 15.0,
    "detail_weight": 60.0,
    "gamut_weight": 10.0,
    "field_weight": 0.2,
    "smoothing": 0.0,
    "iterations": 48,
    "solve_size": 256,
    "style_layer_weights": (1.0, 1.0, 1.0, 1.0, 1.0),
}
BY_SOLVER: dict[tuple[str, str], dict[str, Any]] = {
    ("artistic", "pixels"): {
        "backbone": "vgg16",
        "content_weight": 0.01,
        "tv_weight": 0.3,
        "matting_weight": 0.0,
        "edge_weight": 0.0,
        "color_weight": 0.0,
        "grain_weight": 0.02,  # without it up to 1.7 times the painting's chroma in the finest band; with it 1.0
        "calm_weight": 0.0,
        "detail_weight": 0.0,
        "gamut_weight": 10.0,  # without it 6 % of a picture is clipped, by up to 0.28; with it 2 %, by up to 0.02
        "field_weight": 0.0,
        "smoothing": 0.0,
        "iterations": 300,
        "settles": True,
        # Found by eye, and by AlexNet's style distance and LPIPS, at 256 and 512 px. Equal weights of the layers, or
        # 0.5, 1, 1, 1, 0.2, trade content for style no better. A content weight of 0.02 leaves flat skies photographic,
        # 0.005 paints stars on walls.
        "style_layer_weights": (1.0, 1.0, 1.0, 0.3, 0.05),
    },
    ("photo", "pixels"): {
        "backbone": "hed",
        "content_weight": 0.05,
        "tv_weight": 0.0,
        "matting_weight": 1000.0,
        "edge_weight": 0.0,
        "color_weight": 20.0,
        "grain_weight": 0.0,
        "calm_weight": 0.0,
        "detail_weight": 0.0,
        "gamut_weight": 10.0,
        "field_weight": 0.0,
        "smoothing": 1e-3,
        "iterations": 200,
        "solve_size": 512,
        "style_layer_weights": (1.0, 1.0, 1.0, 0.3, 0.05),
    },
    ("photo", "affine"): _AFFINE,
    ("photo", "statistics"): _AFFINE,
    ("photo", "grade"): _AFFINE,
}
"""By (mode, solver)."""

CLOSED_FORMS = ("statistics", "grade")
"""The solvers that optimise nothing."""

SETTLE = 0.03
"""A level of artistic mode ends when ten iterations lower the loss by less than this share."""

STARTS: dict[tuple[str, str], tuple[str, ...]] = {
    ("artistic", "pixels"): ("content", "style", "noise", "mix"),
    ("photo", "pixels"): ("affine", "content", "style", "noise", "mix"),
    ("photo", "affine"): ("statistics", "content"),
    ("photo", "statistics"): ("statistics",),
    ("photo", "grade"): ("statistics",),
}
"""What each may begin with; the first is the default."""

# A ratio of 1e-3, which Gatys et al. (2016) report beside 1e-4 and others. Theirs belongs to a sum over the content's
# features and to a network scaled to a mean activation of one; with the means here and this network it gives the look.
PAPERS: dict[str, Any] = {"content_weight": 1.0, "style_weight": 1000.0, "tv_weight": 0.0, "grain_weight": 0.0}
"""What the normalisation "papers" changes."""

PRESETS: dict[str, dict[str, Any]] = {
    "day-to-night": {"edge_weight": 20.0, "field_weight": 1.0},  # walls aren't swallowed, lights stay lit
    "season": {"color_weight": 450.0, "field_weight": 0.5},  # leaves change their colour as a whole
    "weather": {"edge_weight": 17.0, "field_weight": 1.5},  # large flat skies
    "haze": {"matting_weight": 50.0, "field_weight": 1.5},  # little contrast, which has to grow evenly
    "monochrome": {"color_weight": 600.0, "field_weight": 1.0},  # no tint is left
    "still-life": {"edge_weight": 18.0, "field_weight": 1.0},  # objects stay whole
}
"""What a preset of photo mode changes."""

# Average pooling doesn't see the finest chequerboards of white noise, and leaves them as they are where nothing else
# takes them away. Content comes nearer to its target with a total variation than without.
RECONSTRUCTIONS: dict[str, dict[str, Any]] = {
    "content": {"tv_weight": 10.0, "grain_weight": 0.0, "gamut_weight": 3.0, "iterations": 200},
    "style": {"tv_weight": 0.1, "grain_weight": 0.0, "gamut_weight": 1.0, "iterations": 200},  # what layers alone hold
    "texture": {"tv_weight": 0.1, "grain_weight": 0.02, "gamut_weight": 1.0, "iterations": 200},
}
"""What a reconstruction changes, by what is reconstructed; found by eye."""

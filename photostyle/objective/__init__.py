"""The losses, public as ``photostyle.losses``: pure functions, each with its equation and source.

What is named here keeps its meaning within a major version. Features are tensors of shape (C, H, W), masks (H, W) in
[0, 1]; losses are means, relative to their target's own squared norm, so that weights mean the same at every size.
"""

from photostyle.objective.calm import calm_loss, calm_targets
from photostyle.objective.color import color_loss, color_quantiles
from photostyle.objective.content import content_loss
from photostyle.objective.detail import detail_loss, log_contrast
from photostyle.objective.edges import edge_loss
from photostyle.objective.gamut import gamut_loss
from photostyle.objective.grain import grain_covariances, grain_distances, grain_regions
from photostyle.objective.gram import Region, gram_distance, masked_gram, masked_grams, region_of, style_loss
from photostyle.objective.matting import matting_laplacian, matting_loss
from photostyle.objective.tv import total_variation
from photostyle.objective.wasserstein import masked_moments, prepare_target, wasserstein_distance

__all__ = [
    "Region",
    "calm_loss",
    "calm_targets",
    "color_loss",
    "color_quantiles",
    "content_loss",
    "detail_loss",
    "edge_loss",
    "gamut_loss",
    "grain_covariances",
    "grain_distances",
    "grain_regions",
    "gram_distance",
    "log_contrast",
    "masked_gram",
    "masked_grams",
    "masked_moments",
    "matting_laplacian",
    "matting_loss",
    "prepare_target",
    "region_of",
    "style_loss",
    "total_variation",
    "wasserstein_distance",
]

"""The catalogue: each number's name, what it means, which way is better, and where it tells most."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_BETTER = {"higher": "higher is better", "lower": "lower is better", "one": "1 is best"}


@dataclass(frozen=True)
class Score:
    """What a number is.

    Attributes
    ----------
    name : str
        Under which it stands in tables and records.
    meaning : str
        One line, without a full stop.
    better : str
        "higher", "lower" or "one".
    tells : str
        Where it says most: "photo" or "artistic", the modes; "regions", where a comparison measures the terms of the
        objective; "truth", where the right answer is known.
    digits : int
        Behind the point, in tables.
    """

    name: str
    meaning: str
    better: str
    tells: str
    digits: int = 3

    @property
    def told(self) -> str:
        """The meaning, and which way is better."""
        return f"{self.meaning}; {_BETTER[self.better]}"


SCORES = {
    score.name: score
    for score in (
        Score("edge_ssim", "structural similarity of the edges of content and result", "higher", "photo"),
        Score("color", "distance of the regions' colours from their styles', 1: the content's", "lower", "photo"),
        Score("gram", "distance of the regions' Gram matrices from their styles', 1: the content's", "lower", "photo"),
        Score("matting", "energy a pixel under the content's Matting Laplacian, times 1e4", "lower", "photo", 2),
        Score("h_corr", "correlation of the histograms of red, green and blue with the style's", "higher", "photo"),
        Score("h_chi", "chi-square distance of these histograms from the style's", "lower", "photo"),
        Score("lpips", "perceptual distance from the content (LPIPS with AlexNet)", "lower", "artistic"),
        Score("style_alex", "relative distance of AlexNet's Gram matrices from the style's", "lower", "artistic"),
        Score("grain_chroma", "colour in the finest band, as a share of the style's", "one", "artistic"),
        Score("grain_luma", "brightness in the finest band, as a share of the style's", "one", "artistic"),
        Score("content", "relative distance of the content layers from the content's", "lower", "regions"),
        Score(
            "style_regions", "relative distance of the regions' style layers from the styles'", "lower", "regions", 4
        ),
        Score("style_global", "the same with the whole picture as one region", "lower", "regions"),
        Score("delta_e", "mean colour difference (CIEDE2000) from the truth", "lower", "truth", 2),
        Score("psnr", "peak signal-to-noise ratio to the truth, in dB", "higher", "truth", 2),
        Score("ssim", "structural similarity to the truth, mean of red, green and blue", "higher", "truth"),
    )
}
"""Every score by its name, those of photographs first."""

_PLACES = {name: place for place, name in enumerate(SCORES)}


def most_telling_first(scores: Mapping[str, float], mode: str) -> dict[str, float]:
    """Put the scores that say most of a mode's results ("artistic" or "photo") first."""
    return dict(sorted(scores.items(), key=lambda item: (SCORES[item[0]].tells != mode, _PLACES[item[0]])))


def told(names: Iterable[str]) -> dict[str, str]:
    """Return what scores mean and which way is better, by name; names that aren't in the catalogue are left out."""
    return {name: SCORES[name].told for name in names if name in SCORES}

"""One ruler for all results of a content and its styles: everything that is measured without a right answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from photostyle.studies.measure.alex import AlexScores
from photostyle.studies.measure.grain import GrainScores
from photostyle.studies.measure.histograms import HistogramScores
from photostyle.studies.measure.networks import Networks
from photostyle.studies.measure.photo import PhotoScores, RegionPair
from photostyle.studies.measure.views import eight_bit


class Ruler:
    """Measures results against one content and its styles.

    ``color`` and ``gram`` go by regions. All others see whole pictures; of several styles they see a mean, in which
    each has a share.

    Parameters
    ----------
    networks : Networks
    content : ndarray, shape (H, W, 3)
        sRGB in [0, 1].
    styles : sequence of ndarray, shape (H', W', 3)
    pairs : sequence of RegionPair
    shares : sequence of float, optional
        Of each style, not all zero; by default equal.

    Raises
    ------
    RegionError
        If no region covers half a percent of both pictures.
    """

    def __init__(
        self,
        networks: Networks,
        content: NDArray[np.float32],
        styles: Sequence[NDArray[np.float32]],
        pairs: Sequence[RegionPair],
        shares: Sequence[float] | None = None,
    ) -> None:
        source, pictures = eight_bit(content), [eight_bit(style) for style in styles]
        photo = PhotoScores(networks.hed, source, pictures, pairs)
        given = np.ones(len(styles)) if shares is None else np.asarray(shares, dtype=np.float64)
        each = (given / given.sum()).tolist()
        self.scorers = (
            photo,
            HistogramScores(pictures, each),
            AlexScores(networks.alexnet, source, pictures, each),
            GrainScores(pictures, each),
        )

    def __call__(self, result: NDArray[np.float32]) -> dict[str, float]:
        """Measure a result, shape (H, W, 3) in [0, 1]; :data:`photostyle.studies.measure.SCORES` tells what is what."""
        image = eight_bit(result)
        return {name: value for scorer in self.scorers for name, value in scorer(image).items()}

"""What a picture's own colours say: sky between the beams of a bridge has the colour of the sky above it.

The network sees such places on a coarse grid and gives them to the bridge. Each label's colours are counted over the
whole picture, where the network finds it, and the probabilities are weighed by how typical a pixel's colour is of each
label: naive Bayes with one histogram a label, as in GrabCut's global colour models (Rother, Kolmogorov and Blake 2004).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from photostyle.images import resize

_BINS = 12  # on each axis of Lab
_WEIGHT = 0.8  # of the colours' word beside the network's; chosen on the validation scenes
_MOST = 3.0  # by which the logarithm of a likelihood ratio counts at most


def weigh_by_colour(probabilities: NDArray[np.float32], rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weigh the network's probabilities by the picture's own colours.

    p'_k(x) ∝ p_k(x) · (h_k(c) / mean_j h_j(c))^w at a pixel x of colour c, where h_k is the smoothed, normalised
    histogram of the colours of label k in Lab, each pixel counted by its squared, normalised probability.
    """
    count, height, width = probabilities.shape
    lab = cv2.cvtColor(resize(rgb, (width, height)), cv2.COLOR_RGB2LAB)
    scaled = (lab + np.array([0, 80, 80], np.float32)) / np.array([100, 160, 160], np.float32)
    bins = np.clip((scaled * _BINS).astype(np.int64), 0, _BINS - 1)
    colour = (bins[..., 0] * _BINS + bins[..., 1]) * _BINS + bins[..., 2]
    certain = np.square(probabilities)
    certain /= certain.sum(0)
    likelihoods = np.empty((count, _BINS**3))
    for label, weights in zip(likelihoods, certain, strict=True):
        histogram = np.bincount(colour.ravel(), weights=weights.ravel(), minlength=_BINS**3)
        smooth = ndimage.gaussian_filter(histogram.reshape((_BINS,) * 3), 1.0)
        label[:] = smooth.ravel() / (weights.sum() + 1e-3 * weights.size)
    ratio = np.log(likelihoods + 1e-6) - np.log(likelihoods.mean(0) + 1e-6)
    factor = np.exp(_WEIGHT * np.clip(ratio, -_MOST, _MOST)).astype(np.float32)
    weighed: NDArray[np.float32] = probabilities * factor[:, colour]
    weighed /= weighed.sum(0)
    return weighed

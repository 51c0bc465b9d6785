"""Soft matting: masks whose borders follow the content down to single leaves, for blending colour maps.

A drawn or segmented mask is a few pixels off, and blobs around a tree hold the sky between its leaves: blended by such
a mask, the leaves' colours make a halo. The matte solves, with the content's Matting Laplacian L (Levin et al. 2008;
He, Sun & Tang 2009, section 4.2),

    (L + Λ) α = Λ m

where Λ is large where the mask is sure, away from its border, and small in a band along it: there α follows the
colours.
"""

from __future__ import annotations

import cv2
import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from scipy.sparse.linalg import cg

_SURE, _UNSURE = 0.05, 1e-5  # Λ, beside a Laplacian whose diagonal is about one
_BAND = 0.02  # half the width of the band, as a share of the longest side
_ITERATIONS, _TOLERANCE = 150, 1e-4


def soft_matte(masks: NDArray[np.float32], laplacian: scipy.sparse.csr_matrix) -> NDArray[np.float32]:
    """Fit masks to the content's edges.

    Parameters
    ----------
    masks : ndarray of float32, shape (K, H, W)
        They sum to one.
    laplacian : csr_matrix, shape (H·W, H·W)
        The content's Matting Laplacian; an ε of about 1e-5 leaves out its noise.

    Returns
    -------
    ndarray of float32, shape (K, H, W)
        In [0, 1]; they sum to one.
    """
    if len(masks) == 1:
        return np.ones_like(masks)
    height, width = masks.shape[1:]
    radius = max(1, round(_BAND * max(height, width)))
    winner = masks.argmax(0)
    sure = np.zeros((height, width), dtype=bool)
    for index in range(len(masks)):
        depth = cv2.distanceTransform((winner == index).astype(np.uint8), cv2.DIST_L2, 5)
        sure |= depth > min(radius, 0.5 * float(depth.max()))  # half of a region narrower than the band is sure
    weight = np.where(sure, _SURE, _UNSURE).ravel()
    system = (laplacian + scipy.sparse.diags_array(weight)).tocsr()
    scaling = scipy.sparse.diags_array(1.0 / system.diagonal())
    mattes = np.empty_like(masks)
    for mask, matte in zip(masks, mattes, strict=True):
        start = mask.ravel().astype(np.float64)
        solution, _ = cg(system, weight * start, x0=start, rtol=_TOLERANCE, maxiter=_ITERATIONS, M=scaling)
        matte[:] = np.clip(solution, 0, 1).reshape(height, width)
    total = mattes.sum(0)
    mattes /= np.maximum(total, 1e-6)
    return np.where(total > 1e-6, mattes, masks)

"""Local affine maps: make one picture follow another's edges, and carry it to another resolution.

Around each pixel a target is regressed on a guide's colours. The maps found, smoothed and applied to the guide, give a
picture that keeps what the target did to the colours and loses what isn't an affine function of the guide within a
window: blotches, noise, painted texture. It is the guided filter with a colour guide (He, Sun & Tang 2013, section
3.5), which Luan et al. (2017) use in another form after their optimisation; the maps may be found on small pictures
and applied to the large one (He & Sun 2015). Targets may be results, or masks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import uniform_filter

_Array = NDArray[np.floating[Any]]
_ROWS = 256  # of the large picture, treated at once
_NUMBERS = 1 << 26  # at most, in the maps of these rows: bounds the memory


def fit_affine(guide: _Array, target: _Array, radius: int, epsilon: float) -> NDArray[np.float32]:
    r"""Fit an affine map of colours around each pixel.

    In the window w of side 2·radius + 1 around each pixel the map minimises
    :math:`\sum_{p \in w} \|A^\top I_p + b - R_p\|^2 + \varepsilon |w| \|A\|^2`, so that
    :math:`A = (\Sigma_{II} + \varepsilon \mathrm{Id})^{-1} \Sigma_{IR}` and :math:`b = \mu_R - A^\top \mu_I`. As in the
    guided filter, the maps of all windows that hold a pixel are then averaged.

    Parameters
    ----------
    guide : ndarray, shape (H, W, 3)
        I, the content.
    target : ndarray, shape (H, W, C)
        R, the result.
    radius : int
        At least 1.
    epsilon : float
        Above zero; the larger, the smoother.

    Returns
    -------
    ndarray of float32, shape (H, W, 4, C)
        A in the first three rows, b in the last.
    """

    def mean(values: _Array) -> NDArray[np.float64]:
        size = (2 * radius + 1, 2 * radius + 1) + (1,) * (values.ndim - 2)
        return np.asarray(uniform_filter(values, size, mode="reflect"))

    guide, target = guide.astype(np.float64), target.astype(np.float64)
    mean_guide, mean_target = mean(guide), mean(target)
    covariance = mean(guide[..., :, None] * guide[..., None, :])
    covariance -= mean_guide[..., :, None] * mean_guide[..., None, :]
    cross = mean(guide[..., :, None] * target[..., None, :])
    cross -= mean_guide[..., :, None] * mean_target[..., None, :]
    a = np.linalg.solve(covariance + epsilon * np.eye(3), cross)
    b = mean_target - np.einsum("hwij,hwi->hwj", a, mean_guide)
    return mean(np.concatenate([a, b[..., None, :]], axis=-2)).astype(np.float32)


def apply_affine(maps: _Array, guide: _Array) -> NDArray[np.float32]:
    """Apply affine maps, shape (H, W, 4, C), to a picture of shape (H, W, 3)."""
    out = maps[..., 3, :] + maps[..., 0, :] * guide[..., :1]
    for channel in (1, 2):
        out += maps[..., channel, :] * guide[..., channel : channel + 1]
    return out.astype(np.float32, copy=False)


def smoothing_radius(shape: Sequence[int]) -> int:
    """Return the radius that suits a picture of shape (H, W, …): a fortieth of the longest side."""
    return max(1, round(max(shape[:2]) / 40))


def lift(result: _Array, small: _Array, large: _Array, radius: int, epsilon: float) -> NDArray[np.float32]:
    """Carry a result over to the content at another resolution.

    Parameters
    ----------
    result, small : ndarray, shape (h, w, C) and (h, w, 3)
        The result, and the content at the same size.
    large : ndarray, shape (H, W, 3)
        The content at the size that is wanted.
    radius, epsilon
        See :func:`fit_affine`.

    Returns
    -------
    ndarray of float32, shape (H, W, C)
        Not clipped. Its planes lie one after another in memory.
    """
    maps = fit_affine(small, result, radius, epsilon)
    height, width = large.shape[:2]
    out = np.moveaxis(np.empty((result.shape[2], height, width), dtype=np.float32), 0, 2)
    for top, local in lifted_rows(maps, (width, height)):
        out[top : top + len(local)] = apply_affine(local, large[top : top + len(local)])
    return out


def lifted_rows(maps: _Array, size: tuple[int, int]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Enlarge maps, some rows at a time, so that memory stays bounded.

    Parameters
    ----------
    maps : ndarray, shape (h, w, 4, C)
    size : tuple of int
        (width, height) that is wanted.

    Yields
    ------
    top : int
        The first row of this part.
    local : ndarray of float32, shape (rows, width, 4, C)
        The maps there, interpolated.
    """
    width, height = size
    depth = maps.shape[2] * maps.shape[3]
    planes = [Image.fromarray(np.ascontiguousarray(p)) for p in maps.reshape(*maps.shape[:2], depth).transpose(2, 0, 1)]
    scale = maps.shape[0] / height
    step = max(1, min(_ROWS, _NUMBERS // (width * depth)))
    for top in range(0, height, step):
        rows = min(step, height - top)
        if maps.shape[:2] == (height, width):
            yield top, maps[top : top + rows]
            continue
        box = (0.0, top * scale, float(maps.shape[1]), (top + rows) * scale)
        resized = [np.asarray(plane.resize((width, rows), Image.Resampling.BILINEAR, box=box)) for plane in planes]
        yield top, np.moveaxis(np.stack(resized), 0, 2).reshape(rows, width, *maps.shape[2:])

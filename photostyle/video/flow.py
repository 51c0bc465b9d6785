"""Optical flow: where each pixel of a frame was in another one, and how far that can be believed."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_UNLIKE = 0.1  # of [0, 1]: a greater difference is none of noise or interpolation
_LEAST_SIDE = 32  # below this the pyramid of DIS has no level


def optical_flow(frame: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Find where the pixels of a frame are in another one, by dense inverse search (Kroeger et al. 2016).

    Parameters
    ----------
    frame, other : ndarray of uint8, shape (H, W, 3)

    Returns
    -------
    ndarray of float32, shape (H, W, 2)
        (right, down) in pixels: ``frame`` at p is ``other`` at p + flow(p).
    """
    greys = [cv2.cvtColor(np.ascontiguousarray(each), cv2.COLOR_RGB2GRAY) for each in (frame, other)]
    below = [max(0, _LEAST_SIDE - side) for side in greys[0].shape]
    if any(below):
        greys = [np.pad(each, ((0, below[0]), (0, below[1])), mode="edge") for each in greys]
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)  # the frame itself: half of it loses small things that move
    search.setPatchStride(4)
    flow = np.asarray(search.calc(greys[0], greys[1], np.zeros((*greys[0].shape, 2), np.float32)), dtype=np.float32)
    return np.ascontiguousarray(flow[: frame.shape[0], : frame.shape[1]])


def warped(picture: NDArray[Any], flow: NDArray[np.float32], *, sharp: bool = False) -> NDArray[Any]:
    """Fetch each pixel from where a flow says that it was.

    Parameters
    ----------
    picture : ndarray of float32 or uint8, shape (H, W) or (H, W, C)
    flow : ndarray of float32, shape (H, W, 2)
    sharp : bool
        Whether pixels are interpolated by cubic splines, which keep detail, in place of linearly, which keep ranges.

    Returns
    -------
    ndarray, of the picture's shape and type
        Beyond the border the border's pixels are repeated.
    """
    x, y = _places(flow)
    kind = cv2.INTER_CUBIC if sharp else cv2.INTER_LINEAR
    return np.asarray(cv2.remap(np.ascontiguousarray(picture), x, y, kind, borderMode=cv2.BORDER_REPLICATE))


def composed(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the flow from a to c, of one from a to b and one from b to c."""
    further: NDArray[np.float32] = np.dstack([warped(second[..., i], first) for i in range(2)])
    return first + further


def consistent(flow: NDArray[np.float32], back: NDArray[np.float32]) -> NDArray[np.float32]:
    """Find the pixels at which a flow can be believed (Ruder, Dosovitskiy & Brox 2016, section 4.2).

    Followed there and back again, a pixel must come home; it must not come from beyond the border; and it must not lie
    where the flow jumps, at the border of something that moves (the criteria of Sundaram, Brox & Keutzer 2010).

    Parameters
    ----------
    flow : ndarray of float32, shape (H, W, 2)
        From this frame to another.
    back : ndarray of float32, shape (H, W, 2)
        From the other frame to this one.

    Returns
    -------
    ndarray of float32, shape (H, W)
        One where it can, else zero.
    """
    height, width = flow.shape[:2]
    home = np.dstack([warped(back[..., i], flow) for i in range(2)])
    lengths = (flow**2).sum(2) + (home**2).sum(2)
    closed = ((flow + home) ** 2).sum(2) <= 0.01 * lengths + 0.5
    gradients = [np.gradient(flow[..., i], axis=axis) for i in range(2) for axis in range(2)]
    smooth = np.sum(np.square(gradients), axis=0) <= 0.01 * (flow**2).sum(2) + 0.02
    x, y = _places(flow)
    inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    return np.asarray(closed & smooth & inside, dtype=np.float32)


def explained(frame: NDArray[np.uint8], carried: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Find the pixels at which a frame looks like what was carried there, whatever the flows say of each other.

    Where a small thing moves fast, both flows may agree on the motion of what is behind it.

    Parameters
    ----------
    frame, carried : ndarray of uint8, shape (H, W, 3)
        A frame, and the one before, warped.

    Returns
    -------
    ndarray of float32, shape (H, W)
        One where their difference, averaged over 5×5 pixels, is small, else zero.
    """
    difference = np.abs(frame.astype(np.float32) - carried.astype(np.float32)).mean(2)
    return np.asarray(cv2.blur(difference, (5, 5)) <= 255 * _UNLIKE, dtype=np.float32)


def _places(flow: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    height, width = flow.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return x + flow[..., 0], y + flow[..., 1]

"""Flicker, measured: how much a result changes from frame to frame beyond what moves, against how much the video does.

Each frame is compared with the one before, warped by the optical flow of the video, over the pixels at which that flow
can be believed: what is left of a difference is no motion. The video has some of it itself, its noise and its changing
light, so the measure is a ratio (Ruder et al. 2016, section 6.3, measure the numerator).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from photostyle.images import fit_longest_side
from photostyle.video.flow import consistent, optical_flow, warped

_SIZE = 512  # longest side at which is measured
_NOTHING = 1e-6  # of [0, 1]: less is no difference


def flicker(
    frames: Iterable[NDArray[np.uint8]],
    results: Iterable[NDArray[np.uint8]],
    cuts: Collection[int] = (),
    on_frame: Callable[[int], object] = lambda _done: None,
) -> dict[str, Any]:
    """Measure the flicker of a result.

    Parameters
    ----------
    frames, results : iterable of ndarray of uint8, shape (H, W, 3)
        The video, and what became of it, which may have another size.
    cuts : collection of int
        The places, counted from 0, of frames that begin a shot: they aren't compared with the one before.
    on_frame : callable
        Receives the number of frames that were looked at.

    Returns
    -------
    dict
        "input" and "result": mean absolute difference to the warped frame before, in [0, 1]; "ratio": the second over
        the first, None where the video doesn't change but the result does; "pairs": [input, result] of each pair of
        neighbours.
    """
    pairs: list[list[float]] = []
    before: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None = None
    for number, (frame, result) in enumerate(zip(frames, results, strict=True)):
        size = fit_longest_side((frame.shape[1], frame.shape[0]), min(_SIZE, max(frame.shape[:2])))
        now = (_resized(frame, size), _resized(result, size))
        if before is not None and number not in cuts:
            back = optical_flow(now[0], before[0])
            sure = consistent(back, optical_flow(before[0], now[0])) > 0
            pairs.append([_difference(new, old, back, sure) for new, old in zip(now, before, strict=True)])
        before = now
        on_frame(number + 1)
    own, theirs = (float(np.mean([pair[i] for pair in pairs])) if pairs else 0.0 for i in range(2))
    ratio = theirs / own if own > _NOTHING else (0.0 if theirs <= _NOTHING else None)
    return {
        "input": round(own, 7),
        "result": round(theirs, 7),
        "ratio": None if ratio is None else round(ratio, 4),
        "pairs": [[round(value, 7) for value in pair] for pair in pairs],
    }


def _resized(frame: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    if (frame.shape[1], frame.shape[0]) == size:
        return frame
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA))


def _difference(
    new: NDArray[np.uint8], old: NDArray[np.uint8], back: NDArray[np.float32], sure: NDArray[np.bool_]
) -> float:
    if not sure.any():
        return 0.0
    difference = new.astype(np.float32) - warped(old.astype(np.float32), back)
    return float(np.abs(difference)[sure].mean()) / 255

"""Luminance and colour apart, and together again: the light of one picture with the colours of another.

Luminance is luma, Y of YIQ: a weighted sum of the sRGB-encoded channels. What is left, ``rgb - Y``, is the chroma (I
and Q in other axes). CIELAB is nearer to the eye, but turns blue to violet where it is made lighter; here the way back
is linear, so that 16 bits stay exact, and how much chroma a luminance has room for has a closed form.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from photostyle.filters.guided import LUMA


def grey(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the luminance of a picture, shape (H, W, 3), as a picture of the same shape."""
    return np.repeat((picture @ LUMA)[..., None], 3, axis=2)


def recombine(light: NDArray[np.float32], colors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a picture with the luminance of one picture and the chroma of another.

    The chroma of a pixel is added as it is where that gives a colour that exists. Where it doesn't, it is scaled down
    to what there is room for: clipped channels would change luminance and hue, this changes neither, and near black
    and white all colours fade out.

    Parameters
    ----------
    light, colors : ndarray, shape (H, W, 3)
        sRGB in [0, 1].

    Returns
    -------
    ndarray of float32, shape (H, W, 3)
        In [0, 1].
    """
    luminance = np.clip(light @ LUMA, 0, 1)[..., None]
    chroma = colors - (colors @ LUMA)[..., None]
    room = np.where(chroma > 0, 1 - luminance, luminance) / np.maximum(np.abs(chroma), np.float32(1e-9))
    share = np.minimum(1, room.min(axis=2, keepdims=True))
    mixed: NDArray[np.float32] = np.clip(luminance + share * chroma, 0, 1).astype(np.float32)  # rounding alone
    return mixed


def into_gamut(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring colours outside [0, 1] inside: less chroma, the same luminance (clipped if it is itself outside)."""
    return recombine(picture, picture)

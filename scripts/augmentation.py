"""Random changes to a labelled photograph, so that the segmenter also holds at dusk, by night, in fog and in paint.

Every change takes and gives float32 RGB in [0, 1], shape (H, W, 3); the labels change with the geometry alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["augment", "night"]

_VOID = 255
_SKY, _BUILDING = 0, 1
_Rgb = NDArray[Any]  # float32
_Labels = NDArray[np.uint8]
_Random = np.random.Generator


def augment(
    rgb: NDArray[np.uint8], labels: _Labels, other: NDArray[np.uint8], side: int, random: _Random
) -> tuple[_Rgb, _Labels]:
    """Crop and change a photograph.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (H, W, 3)
    labels : ndarray of uint8, shape (H, W)
        255 is void.
    other : ndarray of uint8, shape (H', W', 3)
        Any other photograph; its colours may be taken.
    side : int
        Of the square that comes out, in pixels.
    random : numpy.random.Generator

    Returns
    -------
    rgb : ndarray of float32, shape (side, side, 3)
        In [0, 1].
    labels : ndarray of uint8, shape (side, side)
    """
    cut, labels = _crop(rgb, labels, side, random)
    x = cut.astype(np.float32) / 255
    if random.random() < 0.35:  # much as it was taken
        return np.clip(_light(x, random, 0.4), 0, 1), labels
    if random.random() < 0.25:
        x = _paint(x, labels, random)
    if random.random() < 0.2:
        x = _colours_of(x, other, random)
    if random.random() < 0.2:
        x = _label_colours(x, labels, random)
    if random.random() < 0.8:
        x = _light(x, random)
    if random.random() < 0.35:
        x = night(x, labels, random)
    for change, chance in _RARE:
        if random.random() < chance:
            x = change(x, random)
    return np.clip(x, 0, 1), labels


def _crop(rgb: NDArray[np.uint8], labels: _Labels, side: int, random: _Random) -> tuple[NDArray[np.uint8], _Labels]:
    """Scale, turn a little, flip and cut; what lies outside is void and mirrored."""
    height, width = labels.shape
    scale = random.uniform(0.62, 1.7) * side / 256
    stretch = np.exp(random.uniform(-0.15, 0.15))
    angle = np.deg2rad(random.uniform(-12, 12)) if random.random() < 0.3 else 0.0
    flip = -1.0 if random.random() < 0.5 else 1.0
    matrix = scale * np.array([[np.cos(angle) * flip, -np.sin(angle)], [np.sin(angle) * flip, np.cos(angle)]])
    matrix[0] *= stretch
    free = np.maximum(np.array([width * scale * stretch, height * scale]) - side, 0)
    centre = np.array([side, side]) / 2 + random.uniform(-0.5, 0.5, 2) * free
    shift = centre - matrix @ (np.array([width, height]) / 2)
    affine = np.column_stack([matrix, shift])
    method = cv2.INTER_AREA if scale < 0.8 else cv2.INTER_LINEAR
    cut = cv2.warpAffine(rgb, affine, (side, side), flags=method, borderMode=cv2.BORDER_REFLECT_101)
    found = cv2.warpAffine(
        labels, affine, (side, side), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=_VOID
    )
    return cut.astype(np.uint8), found.astype(np.uint8)


def _light(x: _Rgb, random: _Random, strength: float = 1.0) -> _Rgb:
    """Exposure, contrast, saturation, tint and hue of another camera, another hour."""
    x = np.power(np.clip(x, 1e-4, 1), np.float32(np.exp(random.normal(0, 0.35 * strength))))
    grey = x.mean(axis=2, keepdims=True)
    x = grey + (x - grey) * np.float32(1 + strength * random.uniform(-0.8, 0.8))
    x = (x - 0.5) * np.float32(1 + strength * random.uniform(-0.4, 0.4)) + np.float32(0.5)
    x = x * np.exp(random.normal(0, 0.12 * strength, 3)).astype(np.float32)
    return _turn_hue(x, random.normal(0, 25)) if random.random() < 0.3 * strength else x


def _turn_hue(x: _Rgb, degrees: float) -> _Rgb:
    hsv = cv2.cvtColor(np.clip(x, 0, 1), cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0] + degrees) % 360
    turned: _Rgb = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    return turned


def _colours_of(x: _Rgb, other: NDArray[np.uint8], random: _Random) -> _Rgb:
    """Take mean and deviation of another picture's colours, in Lab (Reinhard et al. 2001)."""
    small = cv2.resize(other, (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    mine, theirs = (cv2.cvtColor(np.clip(p, 0, 1), cv2.COLOR_RGB2LAB) for p in (x, small))
    mean, spread = mine.mean((0, 1)), mine.std((0, 1)) + 1
    target, reach = theirs.mean((0, 1)), theirs.std((0, 1)) + 1
    moved = (mine - mean) * np.clip(reach / spread, 0.5, 2) + target
    strength = np.float32(random.uniform(0.4, 1))
    lab = (mine + strength * (moved - mine)).astype(np.float32)
    changed: _Rgb = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
    return changed


def _label_colours(x: _Rgb, labels: _Labels, random: _Random) -> _Rgb:
    """Give each label a light of its own, as painters do: a yellow sky, violet walls."""
    gains = np.ones((256, 3), dtype=np.float32)
    offsets = np.zeros((256, 3), dtype=np.float32)
    for label in np.unique(labels):
        if random.random() < 0.7:
            gains[label] = np.exp(random.normal(0, 0.3) + random.normal(0, 0.25, 3))
            offsets[label] = random.normal(0, 0.08, 3)
    changed: _Rgb = x * cv2.blur(gains[labels], (5, 5)) + cv2.blur(offsets[labels], (5, 5))
    return changed


def _paint(x: _Rgb, labels: _Labels, random: _Random) -> _Rgb:
    """Flatten detail and lay strokes over it, each label in a direction of its own."""
    size = int(random.choice([3, 5, 7]))
    flat = cv2.medianBlur((np.clip(x, 0, 1) * 255).astype(np.uint8), size).astype(np.float32) / 255
    shape = labels.shape
    strokes: NDArray[Any] = np.zeros(shape, dtype=np.float32)
    noise = random.normal(0, 1, shape).astype(np.float32)
    for angle in random.uniform(0, np.pi, 3):
        brushed = cv2.filter2D(noise, -1, _line(int(random.integers(7, 19)), angle))
        chosen = np.isin(labels, random.integers(0, 11, 5)) | (strokes == 0)
        strokes = np.where(chosen, brushed, strokes)
    strokes = np.asarray(cv2.GaussianBlur(strokes, (0, 0), random.uniform(0.6, 1.4)), dtype=np.float32)
    strokes = strokes / (strokes.std() + 1e-6)
    tint = 1 + random.normal(0, 0.4, 3).astype(np.float32)
    return flat + strokes[..., None] * tint * np.float32(random.uniform(0.02, 0.12))


def _line(length: int, angle: float) -> NDArray[np.float32]:
    kernel = np.zeros((length, length), dtype=np.float32)
    middle = (length - 1) / 2
    for t in np.linspace(-middle, middle, 3 * length):
        kernel[round(middle + t * np.sin(angle)), round(middle + t * np.cos(angle))] = 1
    kernel /= kernel.sum()
    return kernel


def night(x: _Rgb, labels: _Labels, random: _Random) -> _Rgb:
    """Turn day into night: a dark sky, a blue rest of daylight, lamps that light what is near them, lit windows.

    Parameters
    ----------
    x : ndarray of float32, shape (H, W, 3)
        In [0, 1].
    labels : ndarray of uint8, shape (H, W)
    random : numpy.random.Generator

    Returns
    -------
    ndarray of float32, shape (H, W, 3)
    """
    linear = np.power(np.clip(x, 0, 1), np.float32(2.2))
    blue = np.array([0.7, 0.85, 1.2], dtype=np.float32) ** np.float32(random.uniform(0, 2))
    light = np.float32(np.exp(random.uniform(np.log(0.01), np.log(0.3)))) * blue * np.ones_like(linear)
    sky = labels == _SKY
    if random.random() < 0.7:  # else only less light, as if exposed too little
        glow = np.linspace(random.uniform(0, 1), 1, len(labels), dtype=np.float32)[:, None]  # of a town, at its horizon
        share = np.float32(np.exp(random.uniform(np.log(0.02), np.log(1)))) * glow
        light *= np.where(cv2.blur(sky.astype(np.float32), (3, 3)) > 0.5, share, np.float32(1))[..., None]
    glare = np.zeros_like(linear)
    for _ in range(int(random.integers(0, 9))):
        _shine(light, glare, sky, random)
    lit = linear * light + _windows(labels, random) + glare
    seen = np.power(np.clip(lit, 0, 1), np.float32(1 / 2.2))
    grain = np.float32(random.uniform(0.0, 0.04))
    noisy: _Rgb = seen + grain * random.standard_normal(x.shape, dtype=np.float32)
    return noisy


def _shine(light: _Rgb, glare: _Rgb, sky: NDArray[np.bool_], random: _Random) -> None:
    """Put a lamp somewhere below the sky: what it lights, and in half of the cases the lamp itself."""
    places = np.argwhere(~sky)
    if not len(places):
        return
    row, column = places[int(random.integers(len(places)))]
    side = max(sky.shape)
    y, x = np.ogrid[: sky.shape[0], : sky.shape[1]]
    squared = ((y - row) ** 2 + (x - column) ** 2).astype(np.float32)
    colour = np.array([1.0, random.uniform(0.5, 1.0), random.uniform(0.15, 1.0)], dtype=np.float32)
    reach = np.float32((side * random.uniform(0.05, 0.5)) ** 2)
    light += (~sky * np.float32(random.uniform(0.2, 1.5)) / (1 + squared / reach))[..., None] * colour
    if random.random() < 0.5:
        size = np.float32(random.uniform(1, side / 60) ** 2)
        glare += (np.exp(-squared / size) + np.float32(0.05) / (1 + squared / (16 * size)))[..., None] * colour


def _windows(labels: _Labels, random: _Random) -> _Rgb:
    """Lit rectangles on buildings."""
    lit = np.zeros((*labels.shape, 3), dtype=np.float32)
    places = np.argwhere(labels == _BUILDING)
    if len(places) and random.random() < 0.6:
        height, width = random.integers(2, 12, 2)
        for row, column in places[random.integers(0, len(places), int(random.integers(1, 25)))]:
            colour = np.array([1.0, random.uniform(0.6, 1.0), random.uniform(0.2, 0.9)], dtype=np.float32)
            lit[row : row + height, column : column + width] = colour * np.float32(random.uniform(0.1, 1))
    lit[labels != _BUILDING] = 0
    return lit


def _fog(x: _Rgb, random: _Random) -> _Rgb:
    """Fade to one pale colour, more so in the upper part, where things are far."""
    colour = np.float32(random.uniform(0.55, 0.95)) + random.normal(0, 0.03, 3).astype(np.float32)
    rows = np.linspace(1, random.uniform(0.1, 1), x.shape[0], dtype=np.float32)[:, None, None]
    share = np.float32(random.uniform(0.2, 0.75)) * rows
    foggy: _Rgb = x * (1 - share) + colour * share
    return foggy


def _sunset(x: _Rgb, random: _Random) -> _Rgb:
    """Warm from one end to the other: a gradient of gains."""
    ramp = np.linspace(0, 1, x.shape[0], dtype=np.float32)[:, None, None]
    if random.random() < 0.3:
        ramp = 1 - ramp
    warm, cool = np.array([1.35, 0.95, 0.6], np.float32), np.array([0.6, 0.6, 0.85], np.float32)
    lit: _Rgb = x * (warm * ramp + cool * (1 - ramp))
    return lit


def _grey(x: _Rgb, _random: _Random) -> _Rgb:
    return np.repeat(x.mean(axis=2, keepdims=True), 3, axis=2)


def _blur(x: _Rgb, random: _Random) -> _Rgb:
    blurred: _Rgb = cv2.GaussianBlur(x, (0, 0), random.uniform(0.5, 2))
    return blurred


def _noise(x: _Rgb, random: _Random) -> _Rgb:
    return x + random.normal(0, random.uniform(0.01, 0.07), x.shape).astype(np.float32)


def _posterise(x: _Rgb, random: _Random) -> _Rgb:
    levels = np.float32(random.integers(4, 10))
    return np.round(np.clip(x, 0, 1) * levels) / levels


_RARE: tuple[tuple[Callable[[_Rgb, _Random], _Rgb], float], ...] = (
    (_fog, 0.14),
    (_sunset, 0.14),
    (_grey, 0.05),
    (_blur, 0.12),
    (_noise, 0.12),
    (_posterise, 0.04),
)

"""The regions of one picture: named soft masks that sum to one at every pixel."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from photostyle.errors import RegionError

_SUM_TOLERANCE = 1e-4
_HEX = re.compile(r"#[0-9a-f]{6}")


@dataclass(frozen=True, eq=False)
class LabelMasks:
    """Named soft masks of a picture.

    Attributes
    ----------
    labels : tuple of str
        K different names, in the order of the masks.
    masks : ndarray of float32, shape (K, H, W)
        Values in [0, 1]; over the labels they sum to one at every pixel.
    colors : mapping of str to str
        Label to "#rrggbb", for the labels whose map had colours.
    notes : tuple of str
        Decisions that a user may want to know, one line each.

    Raises
    ------
    RegionError
        If the shapes don't agree, a name is empty or occurs twice, a value is not finite or leaves
        [0, 1], or the masks don't sum to one.
    """

    labels: tuple[str, ...]
    masks: NDArray[np.float32]
    colors: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))
        object.__setattr__(self, "masks", np.asarray(self.masks, dtype=np.float32))
        object.__setattr__(self, "colors", dict(self.colors))
        object.__setattr__(self, "notes", tuple(self.notes))
        _check_names(self.labels, self.colors)
        _check_masks(self.labels, self.masks)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return int(self.masks.shape[2]), int(self.masks.shape[1])

    @property
    def shares(self) -> dict[str, float]:
        """The share of the picture in [0, 1] that each label covers."""
        return {label: float(mask.mean(dtype=np.float64)) for label, mask in zip(self.labels, self.masks, strict=True)}

    def resized(self, size: tuple[int, int]) -> LabelMasks:
        """Masks for another size, by area average; they still sum to one.

        Parameters
        ----------
        size : tuple of int
            (width, height), each at least one.

        Returns
        -------
        LabelMasks
            The same labels, colours and notes; this object itself if the size is already right.

        Raises
        ------
        RegionError
            If a side of `size` is smaller than one pixel.
        """
        if size == self.size:
            return self
        masks = np.empty((len(self.labels), *_shape(size)), dtype=np.float32)
        for mask, target in zip(self.masks, masks, strict=True):
            target[...] = area_average(mask, size)
        return replace(self, masks=masks)


def whole(size: tuple[int, int], label: str = "all") -> LabelMasks:
    """One region that covers the whole picture.

    Parameters
    ----------
    size : tuple of int
        (width, height) of the picture.
    label : str
        The region's name.

    Returns
    -------
    LabelMasks
        A single mask of ones.

    Raises
    ------
    RegionError
        If a side is smaller than one pixel, or the name is empty.

    Examples
    --------
    >>> masks = whole((4, 3))
    >>> masks.labels, masks.masks.shape
    (('all',), (1, 3, 4))
    """
    return LabelMasks((label,), np.ones((1, *_shape(size)), dtype=np.float32))


def area_average(mask: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Resample one mask so that each new pixel is the mean of the area that it covers.

    Enlarged, this is the nearest pixel, save where a new pixel lies across two old ones. It is linear and
    keeps constants, so masks that sum to one still do.

    Parameters
    ----------
    mask : ndarray of float32, shape (H, W)
        Any values.
    size : tuple of int
        The new (width, height).

    Returns
    -------
    ndarray of float32, shape (height, width)
        The means, clipped to the range of `mask`.

    Raises
    ------
    RegionError
        If a side of `size` is smaller than one pixel.
    """
    height, width = _shape(size)
    rows = _overlap(mask.shape[0], height) @ mask
    result: NDArray[np.float32] = np.ascontiguousarray((_overlap(mask.shape[1], width) @ rows.T).T)
    return np.clip(result, mask.min(), mask.max(), out=result)


def normalise(masks: NDArray[np.float32], least: float) -> None:
    """Make soft masks sum to one, in place.

    Parameters
    ----------
    masks : ndarray of float32, shape (K, H, W)
        In [0, 1].
    least : float
        Shares up to this are none; where none is left, all is the first mask's.
    """
    masks[masks <= least] = 0
    masks[0] += masks.sum(0) == 0
    masks /= masks.sum(0)


def _overlap(old: int, new: int) -> sparse.csr_array:
    """Weights, shape (new, old), of the old pixels in each new one; a row sums to one."""
    edges = np.arange(new + 1, dtype=np.float64) * old / new
    first = np.minimum(np.floor(edges[:-1] + 1e-9).astype(np.int64), old - 1)
    last = np.clip(np.ceil(edges[1:] - 1e-9).astype(np.int64) - 1, first, old - 1)
    counts = last - first + 1
    row = np.repeat(np.arange(new), counts)
    start = np.concatenate(([0], np.cumsum(counts)[:-1]))
    column = np.arange(counts.sum()) - start[row] + first[row]
    weight = np.minimum(column + 1, edges[row + 1]) - np.maximum(column, edges[row])
    weight /= np.bincount(row, weights=weight)[row]
    return sparse.csr_array((weight.astype(np.float32), (row, column)), shape=(new, old))


def _shape(size: tuple[int, int]) -> tuple[int, int]:
    width, height = size
    if width < 1 or height < 1:
        raise RegionError(f"masks of {width}×{height} pixels: each side must be at least one pixel")
    return int(height), int(width)


def _check_names(labels: tuple[str, ...], colors: Mapping[str, str]) -> None:
    if not labels:
        raise RegionError("masks without a label: give at least one")
    for label in labels:
        if not isinstance(label, str) or not label.strip() or not label.isprintable():
            raise RegionError(f"label {label!r} can't be a name: use one or more printable characters")
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise RegionError(f'label "{twice[0]}" occurs twice: each label has one mask')
    for label, color in colors.items():
        if label not in labels:
            raise RegionError(f'a colour is given for "{label}", which is not among the labels')
        if not _HEX.fullmatch(color):
            raise RegionError(f'the colour of label "{label}" is {color!r}: it must be like "#00ff80"')


def _check_masks(labels: tuple[str, ...], masks: NDArray[np.float32]) -> None:
    if masks.ndim != 3 or masks.shape[0] != len(labels) or 0 in masks.shape:
        raise RegionError(f"masks of shape {masks.shape} for {len(labels)} labels: it must be (labels, rows, columns)")
    total = np.zeros(masks.shape[1:], dtype=np.float32)
    for label, mask in zip(labels, masks, strict=True):
        low, high = float(mask.min()), float(mask.max())
        if not (low >= -_SUM_TOLERANCE and high <= 1 + _SUM_TOLERANCE):  # false for NaN too
            raise RegionError(
                f'the mask of label "{label}" has values from {low:.4g} to {high:.4g}: allowed are 0 to 1'
            )
        total += mask
    low, high = float(total.min()), float(total.max())
    if low < 1 - _SUM_TOLERANCE or high > 1 + _SUM_TOLERANCE:
        raise RegionError(
            f"the masks sum to {low:.4g} to {high:.4g}: they must sum to 1 everywhere; divide by their sum"
        )

"""The film strip: a video's key frames as one tall picture, so that regions and styles are matched once for all.

Were each frame matched by itself, a label that grows or shrinks would change its style on the way. In the strip a label
counts by its share of the whole video, and what a segmenter can't be trusted with, it isn't trusted with anywhere.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from photostyle.images import Picture, fit_longest_side, resize
from photostyle.options.config import Resolved, TransferConfig
from photostyle.preparation import PictureSource, Prepared, prepare, result_sizes
from photostyle.progress import Callback, Step
from photostyle.regions.labels import LabelMasks
from photostyle.regions.segmentation import Segmentation, Segmenter
from photostyle.regions.segmentation.trust import Trust
from photostyle.regions.source import ContentMask, StyleMask, read_regions
from photostyle.regions.tiny import TINY
from photostyle.solvers.schedule import field_size
from photostyle.video.footage import Footage

_SEGMENTED = 1024  # longest side at which frames are segmented


@dataclass(frozen=True)
class Reel:
    """A video that is ready to be worked on.

    Attributes
    ----------
    prepared : Prepared
        Of the strip: styles, their regions, the assignments, the network.
    size, solve_size, small : tuple of int
        (width, height) of a frame of the result, of what is optimised, and of what masks and motion are followed at.
    masks : mapping of int to ndarray of float32, shape (K, h, w)
        Of each key frame its regions, one for each of the K assignments, at the small size.
    """

    prepared: Prepared
    size: tuple[int, int]
    solve_size: tuple[int, int]
    small: tuple[int, int]
    masks: Mapping[int, NDArray[np.float32]]

    @property
    def labels(self) -> tuple[str, ...]:
        """The regions' names."""
        return tuple(assignment.label for assignment in self.prepared.problem.assignments)


def picture_of(frame: NDArray[np.uint8]) -> Picture:
    """Return a frame as a picture."""
    return Picture(frame.astype(np.float32) / np.float32(255), None, 8, "the frame")


def load_reel(
    footage: Footage,
    keys: Sequence[int],
    size: tuple[int, int],
    style: PictureSource | Sequence[PictureSource],
    mapping: Mapping[str, PictureSource] | None,
    content_mask: ContentMask | None,
    style_mask: StyleMask | Sequence[StyleMask | None] | None,
    config: Resolved,
    callback: Callback,
) -> Reel:
    """Find the regions of the key frames, match them to the styles, and load the network."""
    result_size, solve_size = result_sizes(blank_picture(size), config)
    small = field_size(solve_size)
    tiles = {
        number: np.rint(resize(picture_of(frame).rgb, small) * 255).astype(np.uint8)
        for number, frame in picked(footage, keys)
    }
    strip = np.concatenate([tiles[number] for number in keys])
    drawn = _drawn(size, content_mask, config, mapped=bool(mapping))
    segment = _StripSegmenter(footage, keys, strip, small, config, callback)
    is_grid = (config.regions or "").startswith("grid:")
    mask = None
    if drawn is not None and len(drawn.labels) > 1 and not is_grid:
        mask = replace(drawn, masks=np.tile(drawn.resized(small).masks, (1, len(keys), 1)))
        if config.regions != "auto":
            config = replace(config, regions=None)
    prepared = prepare(
        strip,
        style,
        map=mapping,
        content_mask=mask,
        style_mask=style_mask,
        config=replace(config, size=None, solve_size=None),
        segment=segment,
        tiny=TINY / len(keys),
        callback=callback,
    )
    if is_grid or len(prepared.masks.labels) == 1:  # each frame has the whole of it
        assert is_grid is False or drawn is not None
        every = drawn.resized(small).masks if is_grid and drawn else np.ones((1, small[1], small[0]), np.float32)
        masks = dict.fromkeys(keys, every)
    else:
        parts = np.split(prepared.masks.masks, len(keys), axis=1)
        masks = dict(zip(keys, parts, strict=True))
    return Reel(replace(prepared, config=replace(config, size=max(result_size))), result_size, solve_size, small, masks)


def picked(footage: Footage, keys: Sequence[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield some frames with their numbers."""
    wanted = set(keys)
    for number, frame in enumerate(footage.read(keys[0], keys[-1] + 1), keys[0]):
        if number in wanted:
            yield number, frame


def blank_picture(size: tuple[int, int]) -> Picture:
    """Return a black picture of a frame's size, (width, height), where only that matters."""
    return Picture(np.zeros((size[1], size[0], 3), np.float32), None, 8, "the video")


def _drawn(
    size: tuple[int, int], content_mask: ContentMask | None, config: TransferConfig, *, mapped: bool
) -> LabelMasks | None:
    """Return the regions that hold for all frames, at their size; None where they are to be found in each."""
    automatic = config.regions == "auto" or (config.regions is None and (config.mode == "photo" or mapped))
    if automatic and content_mask is None:
        return None
    regions = None if config.regions == "auto" else config.regions
    return read_regions(blank_picture(size), [], regions=regions, content_mask=content_mask).content


class _StripSegmenter:
    """Segments styles as they are, and the strip key frame by key frame, each at its own size."""

    def __init__(
        self,
        footage: Footage,
        keys: Sequence[int],
        strip: NDArray[np.uint8],
        small: tuple[int, int],
        config: TransferConfig,
        callback: Callback,
    ) -> None:
        self.footage, self.keys, self.small, self.callback = footage, keys, small, callback
        self.strip = strip.astype(np.float32) / np.float32(255)
        self.segmenter = Segmenter(config.segmenter, offline=config.offline, callback=callback)

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels that the segmenter knows."""
        return self.segmenter.labels

    def __call__(self, picture: Picture) -> Segmentation:
        """Segment a style, or the strip."""
        if picture.rgb.shape != self.strip.shape or not np.allclose(picture.rgb, self.strip, atol=1e-3):
            return self.segmenter(picture)
        began = time.monotonic()
        found = []
        for done, (_, frame) in enumerate(picked(self.footage, self.keys), 1):
            rgb = picture_of(frame).rgb
            rgb = resize(rgb, fit_longest_side(rgb.shape[1::-1], min(max(rgb.shape[:2]), _SEGMENTED)))
            found.append(self.segmenter(Picture(rgb, None, 8, "the frame")))
            elapsed = time.monotonic() - began
            remaining = elapsed / done * (len(self.keys) - done)
            self.callback(Step("finding regions", self.small, done, len(self.keys), {}, elapsed, remaining))
        return self._joined(found)

    def _joined(self, found: Sequence[Segmentation]) -> Segmentation:
        """Put the key frames' regions one below the other; what most of them can't be trusted with is doubtful."""
        labels = tuple(label for label in self.labels if any(label in each.masks.labels for each in found))
        width, height = self.small
        masks = np.zeros((len(labels), height * len(found), width), np.float32)
        for index, each in enumerate(found):
            small = each.masks.resized(self.small)
            for label, mask in zip(small.labels, small.masks, strict=True):
                masks[labels.index(label), index * height : (index + 1) * height] = mask
        colors = {label: color for each in found for label, color in each.masks.colors.items()}
        doubts = [each.trust.doubt for each in found if each.trust.doubt]
        doubt = f"in {len(doubts)} of {len(found)} key frames: {doubts[0]}" if 2 * len(doubts) > len(found) else ""
        confidence = float(np.mean([each.trust.confidence for each in found]))
        trust = Trust(confidence, {}, doubt)
        return Segmentation(LabelMasks(labels, masks, colors), self.labels, trust, self.segmenter.name)

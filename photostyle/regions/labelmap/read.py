"""Regions from files: an indexed, grey or colour label map, or one grey soft mask for each label."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from scipy import ndimage

from photostyle.errors import RegionError
from photostyle.regions.labelmap.colors import decode_colors
from photostyle.regions.labelmap.legend import Color, color_names, hex_color, own_names, read_legend
from photostyle.regions.labelmap.palette import MOST_LABELS
from photostyle.regions.labels import LabelMasks, area_average

_MOST_PIXELS = 200_000_000
_ASPECT = 0.01  # relative difference of the aspect ratios of a map and its picture
_REST = "rest"
_REST_SHARE = 0.001  # of the picture; less is not worth a label
_SUFFIXES = (
    ".png",
    ".jpg",
    ".jpeg",
    ".webp",
    ".tif",
    ".tiff",
    ".bmp",
    ".gif",
    ".pgm",
    ".ppm",
    ".pnm",
    ".tga",
)

_Path = str | os.PathLike[str]


def read_label_map(source: _Path, *, size: tuple[int, int], picture: str) -> LabelMasks:
    """Read the regions of a picture."""
    path = Path(source)
    if path.is_dir():
        return _read_folder(path, size, picture)
    image = _open(path)
    index, own, indices, colors = _labels(image, path.name)
    notes = _doubts(image, index, colors, path.name)
    legend = read_legend(path)
    names = (own_names(colors) if legend.path is None else None) or legend.names(own, indices, colors)
    labels = list(dict.fromkeys(names if image.mode == "P" else sorted(names)))
    notes += _fit(image.size, path.name, size, picture)
    merged = np.array([labels.index(name) for name in names], dtype=np.uint8)[index]
    masks = np.empty((len(labels), size[1], size[0]), dtype=np.float32)
    for k in range(len(labels)):
        masks[k] = _scaled((merged == k).astype(np.float32), size)
    shown = {name: hex_color(color) for name, color in reversed(list(zip(names, colors, strict=True)))}
    return LabelMasks(tuple(labels), masks, shown, tuple(notes))


def read_soft_masks(files: Mapping[str, _Path], *, size: tuple[int, int], picture: str) -> LabelMasks:
    """Read one grey soft mask for each label."""
    if not files:
        raise RegionError(f"no masks were given for {picture}: give one file for each label")
    if len(files) > MOST_LABELS:
        raise RegionError(f"{len(files)} masks were given for {picture}: allowed are {MOST_LABELS} or fewer")
    labels = list(files)
    notes: list[str] = []
    masks = np.empty((len(labels), size[1], size[0]), dtype=np.float32)
    for label, mask in zip(labels, masks, strict=True):
        path = Path(files[label])
        soft = _soft(_open(path), path.name)
        if not soft.any():
            raise RegionError(
                f'mask {path.name} is all black, so label "{label}" is empty: paint it white or leave it out'
            )
        notes += _fit((soft.shape[1], soft.shape[0]), path.name, size, picture)
        mask[...] = _scaled(soft, size)
    total = masks.sum(axis=0)
    slack = 0.5 / 255 * len(labels) + 1e-6  # what rounding to 8 bits can do
    if total.max() > 1 + slack:
        notes.append(f"the masks of {picture} overlap and were divided by their sum")
    rest = np.where(total < 1 - slack, 1 - total, np.float32(0))
    if rest.mean(dtype=np.float64) > _REST_SHARE:
        notes.append(f'{rest.mean():.1%} of {picture} is in no mask and has the label "{_REST}"')
        total += rest
        if _REST in labels:
            masks[labels.index(_REST)] += rest
        else:
            labels.append(_REST)
            masks = np.concatenate((masks, rest[None]))
    bare = total <= 1e-3
    if bare.any():
        y, x = ndimage.distance_transform_edt(bare, return_distances=False, return_indices=True)
        masks, total = masks[:, y, x], total[y, x]
    masks /= total
    return LabelMasks(tuple(labels), masks, notes=tuple(notes))


def _read_folder(folder: Path, size: tuple[int, int], picture: str) -> LabelMasks:
    try:
        inside = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise RegionError(f"folder {folder} can't be read: {error.strerror or error}") from error
    files: dict[str, Path] = {}
    others = []
    for entry in inside:
        if entry.suffix.lower() not in _SUFFIXES or not entry.is_file():
            others.append(entry.name)
        elif entry.stem in files:
            both = f"{files[entry.stem].name} and {entry.name}"
            raise RegionError(f'folder {folder} has {both} for "{entry.stem}": leave one of them out')
        else:
            files[entry.stem] = entry
    if not files:
        raise RegionError(f"folder {folder} holds no masks: put one grey picture for each label there, like sky.png")
    result = read_soft_masks(files, size=size, picture=picture)
    if not others:
        return result
    note = f"folder {folder.name} has other files, which are ignored: {', '.join(others)}"
    return LabelMasks(result.labels, result.masks, result.colors, (note, *result.notes))


def _open(path: Path) -> Image.Image:
    """Read a picture completely and turn it upright; whatever is wrong with it is a RegionError."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is no file" if path.exists() else "is not there"
        raise RegionError(f"mask {path} {what}: give a picture file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                if image.width * image.height > _MOST_PIXELS:
                    raise Image.DecompressionBombError
                image.load()
                return ImageOps.exif_transpose(image)
    except Image.DecompressionBombError as error:
        raise RegionError(
            f"mask {path} has too many pixels: allowed are {_MOST_PIXELS // 1_000_000} million; scale it down"
        ) from error
    except Exception as error:  # Pillow's decoders raise a dozen kinds for a broken file
        reason = " ".join(str(error).split()) or type(error).__name__
        reason = "it is no picture that can be read" if "cannot identify" in reason else reason
        raise RegionError(f"mask {path} can't be read ({reason}): give a complete PNG or another picture") from error


def _doubts(image: Image.Image, index: NDArray[np.uint8], colors: Sequence[Color], name: str) -> list[str]:
    """Find what makes a map doubtful: transparency, or colours that are no label's."""
    if image.mode == "P":
        return []
    notes = []
    if image.has_transparency_data and np.asarray(image.convert("RGBA"))[..., 3].min() < 255:
        notes.append(f"mask {name} has transparent pixels; transparency is ignored")
    if image.mode[0] not in "IF":
        gaps = np.abs(np.asarray(image.convert("RGB")) - np.array(colors, dtype=np.int16)[index])
        far = float(np.mean(gaps.max(axis=2) > 24))
        if far > 0.1:
            notes.append(f"mask {name} has {far:.0%} of its pixels in no label's colour: is it a label map?")
    return notes


def _labels(image: Image.Image, name: str) -> tuple[NDArray[np.uint8], list[str], Sequence[int | None], list[Color]]:
    """Decode a map: the label of each pixel, and each label's own name, index and colour."""
    if image.mode == "P":
        index = np.asarray(image)
        used = np.flatnonzero(np.bincount(index.reshape(-1), minlength=256))
        if len(used) > MOST_LABELS:
            raise RegionError(
                f"mask {name} has {len(used)} indices and looks like a photograph rather than a label map: "
                f"give one with {MOST_LABELS} labels or fewer"
            )
        palette = np.zeros((256, 3), dtype=int)
        entries = np.array(image.getpalette("RGB") or [], dtype=int).reshape(-1, 3)
        palette[: len(entries)] = entries
        table = np.zeros(256, dtype=np.uint8)
        table[used] = np.arange(len(used))
        listed: list[Color] = [(int(r), int(g), int(b)) for r, g, b in palette[used]]
        return table[index], [str(i) for i in used], [int(i) for i in used], listed
    if image.mode in ("1", "L", "LA") or image.mode[0] in "IF":
        grey = _grey(image, name)
        if image.mode[0] in "IF":
            grey = np.rint(grey if grey.max() <= 255 else grey / 257)
        rgb = np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
        found, colors = decode_colors(rgb, name=name)
        scale = 255 if image.mode == "1" else 1
        return found, color_names(colors), [color[0] // scale for color in colors], colors
    found, colors = decode_colors(np.asarray(image.convert("RGB")), name=name)
    return found, color_names(colors), [None] * len(colors), colors


def _grey(image: Image.Image, name: str) -> NDArray[np.float32]:
    """Levels as they are stored: 0…255, or 0…65535 for 16 bits and more."""
    if image.mode[0] not in "IF":
        return np.asarray(image.convert("L"), dtype=np.float32)
    values = np.asarray(image, dtype=np.float32)
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 65535):  # true for NaN too
        raise RegionError(f"mask {name} has levels from {low:g} to {high:g}: allowed are 0 to 65535")
    return values


def _soft(image: Image.Image, name: str) -> NDArray[np.float32]:
    """Values in [0, 1] of a grey picture."""
    if image.mode[0] in "IF":
        values = _grey(image, name)
        if image.mode == "F" and values.max() <= 1:
            return values
        return values / np.float32(65535 if image.mode[0] == "I" else 255 if values.max() <= 255 else 65535)
    if image.mode not in ("1", "L", "LA"):
        rgb = np.asarray(image.convert("RGB")).astype(np.int16)
        span = int((rgb.max(axis=2) - rgb.min(axis=2)).max())
        if span > 8:
            raise RegionError(
                f"mask {name} is in colour, but a label's soft mask must be grey: save it in grey, or give "
                "one label map for all labels"
            )
    return _grey(image, name) / np.float32(255)


def _fit(found: tuple[int, int], name: str, size: tuple[int, int], picture: str) -> list[str]:
    """Check a map's size against its picture's; the note that it was scaled, if so."""
    if found == size:
        return []
    mine, theirs = found[0] / found[1], size[0] / size[1]
    sizes = f"{found[0]}×{found[1]}", f"{size[0]}×{size[1]}"
    if abs(mine / theirs - 1) > _ASPECT:
        raise RegionError(
            f"mask {name} is {sizes[0]} but its picture {picture} is {sizes[1]} (aspect ratio {mine:.3f} "
            f"against {theirs:.3f}): give a mask with the picture's aspect ratio (within 1 %)"
        )
    return [f"mask {name} is {sizes[0]} and was scaled to {sizes[1]}, the size of {picture}"]


def _scaled(mask: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    return mask if mask.shape == size[::-1] else area_average(mask, size)

"""One self-contained HTML page of runs: pictures with sliders, masks, loss curves, scores; sorted and filtered."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment
from numpy.typing import NDArray
from PIL import Image

from photostyle._version import __version__
from photostyle.errors import PhotostyleError
from photostyle.images import fit_longest_side, read_picture, resize
from photostyle.options.config import TransferConfig
from photostyle.report.curves import loss_curves_svg
from photostyle.report.found import Run, Shot
from photostyle.report.masks import tinted
from photostyle.studies.measure import SCORES, told

_THUMBNAIL = 224  # longest side in the index
_MOST_OPTIONS = 8  # columns of the index for options that differ
_NO_COLUMN = ("device", "offline", "snapshots", "snapshot_every", "checkpoint_every", "size", "strip_metadata")
_FIRST = ("mode", "solver", "regions", "style_loss", "style_weight", "content_weight", "strength", "iterations", "seed")
_CONFIG = {field.name: field.default for field in fields(TransferConfig)}


@dataclass(frozen=True)
class _View:
    """A run as the template shows it: plain texts, and keys of pictures in the page's store."""

    run: Run
    anchor: str
    cells: list[tuple[str, str, str]]  # text, what it is sorted by, class
    pictures: list[dict[str, str]]  # title, role, key, thumbnail
    before: int
    after: int
    curves: str
    options: list[tuple[str, str, bool]]  # name, value, whether it differs from the default
    problems: list[str]


class _Store:
    """The pictures of a page, each once, as data that a browser reads without a network."""

    def __init__(self, longest: int) -> None:
        self.longest = longest
        self.large: dict[str, str] = {}
        self.keys: dict[tuple[Path, ...], tuple[str, str]] = {}

    def add(self, paths: tuple[Path, ...], read: Callable[[], NDArray[np.float32]]) -> tuple[str, str]:
        """Return the key of a picture and its thumbnail; what was added before isn't read again."""
        if paths not in self.keys:
            rgb = read()
            key = f"p{len(self.large)}"
            self.large[key] = _data_uri(rgb, self.longest, 88)
            self.keys[paths] = key, _data_uri(rgb, _THUMBNAIL, 80)
        return self.keys[paths]


def html_page(
    runs: Sequence[Run], *, title: str, longest: int = 1024, progress: Callable[[int, int], Any] = lambda _d, _t: None
) -> str:
    """Make one HTML page of runs that needs neither a network nor another file."""
    store = _Store(longest)
    columns = _columns(runs)
    views = []
    for number, run in enumerate(runs, 1):
        views.append(_view(run, f"run-{number}", columns, store))
        progress(number, len(runs))
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    used = {name for run in runs for scores in run.scores.values() for name in scores}
    return environment.from_string(_file("page.html")).render(
        title=title,
        views=views,
        heads=["picture", *columns],
        store=store.large,
        css=_file("page.css"),
        js=_file("page.js"),
        meaning=told(name for name in SCORES if name in used),
        version=__version__,
        statuses=sorted({run.status for run in runs}),
        number=_number,
    )


@cache
def _file(name: str) -> str:
    return files("photostyle.report").joinpath(name).read_text(encoding="utf-8")


def _columns(runs: Sequence[Run]) -> dict[str, Callable[[Run], Any]]:
    """Return the columns of the index: names, what differs between the runs, scores, size and cost."""
    differ = [
        name
        for name in sorted(_CONFIG, key=lambda n: (_FIRST.index(n) if n in _FIRST else len(_FIRST), n))
        if name not in _NO_COLUMN and len({_text(run.config[name]) for run in runs if name in run.config}) > 1
    ][:_MOST_OPTIONS]
    scores = dict.fromkeys(name for run in runs for name in _telling(run))
    columns: dict[str, Callable[[Run], Any]] = {"name": lambda run: run.name}
    if len({run.kind for run in runs}) > 1:
        columns["kind"] = lambda run: run.kind
    if any(run.status != "ok" for run in runs):
        columns["status"] = lambda run: run.status
    columns |= {name: lambda run, name=name: run.config.get(name) for name in differ}  # type: ignore[misc]
    columns |= {name: lambda run, name=name: run.scores.get(_best(run), {}).get(name) for name in scores}  # type: ignore[misc]
    columns |= {
        "size": lambda run: "×".join(map(str, run.record["size"])) if run.record.get("size") else None,
        "seconds": lambda run: run.record.get("seconds"),
        "memory MB": lambda run: (
            round(run.record["peak_memory_bytes"] / 1e6) if run.record.get("peak_memory_bytes") else None
        ),
    }
    return columns


def _best(run: Run) -> str:
    """Return the variant whose numbers stand in the index: the first that was scored."""
    return next(iter(run.scores), "")


def _telling(run: Run) -> list[str]:
    """Return the names of the numbers that stand in the index: of the scores those that say most of the run's mode."""
    names = list(run.scores.get(_best(run), {}))
    return [name for name in names if name not in SCORES or SCORES[name].tells == run.config.get("mode")] or names


def _view(run: Run, anchor: str, columns: Mapping[str, Callable[[Run], Any]], store: _Store) -> _View:
    problems = [f"not found: {name}" for name in run.missing]
    pictures = []
    content = next((shot for shot in run.shots if shot.title == "content"), None)
    for shot in run.shots:
        try:
            key, small = _embedded(run, shot, content, store)
        except PhotostyleError as error:
            problems.append(f"{shot.title}: {error}")
        else:
            pictures.append({"title": shot.title, "role": shot.role, "key": key, "small": small})
    results = [index for index, picture in enumerate(pictures) if picture["role"] == "result"]
    after = results[-1] if results else len(pictures) - 1
    before = results[-2] if run.kind == "compare" and len(results) > 1 else 0
    options = [
        (name, _text(value), name in _CONFIG and _plain(value) != _plain(_CONFIG[name]))
        for name, value in run.config.items()
    ]
    return _View(
        run, anchor, [_cell(name, column(run)) for name, column in columns.items()], pictures, before, after,
        _svg_uri(loss_curves_svg(run.histories)) if run.histories else "", options, problems,
    )  # fmt: skip


def _embedded(run: Run, shot: Shot, content: Shot | None, store: _Store) -> tuple[str, str]:
    if shot.role != "map":
        return store.add((shot.path,), lambda: read_picture(shot.path).rgb)
    below = content or next((each for each in run.shots if each.role == "result"), None)
    if below is None:
        return store.add((shot.path,), lambda: read_picture(shot.path).rgb)
    return store.add((shot.path, below.path), lambda: _regions(shot.path, below.path))


def _regions(label_map: Path, picture: Path) -> NDArray[np.float32]:
    """Return a label map in its own colours over its picture."""
    colors = read_picture(label_map).rgb
    return tinted(resize(read_picture(picture).rgb, (colors.shape[1], colors.shape[0])), colors)


def _data_uri(rgb: NDArray[np.float32], longest: int, quality: int) -> str:
    size = fit_longest_side((rgb.shape[1], rgb.shape[0]), longest)
    small = rgb if max(rgb.shape[:2]) <= longest else resize(rgb, size)
    buffer = io.BytesIO()
    Image.fromarray(np.round(small * 255).astype(np.uint8)).save(buffer, "WEBP", quality=quality, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def _svg_uri(svg: str) -> str:
    """Return a drawing as the address of an image, in which its ids are its own."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def _cell(name: str, value: Any) -> tuple[str, str, str]:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _number(value), repr(float(value)), "number"
    return _text(value), _text(value), f"status {value}" if name == "status" else ""


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_text, value)) or "none"
    return _number(value)

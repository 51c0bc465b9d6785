"""What photostyle left in a folder: transfers, comparisons, reconstructions, cells of sweeps, jobs of batches."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from photostyle.errors import ImageError
from photostyle.images.exif import is_turned
from photostyle.images.guard import decoding

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".mp4", ".webm", ".mkv")
_MOVING = (".mp4", ".webm", ".mkv")
_FORMER_VGG16 = "078000d61f661f3b9cf200aeeda05d21c099508cd8994a09079ac1452039cc87"
"""The network named vgg16, and default, in records that were made before the ImageNet VGG-16 took this name."""


@dataclass(frozen=True)
class Shot:
    """One picture of a run.

    Attributes
    ----------
    title : str
        For people: "content", "style 1", "result".
    path : Path
    role : str
        "input", "result", "overlay" (regions over a picture), or "map" (a label map of the content).
    """

    title: str
    path: Path
    role: str


@dataclass(frozen=True)
class Run:
    """One row of a report.

    Attributes
    ----------
    name : str
        Where it lies, below the folder of the report, without a suffix.
    kind : str
        "transfer", "compare", "reconstruct", "video", "sweep", "batch" (a job that left no record) or "broken".
    status : str
        "ok", "stopped", "diverged", "failed", or "broken" for a record that can't be read.
    record : dict
        What the run wrote.
    config : dict
        Its options; of a sweep's cell those that are varied.
    shots : tuple of Shot
        The inputs first; of the results, the one that is most worth seeing last.
    histories : dict of str to list
        Losses by iteration, of each variant.
    scores : dict of str to dict of str to float
        Numbers of each variant.
    message : str
        Why there is no picture.
    missing : tuple of str
        Pictures that are named but can't be found.
    """

    name: str
    kind: str
    status: str
    record: dict[str, Any]
    config: dict[str, Any] = field(default_factory=dict)
    shots: tuple[Shot, ...] = ()
    histories: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    message: str = ""
    missing: tuple[str, ...] = ()

    @property
    def results(self) -> list[Shot]:
        """The pictures that the run made, best last."""
        return [shot for shot in self.shots if shot.role == "result"]


def find_runs(folder: Path) -> list[Run]:
    """Read all that photostyle wrote into a folder and those in it, by name.

    A file that should be a record but can't be read is a run too, of the kind "broken".
    """
    readers: dict[str, Callable[[Path, Path, dict[str, Any]], Iterator[Run]]] = {
        ".record.json": _transfer,
        "comparison.json": _comparison,
        "sweep.json": _sweep,
        "batch.json": _batch,
    }
    runs: list[Run] = []
    for path in sorted(folder.rglob("*.json")):
        ending = next((each for each in readers if path.name.endswith(each)), None)
        if ending is None or (not ending.startswith(".") and path.name != ending):
            continue
        try:
            record = _named_as_now(json.loads(path.read_text(encoding="utf-8")))
            runs.extend(readers[ending](folder, path, record))
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            why = f"{path.name} can't be read as a record of photostyle ({type(error).__name__}: {error})"
            runs.append(Run(_name(folder, path, ".json"), "broken", "broken", {}, message=why))
    finished = {run.name for run in runs if run.kind != "batch"}
    return sorted((run for run in runs if run.kind != "batch" or run.name not in finished), key=lambda run: run.name)


def _named_as_now(record: dict[str, Any]) -> dict[str, Any]:
    """Give the network of old runs the name that it has now."""
    runs = record.get("runs")
    for run in (record, *(runs.values() if isinstance(runs, dict) else ())):
        backbone = run.get("backbone")
        if isinstance(backbone, dict) and backbone.get("weights_sha256") == _FORMER_VGG16:
            backbone["name"] = "hed (it was named vgg16 when this was made)"
            run["config"]["backbone"] = "hed"
    return record


def _transfer(folder: Path, path: Path, record: dict[str, Any]) -> Iterator[Run]:
    name = _name(folder, path, ".record.json")
    special = {"runs": _reconstruction, "video": _video}
    for key, reader in special.items():
        if key in record:
            yield from reader(folder, path, record)
            return
    shots, missing = _pictures(path, record)
    beside = path.with_name(path.name.removesuffix(".record.json"))
    result = next((each for each in map(beside.with_suffix, _SUFFIXES) if each.is_file()), None)
    result = result or next((p for s in _SUFFIXES if (p := beside.with_name(beside.name + s)).is_file()), None)
    if result is None:
        missing.append("the result")
    elif not _fits(result, record):
        missing.append(_another("the result", record))
    elif result.suffix not in _MOVING:
        shots.append(Shot("result", result, "result"))
    label_map = beside.with_name(beside.name + ".regions.png")
    if label_map.is_file():
        shots.append(Shot("regions", label_map, "map"))
    status = "ok" if record["complete"] else "stopped"
    yield Run(
        name, "transfer", status, record, record["config"], tuple(shots), _histories({name: record}),
        _losses({"result": record}), record.get("stopped") or "", tuple(missing),
    )  # fmt: skip


def _reconstruction(folder: Path, path: Path, record: dict[str, Any]) -> Iterator[Run]:
    name = _name(folder, path, ".record.json")
    first = next(iter(record["runs"].values()))
    sheet = next(
        (p for s in _SUFFIXES if (p := path.with_name(path.name.removesuffix(".record.json") + s)).is_file()), None
    )
    shots = [] if sheet is None else [Shot("result", sheet, "result")]
    missing = () if sheet else ("the result",)
    status = "ok" if all(run["complete"] for run in record["runs"].values()) else "stopped"
    runs = record["runs"]
    yield Run(
        name, "reconstruct", status, first, first["config"], tuple(shots), _histories(runs), _losses(runs), "", missing
    )


def _video(folder: Path, path: Path, record: dict[str, Any]) -> Iterator[Run]:
    """Yield a video; of a folder of pictures the one in the middle stands for all."""
    styles, missing = _pictures(path, record)
    frames = sorted(path.with_name(path.name.removesuffix(".record.json")).glob("*.png"))
    shots = [*styles, Shot("a frame", frames[len(frames) // 2], "result")] if frames else styles
    measured = {name: value for name, value in record["flicker"].items() if isinstance(value, (int, float))}
    yield Run(
        _name(folder, path, ".record.json"), "video", "ok", record, record["config"] | record["options"],
        tuple(shots), {}, {"flicker": measured} if measured else {}, "", tuple(missing),
    )  # fmt: skip


def _comparison(folder: Path, path: Path, record: dict[str, Any]) -> Iterator[Run]:
    runs = record["runs"]
    first = runs["segmented"]
    shots, missing = _pictures(path, first)
    for overlay in sorted(path.parent.glob("regions-*.png")):
        shots.append(Shot(overlay.stem.replace("regions-", "regions of "), overlay, "overlay"))
    for variant in reversed(runs):  # the segmented one is most worth seeing
        result = path.with_name(f"{variant}.png")
        if not result.is_file():
            missing.append(result.name)
        elif not _fits(result, runs[variant]):
            missing.append(_another(result.name, runs[variant]))
        else:
            shots.append(Shot(variant, result, "result"))
    scores = {name: _old_terms(record, name) | record["scores"].get(name, {}) for name in runs}
    status = "ok" if all(run["complete"] for run in runs.values()) else "stopped"
    name = _name(folder, path.parent, "") if path.parent != folder else folder.resolve().name
    yield Run(
        name, "compare", status, first, first["config"], tuple(shots), _histories(runs), scores, "", tuple(missing)
    )


def _old_terms(record: Mapping[str, Any], variant: str) -> dict[str, float]:
    """Return the terms of the objective that comparisons once kept apart, without a second "matting" of their own."""
    return {name: value for name, value in record.get("numbers", {}).get(variant, {}).items() if name != "matting"}


def _sweep(folder: Path, path: Path, record: dict[str, Any]) -> Iterator[Run]:
    inputs, missing = _pictures(path, record)
    for cell in record["cells"]:
        file = path.with_name(cell["file"]) if cell["file"] else None
        there = file is not None and file.is_file() and _fits(file, record)
        shots = [*inputs, Shot("result", file, "result")] if file is not None and there else inputs
        gone = [] if there or file is None else [_another("the result", record) if file.is_file() else "the result"]
        scores = {
            "objective": _named_losses(cell["objective"]),
            "own loss": _named_losses(cell["losses"]),
        }
        yield Run(
            _name(folder, path.with_name(cell["file"] or f"cell {cell['number']}"), ".png"), "sweep", cell["status"],
            {**cell, "content": record["content"], "styles": record["styles"], "size": record["size"]}, cell["values"],
            tuple(shots), {}, {k: v for k, v in scores.items() if v}, cell["message"], (*missing, *gone),
        )  # fmt: skip


def _batch(folder: Path, path: Path, record: dict[str, Any]) -> Iterator[Run]:
    """Yield the jobs; those that left a record of their own are dropped later."""
    for job in record["jobs"]:
        output = path.parent / job["output"]
        name = _name(folder, output, output.suffix)
        yield Run(name, "batch", job["status"], job, job.get("options") or {}, message=job.get("error") or "")


def _name(folder: Path, path: Path, ending: str) -> str:
    text = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()
    return text.removesuffix(ending) if ending else text


def _pictures(path: Path, record: Mapping[str, Any]) -> tuple[list[Shot], list[str]]:
    """Return the inputs that are found, and those that aren't: at their path, else beside or above the record.

    A style may be larger than in the record, where its margins were left out.
    """
    found, missing = [], []
    for title, picture in _inputs(record).items():
        name = Path(picture["name"])
        near = [parent / name for parent in (Path(), *path.parents)] + [path.with_name(name.name)]
        there = [each for each in near if each.is_file()]
        place = next((each for each in there if _fits(each, picture, trimmed=title != "content")), None)
        what = f"{title}: {picture['name']}"
        if place is not None:
            found.append(Shot(title, place, "input"))
        else:
            missing.append(_another(what, picture) if there else what)
    return found, missing


def _fits(path: Path, record: Mapping[str, Any], *, trimmed: bool = False) -> bool:
    """Whether a picture has the size that stands in a record; what can't be read is told of where it is shown."""
    size = record.get("size")
    if not size or path.suffix in _MOVING:
        return True
    try:
        with decoding(path.name, []), Image.open(path) as image:
            found = image.size[::-1] if is_turned(image) else image.size
    except (ImageError, OSError):
        return True
    return found[0] >= size[0] and found[1] >= size[1] if trimmed else found == tuple(size)


def _another(what: str, record: Mapping[str, Any]) -> str:
    return f"{what} of {record['size'][0]}×{record['size'][1]} (what is there has another size)"


def _inputs(record: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    styles = record.get("styles") or []
    names = ["style"] if len(styles) == 1 else [f"style {number}" for number in range(1, len(styles) + 1)]
    content = {"content": record["content"]} if record.get("content") else {}
    return {**content, **dict(zip(names, styles, strict=True))}


def _histories(runs: Mapping[str, Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    return {name: run["history"] for name, run in runs.items() if run["history"]}


def _losses(runs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    known = {name: _named_losses(run["losses"] or {}) for name, run in runs.items()}
    return {name: losses for name, losses in known.items() if losses}


def _named_losses(losses: Mapping[str, Any]) -> dict[str, float]:
    """Return the weighted terms of a loss under names that no score has, without iteration, stage and size."""
    return {f"loss_{name}": value for name, value in losses.items() if isinstance(value, float)}

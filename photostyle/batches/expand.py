"""From a batch's YAML file to its jobs: defaults, the list, the matrix with its globs, the names of outputs."""

from __future__ import annotations

import glob
import itertools
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from photostyle.batches.inputs import Input, find_input
from photostyle.batches.job import Batch, Job
from photostyle.batches.located import Located, Place, read_located
from photostyle.batches.naming import check_outputs, constant_folder, output_name
from photostyle.batches.option_values import known_name, option_value, several_values
from photostyle.errors import UsageError
from photostyle.options.config import OPTIONS, TransferConfig, resolve
from photostyle.options.variations import values_text
from photostyle.regions.segmentation import SEGMENTERS

MOST_JOBS = 10_000
"""How many jobs one file may ask for."""

_SECTIONS = ("defaults", "jobs", "matrix", "output")
_PICTURES = ("content", "style", "map", "content_mask", "style_mask", "output")
_ASIDE = ("x-", ".")  # keys that only hold an anchor
_WORDS = ("none", "auto")
_WEIGHTS = (".safetensors", ".pth", ".pt")

Draft = tuple[Place, dict[str, Located]]


def read_batch(path: str | os.PathLike[str], *, output: str | os.PathLike[str] | None = None) -> Batch:
    """Read a file of jobs and check all that needs no picture to be decoded."""
    file = Path(path)
    root = read_located(file)
    sections = _named(root, "the file", _SECTIONS)
    if not {"jobs", "matrix"} & set(sections):
        raise root.place.error("there is neither jobs: (a list) nor matrix: (content:, style: and options)")
    defaults = _named(sections["defaults"], "defaults", (*_PICTURES, *OPTIONS)) if "defaults" in sections else {}
    if "output" in sections:
        defaults = {"output": sections["output"], **defaults}
    base = file.absolute().parent
    drafts = _listed(sections["jobs"], defaults) if "jobs" in sections else []
    if "matrix" in sections:
        drafts += _matrix(sections["matrix"], defaults, base)
    if not drafts:
        raise root.place.error("there are no jobs: the lists are empty")
    if len(drafts) > MOST_JOBS:
        raise root.place.error(f"there are {len(drafts):,} jobs, but at most {MOST_JOBS:,} are allowed")
    target = base if output is None else Path(output).absolute()
    patterns = [_pattern(place, values, output) for place, values in drafts]
    folders = {target / constant_folder(each) for each in patterns}
    folder = Path(os.path.commonpath(folders))
    jobs = tuple(
        _job(place, values, pattern, base, target) for (place, values), pattern in zip(drafts, patterns, strict=True)
    )
    check_outputs(jobs, file)
    return Batch(file, folder, jobs)


def _named(found: Located, where: str, allowed: Sequence[str]) -> dict[str, Located]:
    """Return a mapping's values by their names, hyphens being underscores."""
    result: dict[str, Located] = {}
    for key, value in found.items(where).items():
        if key.startswith(_ASIDE):
            continue
        name = known_name(key, value, allowed, where)
        if name in result:
            raise value.place.error(f"{where} has {name} twice, with a hyphen and without: leave one of them out")
        result[name] = value
    return result


def _listed(found: Located, defaults: Mapping[str, Located]) -> list[Draft]:
    return [
        (each.place, {**defaults, **_named(each, "a job", (*_PICTURES, *OPTIONS))}) for each in found.entries("jobs")
    ]


def _matrix(found: Located, defaults: Mapping[str, Located], base: Path) -> list[Draft]:
    """Return all combinations of contents, styles and the options' values, the last of which changes fastest."""
    given = _named(found, "matrix", (*_PICTURES, *OPTIONS))
    axes: dict[str, list[Located]] = {}
    for name in ("content", "style"):
        if name in given:
            axes[name] = _pictures(name, given[name], base)
    for name in OPTIONS:
        if name in given:
            several_values(name, given[name])
            axes[name] = given[name].value if given[name].kind == "seq" else [given[name]]
    fixed = {name: value for name, value in given.items() if name not in axes}
    count = math.prod(len(values) for values in axes.values())
    if count > MOST_JOBS:
        sizes = " × ".join(f"{len(values)} {name}" for name, values in axes.items())
        raise found.place.error(f"the matrix has {sizes} = {count:,} jobs, but at most {MOST_JOBS:,} are allowed")
    drafts = []
    for values in itertools.product(*axes.values()):
        chosen = dict(zip(axes, values, strict=True))
        place = chosen["content"].place if "content" in chosen else found.place
        drafts.append((place, {**defaults, **fixed, **chosen}))
    return drafts


def _pictures(name: str, found: Located, base: Path) -> list[Located]:
    """Return the paths of a matrix, globs expanded; a style that is itself a list is blended, and stays one."""
    result: dict[str, Located] = {}
    for each in found.value if found.kind == "seq" else [found]:
        if each.kind == "seq" and name == "style":
            result[repr([part.text(name) for part in each.value])] = each
            continue
        text = each.text(name).strip()
        if (base / Path(text).expanduser()).is_file() or not glob.has_magic(text):
            result[text] = each
            continue
        matches = sorted(glob.glob(str(Path(text).expanduser()), root_dir=base, recursive=True))  # noqa: PTH207
        files = [match for match in matches if (base / match).is_file()]
        if not files:
            raise each.place.error(f"{name} {text!r} matches no file (patterns start from {base}): check it")
        result |= {match: Located(match, "str", each.place) for match in files}
    if not result:
        raise found.place.error(f"{name} is empty: name one or more files or patterns")
    return list(result.values())


def _pattern(place: Place, values: Mapping[str, Located], output: object) -> Located:
    if "output" not in values:
        raise place.error("output is missing: name the picture, or give a pattern such as out/{content}-{style}.png")
    pattern = values["output"]
    if output is not None and Path(pattern.text("output").strip()).is_absolute():
        raise pattern.place.error("output is an absolute path, which contradicts --output: leave one of them out")
    return pattern


def _job(place: Place, values: Mapping[str, Located], pattern: Located, base: Path, target: Path) -> Job:
    options = {name: option_value(name, values[name]) for name in OPTIONS if name in values}
    arguments = _arguments(place, values, base)
    try:
        config = TransferConfig(**options)
        resolved = resolve(config)
    except UsageError as error:
        raise place.error(f"{values_text(options)}: {error}") from None
    named = {name: getattr(resolved, name) for name in OPTIONS}
    option_files = {name: found for name in OPTIONS if (found := _option_file(name, values.get(name), base))}
    named |= {name: found.path.stem for name, found in option_files.items()}
    styles = [*arguments["style"], *arguments["map"].values()]
    named |= {"content": arguments["content"].path.stem, "style": "+".join(each.path.stem for each in styles)}
    return Job(place, target / output_name(pattern, named), arguments, config, option_files, options)


def _arguments(place: Place, values: Mapping[str, Located], base: Path) -> dict[str, Any]:
    """Return the pictures and masks of a job, found."""
    if "content" not in values:
        raise place.error("content is missing: name the picture to be stylised")
    result: dict[str, Any] = {"content": find_input(values["content"], "content", base)}
    result["style"] = [find_input(each, "style", base) for each in _several(values.get("style"))]
    mapped = values["map"].items("map") if "map" in values else {}
    result["map"] = {label: find_input(each, f"map {label}", base) for label, each in mapped.items()}
    if not result["style"] and not mapped:
        raise place.error("style is missing: name a style picture, or give regions theirs with map:")
    mask = values.get("content_mask")
    if mask is None or mask.kind == "null":
        result["content_mask"] = None
    elif mask.kind == "map":
        result["content_mask"] = {label: find_input(each, "content_mask", base) for label, each in mask.value.items()}
    else:
        result["content_mask"] = find_input(mask, "content_mask", base, folder=True, legend=True)
    result["style_mask"] = [_style_mask(each, base) for each in _several(values.get("style_mask"))] or None
    return result


def _several(found: Located | None) -> list[Located]:
    if found is None or found.kind == "null":
        return []
    return list(found.value) if found.kind == "seq" else [found]


def _style_mask(found: Located, base: Path) -> Input | str | None:
    if found.kind == "null" or found.value in _WORDS:
        return None if found.kind == "null" else str(found.value)
    return find_input(found, "style_mask", base, folder=True, legend=True)


def _option_file(name: str, found: Located | None, base: Path) -> Input | None:
    """Find the file that an option names, if it names one."""
    if found is None or found.kind in ("null", "seq", "map") or name not in ("regions", "segmenter", "weights"):
        return None
    text = str(found.value).strip()
    if name == "regions":
        is_name = text in _WORDS or text.startswith("grid:")
        return None if is_name else find_input(found, name, base, folder=True, legend=True)
    if name == "segmenter":
        return None if text in SEGMENTERS else find_input(found, name, base, folder=True, kept=True)
    is_path = "/" in text or os.sep in text or text.lower().endswith(_WEIGHTS)
    return find_input(found, name, base, kept=True) if is_path else None

"""The record of a run, and the fingerprint that tells whether a checkpoint belongs to it."""

from __future__ import annotations

import copy
import datetime
import hashlib
import json
import math
from dataclasses import asdict, fields, replace

import numpy as np
import pytest
import torch
from helpers import LAYERS, TERMS, Log, halves, image, indexed_mask, tiny_weights

import photostyle
from photostyle.errors import DivergedError, Interrupted
from photostyle.options.config import TransferConfig, resolve
from photostyle.preparation import prepare
from photostyle.record import fingerprint


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("record")
    tiny_weights(folder)
    indexed_mask(folder / "content.png", {0: "sky", 1: "land"}, halves())
    indexed_mask(folder / "style.png", {0: "sky", 1: "zebra crossing"}, halves(40, 60))
    image(seed=1).save(folder / "castle.png")
    return folder


@pytest.fixture(scope="module")
def inputs(folder):
    """A run with regions of which one has no counterpart in the style."""
    return {
        "content": folder / "castle.png",
        "style": image(40, 60, seed=2),
        "content_mask": folder / "content.png",
        "style_mask": folder / "style.png",
        "weights": str(folder / "tiny.safetensors"),
        "iterations": 4,
        "seed": 11,
        "start": "mix",
        **LAYERS,
    }


@pytest.fixture(scope="module")
def run(inputs):
    log = Log()
    began = datetime.datetime.now(datetime.UTC)
    result = photostyle.transfer(**inputs, callback=log)
    return result, log, began


@pytest.fixture(scope="module")
def record(run):
    return run[0].record


def test_it_is_plain_data(record):
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_it_holds_every_option_as_it_was_used(record, inputs):
    given = {name: value for name, value in inputs.items() if name in TransferConfig.__dataclass_fields__}
    used = asdict(resolve(TransferConfig(**given)))
    assert record["config"] == json.loads(json.dumps(used))
    assert set(record["config"]) == {field.name for field in fields(TransferConfig)}
    assert record["config"]["seed"] == 11
    for name in ("content_weight", "style_weight", "tv_weight", "matting_weight", "iterations", "learning_rate"):
        assert record["config"][name] is not None


def test_it_says_with_what(record, folder):
    assert record["photostyle"] == record["versions"]["photostyle"] == photostyle.__version__
    assert record["versions"]["torch"] == torch.__version__
    assert record["versions"]["numpy"] == np.__version__
    assert {"python", "scipy"} <= set(record["versions"])
    assert record["device"] == ("cuda" if torch.cuda.is_available() else record["device"])
    assert record["device"] in ("cpu", "cuda", "mps")
    assert record["machine"]["threads"] == torch.get_num_threads()
    assert record["backbone"]["name"] == "vgg16"
    assert record["backbone"]["content_layers"] == list(LAYERS["content_layers"])
    assert record["backbone"]["style_layers"] == list(LAYERS["style_layers"])
    data = (folder / "tiny.safetensors").read_bytes()
    assert record["backbone"]["weights_sha256"] == hashlib.sha256(data).hexdigest()


def test_it_says_to_what(record):
    assert record["content"]["name"].endswith("castle.png")
    assert record["content"]["size"] == [64, 48]
    assert record["content"]["bit_depth"] == 8
    assert record["content"]["regions"] == {"sky": 0.5, "land": 0.5}
    (style,) = record["styles"]
    assert style["size"] == [40, 60]
    assert style["regions"] == {"sky": 0.5, "zebra crossing": 0.5}
    assert record["size"] == record["solve_size"] == [64, 48]


def test_it_says_which_region_took_which_style(record, run):
    by_label = {assignment["label"]: assignment["sources"] for assignment in record["assignments"]}
    assert list(by_label) == ["sky", "land"]
    (source,) = by_label["sky"]
    assert (source["style"], source["label"]) == (0, "sky")
    decisions = [note for note in record["notes"] if "land" in note]
    assert decisions, "a label without a counterpart is a decision"
    assert set(record["notes"]) <= set(run[1].messages), "all of them were told on the way"


def test_it_says_how_it_went(record, run):
    log = run[1]
    assert record["complete"] is True
    assert record["stopped"] is None
    assert [row["iteration"] for row in record["history"]] == [1, 2, 3, 4]
    assert record["losses"] == record["history"][-1]
    for row, step in zip(record["history"], log.steps, strict=True):
        assert row == {"iteration": step.iteration, "stage": step.stage, "size": list(step.size), **step.losses}
        terms = {name: value for name, value in row.items() if name in TERMS}
        assert {"content", "style"} <= set(terms)
        assert row["total"] == pytest.approx(math.fsum(terms.values()), rel=1e-5)


def test_it_says_when_and_how_much(record, run):
    finished = datetime.datetime.fromisoformat(record["finished"])
    assert finished.utcoffset() == datetime.timedelta(0)
    assert finished >= run[2].replace(microsecond=0)
    assert 0 < record["solve_seconds"] <= record["seconds"] + 1e-3
    if record["peak_memory_bytes"] is not None:
        assert 20e6 < record["peak_memory_bytes"] < 500e9


def test_an_interrupted_run_says_so(inputs):
    with pytest.raises(Interrupted) as caught:
        photostyle.transfer(**inputs, callback=Log(stop_after=2))
    record = caught.value.result.record
    assert record["complete"] is False
    assert record["stopped"] == "interrupted"
    assert len(record["history"]) == 2
    json.dumps(record, allow_nan=False)


def test_a_diverged_run_says_why_and_stays_json(inputs):
    adam = inputs | {"optimizer": "adam", "learning_rate": 0.01, "iterations": 6}
    log = Log()

    def callback(event):
        log(event)
        if len(log.steps) == 3:
            with torch.no_grad():
                prepared.problem.backbone.network.apply(_spoil)

    prepared = prepare(**adam, callback=callback)
    with pytest.raises(DivergedError, match="--learning-rate") as caught:
        photostyle.pipeline.run_prepared(prepared, callback=callback)
    record = caught.value.result.record
    assert record["complete"] is False
    assert record["stopped"] == str(caught.value)
    assert len(record["history"]) == 3
    json.dumps(record, allow_nan=False)


def _spoil(module):
    for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
        tensor.fill_(math.nan)


@pytest.fixture(scope="module")
def prepared(inputs):
    return prepare(**inputs)


def test_the_fingerprint_is_the_same_for_the_same(prepared, inputs):
    first = fingerprint(prepared)
    assert len(first) == 64
    assert fingerprint(prepare(**inputs)) == first


@pytest.mark.parametrize(
    "options",
    [
        {"seed": 12},
        {"iterations": 5},
        {"start": "noise"},
        {"content_weight": 0.123},
        {"tv_weight": 0.123},
        {"optimizer": "adam"},
        {"history": 3},
        {"pooling": "max"},
        {"normalisation": "papers"},
        {"size": 80},
        {"style_scale": 0.9},
        {"mode": "photo", "solver": "pixels"},
        {"mode": "photo", "start": "statistics"},
        {"mode": "photo", "start": "statistics", "strength": 0.5},
        {"schedule": "single"},
        {"style_layers": ("relu1_1",)},
        {"style_layer_weights": (1.0, 2.0)},
    ],
    ids=str,
)
def test_the_fingerprint_changes_with_each_option_that_matters(prepared, inputs, options):
    assert fingerprint(prepare(**inputs | options)) != fingerprint(prepared)


@pytest.mark.parametrize(
    "options",
    [{"snapshots": (2,)}, {"snapshot_every": 2}, {"checkpoint_every": 1}, {"offline": True}, {"strip_metadata": True}],
    ids=str,
)
def test_the_fingerprint_ignores_what_does_not(prepared, inputs, options):
    assert fingerprint(prepare(**inputs | options)) == fingerprint(prepared)


@pytest.mark.parametrize("change", ["content", "style", "content_mask", "style_mask", "weights"])
def test_the_fingerprint_changes_with_the_inputs(prepared, change):
    """One value, by a little."""
    problem = copy.copy(prepared.problem)
    if change == "content":
        other = replace(problem, content=_nudged(problem.content))
    elif change == "style":
        other = replace(problem, styles=[_nudged(problem.styles[0])])
    elif change == "content_mask":
        other = replace(problem, content_masks=_swapped(problem.content_masks))
    elif change == "style_mask":
        other = replace(problem, style_masks=[_swapped(problem.style_masks[0])])
    else:
        other = replace(problem, backbone=replace(problem.backbone, sha256="1" * 64))
    assert fingerprint(replace(prepared, problem=other)) != fingerprint(prepared)


def _nudged(picture):
    other = picture.copy()
    other[3, 4, 1] += np.float32(1e-6) if other[3, 4, 1] < 0.5 else np.float32(-1e-6)
    return other


def _swapped(masks):
    """One pixel goes from one region to the other."""
    array = masks.masks.copy()
    array[:, 0, 0] = array[::-1, 0, 0]
    return replace(masks, masks=array)

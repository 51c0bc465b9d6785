"""A sweep in Python: its cells against single transfers, its objective against one built by hand, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import LAYERS, Log, built, count_weights, halves, image, indexed_mask, tiny_weights

import photostyle
from photostyle.errors import DivergedError, Interrupted, MemoryLimitError, UsageError
from photostyle.options.config import OPTIONS, TransferConfig
from photostyle.options.variations import check_varied
from photostyle.preparation import prepare
from photostyle.progress import Message
from photostyle.record import fingerprint
from photostyle.solvers.schedule import PHOTOREALISM
from photostyle.studies import sweep as module

PHOTO = {"mode": "photo", "regions": "none"}
ABSURD = 1e9


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Two pictures, and options for a short run on a small network."""
    return {
        "content": image(seed=1),
        "style": image(seed=2),
        "weights": str(tiny_weights(tmp_path_factory.mktemp("sweep"))),
        "schedule": "single",
        "iterations": 2,
        **LAYERS,
    }


@pytest.fixture(scope="module")
def masks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("masks")
    paths = [indexed_mask(folder / f"{name}.png", {0: "sky", 1: "land"}, halves()) for name in ("content", "style")]
    return dict(zip(("content_mask", "style_mask"), paths, strict=True))


def never(*_args, **_more):
    raise AssertionError("nothing may run")


def test_each_cell_is_the_transfer_with_its_options(inputs, masks):
    vary = {"style_layers": [("relu1_1",), ["relu1_1", "relu2_1"]], "style_weight": [1.0, 100.0]}
    found = photostyle.sweep(**inputs, **masks, vary=vary, tv_weight=0.1)
    assert len(found.cells) == 4
    assert {cell.number: cell.values for cell in found.cells} == {
        1: {"style_layers": ("relu1_1",), "style_weight": 1.0},
        2: {"style_layers": ("relu1_1",), "style_weight": 100.0},
        3: {"style_layers": ("relu1_1", "relu2_1"), "style_weight": 1.0},
        4: {"style_layers": ("relu1_1", "relu2_1"), "style_weight": 100.0},
    }
    pictures = set()
    for cell in found.cells:
        alone = photostyle.transfer(**{**inputs, **cell.values}, **masks, tv_weight=0.1)
        assert np.array_equal(cell.result.rgb, alone.rgb)
        losses = alone.record["losses"]
        assert cell.iterations == losses["iteration"] == 2
        assert cell.losses == {name: losses[name] for name in ("content", "style", "tv", "grain", "gamut", "total")}
        pictures.add(alone.rgb.tobytes())
    assert len(pictures) == 4


@pytest.mark.parametrize(
    ("options", "terms"),
    [
        ({}, {"content", "style", "tv", "grain", "gamut"}),
        ({**PHOTO, "solver": "pixels", "start": "content"}, {"content", "style", "matting", "color", "gamut"}),
        ({**PHOTO, "solver": "affine"}, {"style", "matting", "edge", "color", "gamut"}),
        ({**PHOTO, "solver": "statistics"}, {"style", "matting", "color", "gamut"}),
    ],
    ids=["artistic", "photo pixels", "affine", "statistics"],
)
def test_all_cells_are_measured_by_the_objective_of_the_base_options(inputs, options, terms):
    common = {**inputs, **options}
    vary = {"style_weight": [1.0, 50.0]}
    if options.get("solver") == "statistics":  # optimises nothing, and refuses to be told how
        del common["iterations"]
        vary = {"strength": [0.5, 0.25]}
    found = photostyle.sweep(**common, vary=vary)
    base = prepare(**common)
    objective, _ = built(base.problem, replace(PHOTOREALISM, size=base.solve_size), base.config)
    for cell in found.cells:
        at = objective(torch.from_numpy(cell.result.rgb.transpose(2, 0, 1).copy())[None])
        assert set(cell.objective) == terms | {"total"}
        assert cell.objective == pytest.approx(dict(at.losses), rel=1e-5, abs=1e-9)
        assert cell.objective["total"] == pytest.approx(sum(cell.objective[name] for name in terms))
    totals = [cell.objective["total"] for cell in found.cells]
    assert totals == sorted(totals)
    described = found.record["objective"]
    assert described["size"] == [64, 48]
    assert set(described["weights"]) == terms
    assert described["weights"]["style"] == base.config.style_weight
    assert described["style_layers"] == ["relu1_1", "relu2_1"]


def test_a_varied_option_given_plainly_too_counts_for_the_ranking_alone(inputs):
    found = [photostyle.sweep(**inputs, vary={"style_weight": [1.0, 3.0]}, style_weight=w) for w in (None, 7.0)]
    one, other = ({cell.number: cell for cell in sweep.cells} for sweep in found)
    for number in (1, 2):
        assert np.array_equal(one[number].result.rgb, other[number].result.rgb)
        assert other[number].objective["style"] == pytest.approx(7 * one[number].objective["style"])
        assert other[number].objective["content"] == one[number].objective["content"]
    assert found[1].record["objective"]["weights"]["style"] == 7.0


def test_solvers_and_modes_are_ranked_together_at_one_size(inputs):
    found = photostyle.sweep(**inputs, regions="none", mode="photo", vary={"solver": ["pixels", "affine"]}, size=80)
    assert [cell.status for cell in found.cells] == ["ok", "ok"]
    found = photostyle.sweep(**inputs, regions="none", vary={"mode": ["artistic", "photo"]})
    assert {cell.result.rgb.shape for cell in found.cells} == {(48, 64, 3)}
    assert (
        set(found.cells[0].objective)
        == set(found.cells[1].objective)
        == {"content", "style", "tv", "grain", "gamut", "total"}
    )


def test_all_cells_have_the_size_of_the_base_options(inputs):
    """By default artistic mode scales a large picture down, and photo mode doesn't."""
    large = inputs | {"content": image(600, 450), "iterations": 1, "solve_size": 64, "regions": "none"}
    found = photostyle.sweep(**large, vary={"mode": ["artistic", "photo"]})
    assert {cell.result.rgb.shape for cell in found.cells} == {(384, 512, 3)}
    assert found.record["size"] == [512, 384]
    assert found.record["objective"]["size"] == [64, 48]


def test_a_run_that_diverges_is_a_cell_without_a_picture_and_comes_last(inputs):
    log, seen = Log(), []
    found = photostyle.sweep(
        **inputs,
        optimizer="adam",
        vary={"learning_rate": [ABSURD, 0.01]},
        callback=log,
        on_cell=lambda cell, so_far: seen.append((cell, so_far)),
    )
    good, bad = found.cells
    assert (good.number, good.status, good.message) == (2, "ok", "")
    assert (bad.number, bad.status, bad.objective, bad.result, bad.thumbnail) == (1, "diverged", {}, None, None)
    assert "learning-rate" in bad.message
    rows = found.record["cells"]
    assert [row["rank"] for row in rows] == [1, None]
    assert [row["file"] for row in rows] == [good.file, None]
    assert [cell.number for cell, _ in seen] == [1, 2]
    assert [len(so_far.cells) for _, so_far in seen] == [1, 2]
    assert [so_far.record["complete"] for _, so_far in seen] == [False, True]
    waits = [event.text for event in log.events if isinstance(event, Message) and event.kind == "wait"]
    assert waits == ["cell 1 of 2: learning rate 1000000000", "cell 2 of 2: learning rate 0.01"]


def test_a_run_that_fails_is_a_cell_too(inputs, monkeypatch):
    real = module.run_prepared

    def run(prepared, **more):
        if prepared.config.seed == 1:
            raise MemoryLimitError("too large")
        return real(prepared, **more)

    monkeypatch.setattr(module, "run_prepared", run)
    found = photostyle.sweep(**inputs, vary={"seed": [0, 1, 2]})
    assert [(cell.number, cell.status, cell.message) for cell in found.cells] == [
        (1, "ok", ""),
        (3, "ok", ""),
        (2, "failed", "too large"),
    ]


def test_a_diverged_run_keeps_what_it_had_told(inputs, monkeypatch):
    def run(prepared, **_):
        result = photostyle.transfer(**inputs)
        raise DivergedError("it ran away", result)

    monkeypatch.setattr(module, "run_prepared", run)
    (cell,) = photostyle.sweep(**inputs, vary={"seed": [0]}).cells
    assert (cell.status, cell.iterations, cell.objective) == ("diverged", 2, {})
    assert set(cell.losses) == {"content", "style", "tv", "grain", "gamut", "total"}


def test_an_error_of_on_cell_is_no_failed_cell(inputs):
    def full(_cell, _so_far):
        raise photostyle.OutputError("the disk is full")

    with pytest.raises(photostyle.OutputError, match="disk is full"):
        photostyle.sweep(**inputs, vary={"seed": [0, 1]}, on_cell=full)


def test_interrupted(inputs):
    finished = []

    class Second(Log):
        def __call__(self, event):
            super().__call__(event)
            if len(self.steps) == 3:
                raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="interrupted after 1 of 3 cells"):
        photostyle.sweep(
            **inputs, vary={"seed": [0, 1, 2]}, callback=Second(), on_cell=lambda _, so_far: finished.append(so_far)
        )
    (so_far,) = finished
    assert [cell.number for cell in so_far.cells] == [1]
    assert so_far.record["complete"] is False
    assert so_far.sheet.shape[1] > 3 * 200


def test_interrupted_before_there_is_anything(inputs, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "prepare", stop)
    with pytest.raises(Interrupted, match="after 0 of 2"):
        photostyle.sweep(**inputs, vary={"seed": [0, 1]})


def test_record_is_plain_data_best_first(inputs):
    vary = {"style_layers": [["relu1_1"], ["relu2_1"]], "learning_rate": [np.float64(0.5)]}
    found = photostyle.sweep(**inputs, vary=vary)
    record = found.record
    assert json.loads(json.dumps(record)) == record
    assert record["vary"] == {"style_layers": [["relu1_1"], ["relu2_1"]], "learning_rate": [0.5]}
    assert [row["number"] for row in record["cells"]] == [cell.number for cell in found.cells]
    assert record["cells"][0]["objective"]["total"] <= record["cells"][1]["objective"]["total"]
    assert record["complete"] is True
    assert record["size"] == [64, 48]


def test_results_need_not_be_kept(inputs):
    seen = []
    found = photostyle.sweep(
        **inputs, vary={"seed": [0, 1]}, keep_results=False, on_cell=lambda cell, _: seen.append(cell)
    )
    assert [cell.result for cell in found.cells] == [None, None]
    assert [cell.result.rgb.shape for cell in seen] == [(48, 64, 3)] * 2
    assert found.sheet.shape[2] == 3


def test_it_never_prints(inputs, capfd):
    photostyle.sweep(**inputs, vary={"seed": [0]})
    assert capfd.readouterr() == ("", "")


# what cells share

OTHER = {
    "preset": "weather",
    "strength": 0.5,
    "normalisation": "papers",
    "content_weight": 3.0,
    "style_weight": 3.0,
    "tv_weight": 3.0,
    "matting_weight": 3.0,
    "color_weight": 3.0,
    "grain_weight": 0.5,
    "calm_weight": 3.0,
    "detail_weight": 3.0,
    "gamut_weight": 3.0,
    "field_weight": 3.0,
    "smoothing": 0.5,
    "deband": False,
    "auto_contrast": True,
    "noise_share": 0.1,
    "optimizer": "adam",
    "learning_rate": 3.0,
    "history": 3,
    "iterations": 3,
    "schedule": "coarse-to-fine",
    "seed": 3,
}


@pytest.mark.slow
def test_options_that_share_a_preparation_do_not_change_it(inputs, masks):
    assert set(OTHER) == {name for name, each in OPTIONS.items() if not each.prepared}
    for solver in ("affine", "pixels"):
        base = prepare(**inputs, **masks, mode="photo", solver=solver)
        for name, value in OTHER.items():
            if solver == "pixels" and name in ("calm_weight", "detail_weight", "field_weight"):
                continue  # refused
            assert getattr(base.config, name) != value
            other = prepare(**{**inputs, **masks, "mode": "photo", "solver": solver, name: value})
            assert other.config != base.config
            assert (other.size, other.solve_size, other.notes) == (base.size, base.solve_size, base.notes)
            assert fingerprint(replace(other, config=base.config)) == fingerprint(base), name
            assert (other.problem.space is None) == (base.problem.space is None)
            assert (other.problem.backbone.edges is None) == (base.problem.backbone.edges is None)


def test_what_is_the_same_is_prepared_once(inputs, monkeypatch):
    calls = []
    real = module.prepare
    monkeypatch.setattr(module, "prepare", lambda **more: (calls.append(more["config"]), real(**more))[1])
    photostyle.sweep(**inputs, vary={"learning_rate": [0.1, 0.2], "style_weight": [1.0, 2.0]})
    assert len(calls) == 1
    calls.clear()
    vary = {"pooling": ["average", "max"], "style_weight": [1.0, 2.0]}
    photostyle.sweep(**inputs, vary=vary)
    assert [config.pooling for config in calls] == ["average", "max"], "the check's is used for the runs"


def test_notes_are_told_once_and_kept_with_each_cell(inputs, masks):
    """There is no style mask; and the content is its own style, so that no run finds a lower loss."""
    log = Log()
    same = {**inputs, "style": inputs["content"], "tv_weight": 0.0, "regions": "none"}
    found = photostyle.sweep(**same, vary={"pooling": ["average", "max"]}, callback=log)
    notes = [event.text for event in log.events if isinstance(event, Message) and event.kind == "note"]
    assert notes == ["no lower loss can be found at 64×48 after 0 of 2 iterations"]
    assert [cell.notes for cell in found.cells] == [tuple(notes)] * 2
    assert [row["notes"] for row in found.record["cells"]] == [notes] * 2
    masked = photostyle.sweep(
        **inputs, content_mask=masks["content_mask"], vary={"pooling": ["average", "max"]}, callback=(log := Log())
    )
    assert log.messages.count(masked.cells[0].notes[0]) == 1
    assert "no style masks were given" in masked.cells[0].notes[0]


# what is refused before the first run


@pytest.mark.parametrize(
    ("vary", "options", "words"),
    [
        ({}, {}, "needs something to vary"),
        ({"style_wieght": [1]}, {}, "did you mean style_weight"),
        ({"size": [64]}, {}, "can't be varied"),
        ({"device": ["cpu"]}, {}, "can't be varied"),
        ({"snapshots": [(1,)]}, {}, "can't be varied"),
        ({"style_weight": []}, {}, "has no values"),
        ({"style_weight": [1, 2, 1.0]}, {}, "1 twice"),
        ({"solver": "pixels"}, {}, "must be a list of values"),
        ({"seed": 3}, {}, "must be a list of values"),
        ({"style_layers": ["relu1_1", "relu2_1"]}, {}, "each value of it must be a list"),
        ({"seed": range(51), "style_weight": [1, 2]}, {}, "51 × 2 = 102 cells, but at most 100"),
        ({"style_weight": [1, -2]}, {}, "the combination style weight -2: --style-weight is -2"),
        ({"style_weight": [1, 0], "content_weight": [0, 1]}, {}, "style weight 0, content weight 0: .* are all 0"),
        ({"seed": [0, 1], "solver": ["pixels", "affine"]}, {}, "seed 0, solver affine: .* pass --mode photo"),
        ({"style_layers": [("relu1_1",), ("relu9_9",)]}, {}, "style layers relu9_9: .*relu9_9"),
        ({"style_weights": [(1.0,), (1.0, 2.0)]}, {}, r"style weights 1\+2: --style-weights has 2 values"),
        ({"seed": [0]}, {"style": []}, "^no style was given"),
        ({"seed": [0]}, {"learning_speed": 3}, "unknown option 'learning_speed'"),
    ],
)
def test_refused_before_the_first_run(inputs, monkeypatch, vary, options, words):
    monkeypatch.setattr(module, "run_prepared", never)
    with pytest.raises(UsageError, match=words):
        photostyle.sweep(**{**inputs, **options}, vary=vary)


def test_base_options_that_need_what_is_varied(inputs, monkeypatch):
    """Two weights fit both values of the layers, but not the five layers by default."""
    layers = [("relu1_1", "relu2_1"), ("relu1_1", "relu1_2")]
    given = {k: v for k, v in inputs.items() if k != "style_layers"} | {"style_layer_weights": (1.0, 2.0)}
    with monkeypatch.context() as patch:
        patch.setattr(module, "run_prepared", never)
        with pytest.raises(UsageError, match="the base options, by whose objective all cells are measured"):
            photostyle.sweep(**given, vary={"style_layers": layers})
        with pytest.raises(UsageError, match=r"the base options, by whose .* --preset season belongs to photo mode"):
            photostyle.sweep(**inputs, vary={"mode": ["photo"]}, preset="season")
    found = photostyle.sweep(**given, vary={"style_layers": layers}, style_layers=layers[0])
    assert [cell.status for cell in found.cells] == ["ok", "ok"]


def test_the_network_is_loaded_once(inputs, monkeypatch):
    loaded = count_weights(monkeypatch)
    layers = [("relu1_1",), ("relu2_1",)]
    photostyle.sweep(**inputs, vary={"style_layers": layers, "pooling": ["average", "max"]})
    assert loaded == [inputs["weights"]]


def test_every_other_option_can_be_varied():
    fixed = {"size", "device", "offline", "strip_metadata", "snapshots", "snapshot_every", "checkpoint_every"}
    for name in TransferConfig.__dataclass_fields__:
        if name in fixed:
            with pytest.raises(UsageError):
                check_varied(name)
        else:
            check_varied(name)

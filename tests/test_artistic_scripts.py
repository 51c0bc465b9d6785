"""The scripts that measure artistic mode: the classic algorithm, the race against it, and the sheet."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import save
from measure_helpers import tiny_networks

from photostyle.errors import MemoryLimitError, UsageError
from photostyle.images import read_picture
from photostyle.networks.vgg import VGG
from photostyle.objective.total import Evaluation
from photostyle.pipeline import run_prepared
from photostyle.preparation import prepare
from photostyle.studies.measure.alex import AlexScores
from photostyle.studies.measure.views import eight_bit

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))

import artistic_race
import artistic_sheet
import benchmark_artistic
from artistic_race import Job, Mark, Run, run_classic, run_ours
from benchmark_photo import options_of
from classic_algorithm import PlainVGG, minimise, plain_network

pytestmark = pytest.mark.slow
LAYERS = ("content-layers=relu2_1", "style_layers=relu1_1,relu2_1")


@pytest.fixture
def job(tmp_path, weights):
    return Job(
        str(save(tmp_path / "content.png")),
        str(save(tmp_path / "style.png", seed=1)),
        64,
        "cpu",
        (*LAYERS, f"weights={weights}", "iterations=4"),
        (*LAYERS, f"weights={weights}"),
    )


@pytest.fixture(autouse=True)
def narrow_alexnet(monkeypatch):
    """Judges without the real weights: what they say is tested elsewhere."""
    monkeypatch.setattr(artistic_race, "load_networks", tiny_networks)


def run_of(*curve, iterations=150, note="", width=64):
    """A run by (seconds, style distance, LPIPS) of its pictures, or (…, width) where they are smaller."""
    marks = [Mark(seconds, *(rest or [width]), style, lpips) for seconds, style, lpips, *rest in curve]
    return Run(marks, 1.0, iterations, 5_000_000, note)


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_the_plain_network_sees_what_ours_sees(narrow_weights, pooling):
    layers = ("relu1_1", "conv2_1", "relu2_1", "conv3_2", "relu5_1")
    found = narrow_weights()
    x = torch.rand(1, 3, 51, 38, generator=torch.Generator().manual_seed(0))
    ours, plain = VGG(found, layers, pooling)(x), PlainVGG(found, layers, pooling)(x)
    assert set(plain) == set(layers)
    for layer in layers:
        torch.testing.assert_close(plain[layer], ours[layer], rtol=1e-5, atol=1e-5)


def test_a_plain_network_that_differs_from_ours_is_refused(job):
    prepared = artistic_race._prepared(job, classic=True)
    assert isinstance(plain_network(prepared), PlainVGG)
    with torch.no_grad():
        prepared.problem.backbone.network.convolutions["conv2_1"].bias += 1.0
    with pytest.raises(RuntimeError, match="relu2_1 of the plain network differs"):
        plain_network(prepared)
    with pytest.raises(ValueError, match="needs vgg16 or vgg19"):
        plain_network(replace(prepared, problem=replace(prepared.problem, backbone=replace(
            prepared.problem.backbone, weights=None))))  # fmt: skip


def test_minimise_is_torchs_l_bfgs_without_line_search():
    scales = torch.tensor([1.0, 3.0, 10.0, 0.3]).view(1, 1, 2, 2)
    start = torch.tensor([1.0, -2.0, 0.5, 3.0]).view(1, 1, 2, 2)
    evaluated, visited = [], []

    def objective(x):
        evaluated.append(x.detach().clone())
        return Evaluation(float((scales * x.detach() ** 2).sum() / 2), scales * x.detach(), {})

    minimise(objective, start, 30, lambda number, x: visited.append((number, x.clone())))
    assert [number for number, _ in visited] == list(range(31))
    assert len(evaluated) == 30
    torch.testing.assert_close(torch.stack([x for _, x in visited[:-1]]), torch.stack(evaluated))
    gradient = scales * start
    torch.testing.assert_close(visited[1][1], start - gradient / gradient.abs().sum())  # PyTorch's first step
    assert float(visited[-1][1].abs().max()) < 1e-3
    assert float(start.flatten()[0]) == 1.0


def test_minimise_says_when_the_loss_is_lost():
    def objective(x):
        return Evaluation(float("nan"), x, {})

    with pytest.raises(FloatingPointError, match="after 0 iterations"):
        minimise(objective, torch.ones(1, 1, 2, 2), 3, lambda number, x: None)


def judged(job, picture):
    content, style = (eight_bit(read_picture(path).rgb) for path in (job.content, job.style))
    return AlexScores(tiny_networks().alexnet, content, [style], [1.0])(eight_bit(read_picture(picture).rgb))


def test_a_classic_run_is_judged_by_the_picture_it_writes(job, tmp_path):
    out = tmp_path / "classic.png"
    run = run_classic(job, 7, str(out))
    assert (run.iterations, run.note, len(run.curve)) == (7, "", 8)
    assert [mark.seconds for mark in run.curve] == sorted(mark.seconds for mark in run.curve)
    assert {"style_alex": run.end.style_alex, "lpips": run.end.lpips} == pytest.approx(judged(job, out))
    assert run.end.width == 64
    assert run.peak_bytes > 1e7


def test_the_classic_algorithm_has_the_papers_objective(job):
    config = artistic_race._prepared(job, classic=True).config
    assert (config.normalisation, config.padding, config.pooling) == ("papers", "zeros", "average")
    assert config.tv_weight == config.grain_weight == config.gamut_weight == 0
    assert config.style_layer_weights is None
    assert artistic_race._prepared(job).config.normalisation == "relative"


def test_our_run_is_what_transfer_gives(job, tmp_path):
    out = tmp_path / "ours.png"
    run = run_ours(job, math.inf, str(out))
    assert (run.iterations, run.note) == (4, "")
    assert len(run.curve) == 5  # each iteration of the only level, and the result
    weights = job.options[-2].partition("=")[2]
    prepared = prepare(
        job.content, job.style, size=64, weights=weights, iterations=4,
        content_layers=("relu2_1",), style_layers=("relu1_1", "relu2_1"),
    )  # fmt: skip
    np.testing.assert_allclose(read_picture(out).rgb, run_prepared(prepared).rgb, atol=0.51 / 255)
    assert {"style_alex": run.end.style_alex, "lpips": run.end.lpips} == pytest.approx(judged(job, out))


def longer(job, iterations):
    return replace(job, options=(*job.options, f"iterations={iterations}"))


def test_pictures_of_the_coarse_levels_are_judged_too(job, tmp_path):
    run = run_ours(longer(replace(job, size=256), 15), math.inf, str(tmp_path / "ours.png"))
    assert run.iterations == 15  # ten at 128 px, five at 256
    assert [mark.width for mark in run.curve] == [128, *[256] * 6]
    assert [mark.seconds for mark in run.curve] == sorted(mark.seconds for mark in run.curve)


def test_our_run_ends_with_the_time_of_the_classic(job, tmp_path):
    run = run_ours(longer(job, 9), 0.0, str(tmp_path / "ours.png"))
    assert run.iterations == 1
    assert "stopped after 0 s" in run.note
    assert (tmp_path / "ours.png").exists()


@pytest.mark.parametrize("option", ["iterations", "nothing=3"])
def test_settings_that_mean_nothing_are_refused(job, option):
    with pytest.raises(UsageError, match="must be NAME=VALUE"):
        run_ours(replace(job, options=(option,)), math.inf, "unused.png")


def test_ours_has_reached_the_classic_when_both_scores_are_as_low_within_the_same_time():
    classic = run_of((1.0, 0.9, 0.1), (9.0, 0.2, 0.5), iterations=500)
    first = run_of((0.5, 0.1, 0.4, 32), (1.0, 0.1, 0.6), (1.5, 0.4, 0.4))  # too coarse, too far from either
    second = run_of((1.0, 0.5, 0.3), (2.5, 0.2, 0.5), (3.0, 0.1, 0.4), iterations=300)
    assert benchmark_artistic.reached([first], classic) is None
    assert benchmark_artistic.reached([first, second], classic) == (2.5, 300)
    assert benchmark_artistic.reached([run_of((9.5, 0.1, 0.1))], classic) is None
    row = benchmark_artistic.compared(classic, [first, second])
    assert row == {
        "classic_seconds": 9.0, "classic_style": 0.2, "classic_lpips": 0.5,
        "our_seconds": 1.5, "our_style": 0.4, "our_lpips": 0.4,
        "reached_seconds": 2.5, "reached_with_iterations": 300, "share_of_time": pytest.approx(2.5 / 9),
    }  # fmt: skip


def test_what_is_not_reached_is_told_and_counts_as_longest():
    classic = run_of((9.0, 0.2, 0.5), iterations=500)
    good, lost = run_of((0.9, 0.2, 0.5)), run_of((8.0, 0.3, 0.5))
    rows = [benchmark_artistic.compared(classic, [ours]) for ours in (good, lost, lost)]
    assert benchmark_artistic.cells("pair", 64, rows[1]).endswith("| – | – | – |")
    results = [{"size": 64, "row": row} for row in rows]
    (median,) = benchmark_artistic.medians(results)
    assert "median of 3" in median
    assert median.endswith("| – | – | – |")
    (median,) = benchmark_artistic.medians(results[:1])
    assert median.endswith("| 0.9 | 150 | 10.0% |")


@pytest.mark.parametrize(
    ("pace", "most", "asked"),
    [(0.005, 10**9, [None, 300, 600, 1200]), (0.02, 10**9, [None, 300, 600]), (0.001, 290, [None, 300])],
    ids=["until it is as low", "until the classic's time is over", "until it finds no lower loss"],
)
def test_ours_gets_twice_the_iterations(monkeypatch, job, tmp_path, capsys, pace, most, asked):
    given = []

    def in_process(function, *values):
        save(Path(values[-1]))
        if function is run_classic:
            return run_of((10.0, 0.001, 0.5), iterations=500)
        asked_for = [int(each.partition("=")[2]) for each in values[0].options[len(job.options) :]]
        given.append(asked_for[0] if asked_for else None)
        assert values[1] == (10.0 if asked_for else math.inf)
        done = min(given[-1] or 150, most)  # by default its loss settles halfway
        return run_of((done * pace, 1.0 / done, 0.4), iterations=done)

    monkeypatch.setattr(benchmark_artistic, "in_process", in_process)
    result = benchmark_artistic.race(job, 500, tmp_path)
    assert given == asked
    row = json.loads(json.dumps(result))["row"]
    assert row["classic_seconds"] == 10.0
    assert row["reached_with_iterations"] == (1200 if 1200 in asked else None)
    name = f"content-style-{job.size}"
    assert {f"{name}.png", f"{name}-curves.png"} <= {path.name for path in tmp_path.iterdir()}


def test_the_largest_square_is_found_between_the_tries(monkeypatch, job, capsys):
    monkeypatch.setattr(
        benchmark_artistic, "in_process", lambda _fits, _job, side, _classic: {"side": side, "fits": side <= 3000}
    )
    tries = benchmark_artistic.largest(job, 1024, False)
    best = max(each["side"] for each in tries if each["fits"])
    assert best <= 3000
    assert min(each["side"] for each in tries if not each["fits"]) <= best * 1.05
    assert len(tries) < 12
    tries = benchmark_artistic.largest(job, 4096, True)
    assert 2850 < max(each["side"] for each in tries if each["fits"]) <= 3000


@pytest.mark.parametrize("classic", [True, False])
def test_a_square_that_fits_tells_what_an_iteration_takes(monkeypatch, job, classic):
    found = artistic_race.fits(job, 48, classic)
    assert (found["side"], found["fits"]) == (48, True)
    assert found["seconds_an_iteration"] > 0

    def fail(*_args, **_more):
        raise MemoryLimitError("the memory doesn't suffice")

    monkeypatch.setattr(artistic_race, "minimise" if classic else "run_prepared", fail)
    found = artistic_race.fits(job, 48, classic)
    assert (found["fits"], found["why"]) == (False, "the memory doesn't suffice")


def test_options_of_the_command_line_are_made_from_settings():
    assert options_of(["size=64", "style_layers=relu1_1,relu2_1", "no-deband", "match=a=b"]) == [
        "--size", "64", "--style-layers", "relu1_1,relu2_1", "--no-deband", "--match", "a=b",
    ]  # fmt: skip


def test_a_result_is_done_when_its_record_says_so(tmp_path):
    result, record = tmp_path / "a--b.png", tmp_path / "a--b.record.json"
    assert not artistic_sheet.is_done(result)
    save(result)
    record.write_text(json.dumps({"complete": False}))
    assert not artistic_sheet.is_done(result)
    record.write_text(json.dumps({"complete": True}))
    assert artistic_sheet.is_done(result)


def test_the_sheet_has_a_column_a_style_and_a_row_a_content(tmp_path):
    contents = [save(tmp_path / f"content{n}.png", seed=n) for n in range(2)]
    styles = [save(tmp_path / f"style{n}.png", 40, 60, seed=n + 5) for n in range(3)]
    empty = artistic_sheet.sheet(contents, styles, tmp_path)
    result = save(tmp_path / artistic_sheet.name_of(contents[1], styles[2]), seed=9)
    result.with_suffix(".record.json").write_text(json.dumps({"complete": True}))
    filled = artistic_sheet.sheet(contents, styles, tmp_path)
    y, x = np.nonzero(np.abs(filled - empty).max(2) > 0.01)
    across, down = artistic_sheet.CELL[0] + 12, filled.shape[0] / 3
    assert filled.shape == empty.shape
    assert filled.shape[1] == 4 * across + 12
    assert x.min() >= 3 * across
    assert y.min() >= 1.9 * down


def test_results_of_other_options_are_not_mixed(tmp_path):
    artistic_sheet.check_settings(tmp_path, {"size": 64, "set": []})
    artistic_sheet.check_settings(tmp_path, {"size": 96, "set": []})  # there is no result yet
    save(tmp_path / "a--b.png")
    artistic_sheet.check_settings(tmp_path, {"size": 96, "set": []})
    with pytest.raises(SystemExit, match="name another sheet"):
        artistic_sheet.check_settings(tmp_path, {"size": 64, "set": []})

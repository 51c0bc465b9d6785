"""The affine field in photo mode: what it must leave alone, recover and never do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers import LAYERS, SAMPLES, Log, halves, image, indexed_mask, picture

import photostyle
from photostyle import pipeline
from photostyle.errors import Interrupted, UsageError
from photostyle.field.space import _freedom, paint
from photostyle.images import read_picture, resize
from photostyle.options.config import TransferConfig, affine_start, resolve
from photostyle.options.defaults import PRESETS
from photostyle.progress import Rows

CONTENT, STYLE = picture(64, 48, 1), picture(52, 44, 2)
SYMMETRIC = np.float32([[0.7, 0.05, 0.0], [0.05, 0.9, 0.04], [0.0, 0.04, 0.6]])
STEP = 1 / 255


@pytest.fixture
def transfer(weights):
    def run(content=CONTENT, style=STYLE, **options):
        defaults = {"weights": weights, "mode": "photo", "iterations": 10, "regions": "none", "deband": False, **LAYERS}
        options = {**defaults, **options}
        if "content_mask" in options:
            del options["regions"]
        if options.get("solver") == "statistics" and options["iterations"] == defaults["iterations"]:
            del options["iterations"]
        return photostyle.transfer(content, style, **options)

    return run


@pytest.fixture(scope="module")
def masks(tmp_path_factory):
    """Label maps of content and style, and the same with the names of the labels exchanged."""
    folder = tmp_path_factory.mktemp("masks")
    made = []
    for names in ({0: "sky", 1: "ground"}, {0: "ground", 1: "sky"}):
        stem = names[0]
        content = indexed_mask(folder / f"{stem}-content.png", names, halves())
        style = indexed_mask(folder / f"{stem}-style.png", names, halves(52, 44))
        made.append({"content_mask": content, "style_mask": style})
    return made


def sample(name, longest=160):
    rgb = read_picture(SAMPLES / f"{name}.webp", role="picture").rgb
    return resize(rgb, (longest, round(longest * rgb.shape[0] / rgb.shape[1])))


@pytest.mark.parametrize("solver", ["affine", "statistics"])
def test_the_content_as_its_own_style_changes_nothing(transfer, solver):
    assert np.abs(transfer(CONTENT, CONTENT, solver=solver).rgb - CONTENT).max() < 2 * STEP


@pytest.mark.slow
def test_the_same_with_the_real_network_and_the_mirror_image_hardly_more():
    content = sample("montStMichel")
    options = {"mode": "photo", "regions": "none", "iterations": 12}
    same = photostyle.transfer(content, content, **options).rgb
    mirror = photostyle.transfer(content, np.ascontiguousarray(content[:, ::-1]), **options).rgb
    assert np.abs(same - content).max() < 2 * STEP
    assert np.abs(mirror - content).mean() < 2 * STEP
    assert np.quantile(np.abs(mirror - content), 0.99) < 6 * STEP


@pytest.mark.parametrize(
    ("options", "limit"), [({"solver": "statistics"}, 2), ({"solver": "affine", "edge_weight": 0.0}, 3)]
)
def test_an_affine_recolouring_is_recovered(transfer, options, limit):
    """But for the edges, which are the content's: other colours have others."""
    recoloured = np.clip(CONTENT @ SYMMETRIC + np.float32(0.08), 0, 1)
    result = transfer(CONTENT, recoloured, **options).rgb
    assert np.abs(result - recoloured).max() < limit * STEP
    assert np.abs(CONTENT - recoloured).mean() > 10 * STEP


def test_swapping_two_labels_in_both_masks_changes_nothing(transfer, masks):
    one, other = (transfer(**each).rgb for each in masks)
    np.testing.assert_allclose(one, other, atol=STEP)


def test_each_region_takes_its_own_style(transfer, masks):
    style = np.concatenate([np.full((22, 52, 3), (0.2, 0.3, 0.8)), np.full((22, 52, 3), (0.7, 0.5, 0.2))])
    result = transfer(style=style.astype(np.float32), solver="statistics", **masks[0]).rgb
    np.testing.assert_allclose(result[:15].mean((0, 1)), (0.2, 0.3, 0.8), atol=0.03)
    np.testing.assert_allclose(result[-15:].mean((0, 1)), (0.7, 0.5, 0.2), atol=0.03)


def test_a_kept_region_stays(transfer, masks):
    result = transfer(**masks[0], keep=("sky",)).rgb
    np.testing.assert_allclose(result[:18], CONTENT[:18], atol=STEP)
    assert np.abs(result[30:] - CONTENT[30:]).mean() > 2 * STEP


def test_strength_goes_from_the_content_to_the_style(transfer):
    whole = transfer(solver="statistics").rgb
    for solver in ("statistics", "affine"):
        assert np.abs(transfer(strength=0.0, solver=solver).rgb - CONTENT).max() < 2 * STEP
    distances = [
        np.abs(transfer(strength=s, solver="statistics").rgb - whole).mean() for s in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] == 0


@pytest.mark.parametrize("solver", ["statistics", "affine"])
def test_half_the_strength_is_half_the_way_of_the_finished_field(transfer, solver):
    whole = transfer(solver=solver, style=0.3 + 0.4 * STYLE).rgb
    half = transfer(solver=solver, style=0.3 + 0.4 * STYLE, strength=0.5)
    np.testing.assert_allclose(half.rgb, (CONTENT + whole) / 2, atol=0.01)
    assert half.record["config"]["strength"] == 0.5


def test_optimising_brings_the_style_nearer_than_statistics(transfer):
    result = transfer(sample("schwerinPalace", 96), sample("brandenburgGate", 96), iterations=30)
    style = [row["style"] + row["color"] for row in result.record["history"]]
    assert style[-1] < 0.9 * style[0]
    assert result.record["config"]["solver"] == "affine"
    assert {row["stage"] for row in result.record["history"]} == {"affine field"}


@pytest.mark.slow
def test_the_field_is_applied_at_any_size_and_agrees():
    """The same photograph at two sizes, optimised at one with the real network: the results are the same picture."""
    small, large = sample("schwerinPalace", 256), sample("schwerinPalace", 1024)
    style = sample("brandenburgGate", 256)
    options = {"mode": "photo", "regions": "none", "deband": False, "iterations": 12}
    results = [photostyle.transfer(content, style, **options).rgb for content in (small, large)]
    assert results[1].shape == large.shape
    again = resize(results[1], (256, small.shape[0]))
    assert np.abs(again - results[0]).mean() < 6 * STEP  # L-BFGS doubles what resampling changes
    assert np.abs(results[0] - small).mean() > 10 * STEP


def test_painting_tells_its_rows_and_tiles_do_not_show(transfer, weights, monkeypatch):
    log = Log()
    transfer(picture(120, 700, 3), callback=log, solver="statistics")
    rows = [event for event in log.events if isinstance(event, Rows)]
    assert [event.done for event in rows] == [256, 512, 700]
    assert {event.total for event in rows} == {700}
    prepared = pipeline.prepare(CONTENT, STYLE, weights=weights, mode="photo", regions="none", **LAYERS)
    field = np.random.default_rng(0).normal(size=(1, 3, 4, 4, 15)).astype(np.float32) * 0.1
    space = prepared.problem.space
    whole = paint(field, space, CONTENT)
    monkeypatch.setattr("photostyle.filters.local_affine._ROWS", 7)
    np.testing.assert_allclose(paint(field, space, CONTENT), whole, atol=1e-5)


@pytest.mark.parametrize("level", [1.0, pytest.param(0.5, marks=pytest.mark.slow)])
def test_what_is_flat_stays_flat(level):
    """With the real network: no cloud on a white ground, whatever the style."""
    content = np.full((96, 128, 3), level, np.float32)
    result = photostyle.transfer(content, sample("brandenburgGate"), mode="photo", regions="none", iterations=10)
    assert result.rgb.std((0, 1)).max() < 4 / 255


def test_sixteen_bits_stay_sixteen_bits(transfer):
    deep = np.round(CONTENT * 65535).astype(np.uint16)
    result = transfer(deep, solver="statistics", deband=True)
    assert result.bit_depth == 16
    assert len(np.unique(np.round(result.rgb * 65535))) > 2000


def test_debanding_is_for_eight_bits_only(transfer):
    eight = transfer(image(64, 48, 1), solver="statistics", deband=False).rgb
    assert not np.array_equal(transfer(image(64, 48, 1), solver="statistics", deband=True).rgb, eight)
    deep = np.round(CONTENT * 65535).astype(np.uint16)
    assert np.array_equal(
        transfer(deep, solver="statistics", deband=True).rgb, transfer(deep, solver="statistics", deband=False).rgb
    )


def test_auto_contrast_stretches_the_result(transfer):
    style = 0.4 + 0.2 * STYLE
    plain, stretched = (transfer(style=style, solver="statistics", auto_contrast=flag).rgb for flag in (False, True))
    assert np.ptp(stretched) > 1.5 * np.ptp(plain)


def test_an_interrupted_field_is_painted_and_resumed_to_the_same(transfer, tmp_path):
    straight = transfer()
    with pytest.raises(Interrupted) as caught:
        transfer(checkpoint=tmp_path / "c", callback=Log(stop_after=7))
    partial = caught.value.result
    assert partial.rgb.shape == CONTENT.shape
    assert len(partial.record["history"]) == 7
    resumed = transfer(checkpoint=tmp_path / "c", resume=True)
    assert np.array_equal(resumed.rgb, straight.rgb)
    assert resumed.record["history"] == straight.record["history"]


def test_interrupted_while_painting_there_is_a_checkpoint_but_no_result(transfer, tmp_path):
    def stop(event):
        if isinstance(event, Rows):
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="go on with resume") as caught:
        transfer(checkpoint=tmp_path / "c", checkpoint_every=3, callback=stop)
    assert caught.value.result is None
    assert np.array_equal(transfer(checkpoint=tmp_path / "c", checkpoint_every=3, resume=True).rgb, transfer().rgb)


def test_panoramas_are_solved_at_more_than_their_solve_size(weights):
    wide = picture(600, 40, 1)
    for solver in ("affine", "pixels"):
        options = {"weights": weights, "mode": "photo", "regions": "none", "solver": solver, **LAYERS}
        prepared = pipeline.prepare(wide, STYLE, **options)
        assert min(prepared.solve_size) >= 32
        assert min(prepared.problem.space.size) >= 32


def test_presets_change_the_field_but_not_the_weights_of_pixels():
    for preset in PRESETS:
        field = resolve(TransferConfig(mode="photo", preset=preset))
        assert {name: getattr(field, name) for name in PRESETS[preset]} == PRESETS[preset]
        pixels = resolve(TransferConfig(mode="photo", solver="pixels", preset=preset))
        assert pixels == replace(resolve(TransferConfig(mode="photo", solver="pixels")), preset=preset)
        assert affine_start(pixels).field_weight == field.field_weight


def test_colour_alone_is_an_objective(transfer):
    result = transfer(style_weight=0.0, content_weight=0.0, edge_weight=0.0, iterations=4)
    assert set(result.record["losses"]) >= {"color", "matting"}
    assert "style" not in result.record["losses"]
    with pytest.raises(UsageError, match="are all 0"):
        transfer(style_weight=0.0, content_weight=0.0, color_weight=0.0)


def test_smoothing_works_on_a_field_too(transfer):
    plain, smooth = transfer(), transfer(smoothing=1e-2)
    assert smooth.rgb.shape == plain.rgb.shape
    assert 0 < np.abs(smooth.rgb - plain.rgb).mean() < 0.1


def test_the_same_seed_gives_the_same_bytes(transfer):
    assert np.array_equal(transfer().rgb, transfer().rgb)


def test_snapshots_are_pictures_of_the_field(transfer):
    log = Log()
    transfer(callback=log, snapshots=(2, 9))
    assert [snapshot.image.shape for snapshot in log.snapshots] == [(48, 64, 3)] * 2
    assert 0 <= log.snapshots[0].image.min() <= log.snapshots[0].image.max() <= 1


def test_pixels_start_from_the_field(transfer):
    result = transfer(solver="pixels", iterations=8, smoothing=0.0)
    stages = [row["stage"] for row in result.record["history"]]
    assert stages == ["affine field"] * 2 + ["photorealism"] * 6
    field = transfer(iterations=2)
    assert np.abs(result.rgb - field.rgb).mean() < np.abs(result.rgb - CONTENT).mean()
    assert not np.array_equal(result.rgb, field.rgb)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mode": "artistic", "solver": "affine"}, ["--solver affine", "--mode photo"]),
        ({"start": "noise"}, ["--start is 'noise'", "affine", "statistics, content"]),
        ({"mode": "artistic", "start": "affine"}, ["--start is 'affine'", "content, style, noise, mix"]),
        ({"mode": "artistic", "preset": "haze"}, ["--preset haze", "--mode photo"]),
        ({"strength": 1.5}, ["--strength is 1.5", "between 0 and 1"]),
        ({"solver": "magic"}, ["--solver is 'magic'", "pixels, affine, statistics"]),
        ({"field_weight": -1.0}, ["--field-weight is -1.0"]),
        ({"solver": "statistics", "edge_weight": 3.0}, ["statistics optimises nothing", "--edge-weight"]),
    ],
)
def test_what_does_not_fit_is_refused_with_what_does(transfer, options, words):
    with pytest.raises(UsageError) as caught:
        transfer(**options)
    for word in words:
        assert word in str(caught.value)


def test_a_ground_is_flat_up_to_the_edge_of_what_stands_on_it():
    content = np.ones((60, 90, 3), dtype=np.float32)
    content[20:40, 30:60] = 0.2
    assert _freedom(content, 8)[7][content[..., 0] == 1].max() < 1e-3


def test_an_even_sky_is_flat_and_clouds_are_not():
    ramp = np.broadcast_to(np.linspace(0.2, 0.8, 240, dtype=np.float32)[:, None], (160, 240, 3)).copy()
    noise = np.random.default_rng(0).normal(0, 2 / 255, ramp.shape).astype(np.float32)
    y, x = np.mgrid[0:160, 0:240] / 240
    clouds = ramp + 0.1 * np.sin(25 * x + 9 * y)[..., None].astype(np.float32)
    even, noisy, varied = (_freedom(picture, 8)[3][:, 100:140] for picture in (ramp, ramp + noise, clouds))
    assert even.max() < 0.05
    assert np.median(noisy) < 0.1
    assert np.median(varied) > 0.5


def test_little_is_painted_onto_an_even_sky():
    """With a cloudy style the field made bands and quarters of it: bends of 0.10, where the content has 0.002."""
    y, x = np.mgrid[0:75, 0:100] / 100
    sky = np.array([0.1, 0.25, 0.6]) + y[..., None] * np.array([0.9, 0.65, 0.15]) + 0.03 * np.sin(3 * x)[..., None]
    content, style = np.clip(sky, 0, 1).astype(np.float32), SAMPLES / "brandenburgGate.webp"
    rgb = photostyle.transfer(content, style, mode="photo", regions="none", offline=True).rgb
    second = [rgb[20:] - 2 * rgb[10:-10] + rgb[:-20], rgb[:, 20:] - 2 * rgb[:, 10:-10] + rgb[:, :-20]]
    assert sum(np.abs(each).mean() for each in second) < 0.07

"""The whole way from Python: what goes in, what comes out, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import LAYERS, SAMPLES, Log, halves, image, indexed_mask, picture
from PIL import Image

import photostyle
from photostyle import pipeline
from photostyle.errors import (
    DivergedError,
    ImageError,
    Interrupted,
    MemoryLimitError,
    OutputError,
    PhotostyleError,
    RegionError,
    UsageError,
    WeightsError,
)
from photostyle.images import read_picture
from photostyle.objective.matting import matting_laplacian
from photostyle.options.config import OPTIONS, TransferConfig, resolve
from photostyle.studies.measure import ObjectiveTerms

CONTENT, STYLE, OTHER = picture(64, 48, 1), picture(52, 44, 2), picture(44, 60, 3)

CHOICES = {name: each.choices for name, each in OPTIONS.items() if each.choices}


@pytest.fixture
def transfer(weights):
    def run(content=CONTENT, style=STYLE, **options):
        return photostyle.transfer(content, style, **{"weights": weights, "iterations": 2, **LAYERS, **options})

    return run


def prepare(content, style=STYLE, *, weights, **options):
    return pipeline.prepare(content, style, weights=weights, **LAYERS, **options)


def test_path_pil_array_and_tensor_give_the_same(transfer, tmp_path):
    pil = image(64, 48, 1)
    path = tmp_path / "content.png"
    pil.save(path)
    array = np.asarray(pil)
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
    results = [transfer(source) for source in (path, str(path), pil, array, tensor, tensor[None])]
    assert len({result.rgb.tobytes() for result in results}) == 1
    assert results[0].rgb.shape == (48, 64, 3)
    assert results[0].image.size == (64, 48)
    assert np.array_equal(np.asarray(results[0].image), np.round(results[0].rgb * 255).astype(np.uint8))


def test_the_result_differs_from_the_content_and_lies_in_range(transfer):
    rgb = transfer(iterations=4).rgb
    assert np.abs(rgb - CONTENT).mean() > 0.005
    assert rgb.dtype == np.float32
    assert 0 <= rgb.min() <= rgb.max() <= 1


def test_the_inputs_are_not_changed(transfer):
    content, style = CONTENT.copy(), STYLE.copy()
    transfer(content, style)
    assert np.array_equal(content, CONTENT)
    assert np.array_equal(style, STYLE)


def test_alpha_is_kept(transfer, tmp_path):
    alpha = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    rgba = np.dstack([np.asarray(image(64, 48, 1)), alpha])
    result = transfer(rgba)
    assert result.image.mode == "RGBA"
    assert np.array_equal(np.asarray(result.image)[..., 3], alpha)
    result.save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as saved:
        assert np.array_equal(np.asarray(saved)[..., 3], alpha)
    small = transfer(rgba, size=32 * 64 // 48 + 1)
    assert small.alpha.shape == small.rgb.shape[:2]
    assert transfer().alpha is None


def test_sixteen_bits_and_exif_go_through(transfer, tmp_path):
    deep = transfer(np.round(CONTENT * 65535).astype(np.uint16))
    assert deep.bit_depth == 16
    deep.save(tmp_path / "deep.png")
    assert read_picture(tmp_path / "deep.png").bit_depth == 16
    pil = image(64, 48, 1)
    exif = pil.getexif()
    exif[0x010E] = "a castle"
    pil.save(tmp_path / "a.jpg", exif=exif)
    result = transfer(tmp_path / "a.jpg")
    assert result.bit_depth == 8
    result.save(tmp_path / "b.jpg")
    with Image.open(tmp_path / "b.jpg") as saved:
        assert saved.getexif()[0x010E] == "a castle"


def test_an_existing_file_is_replaced_only_on_request(transfer, tmp_path):
    result = transfer()
    result.save(tmp_path / "a.png")
    with pytest.raises(UsageError, match="--overwrite"):
        result.save(tmp_path / "a.png")
    result.save(tmp_path / "a.png", overwrite=True)
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


def test_same_seed_same_file(transfer, tmp_path):
    files = []
    for number, seed in enumerate((4, 4, 5)):
        path = tmp_path / f"{number}.png"
        transfer(start="noise", seed=seed).save(path)
        files.append(path.read_bytes())
    assert files[0] == files[1]
    assert files[0] != files[2]


SIZES = [
    ((1000, 500), {}, (512, 256), (512, 256)),
    ((400, 200), {}, (400, 200), (400, 200)),
    ((400, 200), {"size": 600}, (600, 300), (600, 300)),
    ((400, 200), {"size": 600, "solve_size": 300}, (600, 300), (300, 150)),
    ((200, 400), {"size": 100}, (50, 100), (50, 100)),
    ((101, 57), {}, (101, 57), (101, 57)),
    ((1000, 500), {"mode": "photo", "solve_size": 400}, (1000, 500), (400, 200)),
    ((300, 150), {"mode": "photo"}, (300, 150), (256, 128)),
    ((1000, 500), {"mode": "photo", "size": 200}, (200, 100), (200, 100)),
    ((1000, 500), {"mode": "photo", "size": 800, "solve_size": 200}, (800, 400), (200, 100)),
]


@pytest.mark.parametrize(("given", "options", "size", "solve_size"), SIZES)
def test_sizes(given, options, size, solve_size, weights):
    prepared = prepare(np.zeros((given[1], given[0], 3), np.uint8), weights=weights, **options)
    assert prepared.size == size
    assert prepared.solve_size == solve_size


def test_photo_mode_solves_large_pictures_at_its_solve_size(weights):
    prepared = prepare(np.zeros((700, 1400, 3), np.uint8), weights=weights, mode="photo")
    assert prepared.size == (1400, 700)
    assert max(prepared.solve_size) == resolve(TransferConfig(mode="photo")).solve_size


@pytest.mark.parametrize("mode", CHOICES["mode"])
def test_a_result_beyond_the_solve_size(transfer, mode):
    content = picture(160, 120, 4)
    result = transfer(content, mode=mode, size=160, solve_size=64)
    assert result.rgb.shape == (120, 160, 3)
    assert result.record["size"] == [160, 120]
    assert result.record["solve_size"] == [64, 48]
    assert result.record["history"][-1]["size"] == [64, 48]
    assert 0 <= result.rgb.min() <= result.rgb.max() <= 1


@pytest.mark.slow
def test_photo_mode_lifts_with_the_edges_of_the_content(transfer):
    """Local affine maps keep the content's detail; plain enlargement loses it."""
    content = 0.3 + 0.1 * picture(160, 120, 4)
    content[::2, ::2] += 0.2  # detail that 64 px can't hold

    def detail(x):
        return np.abs(x[::2, ::2].astype(float) - x[1::2, 1::2]).mean()

    options = {"solve_size": 64, "size": 160, "matting_weight": 0.0}
    photo, artistic = (transfer(content, mode=mode, **options).rgb for mode in ("photo", "artistic"))
    assert detail(photo) > 0.1
    assert detail(photo) > 3 * detail(artistic)


def test_several_styles_are_blended(transfer):
    one, other = transfer(CONTENT, [STYLE]), transfer(CONTENT, [OTHER])
    blend = transfer(CONTENT, [STYLE, OTHER])
    assert not np.array_equal(blend.rgb, one.rgb)
    assert not np.array_equal(blend.rgb, other.rgb)
    (assignment,) = blend.record["assignments"]
    assert [(source["style"], source["weight"]) for source in assignment["sources"]] == [(0, 0.5), (1, 0.5)]
    weighted = transfer(CONTENT, [STYLE, OTHER], style_weights=(3, 1)).record["assignments"][0]["sources"]
    assert [source["weight"] for source in weighted] == [0.75, 0.25]
    only = transfer(CONTENT, (STYLE, OTHER), style_weights=[1, 0])
    assert np.allclose(only.rgb, one.rgb, atol=1e-3)


def test_grid(transfer):
    result = transfer(regions="grid:2x2")
    assert [a["label"] for a in result.record["assignments"]] == ["r1c1", "r1c2", "r2c1", "r2c2"]
    assert result.record["content"]["regions"] == dict.fromkeys(["r1c1", "r1c2", "r2c1", "r2c2"], 0.25)
    assert not np.array_equal(result.rgb, transfer().rgb)


def test_masks_take_the_style_region_by_region(transfer, tmp_path):
    """Above white, below black: each half of the content takes the one that has its label."""
    names = {0: "sky", 1: "ground"}
    content_mask = indexed_mask(tmp_path / "content.png", names, halves())
    style = np.zeros((48, 64, 3), np.float32)
    style[24:] = 1
    upright = indexed_mask(tmp_path / "upright.png", {0: "ground", 1: "sky"}, halves())
    options = {"content_mask": content_mask, "iterations": 10, "content_weight": 0.0, "tv_weight": 0.0}
    grey = np.full((48, 64, 3), 0.5, np.float32) + 0.1 * (CONTENT - 0.5)
    result = transfer(grey, style, style_mask=upright, **options)
    swapped = transfer(grey, 1 - style, style_mask=upright, **options)
    above, below = slice(0, 20), slice(28, None)
    assert result.rgb[above].mean() > swapped.rgb[above].mean() + 0.05
    assert result.rgb[below].mean() < swapped.rgb[below].mean() - 0.05
    assert set(result.record["content"]["regions"]) == {"sky", "ground"}
    assert result.record["styles"][0]["regions"] == {"sky": 0.5, "ground": 0.5}
    assert {a["label"]: a["sources"][0]["label"] for a in result.record["assignments"]} == {
        "sky": "sky",
        "ground": "ground",
    }


def test_soft_masks_and_regions_as_a_file(transfer, tmp_path):
    sky = np.zeros((48, 64), np.uint8)
    sky[:24] = 255
    Image.fromarray(sky).save(tmp_path / "sky.png")
    soft = transfer(content_mask={"sky": tmp_path / "sky.png"})
    assert set(soft.record["content"]["regions"]) == {"sky", "rest"}
    mask = indexed_mask(tmp_path / "map.png", {0: "sky", 1: "rest"}, halves())
    assert np.array_equal(transfer(regions=str(mask)).rgb, transfer(content_mask=mask).rgb)


def test_map_gives_regions_pictures_of_their_own(transfer, tmp_path):
    mask = indexed_mask(tmp_path / "content.png", {0: "sky", 1: "ground"}, halves())
    result = transfer(CONTENT, [], map={"sky": STYLE, "rest": OTHER}, content_mask=mask)
    assert {a["label"]: a["sources"][0]["style"] for a in result.record["assignments"]} == {"sky": 0, "ground": 1}
    mixed = transfer(CONTENT, STYLE, map={"sky": OTHER}, content_mask=mask)
    assert {a["label"]: a["sources"][0]["style"] for a in mixed.record["assignments"]} == {"sky": 1, "ground": 0}


def test_a_label_without_a_counterpart_is_told(transfer, tmp_path):
    content = indexed_mask(tmp_path / "content.png", {0: "sky", 1: "zebra"}, halves())
    style = indexed_mask(tmp_path / "style.png", {0: "sky", 1: "ground"}, halves(52, 44))
    log = Log()
    record = transfer(content_mask=content, style_mask=style, callback=log).record
    (note,) = [note for note in record["notes"] if "zebra" in note]
    assert "takes the global style" in note
    assert note in log.messages


def test_a_label_of_the_style_that_is_not_used_is_told(transfer, tmp_path):
    content = indexed_mask(tmp_path / "content.png", {0: "sky"}, 0 * halves())
    style = indexed_mask(tmp_path / "style.png", {0: "sky", 1: "ground"}, halves(52, 44))
    notes = transfer(content_mask=content, style_mask=style).record["notes"]
    assert any("unused in style 1: 'ground'" in note for note in notes)


def test_notes_of_a_run_come_as_messages_and_stand_in_the_record(transfer):
    log = Log()
    record = transfer(mode="photo", callback=log).record
    assert record["notes"]
    assert record["notes"] == [text for text in log.messages if text in record["notes"]]


def test_an_identical_style_without_regulariser_is_the_end_already(transfer):
    """The content is the minimum: a result all the same."""
    content = image(64, 48, 1)
    result = transfer(content, content, tv_weight=0.0)
    assert np.abs(result.rgb - np.asarray(content, np.float32) / 255).max() < 0.02
    assert result.record["complete"]
    json.dumps(result.record)


def test_interrupted_carries_the_result_and_resume_ends_the_same(transfer, tmp_path):
    checkpoint = tmp_path / "c"
    options = {"iterations": 5, "start": "noise", "seed": 3}
    straight = transfer(**options)
    with pytest.raises(Interrupted) as caught:
        transfer(**options, checkpoint=checkpoint, callback=Log(stop_after=2))
    partial = caught.value.result
    assert partial.rgb.shape == (48, 64, 3)
    assert partial.record["complete"] is False
    assert partial.record["stopped"] == "interrupted"
    assert len(partial.record["history"]) == 2
    resumed = transfer(**options, checkpoint=checkpoint, resume=True)
    straight.save(tmp_path / "a.png")
    resumed.save(tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert resumed.record["history"] == straight.record["history"]
    assert resumed.record["complete"] is True


def test_interrupted_before_the_first_iteration_there_is_no_result(transfer, tmp_path, monkeypatch):
    from photostyle.objective.total import Objective

    def stop(_self, _x):
        raise KeyboardInterrupt

    monkeypatch.setattr(Objective, "__call__", stop)
    with pytest.raises(Interrupted) as caught:
        transfer(checkpoint=tmp_path / "c")
    assert caught.value.result is None


def test_a_callback_may_end_the_run_at_the_first_note(transfer, tmp_path):
    """Notes come before the first iteration; the promise that a callback may raise holds for them too."""

    def stop(_event):
        raise KeyboardInterrupt

    with pytest.raises((Interrupted, KeyboardInterrupt)) as caught:
        transfer(mode="photo", callback=stop, checkpoint=tmp_path / "c")
    assert isinstance(caught.value, Interrupted)
    assert caught.value.result is None


@pytest.mark.slow
def test_smoothing_makes_the_result_again_from_the_content(transfer):
    """Noise of the optimised pixels that no local affine map of the content holds goes away; 0 leaves the pixels."""
    content = np.broadcast_to(np.linspace(0.2, 0.8, 64, dtype=np.float32)[None, :, None], (48, 64, 3)).copy()
    options = {"mode": "photo", "solver": "pixels", "start": "mix", "noise_share": 0.2, "matting_weight": 0.0}
    pixels = transfer(content, **options, smoothing=0.0, snapshots=(2,), callback=(log := Log())).rgb
    smooth = transfer(content, **options, smoothing=1e-3).rgb
    assert np.array_equal(pixels, log.snapshots[0].image)

    def noise(x):
        return np.abs(np.diff(x, axis=0)).mean()

    assert noise(smooth) < 0.3 * noise(pixels)


OTHER_RUNS = [
    {"seed": 9},
    {"style_weight": 2.0},
    {"iterations": 6},
    {"content": OTHER},
    {"style": OTHER},
    {"regions": "grid:1x2"},
    {"optimizer": "adam"},
    {"pooling": "max"},
    {"style_layers": ["relu1_1"]},
]


def test_resume_with_other_options_or_pictures_is_refused(transfer, tmp_path):
    checkpoint = tmp_path / "c"
    with pytest.raises(Interrupted):
        transfer(iterations=5, checkpoint=checkpoint, callback=Log(stop_after=1))
    before = checkpoint.read_bytes()
    for changes in OTHER_RUNS:
        with pytest.raises(UsageError, match="other pictures, masks, weights or options"):
            transfer(**{"iterations": 5, **changes}, checkpoint=checkpoint, resume=True)
    assert checkpoint.read_bytes() == before
    bystanders = {"snapshot_every": 1, "checkpoint_every": 2, "offline": True}
    transfer(iterations=5, checkpoint=checkpoint, resume=True, **bystanders)


def test_what_does_not_fit_is_refused_before_pictures_of_its_size_are_made(transfer, monkeypatch):
    monkeypatch.setattr("photostyle.solvers.estimate.available_memory", lambda _device: 1e9)
    monkeypatch.setattr("photostyle.preparation.resize", never := lambda *_: pytest.fail("a picture is made"))
    monkeypatch.setattr("photostyle.regions.labels.LabelMasks.resized", never)
    with pytest.raises(MemoryLimitError, match="20000×15000 needs about"):
        transfer(size=20_000)


def test_where_a_content_was_taken_is_told_and_can_be_left_out(transfer, tmp_path):
    exif = Image.Exif()
    exif[34853] = {1: "N", 2: (48.0, 30.0, 0.0)}
    path = tmp_path / "here.jpg"
    image().save(path, exif=exif)
    note = (
        "the content's EXIF tells where it was taken, and goes with the result unless that is a TIFF; "
        "--strip-metadata leaves it out"
    )
    for strip in (False, True):
        result = transfer(content=path, strip_metadata=strip)
        assert (note in result.record["notes"]) is not strip
        result.save(tmp_path / f"{strip}.jpg")
        with Image.open(tmp_path / f"{strip}.jpg") as saved:
            assert bool(saved.getexif().get_ifd(34853)) is not strip
        result.save(tmp_path / f"{strip}.tif")
        with Image.open(tmp_path / f"{strip}.tif") as saved:
            assert not saved.getexif().get_ifd(34853)


def test_resume_with_other_weights_is_refused(transfer, tmp_path, weights):
    import safetensors.torch

    tensors = safetensors.torch.load_file(weights)
    tensors["conv1_1.weight"] *= 1.5
    safetensors.torch.save_file(tensors, tmp_path / "other.safetensors")
    with pytest.raises(Interrupted):
        transfer(checkpoint=tmp_path / "c", callback=Log(stop_after=1))
    with pytest.raises(UsageError, match="other pictures, masks, weights or options"):
        transfer(checkpoint=tmp_path / "c", resume=True, weights=str(tmp_path / "other.safetensors"))


def test_resume_without_or_with_a_damaged_checkpoint(transfer, tmp_path):
    with pytest.raises(UsageError, match="resume needs the path"):
        transfer(resume=True)
    with pytest.raises(UsageError, match="nothing to resume"):
        transfer(resume=True, checkpoint=tmp_path / "c")
    (tmp_path / "c").write_bytes(b"PK\x03\x04 damaged")
    with pytest.raises(OutputError, match="damaged"):
        transfer(resume=True, checkpoint=tmp_path / "c")


def test_a_run_that_diverges_carries_its_last_good_picture(transfer, monkeypatch):
    from photostyle.objective.total import Evaluation, Objective

    original, calls = Objective.__call__, [0]

    def failing(self, x):
        calls[0] += 1
        at = original(self, x)
        return Evaluation(float("nan"), at.gradient, at.losses) if calls[0] > 3 else at

    monkeypatch.setattr(Objective, "__call__", failing)
    with pytest.raises(DivergedError, match="--learning-rate") as caught:
        transfer(iterations=9, optimizer="adam")
    result = caught.value.result
    assert np.isfinite(result.rgb).all()
    assert result.record["complete"] is False
    assert "--learning-rate" in result.record["stopped"]
    json.dumps(result.record)


def test_it_never_prints(transfer, capfd):
    transfer(mode="photo", regions="grid:1x2", snapshot_every=1)
    with pytest.raises(PhotostyleError):
        transfer("no/such/file.png")
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_it_leaves_nothing_in_the_working_folder(transfer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    transfer(snapshot_every=1, checkpoint_every=1)
    assert list(tmp_path.iterdir()) == []


REFUSED = [
    (UsageError, "unknown option 'colour'.*allowed are", {"colour": 1}),
    (UsageError, "no style was given", {"style": []}),
    (UsageError, "--style-weights has 2 values for 1 STYLE", {"style_weights": (1, 2)}),
    (UsageError, "--style-layer-weights has 3 values, but there are 2", {"style_layer_weights": (1, 2, 3)}),
    (UsageError, "'relu9_9' is unknown.*relu1_1", {"style_layers": ["relu9_9"]}),
    (UsageError, "layer 'conv2_2' is not in the weights .*end before it", {"style_layers": ["relu5_1"]}),
    (UsageError, "--regions is 'nowhere.png'", {"regions": "nowhere.png"}),
    (UsageError, "--iterations is 0", {"iterations": 0}),
    (UsageError, "--map needs regions", {"map": {"sky": STYLE}, "regions": "none"}),
    (UsageError, "--style-mask needs --content-mask", {"style_mask": "a.png"}),
    (UsageError, "--regions none contradicts --content-mask", {"regions": "none", "content_mask": "a.png"}),
    (RegionError, "--map names the label 'moon'", {"map": {"moon": STYLE}, "regions": "grid:1x2"}),
    (ImageError, "there is no such file", {"content": "gone.png"}),
    (ImageError, "needs at least", {"content": picture(64, 20)}),
    (ImageError, "needs at least", {"style": picture(64, 10)}),
    (ImageError, "needs at least", {"size": 40}),
    (ImageError, "content", {"content": np.full((48, 64, 3), np.nan)}),
    (ImageError, "is of type object", {"content": object()}),
    (WeightsError, "gone.safetensors", {"weights": "gone.safetensors"}),
]


@pytest.mark.parametrize(("kind", "text", "options"), REFUSED)
def test_what_is_refused(transfer, kind, text, options):
    with pytest.raises(kind, match=text) as caught:
        transfer(**options)
    assert "\n" not in str(caught.value)


def test_a_device_that_is_not_there(transfer, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match=r"--device cuda is not available here; available: .*cpu"):
        transfer(device="cuda")


def test_a_config_and_changes_to_it(transfer, weights):
    config = TransferConfig(iterations=3, weights=weights, seed=8, **LAYERS)
    record = photostyle.transfer(CONTENT, STYLE, config=config, iterations=2).record
    assert record["config"]["iterations"] == 2
    assert record["config"]["seed"] == 8


@pytest.mark.parametrize(
    "options",
    [
        {"pooling": "max"},
        {"normalisation": "papers"},
        {"style_scale": 1.5},
        {"schedule": "single"},
        {"content_layers": ["conv1_2", "relu2_1"], "content_layer_weights": [1, 3]},
        {"style_layer_weights": (1, 0)},
        {"tv_weight": 5.0},
        {"matting_weight": 10.0},
        {"history": 1, "iterations": 4},
        {"weights_preprocessing": "caffe"},
    ],
)
def test_options_have_an_effect(transfer, options):
    plain = {name: value for name, value in options.items() if name == "iterations"}
    content = picture(300, 200, 5) if "schedule" in options else CONTENT
    changed = transfer(content, **options)
    assert np.isfinite(changed.rgb).all()
    assert not np.array_equal(changed.rgb, transfer(content, **plain).rgb)


# Real pictures and real weights. The bounds are one-sided: what was measured, with room for other arithmetic.


REAL = {
    "backbone": "hed",
    "size": 128,
    "content_layers": ("relu4_2",),
    "style_layers": ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
    "content_weight": 0.05,
    "style_weight": 1.0,
}
"""What the measurements below belong to, whatever the defaults become."""


def test_a_real_picture_takes_the_style_and_keeps_the_content():
    result = photostyle.transfer(
        SAMPLES / "neuschwansteinCastle.webp",
        SAMPLES / "starry_night_cropped.jpg",
        iterations=20,
        schedule="single",
        tv_weight=0.5,
        **REAL,
    )
    first, last = result.record["history"][0], result.record["history"][-1]
    assert result.rgb.shape == (85, 128, 3)
    assert last["style"] < 0.2 * first["style"]  # measured: 0.073
    assert last["content"] / REAL["content_weight"] < 0.85  # measured: 0.63; 1 is a picture without any features
    assert last["total"] < 0.2 * first["total"]  # measured: 0.107


@pytest.mark.slow
def test_matting_keeps_a_photograph_a_photograph():
    pictures = SAMPLES / "schwerinPalace.webp", SAMPLES / "brandenburgGate.webp"
    masks = {
        "content_mask": SAMPLES / "masks" / "schwerinPalace.png",
        "style_mask": SAMPLES / "masks" / "brandenburgGate.png",
    }
    luan = {"mode": "photo", "solver": "pixels", "start": "content", "color_weight": 0.0, "gamut_weight": 0.0}
    options = {**luan, "iterations": 10, "matting_weight": 100.0, "smoothing": 0.0, **REAL}
    segmented = pipeline.prepare(*pictures, **masks, **options)
    like = {a.label: a.sources[0].label for a in segmented.problem.assignments}
    assert like == {name: "sky" if name == "water" else name for name in like}, "like to like; water mirrors the sky"
    without = replace(segmented, config=replace(segmented.config, matting_weight=0.0))
    results = pipeline.run_prepared(segmented), pipeline.run_prepared(without)
    whole = pipeline.prepare(*pictures, **options)
    laplacian = matting_laplacian(segmented.problem.content)
    energies = [np.vdot(x, laplacian @ x) for x in (result.rgb.reshape(-1, 3).astype(float) for result in results)]
    assert energies[0] < 0.4 * energies[1]  # measured: 0.11 of it
    measure = ObjectiveTerms(segmented.problem, whole.problem, segmented.config, segmented.solve_size)
    with_matting, untouched = measure(results[0].rgb), measure(segmented.content.rgb)
    assert with_matting["style_regions"] < 0.75 * untouched["style_regions"]  # measured: 0.21 and 0.45
    assert with_matting["content"] < 0.4  # measured: 0.20

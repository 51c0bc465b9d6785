"""Reconstructions: near the picture, of the size asked for, seamless where wished, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from helpers import Log, built, count_weights, image, picture

import photostyle
from photostyle.errors import DivergedError, ImageError, Interrupted, UsageError
from photostyle.images import resize
from photostyle.networks import load_backbone
from photostyle.networks.vgg import VGG
from photostyle.objective.tv import total_variation
from photostyle.options.config import TransferConfig, resolve
from photostyle.options.reconstruction import OPTIONS
from photostyle.preparation import prepare
from photostyle.progress import Message
from photostyle.solvers.schedule import Stage, plan, tile_size

LAYERS = ("relu1_1", "relu2_1")


@pytest.fixture
def options(weights):
    return {"weights": weights, "schedule": "single", "iterations": 3}


def rolled(array, dy, dx):
    return np.roll(array, (dy, dx), (0, 1))


def tensor(array):
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))[None]


# content and style


def test_the_first_layer_keeps_the_picture(options):
    """Its 64 filters see more than the three colours; from noise of 8 dB the picture comes back."""
    given = picture()
    found = photostyle.reconstruct(given, layers=["relu1_1"], **options | {"iterations": 80})
    error = float(np.square(found.results["relu1_1"].rgb - given).mean())
    assert -10 * np.log10(error) > 30


@pytest.mark.parametrize("what", ["content", "style"])
def test_every_reconstruction_comes_nearer(options, what):
    found = photostyle.reconstruct(image(), what, layers=LAYERS, **options | {"iterations": 25})
    assert list(found.results) == list(LAYERS)
    for result in found.results.values():
        history = result.record["history"]
        assert history[-1][what] < 0.3 * history[0][what]
        assert result.rgb.shape == (48, 64, 3)
        assert set(history[0]) & {"content", "style"} == {what}


def test_the_network_is_loaded_once(options, monkeypatch):
    loaded = count_weights(monkeypatch)
    photostyle.reconstruct(image(), layers=LAYERS, **options)
    assert loaded == [options["weights"]]


def test_content_is_reconstructed_from_one_layer_and_style_from_growing_sets(options):
    sets = {
        "content": {"relu1_1": ["relu1_1"], "relu2_1": ["relu2_1"]},
        "style": {"relu1_1": ["relu1_1"], "relu2_1": ["relu1_1", "relu2_1"]},
        "texture": {"texture": ["relu1_1", "relu2_1"]},
    }
    for what, expected in sets.items():
        found = photostyle.reconstruct(image(), what, layers=LAYERS, **options)
        assert found.record["layers"] == expected
        kind = "content" if what == "content" else "style"
        for name, layers in expected.items():
            assert found.results[name].record["backbone"][f"{kind}_layers"] == layers


def test_a_set_takes_the_first_weights(options):
    found = photostyle.reconstruct(image(), "style", layers=LAYERS, style_layer_weights=[3, 1], **options)
    weights = [result.record["config"]["style_layer_weights"] for result in found.results.values()]
    assert weights == [[3], [3, 1]]


def test_the_usual_layers(narrow_weights, monkeypatch):
    """Those of figure 1 in Gatys et al. (2016), with the weights of a transfer as far as a set reaches."""
    monkeypatch.setattr("photostyle.networks.load_weights", lambda *_, **__: narrow_weights())
    usual = resolve(TransferConfig()).style_layer_weights
    content = photostyle.reconstruct(image(), iterations=1)
    assert list(content.results) == [f"relu{block}_2" for block in range(1, 6)]
    style = photostyle.reconstruct(image(), "style", iterations=1)
    names = [f"relu{block}_1" for block in range(1, 6)]
    assert list(style.results) == names
    for number, result in enumerate(style.results.values(), 1):
        assert result.record["backbone"]["style_layers"] == names[:number]
        assert result.record["config"]["style_layer_weights"] == list(usual[:number])
    equal = photostyle.reconstruct(image(), "texture", iterations=1, normalisation="papers").results["texture"]
    assert equal.record["config"]["style_layer_weights"] is None
    assert equal.record["backbone"]["style_layers"] == names


def test_a_reconstruction_is_a_transfer_from_noise_without_the_other_term(options):
    given = image()
    found = photostyle.reconstruct(given, "content", layers=["relu2_1"], **options)
    same = photostyle.transfer(
        given,
        image(seed=5),
        content_layers=["relu2_1"],
        style_layers=["relu2_1"],
        content_weight=1.0,
        style_weight=0.0,
        tv_weight=found.record["runs"]["relu2_1"]["config"]["tv_weight"],
        gamut_weight=found.record["runs"]["relu2_1"]["config"]["gamut_weight"],
        start="noise",
        **options,
    )
    assert np.array_equal(found.results["relu2_1"].rgb, same.rgb)


def test_the_seed_decides(options):
    first, same, other = (
        photostyle.reconstruct(image(), layers=["relu1_1"], seed=seed, **options).results["relu1_1"].rgb
        for seed in (0, 0, 1)
    )
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_alpha_and_exif_stay_with_the_picture(options):
    given = image().convert("RGBA")
    given.putalpha(100)
    result = photostyle.reconstruct(given, layers=["relu1_1"], **options).results["relu1_1"]
    assert (result.alpha, result.exif) == (None, None)


def test_the_sheet_and_the_record(options):
    log = Log()
    found = photostyle.reconstruct(image(), layers=LAYERS, callback=log, **options)
    assert found.sheet.dtype == np.float32
    assert found.sheet.shape[1] >= 1000
    record = json.loads(json.dumps(found.record, allow_nan=False))
    assert record["image"] == {"name": "the picture image", "size": [64, 48]}
    assert record["size"] == [64, 48]
    assert list(record["runs"]) == list(LAYERS)
    assert record["runs"]["relu1_1"]["content"]["name"] == "the picture image"
    assert [step.stage for step in log.steps] == ["relu1_1"] * 3 + ["relu2_1"] * 3
    waits = [event.text for event in log.events if isinstance(event, Message) and event.kind == "wait"]
    assert waits == ["relu1_1 (1 of 2)", "relu2_1 (2 of 2)"]


def test_it_never_prints(options, capfd):
    photostyle.reconstruct(image(), "texture", layers=LAYERS, **options)
    assert capfd.readouterr() == ("", "")


# textures


@pytest.mark.parametrize("size", [(40, 75), (100, 33)])
def test_a_texture_has_the_size_asked_for(options, size):
    result = photostyle.reconstruct(image(), "texture", layers=LAYERS, output_size=size, **options).results["texture"]
    assert result.rgb.shape == (size[1], size[0], 3)
    assert result.record["content"]["name"] == "white noise"


@pytest.mark.parametrize(("size", "seen"), [(None, (64, 48)), (32, (32, 24)), (80, (80, 60))])
def test_a_texture_sees_its_source_at_the_source_s_size(options, monkeypatch, size, seen):
    shapes = []
    forward = VGG.forward
    monkeypatch.setattr(VGG, "forward", lambda self, x: shapes.append(tuple(x.shape[:1:-1])) or forward(self, x))
    wish = {} if size is None else {"size": size}
    if size == 32:
        with pytest.raises(ImageError, match="at least 32 pixels"):
            photostyle.reconstruct(image(), "texture", layers=LAYERS, output_size=(96, 160), **options, **wish)
        return
    photostyle.reconstruct(image(), "texture", layers=LAYERS, output_size=(96, 160), **options, **wish)
    assert set(shapes) == {seen, (96, 160)}


def test_a_texture_has_the_size_of_the_picture_by_default(options):
    found = photostyle.reconstruct(image(), "texture", layers=LAYERS, **options)
    assert found.record["size"] == [64, 48]
    assert not found.record["seamless"]


# without a seam


@pytest.mark.parametrize("shift", [(16, 0), (0, 48), (32, 16)])
def test_a_network_with_circular_padding_commutes_with_shifts_by_its_cells(narrow_weights, shift):
    layers = [f"relu{block}_1" for block in range(1, 6)]
    array = picture(80, 64)
    for padding in ("circular", "zeros", "replicate"):
        network = VGG(narrow_weights(), layers, padding=padding)
        found, moved = network(tensor(array)), network(tensor(rolled(array, *shift)))
        for block, layer in enumerate(layers):
            expected = found[layer].roll((shift[0] >> block, shift[1] >> block), (2, 3))
            assert torch.allclose(moved[layer], expected, atol=1e-5) == (padding == "circular"), (padding, layer)


@pytest.mark.parametrize("wish", [{}, {"tv_weight": 3.0, "gamut_weight": 2.0}])
def test_where_a_tile_begins_makes_no_difference_to_the_objective(options, wish, monkeypatch):
    monkeypatch.setattr("photostyle.preparation.computes_half", lambda device: False)
    result = {}
    for padding in ("circular", "replicate"):
        prepared = prepare(
            np.zeros((48, 64, 3), np.float32),
            image(40, 56, seed=3),
            padding=padding,
            content_weight=0.0,
            content_layers=LAYERS,
            style_layers=LAYERS,
            **options,
            **wish,
        )
        objective, _ = built(prepared.problem, Stage("style", (64, 48), 1), prepared.config)
        x = picture(64, 48, seed=4)
        at, moved = objective(tensor(x)), objective(tensor(rolled(x, 16, 32)))
        result[padding] = abs(moved.total - at.total) / at.total
        if padding == "circular":
            assert torch.allclose(moved.gradient, at.gradient.roll((16, 32), (2, 3)), atol=1e-6)
    assert result["circular"] < 1e-5
    assert result["replicate"] > 1e-4


def test_the_source_is_seen_without_circular_padding(weights):
    options = {"content_layers": LAYERS, "style_layers": LAYERS, "weights": weights}
    plain, tiling = (load_backbone("vgg16", padding=padding, **options) for padding in ("replicate", "circular"))
    x = tensor(picture())
    assert plain.tiling is None
    for layer in LAYERS:
        assert torch.equal(plain(x)[layer], tiling(x)[layer])
        assert not torch.allclose(plain(x)[layer], tiling.tiling(x)[layer])


@pytest.mark.parametrize("schedule", ["single", "coarse-to-fine"])
def test_a_seamless_texture_has_no_seam(options, monkeypatch, schedule):
    """Differences across the border are like those between neighbours inside; without the option they are not."""
    monkeypatch.setattr("photostyle.solvers.schedule.COARSEST", 32)
    options |= {"schedule": schedule, "iterations": 15}
    found = {}
    for seamless in (True, False):
        log = Log()
        result = photostyle.reconstruct(
            image(), "texture", layers=LAYERS, output_size=(70, 64), seamless=seamless, callback=log, **options
        ).results["texture"]
        assert result.rgb.shape == (64, 64 if seamless else 70, 3)
        assert ("multiples of 16" in " ".join(log.messages)) == seamless
        assert len({step.size for step in log.steps}) == (1 if schedule == "single" else 2)
        found[seamless] = max(seam(result.rgb, axis) for axis in (0, 1))
    assert found[True] < 1.2
    assert found[False] > 1.5


def seam(rgb, axis):
    """Differences across the border relative to those inside."""
    differences = np.square(rgb - np.roll(rgb, 1, axis)).mean((1 - axis, 2))
    return float(np.sqrt(differences[0] / differences[1:].mean()))


def test_tiles_go_coarse_to_fine_in_whole_cells():
    config = resolve(TransferConfig(padding="circular", iterations=30))
    stages = plan(config, (784, 400))
    assert [stage.size for stage in stages] == [(192, 96), (400, 208), (784, 400)]
    assert plan(resolve(TransferConfig(iterations=30)), (784, 400))[0].size == (196, 100)
    assert tile_size((768, 512)) == (768, 512)
    assert tile_size((7, 71)) == (32, 64)
    assert tile_size((72, 88)) == (80, 96)


@pytest.mark.parametrize("size", [(128, 96), (64, 24), (70, 50), (64, 48)])
def test_resizing_a_tile_sees_the_opposite_border(size):
    array = picture()
    tiled = resize(np.tile(array, (3, 3, 1)), (3 * size[0], 3 * size[1]))
    middle = tiled[size[1] : 2 * size[1], size[0] : 2 * size[0]]
    np.testing.assert_allclose(resize(array, size, wraps=True), middle, atol=1e-4)


def test_the_total_variation_of_a_tile_counts_its_borders():
    x = torch.zeros(1, 1, 4, 4)
    x[..., 1, 0] = 1
    assert float(total_variation(x, wraps=True)) == pytest.approx((4 / 512) ** 2 * 4 / 16)
    assert float(total_variation(x)) == pytest.approx((4 / 512) ** 2 * 3 / 12)


def test_a_transfer_can_tile_too(options, weights):
    log = Log()
    layers = {"content_layers": ["relu2_1"], "style_layers": LAYERS}
    result = photostyle.transfer(image(70, 50), image(seed=1), padding="circular", callback=log, **layers, **options)
    assert result.rgb.shape == (48, 64, 3)
    assert "64×48 instead of 70×50" in " ".join(log.messages)


# Ctrl-C


def test_an_interrupted_reconstruction_hands_over_what_it_has(options):
    given = []
    with pytest.raises(Interrupted) as caught:
        photostyle.reconstruct(
            image(),
            layers=LAYERS,
            callback=Stopping("relu2_1", 2),
            on_result=lambda name, result: given.append((name, len(result.record["history"]))),
            **options,
        )
    assert given == [("relu1_1", 3), ("relu2_1", 2)]
    assert caught.value.result is not None


class Stopping:
    """Stops at an iteration of one result."""

    def __init__(self, name, iteration):
        self.at = name, iteration

    def __call__(self, event):
        if isinstance(event, photostyle.Step) and (event.stage, event.iteration) == self.at:
            raise KeyboardInterrupt


def test_interrupted_between_two(options):
    def stop(event):
        if isinstance(event, Message) and event.text.startswith("relu2_1"):
            raise KeyboardInterrupt

    given = []
    with pytest.raises(Interrupted) as caught:
        photostyle.reconstruct(
            image(), layers=LAYERS, callback=stop, on_result=lambda name, _: given.append(name), **options
        )
    assert given == ["relu1_1"]
    assert caught.value.result is None


def test_one_that_runs_away_hands_over_its_best(options, monkeypatch):
    best = photostyle.Result(np.zeros((4, 4, 3), np.float32), None, {})

    def runs_away(*_arguments, **_options):
        raise DivergedError("away", best)

    monkeypatch.setattr("photostyle.studies.reconstruct.run_prepared", runs_away)
    given = []
    with pytest.raises(DivergedError):
        photostyle.reconstruct(image(), layers=LAYERS, on_result=lambda *it: given.append(it), **options)
    assert given == [("relu1_1", best)]


# what is refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"what": "colour"}, "'colour', but must be one of: content, style, texture"),
        ({"layers": ["relu1_1", "relu9_9"]}, "'relu9_9' is unknown"),
        ({"layers": ["relu1_1", "relu4_1"]}, "they end before it"),
        ({"layers": []}, "name at least one layer"),
        ({"layers": ["relu1_1", "relu1_1"]}, "none twice"),
        ({"layers": [""]}, "name at least one layer"),
        ({"backbone": "resnet18"}, "pass --layers"),
        ({"what": "texture", "output_size": (31, 64)}, "31×64, but each of two sides needs at least 32"),
        ({"what": "texture", "output_size": (64,)}, "each of two sides"),
        ({"what": "texture", "output_size": (64.0, 64)}, "each of two sides"),
        ({"what": "texture", "output_size": (100_000, 100_000)}, "at most 200,000,000 pixels"),
        ({"what": "style", "output_size": (64, 64)}, "--output-size is for textures"),
        ({"what": "style", "seamless": True}, "only a texture tiles"),
        ({"padding": "circular"}, "only a texture tiles"),
        ({"style_layer_weights": (1.0, 1.0)}, "means nothing to content"),
        ({"what": "texture", "style_layer_weights": (1.0,)}, "1 values, but there are 2 layers"),
        ({"mode": "photo"}, "--mode means nothing to a reconstruction"),
        ({"content_weight": 1.0}, "--content-weight means nothing"),
        ({"config": TransferConfig(regions="auto")}, "--regions means nothing"),
        ({"colour": 1}, "--colour means nothing"),
        ({"iterations": 0}, "--iterations is 0"),
        ({"size": 10}, "--size is 10"),
    ],
)
def test_what_is_refused(options, arguments, message):
    usual = {} if "backbone" in arguments else {"layers": LAYERS, **options}
    with pytest.raises(UsageError) as caught:
        photostyle.reconstruct(image(), **usual | arguments)
    assert message in str(caught.value)


def test_a_missing_picture(options, tmp_path):
    with pytest.raises(ImageError, match="no such file"):
        photostyle.reconstruct(tmp_path / "none.png", layers=LAYERS, **options)


@pytest.mark.parametrize(("width", "height"), [(200, 20), (15, 90)])
@pytest.mark.parametrize("what", ["content", "texture"])
def test_a_picture_that_is_too_small_is_named(options, tmp_path, what, width, height):
    path = tmp_path / "narrow.png"
    image(width, height).save(path)
    with pytest.raises(ImageError, match=r"narrow\.png.*each side needs at least"):
        photostyle.reconstruct(path, what, layers=LAYERS, **options)


@pytest.mark.parametrize("wish", [{"mode": "photo"}, {"smoothing": 0.1}])
def test_no_tiles_where_the_content_decides(wish):
    with pytest.raises(UsageError, match="--padding circular"):
        resolve(TransferConfig(padding="circular", **wish))


def test_a_classifier_has_no_circular_padding():
    with pytest.raises(UsageError, match="no circular padding"):
        load_backbone("resnet18", content_layers=["layer1"], style_layers=["layer1"], padding="circular")


def test_every_option_is_one_of_a_transfer_and_explained():
    assert set(OPTIONS) < set(TransferConfig.__dataclass_fields__)
    assert all(text.endswith(".") for text in OPTIONS.values())

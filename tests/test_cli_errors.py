"""Whatever goes wrong on the command line: one line, an exit code, and no file left behind."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import tempfile
from pathlib import Path

import numpy as np
import pytest
from cli_helpers import Workshop
from helpers import halves, indexed_mask, png_header, save
from PIL import Image

from photostyle.networks.fetch import fetch_model
from photostyle.networks.vgg import VGG


@pytest.fixture
def shop(monkeypatch, capsys, tmp_path):
    return Workshop(monkeypatch, capsys, tmp_path)


# pictures


def _text(path):
    path.write_text("this is no picture")


def _truncated(path):
    save(path)
    path.write_bytes(path.read_bytes()[:2000])


@pytest.mark.parametrize("role", ["content", "style"])
@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("gone.png", lambda path: None, ["there is no such file"]),
        ("text.jpg", _text, ["is not a picture in a known format", "JPEG"]),
        ("empty.png", lambda path: path.write_bytes(b""), ["is an empty file"]),
        ("cut.png", _truncated, ["is damaged or cut off"]),
        ("bomb.png", lambda path: png_header(path, 30_000, 30_000), ["30000×30000", "at most", "scale it down"]),
        ("folder.png", lambda path: path.mkdir(), ["is a folder"]),
    ],
)
def test_pictures_that_cannot_be_read(shop, role, name, make, words):
    path = shop.folder / name
    make(path)
    setattr(shop, role, path)
    error = shop.refused(1, *shop.arguments())
    assert error.startswith(f"{role} picture {path}: ")
    for word in words:
        assert word in error


@pytest.mark.parametrize("size", [(1, 1), (500, 16)])
def test_pictures_too_small(shop, size):
    save(shop.content, *size)
    error = shop.refused(1, *shop.arguments())
    assert f"is {size[0]}×{size[1]}" in error
    assert "needs at least" in error


def test_style_picture_of_one_pixel(shop):
    save(shop.style, 1, 1)
    assert "style.png: is 1×1" in shop.refused(1, *shop.arguments())


def test_picture_made_too_small_by_option(shop):
    save(shop.content, 200, 50)
    assert "would be worked on at 64×16" in shop.refused(1, *shop.arguments("--size", 64))


# masks


def test_mask_of_another_aspect_ratio(shop):
    indexed_mask(shop.content_mask, None, halves(48, 48))
    error = shop.refused(1, *shop.arguments(*shop.masks))
    assert "content-mask.png is 48×48" in error
    assert "64×48" in error
    assert "aspect ratio" in error


def test_style_mask_without_a_label_of_the_content(shop):
    indexed_mask(shop.style_mask, {2: "cat", 3: "dog"}, halves() + 2)
    error = shop.refused(1, *shop.arguments(*shop.masks))
    assert "share no label" in error
    for name in ("sky", "land", "cat", "dog"):
        assert name in error


@pytest.mark.parametrize("option", ["--content-mask", "--style-mask"])
def test_masks_that_cannot_be_read(shop, option):
    bad = shop.folder / "bad.png"
    _text(bad)
    arguments = [bad if shop.masks[i - 1] == option else value for i, value in enumerate(shop.masks)]
    assert "bad.png" in shop.refused(1, *shop.arguments(*arguments))
    bad.unlink()
    assert "is not there" in shop.refused(1, *shop.arguments(*arguments))


def test_broken_legend(shop):
    shop.content_mask.with_suffix(".json").write_text("{")
    assert "no JSON" in shop.refused(1, *shop.arguments(*shop.masks))


def test_map_to_an_unknown_label(shop):
    error = shop.refused(1, *shop.arguments("--content-mask", shop.content_mask, "--map", f"sea={shop.style}"))
    assert "'sea'" in error
    assert "sky, land" in error


def test_a_label_left_without_style(shop):
    plain = [argument for argument in shop.arguments() if argument != shop.style]
    error = shop.refused(1, *plain, "--content-mask", shop.content_mask, "--map", f"sky={shop.style}")
    assert "label 'land' of the content has no style" in error
    assert "--map rest=FILE" in error


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--regions", "none", "--content-mask", "MASK"], "--regions none contradicts --content-mask"),
        (["--regions", "grid:2x2", "--content-mask", "MASK"], "--regions grid:2x2 contradicts --content-mask"),
        (["--regions", "MASK", "--content-mask", "MASK"], "contradicts --content-mask"),
        (["--regions", "nonsense"], "--regions is 'nonsense', which is no file; allowed are none, auto, joint"),
        (["--regions", "grid:0x2"], "grid:ROWSxCOLUMNS"),
        (["--regions", "grid:2"], "grid:ROWSxCOLUMNS"),
        (["--style-mask", "MASK"], "--style-mask needs --content-mask too"),
        (["--content-mask", "MASK", "--content-mask", "MASK"], "each must be LABEL=…, no label twice"),
        (["--content-mask", "sky=MASK", "--content-mask", "sky =MASK"], "each must be LABEL=…, no label twice"),
        (["--content-mask", "sky= "], "--content-mask is 'sky= ': each must be LABEL=…"),
        (["--content-mask", "MASK", "--style-mask", "MASK", "--style-mask", "MASK"], "2 style masks were given for 1"),
        (["--map", "sky"], "--map is 'sky': each must be LABEL=…, no label twice"),
        (["--map", "=MASK"], "each must be LABEL=…"),
        (["--map", "sky= "], "--map is 'sky= ': each must be LABEL=…"),
        (["--map", "sky=MASK", "--map", " sky = MASK"], "each must be LABEL=…, no label twice"),
        (["--map", "sky=MASK", "--regions", "none"], "--map needs regions"),
    ],
)
def test_region_options_that_contradict_each_other(shop, arguments, words):
    arguments = [argument.replace("MASK", str(shop.content_mask)) for argument in arguments]
    assert words in shop.refused(2, *shop.arguments(*arguments))


# values of options


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--iterations", "0"], ["--iterations is 0", "at least 1"]),
        (["--iterations", "-1"], ["--iterations is -1", "at least 1"]),
        (["--iterations", "abc"], ["'--iterations'", "integer"]),
        (["--size", "8"], ["--size is 8", "at least 32"]),
        (["--seed", "-1"], ["--seed is -1"]),
        (["--mode", "oil"], ["--mode is 'oil'", "artistic, photo"]),
        (["--pooling", "median"], ["--pooling is 'median'", "average, max"]),
        (["--start", "nothing"], ["--start is 'nothing'", "content, style, noise, mix"]),
        (["--optimizer", "sgd"], ["--optimizer is 'sgd'", "lbfgs, adam"]),
        (["--schedule", "later"], ["--schedule is 'later'", "coarse-to-fine, single"]),
        (["--device", "abacus"], ["--device is 'abacus'", "cpu"]),
        (["--content-weight", "nan"], ["--content-weight is nan", "at least 0"]),
        (["--style-weight", "inf"], ["--style-weight is inf"]),
        (["--tv-weight", "-1"], ["--tv-weight is -1"]),
        (["--matting-weight", "x"], ["'--matting-weight'"]),
        (["--content-weight", "0", "--style-weight", "0"], ["all 0"]),
        (["--learning-rate", "0"], ["--learning-rate is 0", "above 0"]),
        (["--noise-share", "1.5"], ["--noise-share is 1.5", "between 0 and 1"]),
        (["--style-weights", "1,2"], ["--style-weights has 2 values"]),
        (["--style-weights", "one"], ["--style-weights is 'one'", "numbers separated by commas"]),
        (["--style-weights", "nan"], ["--style-weights is nan"]),
        (["--style-weights", "0"], ["--style-weights", "above 0"]),
        (["--style-layer-weights", "1,2,3"], ["--style-layer-weights has 3 values, but there are 2 layers"]),
        (["--style-layers", ""], ["layer"]),
        (["--style-layers", "relu1_1,relu1_1"], ["--style-layers", "none twice"]),
        (["--style-layers", "relu9_9"], ["layer 'relu9_9' is unknown", "relu5_3"]),
        (["--content-layers", "fc6"], ["layer 'fc6' is unknown"]),
        (["--snapshots", "7", "--iterations", "3"], ["--snapshots names iteration 7", "only 3"]),
        (["--snapshots", "x"], ["--snapshots is 'x'", "whole numbers"]),
        (["--snapshots", "0"], ["--snapshots is 0"]),
        (["--snapshot-every", "0"], ["--snapshot-every is 0"]),
        (["--checkpoint-every", "-1"], ["--checkpoint-every is -1"]),
        (["--colour", "blue"], ["No such option", "--colour"]),
        (["--resume"], ["nothing to resume", "result.png.checkpoint"]),
    ],
)
def test_options_with_wrong_values(shop, arguments, words):
    error = shop.refused(2, *shop.arguments(*arguments))
    for word in words:
        assert word in error


def test_missing_arguments(shop):
    assert "CONTENT" in shop.refused(2, "transfer")
    assert "--output" in shop.refused(2, "transfer", shop.content, shop.style)
    error = shop.refused(2, "transfer", shop.content, "-o", shop.output, *shop.network)
    assert "name a STYLE picture" in error
    assert "--map" in error
    assert "paint" in shop.refused(2, "paint")


@pytest.mark.parametrize("command", [[], ["models"]])
def test_no_command_shows_the_help(shop, command):
    outcome = shop(*command)
    assert outcome.code == 2
    assert "error: ;" not in outcome.err
    text = outcome.out + outcome.err
    assert any(line.strip().startswith("Usage: photostyle") for line in text.splitlines())
    assert text.count("\n") > 5


# outputs


def test_output_that_exists(shop):
    shop.output.write_bytes(b"mine")
    error = shop.refused(2, *shop.arguments())
    assert f"{shop.output}: exists already" in error
    assert "--overwrite" in error
    shop.output.unlink()
    record = shop.output.with_suffix(".record.json")
    record.write_text("mine")
    assert str(record) in shop.refused(2, *shop.arguments())
    record.unlink()
    snapshot = shop.output.with_name("result-0001.png")
    snapshot.write_text("mine")
    assert str(snapshot) in shop.refused(2, *shop.arguments("--snapshots", 1))


@pytest.mark.parametrize(
    ("output", "code", "words"),
    [
        ("gone/result.png", 1, "doesn't exist"),
        ("content.png/result.png", 1, "is not a folder"),
        ("out", 1, "is a folder"),
        (".", 1, "is a folder"),
        ("/", 1, "is a folder"),
        ("out/result.doc", 2, "has the suffix .doc; allowed are .png"),
        ("out/result", 2, "allowed are .png"),
        ("out/" + 300 * "x" + ".png", 1, "can't be written"),
    ],
)
def test_output_that_cannot_be_written(shop, monkeypatch, output, code, words):
    monkeypatch.chdir(shop.folder)
    shop.output = output
    assert words in shop.refused(code, *shop.arguments())


def test_output_folder_that_may_not_be_written_to(shop, monkeypatch):
    real = os.access
    folder = shop.output.parent
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != folder and real(path, mode))
    error = shop.refused(1, *shop.arguments())
    assert f"you may not write to the folder {folder}" in error


def _full(monkeypatch, wrong=lambda call: True):
    real, calls = os.fsync, []

    def fsync(number):
        calls.append(number)
        if wrong(len(calls)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(number)

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.fixture
def rescue(shop, monkeypatch):
    folder = shop.folder / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_full_disk_leaves_the_old_file(shop, rescue, monkeypatch):
    shop.output.write_bytes(b"old")
    _full(monkeypatch)
    error = shop.refused(1, *shop.arguments("--overwrite", "--quiet"))
    assert f"{shop.output}: can't be written" in error
    assert os.strerror(errno.ENOSPC) in error
    assert "make room there" in error


def test_full_disk_with_room_elsewhere_rescues_the_picture(shop, rescue, monkeypatch):
    _full(monkeypatch, lambda call: call == 1)
    outcome = shop.transfer("--quiet")
    assert outcome.code == 1
    assert shop.results() == []
    (saved,) = rescue.iterdir()
    assert outcome.error.endswith(f"the picture was rescued as {saved}")
    monkeypatch.undo()
    shop.monkeypatch.setenv("COLUMNS", "100")
    assert shop.transfer("--quiet").code == 0
    assert saved.read_bytes() == shop.output.read_bytes()


def test_no_room_for_a_checkpoint_does_not_end_the_run(shop, monkeypatch):
    _full(monkeypatch, lambda call: call == 1)
    outcome = shop.transfer("--checkpoint-every", 1)
    assert outcome.code == 0
    assert outcome.err.count("warning: no checkpoint was written") == 1
    assert shop.results() == ["result.png", "result.record.json"]


def test_no_room_for_a_snapshot(shop, monkeypatch):
    _full(monkeypatch, lambda call: call == 1)
    outcome = shop.transfer("--snapshots", 1)
    assert outcome.code == 0
    assert "warning: a snapshot is missing:" in outcome.err
    assert "result-0001.png: can't be written" in outcome.err
    assert [name for name in shop.results() if name.endswith((".tmp", ".png"))] == ["result.png"]


def test_comparison_into_what_is_no_empty_folder(shop):
    assert "can't be used as a folder" in _compare_refused(shop, 1, shop.content)
    assert "isn't empty" in _compare_refused(shop, 2, shop.folder)
    assert "needs regions" in _compare_refused(shop, 2, shop.output.parent)


def test_comparison_that_fails_leaves_no_folder(shop):
    assert "needs regions" in _compare_refused(shop, 2, shop.folder / "new")


def _compare_refused(shop, code, folder):
    none = ("--regions", "none")
    return shop.refused(code, "compare", shop.content, shop.style, "-o", folder, *shop.network, *shop.quick, *none)


# weights


@pytest.fixture(scope="module")
def flipped(tmp_path_factory):
    """The registered VGG-16 with one byte turned over."""
    source = fetch_model("vgg16")
    path = tmp_path_factory.mktemp("models") / source.name
    shutil.copyfile(source, path)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        (byte,) = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 0xFF]))
    return path


def _without(shop, *options):
    """Give the arguments of a small transfer without --weights: they are those of the registry."""
    return [value for value in shop.arguments() if value not in ("--weights", shop.weights)] + list(options)


def test_altered_weights_in_the_cache(shop, flipped, monkeypatch):
    monkeypatch.setenv("PHOTOSTYLE_HOME", str(flipped.parent))
    error = shop.refused(1, *_without(shop))
    assert f"{flipped} is altered or cut off" in error
    assert "models fetch vgg16" in error
    assert "altered" in shop.refused(1, "models", "fetch", "vgg16")
    outcome = shop("models", "verify", "vgg16")
    assert outcome.code == 1
    assert outcome.out.startswith("vgg16      altered ")
    assert "vgg16 is altered: run photostyle models fetch vgg16 --force" in outcome.error


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("gone.pth", None, "does not exist"),
        ("empty.safetensors", b"", "is empty"),
        ("text.safetensors", b"this is no network at all", "no sound safetensors"),
        ("text.pth", b"this is no network at all", "fetch it again"),
        ("weights.zip", b"x", "is no weights file"),
    ],
)
def test_weights_that_are_none(shop, name, data, words):
    path = shop.folder / name
    if data is not None:
        path.write_bytes(data)
    assert words in shop.refused(1, *_without(shop, "--weights", path))


def test_weights_of_another_network(shop):
    assert "layer" in shop.refused(2, *shop.arguments("--style-layers", "relu5_1"))
    assert "unknown" in shop.refused(2, *_without(shop, "--backbone", "alexnet16")).lower()


def test_a_network_for_scores_alone(shop):
    error = shop.refused(2, *_without(shop, "--backbone", "lpips-alex"))
    assert "lpips-alex is a network for scores alone: pass one of vgg16, hed, vgg19 instead" in error


def test_no_network_and_an_empty_cache(shop, monkeypatch):
    def connect(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setenv("PHOTOSTYLE_HOME", str(shop.folder / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(shop.folder / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(shop.folder / "torch"))
    error = shop.refused(1, *_without(shop, "--offline"))
    assert f"vgg16 is not in the cache {shop.folder / 'home'}" in error
    assert "offline" in error
    assert "photostyle models fetch vgg16" in error
    assert "offline" in shop.refused(1, "models", "fetch", "--offline", "--quiet")


def test_unknown_model(shop):
    for command in ("fetch", "verify"):
        error = shop.refused(2, "models", command, "vgg11")
        assert "'vgg11'" in error
        assert "vgg16, hed, lpips-alex, vgg19" in error


# the run itself


@pytest.mark.parametrize("kind", [MemoryError, RuntimeError])
def test_not_enough_memory(shop, monkeypatch, kind):
    def forward(*_):
        raise kind("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 99 bytes")

    monkeypatch.setattr(VGG, "forward", forward)
    error = shop.refused(1, *shop.arguments("--quiet"))
    assert "64×48" in error
    assert "smaller --size" in error


def test_not_enough_memory_for_the_last_level(shop, monkeypatch):
    """A network that sees no more than 128 pixels: the level of that size is finished, and kept."""
    real = VGG.forward

    def forward(self, x):
        if max(x.shape[2:]) > 128:
            raise MemoryError
        return real(self, x)

    monkeypatch.setattr(VGG, "forward", forward)
    more = ("--schedule", "coarse-to-fine", "--size", 256, "--iterations", 8)
    outcome = shop.transfer(*more, "--quiet")
    assert outcome.code == 1
    done = json.loads(shop.output.with_suffix(".record.json").read_text())["losses"]["iteration"]
    assert outcome.error == (
        f"the memory of cpu doesn't suffice for 256×192: pass a smaller --size; the best picture after {done} of 8 "
        f"iterations is in {shop.output}; go on with --resume, with more memory"
    )
    with Image.open(shop.output) as image:
        assert image.size == (256, 192)
    monkeypatch.setattr(VGG, "forward", real)
    assert shop.transfer(*more, "--resume").code == 0
    assert shop.results() == ["result.png", "result.record.json"]


def test_loss_that_is_not_finite(shop, monkeypatch):
    real, calls = VGG.forward, []

    def forward(self, x):
        calls.append(x)
        features = real(self, x)
        return {name: layer * (np.nan if len(calls) > 6 else 1) for name, layer in features.items()}

    monkeypatch.setattr(VGG, "forward", forward)
    outcome = shop.transfer("--quiet", "--iterations", 20, "--optimizer", "adam")
    assert outcome.code == 1
    assert "the best picture after" in outcome.error
    assert "of 20 iterations" in outcome.error
    assert shop.results() == ["result.png", "result.record.json"]

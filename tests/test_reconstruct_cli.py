"""``photostyle reconstruct``: its files, its record, Ctrl-C, and what is refused."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest
from cli_helpers import Workshop
from PIL import Image

from photostyle.apps.cli import screen
from photostyle.networks.vgg import VGG
from photostyle.options.reconstruction import OPTIONS
from photostyle.progress import Step
from photostyle.report.beside import record_path

FORWARD = VGG.forward


@pytest.fixture
def shop(monkeypatch, capsys, tmp_path):
    return Workshop(monkeypatch, capsys, tmp_path)


@pytest.fixture
def usual(shop):
    return ("--layers", "relu1_1,relu2_1", "--weights", shop.weights, *shop.quick)


@pytest.fixture
def run(shop, usual):
    """Run a small reconstruction."""
    return partial(shop, "reconstruct", shop.content, *usual)


def size_of(path):
    with Image.open(path) as image:
        return image.size


@pytest.mark.parametrize("what", ["content", "style"])
def test_a_folder_with_a_picture_for_each_layer_a_sheet_and_a_record(shop, run, what):
    folder = shop.folder / "deep" / what
    outcome = run("-o", folder, "--what", what, "--json")
    assert outcome.code == 0, outcome.err
    names = ["reconstruction.json", "relu1_1.png", "relu2_1.png", "sheet.png"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert [size_of(folder / name) for name in names[1:3]] == [(64, 48)] * 2
    record = json.loads((folder / "reconstruction.json").read_text(encoding="utf-8"))
    assert json.loads(outcome.out) == record
    assert record["what"] == what
    assert list(record["runs"]) == ["relu1_1", "relu2_1"]
    assert outcome.err.splitlines() == [
        "… relu1_1 (1 of 2)",
        "… relu2_1 (2 of 2)",
        f"wrote {folder} (64×48, 2 pictures and sheet.png)",
    ]


def test_a_texture_of_its_own_size_with_its_record(shop, run):
    outcome = run("-o", shop.output, "--what", "texture", "--output-size", "40x70", "--json")
    assert outcome.code == 0, outcome.err
    assert shop.results() == ["result.png", "result.record.json"]
    assert size_of(shop.output) == (40, 70)
    assert json.loads(outcome.out) == json.loads(record_path(shop.output).read_text(encoding="utf-8"))
    assert outcome.err.splitlines()[-1] == f"wrote {shop.output} (40×70)"
    first = shop.output.read_bytes()
    assert "exists already" in run("-o", shop.output, "--what", "texture").error
    assert run("-o", shop.output, "--what", "texture", "--output-size", "40×70", "--overwrite", "-q").err == ""
    assert shop.output.read_bytes() == first, "the same seed gives the same bytes"


def test_a_seamless_texture_says_that_its_size_is_rounded(shop, run):
    outcome = run("-o", shop.output, "--what", "texture", "--output-size", "60x70", "--seamless")
    assert "the result is 64×64 instead of 60×70" in outcome.err
    assert size_of(shop.output) == (64, 64)
    record = json.loads(record_path(shop.output).read_text(encoding="utf-8"))
    assert record["config"]["padding"] == "circular"


def test_quiet(shop, run):
    outcome = run("-o", shop.folder / "new", "--quiet")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")


def test_help_shows_the_options_that_mean_something_and_no_others(shop):
    outcome = shop("reconstruct", "--help")
    assert (outcome.code, outcome.err) == (0, "")
    words = outcome.out.replace("│", " ").split()
    for name in OPTIONS:
        assert "--" + name.replace("_", "-") in words
    for option in ("--what", "--layers", "--output-size", "--seamless", "--output", "--overwrite", "--json", "--quiet"):
        assert option in words
    for option in ("--mode", "--content-weight", "--regions", "--start"):
        assert option not in words


# Ctrl-C


@pytest.fixture
def interrupt(monkeypatch):
    """Make Ctrl-C come after the n-th step of all."""

    def at(number):
        steps = []

        def gate(self, event):
            if isinstance(event, Step):
                steps.append(event)
                if len(steps) == number:
                    raise KeyboardInterrupt

        monkeypatch.setattr(screen._Gate, "__call__", gate)

    return at


def test_interrupt_keeps_the_finished_pictures_and_the_best_of_the_one_in_work(shop, run, interrupt):
    interrupt(3)
    folder = shop.folder / "interrupted"
    outcome = run("-o", folder)
    assert (outcome.code, outcome.out) == (130, "")
    assert outcome.error == (
        f"interrupted; kept in {folder}: relu1_1.png, relu2_1.png, the last one at its best after 1 of 2 iterations"
    )
    assert sorted(path.name for path in folder.iterdir()) == ["relu1_1.png", "relu2_1.png"]
    assert size_of(folder / "relu2_1.png") == (64, 48)
    whole = shop.folder / "whole"
    interrupt(0)
    assert run("-o", whole).code == 0
    assert (whole / "relu1_1.png").read_bytes() == (folder / "relu1_1.png").read_bytes()
    assert (whole / "relu2_1.png").read_bytes() != (folder / "relu2_1.png").read_bytes()


def test_interrupt_of_a_texture_keeps_it_with_its_record(shop, run, interrupt):
    interrupt(1)
    outcome = run("-o", shop.output, "--what", "texture")
    assert outcome.code == 130
    assert "result.png, the last one at its best after 1 of 2 iterations" in outcome.error
    assert shop.results() == ["result.png", "result.record.json"]
    assert not json.loads(record_path(shop.output).read_text(encoding="utf-8"))["complete"]


def test_interrupt_before_there_is_anything_and_between_two_pictures(shop, usual, run, monkeypatch):
    calls = []

    def stops_at(number):
        def prepared(*arguments, **options):
            calls.append(1)
            if len(calls) == number:
                raise KeyboardInterrupt
            return prepare(*arguments, **options)

        return prepared

    from photostyle.preparation import prepare

    monkeypatch.setattr("photostyle.studies.reconstruct.prepare", stops_at(1))
    folder = shop.folder / "new"
    error = shop.refused(130, "reconstruct", shop.content, *usual, "-o", folder)
    assert error == "interrupted before there was anything to keep"
    calls.clear()
    monkeypatch.setattr("photostyle.studies.reconstruct.prepare", stops_at(3))
    assert run("-o", folder, "-q").error == f"interrupted; finished in {folder}: relu1_1.png"


def test_one_that_runs_away_is_kept_at_its_best(shop, run, monkeypatch):
    calls = []

    def forward(self, x):
        calls.append(1)
        found = FORWARD(self, x)
        return found if len(calls) < 9 else {name: value * np.nan for name, value in found.items()}

    monkeypatch.setattr(VGG, "forward", forward)
    folder = shop.folder / "away"
    outcome = run("-o", folder, "-q", "--iterations", "20")
    assert outcome.code == 1
    assert "isn't finite any more" in outcome.error
    assert "relu1_1.png, the last one at its best after" in outcome.error
    assert [path.name for path in folder.iterdir()] == ["relu1_1.png"]


# what is refused


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--what", "colour"), 2, "must be one of: content, style, texture"),
        (("--layers", "relu1_1,relu7_1"), 2, "'relu7_1' is unknown"),
        (("--layers", "relu1_1,,"), 2, "name at least one layer"),
        (("--what", "style", "--seamless"), 2, "only a texture tiles"),
        (("--output-size", "64x64"), 2, "--output-size is for textures"),
        (("--iterations", "0"), 2, "--iterations is 0"),
        (("--mode", "photo"), 2, "No such option"),
    ],
)
def test_what_is_refused_leaves_no_folder(shop, usual, arguments, code, message):
    output = shop.folder / "new"
    assert message in shop.refused(code, "reconstruct", shop.content, "-o", output, *usual, *arguments)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--output-size", "64"), 2, "'64', but must be WIDTHxHEIGHT"),
        (("--output-size", "-64x64"), 2, "must be WIDTHxHEIGHT"),
        (("--output-size", "16x64"), 2, "at least 32"),
        (("--output-size", "99999x99999"), 2, "at most 200,000,000"),
        (("--size", "8"), 2, "--size is 8"),
        (("--layers", "relu3_1"), 2, "they end before it"),
    ],
)
def test_what_is_refused_of_a_texture(shop, usual, arguments, code, message):
    command = ("reconstruct", shop.content, "-o", shop.output, "--what", "texture", *usual, *arguments)
    assert message in shop.refused(code, *command)


def test_outputs_that_do_not_fit(shop, usual):
    command = ("reconstruct", shop.content, *usual)
    assert "several pictures: name a folder" in shop.refused(2, *command, "-o", shop.output)
    assert "isn't empty" in shop.refused(2, *command, "-o", shop.folder)
    assert "is a folder" in shop.refused(1, *command, "--what", "texture", "-o", shop.folder)
    assert "result.txt" in shop.refused(2, *command, "--what", "texture", "-o", shop.output.with_suffix(".txt"))
    record_path(shop.output).write_text("{}")
    assert "exists already" in shop.refused(2, *command, "--what", "texture", "-o", shop.output)


def test_a_missing_picture(shop, usual):
    error = shop.refused(1, "reconstruct", shop.folder / "none.png", "-o", shop.folder / "new", *usual)
    assert "no such file" in error

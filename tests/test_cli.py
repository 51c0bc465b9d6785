"""The command line where all goes well: files, standard output and error, help; Ctrl-C and --resume."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import fields

import numpy as np
import pytest
import torch
from cli_helpers import PREFIX, Workshop
from helpers import halves, indexed_mask
from PIL import Image

from photostyle import __version__
from photostyle.apps.cli.arguments import parse_content_mask
from photostyle.apps.cli.files import checkpoint_path, snapshot_path
from photostyle.errors import UsageError
from photostyle.networks.registry import MODELS
from photostyle.networks.vgg import VGG
from photostyle.options.config import OPTIONS, TransferConfig
from photostyle.report.beside import record_path


@pytest.fixture
def shop(monkeypatch, capsys, tmp_path):
    return Workshop(monkeypatch, capsys, tmp_path)


# one transfer


def test_transfer_writes_picture_and_record(shop):
    outcome = shop.transfer()
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err == f"wrote {shop.output} (64×48) in {_record(shop)['seconds']:.0f} s\n"
    assert shop.results() == ["result.png", "result.record.json"]
    with Image.open(shop.output) as image:
        assert (image.format, image.size, image.mode) == ("PNG", (64, 48), "RGB")
    record = _record(shop)
    assert record["complete"] is True
    assert record["config"]["iterations"] == 2
    assert record["config"]["style_layers"] == ["relu1_1", "relu2_1"]
    assert [entry["iteration"] for entry in record["history"]] == [1, 2]


def _record(shop):
    return json.loads(record_path(shop.output).read_text(encoding="utf-8"))


def test_the_map_of_the_regions_can_be_passed_back(shop):
    assert shop.transfer(*shop.masks).code == 0
    names = ["result.png", "result.record.json", "result.regions.json", "result.regions.png"]
    assert shop.results() == names
    found, record = shop.output.read_bytes(), _record(shop)
    assert list(record["content"]["regions"]) == ["sky", "land"]
    label_map = shop.folder / "again.png"
    for path in shop.output.parent.glob("result.regions.*"):
        path.rename(label_map.with_suffix(path.suffix))
    again = ("--content-mask", label_map, "--style-mask", shop.style_mask, "--overwrite")
    assert shop.transfer(*again).code == 0
    assert shop.output.read_bytes() == found


def test_json_is_all_of_standard_output(shop):
    outcome = shop.transfer("--json")
    assert outcome.code == 0
    assert outcome.out.count("\n") == 1
    assert json.loads(outcome.out) == _record(shop)
    assert "wrote" in outcome.err


def test_quiet_leaves_standard_error_empty(shop):
    outcome = shop.transfer("--quiet", *shop.masks, "--mode", "photo")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")


def test_decisions_are_told_on_standard_error(shop):
    shop.content_mask.with_suffix(".json").write_text('["sky", "castle"]')
    outcome = shop.transfer(*shop.masks)
    assert outcome.code == 0
    assert outcome.out == ""
    assert "'castle'" in outcome.err
    assert [note for note in _record(shop)["notes"] if "'castle'" in note]


def test_what_is_too_small_for_a_layer_stands_in_the_record_alone(shop):
    array = halves()
    array[20:24, 20:25] = 2
    for path in (shop.content_mask, shop.style_mask):
        indexed_mask(path, {0: "sky", 1: "land", 2: "dot"}, array)
    outcome = shop.transfer(*shop.masks, "--size", 44)
    assert outcome.code == 0
    (note,) = [note for note in _record(shop)["notes"] if "left out of relu2_1" in note]
    assert note not in outcome.err


def test_same_arguments_same_bytes(shop):
    shop.transfer("--seed", 3, "--start", "mix")
    first = shop.output.read_bytes()
    assert shop.transfer("--seed", 3, "--start", "mix", "--overwrite").code == 0
    assert shop.output.read_bytes() == first
    assert shop.transfer("--seed", 4, "--start", "mix", "--overwrite").code == 0
    assert shop.output.read_bytes() != first


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tiff", ".PNG"])
def test_format_by_suffix(shop, suffix):
    shop.output = shop.output.with_suffix(suffix)
    assert shop.transfer().code == 0
    with Image.open(shop.output) as image:
        assert image.format == {".jpg": "JPEG", ".webp": "WEBP", ".tiff": "TIFF", ".PNG": "PNG"}[suffix]
        assert image.size == (64, 48)


def test_regions_from_masks_a_grid_and_a_folder(shop):
    assert shop.transfer(*shop.masks).code == 0
    assert _record(shop)["content"]["regions"] == {"sky": 0.5, "land": 0.5}
    assert shop.transfer("--regions", shop.content_mask, "--overwrite").code == 0
    assert _record(shop)["content"]["regions"] == {"sky": 0.5, "land": 0.5}
    assert shop.transfer("--regions", "grid:1x2", "--overwrite").code == 0
    assert set(_record(shop)["content"]["regions"]) == {"r1c1", "r1c2"}
    soft = Image.fromarray(np.full((48, 64), 255, dtype=np.uint8))
    soft.paste(0, (0, 0, 32, 48))
    soft.save(shop.folder / "right.png")
    assert shop.transfer("--content-mask", f"right={shop.folder / 'right.png'}", "--overwrite").code == 0
    assert _record(shop)["content"]["regions"] == {"right": 0.5, "rest": 0.5}


def test_a_style_for_each_region(shop):
    arguments = ["transfer", shop.content, "-o", shop.output, *shop.network, *shop.quick]
    maps = ["--map", f"sky = {shop.style}", "--map", f"rest={shop.content}"]
    assert shop(*arguments, "--content-mask", shop.content_mask, *maps).code == 0
    styles = {a["label"]: [s["style"] for s in a["sources"]] for a in _record(shop)["assignments"]}
    assert styles == {"sky": [0], "land": [1]}


def test_several_styles_are_blended(shop):
    outcome = shop.transfer(shop.content, "--style-weights", "3,1")
    assert outcome.code == 0
    (assignment,) = _record(shop)["assignments"]
    assert [source["weight"] for source in assignment["sources"]] == [0.75, 0.25]


def test_overwrite_replaces(shop):
    shop.output.write_bytes(b"old")
    record_path(shop.output).write_text("old")
    assert shop.transfer("--overwrite").code == 0
    assert _record(shop)["complete"] is True
    with Image.open(shop.output) as image:
        assert image.size == (64, 48)


def test_snapshots_are_files_of_their_own(shop):
    outcome = shop.transfer("--snapshot-every", 2, "--snapshots", "1,4", "--iterations", 5)
    assert outcome.code == 0
    names = [f"result-000{number}.png" for number in (1, 2, 4)]
    assert shop.results() == [*names, "result.png", "result.record.json"]
    pictures = []
    for name in names:
        with Image.open(shop.output.with_name(name)) as image:
            pictures.append(np.asarray(image))
    assert {picture.shape for picture in pictures} == {(48, 64, 3)}
    assert not np.array_equal(pictures[0], pictures[2])


def test_checkpoint_goes_when_the_result_is_there(shop, monkeypatch):
    seen = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (seen.append(shop.results()), real(number))[1])
    assert shop.transfer("--checkpoint-every", 1).code == 0
    assert any("result.png.checkpoint" in names for names in seen)
    assert shop.results() == ["result.png", "result.record.json"]


def test_names_of_files_beside_a_result(tmp_path):
    assert record_path(tmp_path / "a.b.png") == tmp_path / "a.b.record.json"
    assert checkpoint_path(tmp_path / "a.png") == tmp_path / "a.png.checkpoint"
    assert snapshot_path(tmp_path / "a.png", 50) == tmp_path / "a-0050.png"
    assert snapshot_path(tmp_path / "a.jpg", 12345) == tmp_path / "a-12345.jpg"


def test_parsing_of_masks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parse_content_mask(None) is None
    assert parse_content_mask(["m.png"]) == "m.png"
    assert parse_content_mask(["sky = a.png", "sea=b.png "]) == {"sky": "a.png", "sea": "b.png"}
    (tmp_path / "a=b.png").write_text("")
    assert parse_content_mask(["a=b.png"]) == "a=b.png"
    with pytest.raises(UsageError):
        parse_content_mask(["a=b.png", "m.png"])


# Ctrl-C


ITERATIONS = 25


def _process(arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}  # others round otherwise
    command = [sys.executable, "-m", "photostyle", *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", env=environment
    )


def test_interrupt_keeps_the_best_picture_and_resume_ends_as_if_there_had_been_none(shop):
    more = ["--iterations", ITERATIONS, "--snapshots", 3, "--checkpoint-every", 0]
    whole = shop.output.with_name("whole.png")
    interrupted = shop.output
    process = _process(shop.arguments(*more))
    began = snapshot_path(interrupted, 3)
    while not began.exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert out == ""
    assert "Traceback" not in err
    message = err.splitlines()[-1]
    assert message.startswith(f"{PREFIX}interrupted; the best picture after ")
    assert message.endswith(f" of {ITERATIONS} iterations is in {interrupted}; go on with --resume")
    assert shop.results() == ["result-0003.png", "result.png", "result.png.checkpoint", "result.record.json"]
    record = _record(shop)
    assert record["complete"] is False
    assert 3 <= len(record["history"]) < ITERATIONS
    with Image.open(interrupted) as image:
        assert image.size == (64, 48)

    process = _process(shop.arguments(*more, "--resume", "--json"))
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert f"resumed after iteration {len(record['history'])}" in err
    assert shop.results() == ["result-0003.png", "result.png", "result.record.json"]
    assert len(json.loads(out)["history"]) == ITERATIONS

    shop.output = whole
    process = _process(shop.arguments(*more))  # in a process of its own too: the same number of threads
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert whole.read_bytes() == interrupted.read_bytes()
    assert snapshot_path(whole, 3).read_bytes() == began.read_bytes()


@pytest.mark.parametrize("call", [1, 2, 3])
@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_interrupt_amidst_an_iteration(shop, monkeypatch, optimizer, call):
    """What the second Ctrl-C does, wherever it strikes."""
    options = ["--iterations", 8, "--optimizer", optimizer, "--learning-rate", "0.05", "--snapshots", 2]
    assert shop.transfer(*options).code == 0
    whole = shop.output.read_bytes()
    _interrupt(monkeypatch, snapshot_path(shop.output, 2), call)
    shop.output.unlink()
    snapshot_path(shop.output, 2).unlink()
    outcome = shop.transfer(*options, "--overwrite", "--quiet")
    assert outcome.code == 130
    assert "go on with --resume" in outcome.error
    assert "result.png.checkpoint" in shop.results()
    monkeypatch.setattr(VGG, "forward", FORWARD)
    assert shop.transfer(*options, "--resume").code == 0
    assert shop.output.read_bytes() == whole
    assert shop.results() == ["result-0002.png", "result.png", "result.record.json"]


FORWARD = VGG.forward


def _interrupt(monkeypatch, after, call=1):
    """Raise what Ctrl-C does in the given call of the network after a snapshot was written."""
    calls = []

    def forward(self, x):
        if after.exists():
            calls.append(x)
            if len(calls) == call:
                raise KeyboardInterrupt
        return FORWARD(self, x)

    monkeypatch.setattr(VGG, "forward", forward)


def test_interrupt_before_there_is_anything(shop, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(VGG, "forward", stop)
    assert "interrupted" in shop.refused(130, *shop.arguments("--quiet"))
    monkeypatch.setattr("photostyle.preparation.read_picture", lambda *_, **__: stop())
    assert "interrupted before" in shop.refused(130, *shop.arguments("--quiet"))


def test_resume_with_other_options_or_a_damaged_checkpoint(shop, monkeypatch):
    _interrupt(monkeypatch, snapshot_path(shop.output, 1))
    assert shop.transfer("--iterations", 20, "--snapshots", 1, "--quiet").code == 130
    error = shop.refused(
        2, *shop.arguments("--iterations", 20, "--snapshots", 1, "--quiet", "--resume", "--style-weight", 7)
    )
    assert "belongs to a run with other" in error
    checkpoint_path(shop.output).write_bytes(b"damaged")
    error = shop.refused(1, *shop.arguments("--iterations", 20, "--snapshots", 1, "--quiet", "--resume"))
    assert "result.png.checkpoint is damaged" in error


# comparison


def test_compare_writes_a_sheet_curves_numbers_and_the_variants(shop):
    folder = shop.folder / "deep" / "comparison"
    outcome = shop.compare(folder, *shop.masks, "--json")
    assert outcome.code == 0
    variants = {"segmented", "unsegmented"}
    names = {"sheet.png", "losses.png", "comparison.json", "regions-content.png", "regions-style-1.png"}
    assert {path.name for path in folder.iterdir()} == names | {f"{variant}.png" for variant in variants}
    record = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    assert json.loads(outcome.out) == record
    assert outcome.out.count("\n") == 1
    assert set(record["scores"]) == set(record["runs"]) == variants
    assert all(name in outcome.err for name in record["meaning"])
    assert "sheet.png" in outcome.err
    for path in folder.glob("*.png"):
        with Image.open(path) as image:
            image.load()
            assert (image.size == (64, 48)) == (path.name not in ("sheet.png", "losses.png"))
    assert (folder / "segmented.png").read_bytes() != (folder / "unsegmented.png").read_bytes()


def test_an_interrupted_comparison_tells_what_is_kept(shop, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    folder = shop.output.parent / "pair"
    monkeypatch.setattr("photostyle.studies.compare.loss_curves", stop)
    outcome = shop.compare(folder, *shop.masks, "--quiet")
    assert outcome.code == 130
    assert outcome.error == f"interrupted; finished in {folder}: segmented.png, unsegmented.png"
    assert sorted(path.name for path in folder.iterdir()) == ["segmented.png", "unsegmented.png"]


def test_compare_of_pixels_in_photo_mode_has_each_also_without_the_matting_laplacian(shop):
    folder = shop.folder / "comparison"
    outcome = shop.compare(folder, "--regions", "grid:2x1", "--mode", "photo", "--solver", "pixels", "--quiet")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    for variant in ("segmented", "unsegmented", "segmented-no-matting", "unsegmented-no-matting"):
        assert (folder / f"{variant}.png").is_file()
    assert "isn't empty" in shop.refused(2, "compare", shop.content, shop.style, "-o", folder)
    assert shop.compare(folder, "--regions", "grid:2x1", "--overwrite", "--quiet").code == 0


# help and models


@pytest.mark.parametrize("command", ["transfer", "compare", "sweep"])
@pytest.mark.parametrize("columns", ["80", "200"])
def test_help_shows_every_option(shop, monkeypatch, command, columns):
    monkeypatch.setenv("COLUMNS", columns)
    outcome = shop(command, "--help")
    assert (outcome.code, outcome.err) == (0, "")
    words = outcome.out.replace("│", " ").split()
    for field in fields(TransferConfig):
        assert "--" + field.name.replace("_", "-") in words
    for option in ("--output", "--content-mask", "--style-mask", "--overwrite", "--json", "--quiet"):
        assert option in words
    text = "".join(words)
    for choices in (each.choices for each in OPTIONS.values() if each.choices):
        assert "|".join(choices) in text or all(choice in text for choice in choices)
    assert shop(command, "-h").out == outcome.out


@pytest.mark.parametrize("command", [[], ["models"], ["models", "list"], ["models", "fetch"], ["models", "verify"]])
def test_help_of_the_other_commands(shop, command):
    outcome = shop(*command, "--help")
    assert (outcome.code, outcome.err) == (0, "")
    assert " ".join(["Usage:", "photostyle", *command]) in outcome.out


def test_version(shop):
    outcome = shop("--version")
    assert (outcome.code, outcome.out, outcome.err) == (0, f"photostyle {__version__}\n", "")


def test_models_without_any(shop, monkeypatch):
    monkeypatch.setenv("PHOTOSTYLE_HOME", str(shop.folder / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(shop.folder / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(shop.folder / "torch"))
    outcome = shop("models", "list")
    assert (outcome.code, outcome.err) == (0, "")
    assert [line.split()[:2] for line in outcome.out.splitlines()] == [[name, "missing"] for name in MODELS]
    outcome = shop("models", "list", "--json")
    states = {model["name"]: (model["state"], model["path"]) for model in json.loads(outcome.out)}
    assert states == dict.fromkeys(MODELS, ("missing", None))
    assert shop("models", "verify").code == 0
    outcome = shop("models", "verify", "vgg16")
    assert outcome.code == 1
    assert outcome.out.startswith("vgg16      missing")
    assert "models fetch vgg16" in outcome.error


def test_models_that_are_here(shop):
    outcome = shop("models", "fetch", "--quiet")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    outcome = shop("models", "fetch")
    assert [line.split(":")[0] for line in outcome.err.splitlines()] == ["vgg16", "hed"], "what the defaults need"
    outcome = shop("models", "fetch", "vgg16")
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err.splitlines()[-1].startswith("vgg16: ")
    assert outcome.err.splitlines()[-1].endswith("vgg16.ckpt")
    outcome = shop("models", "verify", "vgg16")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("vgg16      ready ")


def test_a_missing_library_of_the_system_is_named_with_its_remedy(shop, monkeypatch):
    """As in bare containers; any other import that fails is a fault of ours, and shows where."""

    def missing(*_args, **_options):
        raise ImportError("libGL.so.1: cannot open shared object file: No such file or directory")

    monkeypatch.setattr("photostyle.pipeline.prepare", missing)
    outcome = shop(*shop.arguments())
    assert outcome.code == 1
    assert "libGL.so.1" in outcome.error
    assert "apt-get install libgl1" in outcome.error

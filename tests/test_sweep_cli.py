"""``photostyle sweep``: files, table, JSON, Ctrl-C, and what is refused."""

from __future__ import annotations

import csv
import json
import os

import pytest
from cli_helpers import Workshop
from PIL import Image

from photostyle.apps.cli import sweep as module
from photostyle.progress import Step
from photostyle.studies import sweep as sweeping

ABSURD = "1e9"


@pytest.fixture
def shop(monkeypatch, capsys, tmp_path):
    return Workshop(monkeypatch, capsys, tmp_path)


@pytest.fixture
def folder(shop):
    return shop.folder / "deep" / "sweep"


def arguments(shop, folder, *more):
    return ["sweep", shop.content, shop.style, "-o", folder, *shop.network, *shop.quick, *more]


def rows_of(folder):
    with (folder / "sweep.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_files_table_and_json(shop, folder):
    adam = ("--optimizer", "adam", "--vary", f"learning-rate=0.01,{ABSURD}")
    layers = ("--vary", "style_layers=relu1_1+relu2_1,relu1_1")
    outcome = shop(*arguments(shop, folder, *shop.masks, "--json", *adam, *layers))
    assert outcome.code == 0, outcome.err
    record = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
    assert json.loads(outcome.out) == record
    assert outcome.out.count("\n") == 1
    assert record["complete"] is True
    assert [row["status"] for row in record["cells"]] == ["ok", "ok", "diverged", "diverged"]
    pictures = [row["file"] for row in record["cells"] if row["file"]]
    assert sorted(pictures) == [
        "1_learning-rate=0.01_style-layers=relu1_1+relu2_1.png",
        "2_learning-rate=0.01_style-layers=relu1_1.png",
    ]
    assert names(folder) == sorted([*pictures, "sweep.csv", "sweep.json", "sweep.png"])
    for name in pictures:
        with Image.open(folder / name) as image:
            assert image.size == (64, 48)
    rows = rows_of(folder)
    assert [row["rank"] for row in rows] == ["1", "2", "", ""]
    for row, entry in zip(rows, record["cells"], strict=True):
        assert float(row["learning_rate"]) == entry["values"]["learning_rate"]
        assert row["style_layers"].split("+") == entry["values"]["style_layers"]
        assert row["file"] == (entry["file"] or "")
        assert row["message"] == entry["message"]
        if entry["file"]:
            assert float(row["objective_total"]) == entry["objective"]["total"]
            assert float(row["loss_style"]) == entry["losses"]["style"]
    with Image.open(folder / "sweep.png") as sheet:
        assert sheet.width > 2 * 320
        assert sheet.height > 2 * 240
    lines = outcome.err.splitlines()
    assert "… cell 1 of 4: learning rate 0.01, style layers relu1_1+relu2_1" in lines
    table = lines[lines.index(next(line for line in lines if line.startswith("rank"))) :]
    assert [line.split()[0] for line in table[:5]] == ["rank", "1", "2", "–", "–"]
    assert pictures[0] in table[1]
    assert "diverged" in table[3]
    assert "learning-rate" in table[3], "the reason"
    assert table[5].startswith(f"wrote {folder / 'sweep.png'}")


def test_quiet_and_overwrite(shop, folder):
    vary = ("--vary", "seed=0,1", "--start", "noise", "--quiet")
    outcome = shop(*arguments(shop, folder, *vary))
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    before = {path: path.read_bytes() for path in folder.glob("*_seed*.png")}
    assert len(before) == 2
    assert len(set(before.values())) == 2
    assert "isn't empty" in shop.refused(2, *arguments(shop, folder, *vary))
    assert shop(*arguments(shop, folder, *vary, "--overwrite")).code == 0
    assert {path: path.read_bytes() for path in before} == before


def test_a_cell_is_what_transfer_writes(shop, folder):
    assert shop(*arguments(shop, folder, "--vary", "tv-weight=0.5", "--quiet")).code == 0
    assert shop.transfer("--tv-weight", 0.5).code == 0
    assert (folder / "1_tv-weight=0.5.png").read_bytes() == shop.output.read_bytes()


@pytest.mark.parametrize("solver", ["affine", "pixels"])
def test_photo_mode_with_masks(shop, folder, solver):
    more = ("--mode", "photo", "--solver", solver, "--start", "content", "--vary", "matting-weight=0,100", "--quiet")
    assert shop(*arguments(shop, folder, *shop.masks, *more)).code == 0
    record = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
    assert [row["status"] for row in record["cells"]] == ["ok", "ok"]
    assert all("matting" in row["objective"] for row in record["cells"]), "by one objective, whatever the cell's own"
    assert record["objective"]["regions"] == {"sky": 0.5, "land": 0.5}


def test_styles_for_labels(shop, folder):
    maps = ("--map", f"sky={shop.style}", "--map", f"land={shop.content}", "--content-mask", shop.content_mask)
    plain = ["sweep", shop.content, "-o", folder, *shop.network, *shop.quick, "--quiet"]
    assert shop(*plain, *maps, "--vary", "seed=0,1").code == 0
    assert len(rows_of(folder)) == 2


def test_if_no_cell_succeeds(shop, folder):
    outcome = shop(*arguments(shop, folder, "--quiet", "--optimizer", "adam", "--vary", f"learning_rate={ABSURD},2e9"))
    assert outcome.code == 1
    assert f"no cell gave a picture; the reasons are in {folder / 'sweep.csv'}" in outcome.error
    assert [row["status"] for row in rows_of(folder)] == ["diverged", "diverged"]
    assert names(folder) == ["sweep.csv", "sweep.json", "sweep.png"]


# Ctrl-C


def test_interrupt_keeps_what_is_finished(shop, folder, monkeypatch):
    real = sweeping.run_prepared

    def run(prepared, *, callback):
        if prepared.config.seed == 2:
            raise KeyboardInterrupt
        return real(prepared, callback=callback)

    monkeypatch.setattr(sweeping, "run_prepared", run)
    outcome = shop(*arguments(shop, folder, "--vary", "seed=0,1,2,3"))
    assert (outcome.code, outcome.out) == (130, "")
    last = outcome.err.splitlines()[-1]
    assert last == f"photostyle: error: interrupted after 2 of 4 cells; what is finished is in {folder}"
    assert names(folder) == ["1_seed=0.png", "2_seed=1.png", "sweep.csv", "sweep.json", "sweep.png"]
    assert len(rows_of(folder)) == 2
    assert json.loads((folder / "sweep.json").read_text(encoding="utf-8"))["complete"] is False


def test_a_wish_that_comes_with_the_last_step_is_met_before_the_next_cell(shop, folder, monkeypatch):
    real = module.gentle_interrupt

    def interrupting(*arguments):
        manager = real(*arguments)

        class Gate:
            def __enter__(self):
                self.gate = manager.__enter__()
                inner = type(self.gate).__call__

                def call(gate, event):
                    inner(gate, event)
                    if isinstance(event, Step) and event.iteration == event.iterations:
                        gate.on_signal(2, None)

                monkeypatch.setattr(type(self.gate), "__call__", call)
                return self.gate

            def __exit__(self, *error):
                return manager.__exit__(*error)

        return Gate()

    monkeypatch.setattr(module, "gentle_interrupt", interrupting)
    outcome = shop(*arguments(shop, folder, "--vary", "seed=0,1"))
    assert outcome.code == 130
    assert "stopping after this step, the finished cells are kept" in outcome.err
    assert "interrupted after 1 of 2 cells" in outcome.err.splitlines()[-1]
    assert names(folder) == ["1_seed=0.png", "sweep.csv", "sweep.json", "sweep.png"]


def test_interrupt_before_the_first_cell_is_done(shop, folder, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(sweeping, "run_prepared", stop)
    folder.parent.mkdir()
    assert "interrupted after 0 of 1" in shop.refused(130, *arguments(shop, folder, "--vary", "seed=0", "--quiet"))


def test_a_full_disk_ends_the_sweep(shop, folder, monkeypatch):
    def full(_number):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    folder.parent.mkdir()
    error = shop.refused(1, *arguments(shop, folder, "--vary", "seed=0,1", "--quiet"))
    assert "1_seed=0.png: can't be written" in error


# what is refused


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ((), "needs something to vary: --vary NAME=A,B"),
        (("--vary", "style_weight"), "must be NAME=A,B"),
        (("--vary", "style_weight=1,x"), "'x', but must be a number"),
        (("--vary", "style_weight=1,1e0"), "1 twice"),
        (("--vary", "sed=1"), "did you mean seed"),
        (("--vary", "seed=1", "--vary", "seed=2"), "names seed twice"),
        (("--vary", "size=64"), "pass --size"),
        (("--vary", "seed=1,2", "--vary", "optimizer=adam,sgd"), "seed 1, optimizer sgd: --optimizer is 'sgd'"),
        (("--vary", "style_layers=relu1_1,relu8_1"), "the combination style layers relu8_1: "),
        (("--vary", "seed=1", "--snapshots", "1"), "--snapshots has no place in a sweep"),
        (("--vary", "seed=1", "--checkpoint-every", "7"), "--checkpoint-every has no place in a sweep"),
        (("--vary", "seed=1", "--style-mask", "none"), "--style-mask needs --content-mask"),
    ],
)
def test_refused_before_anything_is_written(shop, monkeypatch, more, words):
    def never(*_, **__):
        raise AssertionError("nothing may run")

    monkeypatch.setattr(sweeping, "run_prepared", never)
    assert words in shop.refused(2, *arguments(shop, shop.folder / "new", "--quiet", *more))

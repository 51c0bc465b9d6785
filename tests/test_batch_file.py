"""The file of a batch: what it may hold, what becomes of it, and the line of every mistake."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
from batch_helpers import jobs_file, planned, workplace
from helpers import halves, indexed_mask, png_header, save

from photostyle.batches import read_batch
from photostyle.batches.expand import MOST_JOBS
from photostyle.batches.inputs import Hashes
from photostyle.batches.job import job_key
from photostyle.batches.naming import safe_text
from photostyle.errors import ImageError, OutputError, PhotostyleError, UsageError
from photostyle.options.config import TransferConfig

JOB = "jobs:\n  - content: photos/c0.png\n    style: styles/s0.png\n"  # lines 7 to 9, after the defaults
NAMED = JOB + "    output: a.png\n"


@pytest.fixture
def folder(tmp_path):
    return workplace(tmp_path)


def names(path: Path, **options: object) -> list[str]:
    batch = read_batch(path, **options)
    return [batch.name_of(job) for job in batch.jobs]


def test_a_matrix_is_the_product_of_its_lists(folder):
    text = (
        "matrix:\n  content: photos/*.png\n  style: [styles/s1.png, styles/s0.png]\n  style-weight: [1, 1e2]\n"
        "  style_layers: [relu1_1, 'relu1_1,relu2_1', [relu2_1]]\n"
        "output: out/{content}/{style}_{style-weight}_{style_layers}.png\n"
    )
    batch = read_batch(jobs_file(folder, text))
    axes = (["c0", "c1"], ["s1", "s0"], [("relu1_1",), ("relu1_1", "relu2_1"), ("relu2_1",)], [1.0, 100.0])
    expected = [
        f"{content}/{style}_{weight:g}_{'+'.join(layers)}.png"
        for content, style, layers, weight in itertools.product(*axes)
    ]
    assert [batch.name_of(job) for job in batch.jobs] == expected
    assert batch.folder == folder / "out"
    assert [job.config.style_layers for job in batch.jobs[:6:2]] == axes[2]
    assert {job.config.iterations for job in batch.jobs} == {2}


def test_jobs_come_before_the_matrix_and_go_over_the_defaults(folder):
    text = (
        "matrix: {content: photos/c1.png, style: [[styles/s0.png, styles/s1.png]], seed: 3}\n"
        "output: '{content}-{style}-{seed}-{iterations}-{solver}.png'\n"
        "jobs:\n  - {content: photos/c0.png, style: styles/s0.png, iterations: 9}\n"
        "  - {content: photos/c0.png, style: styles/s0.png, output: mine.jpg}\n"
    )
    expected = ["c0-s0-0-9-pixels.png", "mine.jpg", "c1-s0+s1-3-2-pixels.png"]
    assert names(jobs_file(folder, text)) == expected


def test_anchors_and_merge_keys_work(folder):
    text = (
        "x-common: &common {content: photos/c0.png, style: styles/s0.png, seed: 1}\n"
        "jobs:\n  - {<<: *common, output: a.png}\n  - {<<: *common, seed: 2, output: b.png}\n"
    )
    assert [job.config.seed for job in read_batch(jobs_file(folder, text)).jobs] == [1, 2]


def test_values_are_read_by_the_type_of_their_option(folder):
    text = (
        JOB + "    output: a.png\n    style_weight: 1e-1\n    auto_contrast: yes\n    region_weights: {sky: 0.5}\n"
        "    keep: sky, land\n    style_weights: [2]\n    content_layers:\n    deband: off\n"
    )
    config = read_batch(jobs_file(folder, text)).jobs[0].config
    assert (config.style_weight, config.auto_contrast, config.deband) == (0.1, True, False)
    assert (config.region_weights, config.keep, config.style_weights) == (("sky=0.5",), ("sky", "land"), (2.0,))
    assert config.content_layers is None


def test_paths_start_from_the_file_and_outputs_from_where_one_says(folder, monkeypatch, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    path = jobs_file(folder)
    assert read_batch(path).jobs[0].output == folder / "out" / "c0-s0.png"
    relative = read_batch(Path(os.path.relpath(path)), output="here")
    assert relative.jobs[0].output == elsewhere / "here" / "out" / "c0-s0.png"
    text = JOB + f"    output: {elsewhere}/deep/x.png\n"
    batch = read_batch(jobs_file(folder, text))
    assert (batch.folder, batch.name_of(batch.jobs[0])) == (elsewhere / "deep", "x.png")
    with pytest.raises(UsageError, match=r"jobs.yaml:10: .*contradicts --output"):
        read_batch(path, output=elsewhere)


def test_a_stem_can_name_no_other_folder(folder):
    (folder / "photos" / "...png").write_bytes((folder / "photos" / "c0.png").read_bytes())
    save(folder / "photos" / "a b{c}.png")
    text = "matrix: {content: [photos/*, photos/...png], style: styles/s0.png}\noutput: '{content}.png'\n"
    assert "_.png" in names(jobs_file(folder, text))
    assert "a b-c-.png" in names(jobs_file(folder, text))
    assert safe_text("../../etc/x") == "-..-etc-x"
    assert safe_text("..") == safe_text("") == "_"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("jobs:\n  - content: photos/c0.png\n   style: x\n", 9, "no YAML"),
        ("jobs: [\n", 8, "no YAML"),
        ("jobs: !!python/object/apply:os.system [ls]\n", 7, "the tag"),
        ("job: []\n", 7, "did you mean jobs"),
        ("matrix: 3\n", 7, "must be a mapping"),
        ("jobs: {content: a}\n", 7, "must be a list"),
        ("jobs:\n  - hello\n", 8, "must be a mapping"),
        (NAMED + "    stile_weight: 3\n", 11, "did you mean style_weight"),
        (JOB + "    style: styles/s1.png\n", 10, "twice, first in line 9"),
        (NAMED + "    style-weight: 1\n    style_weight: 1\n", 12, "twice, with a hyphen"),
        (NAMED + "    size: big\n", 11, "size is the text 'big', but must be a whole number"),
        (NAMED + "    size: '64'\n", 11, "must be a whole number"),
        (NAMED + "    size: 1.5\n", 11, "must be a whole number"),
        (NAMED + "    size: [64]\n", 11, "size is a list"),
        (NAMED + "    size: 3\n", 11, "size is 3, but must be a whole number of at least 32"),
        (NAMED + "    mode: foto\n", 11, "must be one of: artistic, photo"),
        (NAMED + "    deband: 1\n", 11, "must be true or false"),
        (NAMED + "    mode:\n", 11, "mode is empty"),
        (NAMED + "    style_weights: {a: 1}\n", 11, "must be a list"),
        (NAMED + "    snapshot_every: 3\n", 11, "no place in a batch"),
        (NAMED + "    preset: haze\n", 8, "belongs to photo mode"),
        (JOB, 8, "output is missing"),
        (JOB + "    output: a.gif\n", 10, "suffix .gif"),
        (JOB + "    output: ../a.png\n", 10, "must not hold .."),
        (JOB + "    output: out/../../a.png\n", 10, "must not hold .."),
        (JOB + "    output: '..\\a.png'\n", 10, "must not hold .."),
        (JOB + "    output: '{content}{stile}.png'\n", 10, "did you mean {style}"),
        (JOB + "    output: '{content:>9}.png'\n", 10, "unknown {content:>9}"),
        (JOB + "    output: '{content.png'\n", 10, "no pattern"),
        (JOB + "    output: " + "a" * 250 + ".png\n", 10, "too long"),
        (JOB + "    output: styles/s0.png\n", 8, "which is read"),
        ("jobs:\n  - style: styles/s0.png\n    output: a.png\n", 8, "content is missing"),
        ("jobs:\n  - content: photos/c0.png\n    output: a.png\n", 8, "style is missing"),
        ("matrix:\n  content: fotos/*\n  style: styles/*\noutput: '{content}.png'\n", 8, "matches no file"),
        ("matrix:\n  content: []\n  style: styles/*\noutput: '{content}.png'\n", 8, "content is empty"),
        ("matrix:\n  seed: []\n", 8, "seed has no values"),
        ("matrix:\n  seed: [1, 1]\n", 8, "twice"),
        (f"matrix:\n  seed: {list(range(MOST_JOBS + 1))}\n", 7, "10,001 jobs"),
        ("matrix: {content: photos/*, style: styles/*}\noutput: '{content}.png'\n", 7, r"job of line 7 "),
        ("x-a: &a [*a]\njobs: *a\n", 7, "within itself"),
        ("x-a: &a {<<: *a}\njobs: []\n", 7, "within itself"),
    ],
)
def test_a_mistake_is_told_with_its_line(folder, text, line, words):
    path = jobs_file(folder, text)
    with pytest.raises(UsageError) as error:
        read_batch(path)
    assert str(error.value).startswith(f"{path}:{line}: ")
    assert words in str(error.value)


@pytest.mark.parametrize("second", ["a.png", "A.PNG", "a.jpg", "a.regions.png"])
def test_two_jobs_with_one_file_are_named(folder, second):
    job = "{content: photos/c0.png, style: styles/s0.png, seed: %d, output: %s}"
    path = jobs_file(folder, f"jobs:\n  - {job % (0, 'a.png')}\n  - {job % (1, second)}\n")
    with pytest.raises(UsageError, match=r"jobs.yaml:9: .*seed 1 would write .*the job of line 8 .*seed 0.* too"):
        read_batch(path)


@pytest.mark.parametrize("text", ["", "a", "[" * 5000, "\x00", "defaults:\n", "jobs: []\n", "jobs:\n"])
def test_what_is_no_list_of_jobs_is_refused(tmp_path, text):
    path = tmp_path / "jobs.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"jobs\.yaml"):
        read_batch(path)


def test_files_that_cannot_be_read_are_refused(tmp_path):
    path = tmp_path / "jobs.yaml"
    with pytest.raises(UsageError, match="can't be read"):
        read_batch(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="UTF-8"):
        read_batch(path)


def test_a_bomb_of_aliases_is_refused(tmp_path):
    path = tmp_path / "jobs.yaml"
    lines = ["x-0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"x-{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    path.write_text("\n".join(lines) + "\njobs: *a8\n")
    with pytest.raises(UsageError, match="aliases"):
        read_batch(path)


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        ("content: photos/c9.png", ImageError, r":\d+: content photos/c9.png: there is no such file"),
        ("content: photos", ImageError, "is a folder"),
        ("content: photos/*.png", ImageError, "patterns belong to matrix"),
        ("weights: none/such.pth", ImageError, "weights none/such.pth: there is no such file"),
        ("regions: none/such.png", ImageError, "regions none/such.png"),
        ("segmenter: outdor", ImageError, "segmenter outdor"),
        ("content_mask: {sky: none.png}", ImageError, "content_mask none.png"),
        ("map: {sky: none.png}", ImageError, "map sky none.png"),
        ("content: cut.png", ImageError, "cut.png: is damaged"),
        ("content: jobs.yaml", ImageError, "is not a picture"),
        ("size: 33", ImageError, "at least 32 pixels"),
        ("content_mask: photos/c1.png", PhotostyleError, "looks like a photograph"),
        ("style_layers: relu9_1", UsageError, "layer 'relu9_1'"),
        ("output: jobs.yaml/a.png", OutputError, "is no folder"),
        ("output: there.png", UsageError, "exists already"),
        ("output: record.png", UsageError, "record.record.json exists already"),
    ],
)
def test_what_stands_in_the_way_is_found_before_the_first_run(folder, more, error, words):
    png_header(folder / "cut.png", 64, 48)
    save(folder / "there.png")
    (folder / "record.record.json").write_text("{}")
    name, _, value = more.partition(": ")
    values = {"content": "photos/c0.png", "style": "styles/s0.png", "output": "a.png"} | {name: value}
    path = jobs_file(folder, "jobs:\n  - {" + ", ".join(f"{key}: {text}" for key, text in values.items()) + "}\n")
    before = sorted(folder.rglob("*"))
    with pytest.raises(error, match=words) as caught:
        planned(path)
    assert f"{path}:8: " in str(caught.value)
    assert sorted(folder.rglob("*")) == before


def keys(path: Path) -> list[str]:
    return [job_key(job, Hashes()) for job in read_batch(path).jobs]


def test_a_key_is_the_content_of_inputs_and_options(folder):
    indexed_mask(folder / "mask.png", {0: "sky", 1: "land"}, halves())
    text = JOB + "    output: a.png\n    content_mask: mask.png\n"
    (first,) = keys(jobs_file(folder, text))
    (folder / "photos" / "other.png").write_bytes((folder / "photos" / "c0.png").read_bytes())
    (folder / "renamed.png").write_bytes((folder / "mask.png").read_bytes())
    (folder / "renamed.json").write_bytes((folder / "mask.json").read_bytes())
    renamed = text.replace("c0.png", "other.png").replace("mask.png", "renamed.png").replace("a.png", "b.png")
    assert keys(jobs_file(folder, renamed)) == [first]
    assert keys(jobs_file(folder, text + "    seed: 0\n    device: cpu\n    offline: true\n")) == [first]
    others = [text + "    seed: 1\n", text.replace("a.png", "a.jpg"), text.replace("c0.png", "c1.png")]
    changed = [keys(jobs_file(folder, other))[0] for other in others]
    (folder / "mask.json").write_text('{"labels": {"0": "sky", "1": "sea"}}')
    changed += keys(jobs_file(folder, text))
    assert len({first, *changed}) == 5


def test_the_options_are_those_of_a_transfer(folder):
    path = jobs_file(folder, JOB + "    output: a.png\n")
    job = read_batch(path).jobs[0]
    assert isinstance(job.config, TransferConfig)
    assert job.given == {
        "weights": "tiny.safetensors",
        "content_layers": ("relu2_1",),
        "style_layers": ("relu1_1", "relu2_1"),
        "schedule": "single",
        "iterations": 2,
    }

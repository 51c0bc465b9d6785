"""Batches run: results, what is skipped, failures, workers and parents that are killed, Ctrl-C."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from batch_helpers import (
    MATRIX,
    check_final,
    command,
    events,
    jobs_file,
    pictures,
    planned,
    run_here,
    workplace,
)
from cli_helpers import Workshop
from helpers import halves, indexed_mask, save
from PIL import Image

import photostyle
from photostyle.batches import JobEnded, JobLost, JobStep, read_batch
from photostyle.batches.engine import Lost, Report, default_threads
from photostyle.batches.inputs import Hashes
from photostyle.batches.interrupts import deferred_interrupt
from photostyle.batches.journal import JOURNAL, Journal, alone, read_journal
from photostyle.batches.local_engine import LocalEngine, _serve
from photostyle.batches.run import MOST_LOSSES, Outcome, run_batch
from photostyle.batches.task import Failed, Finished, Worker, make_task
from photostyle.errors import OutputError, PhotostyleError
from photostyle.progress import Step

NAMES = [f"c{content}-s{style}.png" for content in range(2) for style in range(2)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PHOTOSTYLE_HOME", str(tmp_path / "home"))
    return workplace(tmp_path)


class Direct:
    """An engine without processes: the same worker, here; it loses and fails what it is told to."""

    def __init__(self, folder: Path, lose: dict[int, int] | None = None, fail: dict[int, int] | None = None) -> None:
        self.worker = Worker(str(folder))
        self.lose, self.fail = lose or {}, fail or {}
        self.reports: list[Report] = []
        self.closed = False

    def ready(self) -> list[int]:
        return [] if self.reports else [0]

    def submit(self, worker: int, number: int, job: object) -> None:
        for left, news in ((self.lose, Lost("it was killed")), (self.fail, Failed("it failed"))):
            if left.get(number):
                left[number] -= 1
                self.reports.append(Report(worker, news))
                return
        task = make_task(number, job, Hashes(), 1, set())
        steps: list[Step] = []
        done = self.worker.run(task, lambda event: steps.append(event) if isinstance(event, Step) else None)
        self.reports += [Report(worker, step) for step in steps] + [Report(worker, done)]

    def wait(self, seconds: float) -> list[Report]:
        told, self.reports = self.reports, []
        return told

    def close(self) -> None:
        self.closed = True
        self.worker.close()


def run_direct(path: Path, **options: object) -> tuple[list[Outcome], list[object]]:
    told: list[object] = []
    outcomes: list[Outcome] = []
    engine = Direct(path.parent, **options)
    folder = read_batch(path).folder
    folder.mkdir(parents=True, exist_ok=True)
    run_batch(planned(path), lambda: engine, told.append, outcomes)
    if any(isinstance(event, JobEnded) and event.worker is not None for event in told):
        assert engine.closed
    assert not list(path.parent.glob("photostyle-worker-*")) or not engine.closed
    return outcomes, told


def statuses(outcomes: list[Outcome]) -> list[str]:
    return [outcome.status for outcome in outcomes]


def test_a_result_is_that_of_a_transfer(folder):
    indexed_mask(folder / "mask.png", {0: "sky", 1: "land"}, halves())
    text = (
        "jobs:\n  - content: photos/c0.png\n    output: out/x.png\n    content_mask: mask.png\n"
        "    map: {sky: styles/s0.png, land: styles/s1.png}\n"
    )
    path = jobs_file(folder, text)
    assert statuses(run_direct(path)[0]) == ["done"]
    expected = photostyle.transfer(
        folder / "photos/c0.png",
        map={"sky": folder / "styles/s0.png", "land": folder / "styles/s1.png"},
        content_mask=folder / "mask.png",
        config=read_batch(path).jobs[0].config,
        weights=str(folder / "tiny.safetensors"),
    )
    expected.save(folder / "expected.png")
    assert (folder / "out/x.png").read_bytes() == (folder / "expected.png").read_bytes()
    record = json.loads((folder / "out/x.record.json").read_bytes())
    assert record["content"]["name"] == "photos/c0.png"
    assert record["config"]["weights"] == "tiny.safetensors"
    assert "photostyle-worker" not in json.dumps(record)
    assert json.loads((folder / "out/x.regions.json").read_bytes()) == {"labels": {"0": "sky", "1": "land"}}
    assert record["losses"] == expected.record["losses"]


def test_all_that_a_job_reads_goes_to_the_worker(folder):
    (folder / "soft").mkdir()
    for label, inside in (("sky", halves() == 0), ("land", halves() == 1)):
        Image.fromarray((inside * 255).astype("uint8")).save(folder / "soft" / f"{label}.png")
    indexed_mask(folder / "mask.png", {0: "sky", 1: "land"}, halves())
    job = "  - {content: photos/c0.png, style: styles/s0.png, output: out/%s.png, %s}\n"
    more = [
        "content_mask: soft, style_mask: mask.png",
        "content_mask: {sky: soft/sky.png, land: soft/land.png}, style_mask: [mask.png]",
        "regions: mask.png, style_mask: mask.png",
    ]
    text = "jobs:\n" + "".join(job % (number, each) for number, each in enumerate(more))
    assert statuses(run_direct(jobs_file(folder, text))[0]) == ["done"] * 3
    first, second, third = ((folder / f"out/{number}.png").read_bytes() for number in range(3))
    assert first == second == third


def test_one_worker_and_two_give_the_same_bytes_and_a_second_run_does_nothing(folder):
    path = jobs_file(folder)
    assert statuses(run_here(path)) == ["done"] * 4
    check_final(folder / "out", NAMES)
    first = pictures(folder / "out")
    assert statuses(run_here(path)) == ["kept"] * 4
    assert events(folder / "out", "start") == NAMES
    other = jobs_file(folder, MATRIX.replace("out/", "two/"))
    assert statuses(run_here(other, workers=2)) == ["done"] * 4
    assert pictures(folder / "two") == first
    assert len(set(first.values())) == 4


def test_a_renamed_input_is_known_and_runs_under_another_output(folder):
    run_direct(jobs_file(folder))
    before = pictures(folder / "out")
    (folder / "photos/c0.png").rename(folder / "photos/n0.png")
    assert sorted(statuses(run_direct(jobs_file(folder))[0])) == ["done", "done", "kept", "kept"]
    after = pictures(folder / "out")
    assert (after["n0-s0.png"], after["n0-s1.png"]) == (before["c0-s0.png"], before["c0-s1.png"])
    fixed = "jobs:\n  - {content: photos/n0.png, style: styles/s0.png, output: out/c0-s0.png}\n"
    assert statuses(run_direct(jobs_file(folder, fixed))[0]) == ["kept"]
    assert statuses(run_direct(jobs_file(folder))[0]) == ["kept"] * 4


def test_a_changed_input_or_option_runs_again_over_its_own_result(folder):
    path = jobs_file(folder)
    run_direct(path)
    save(folder / "photos/c0.png", seed=50)
    assert statuses(run_direct(path)[0]) == ["done", "done", "kept", "kept"]
    assert statuses(run_direct(jobs_file(folder, iterations=3))[0]) == ["done"] * 4
    assert json.loads((folder / "out/c0-s0.record.json").read_bytes())["config"]["iterations"] == 3


def test_a_result_that_was_changed_is_not_replaced_unasked(folder):
    path = jobs_file(folder)
    run_direct(path)
    save(folder / "out/c0-s1.png", seed=9)
    changed = (folder / "out/c0-s1.png").read_bytes()
    with pytest.raises(PhotostyleError, match=r"c0-s1.png exists already and is no unchanged result.*--overwrite"):
        planned(path)
    assert planned(path, overwrite=True).open == (1,)
    assert (folder / "out/c0-s1.png").read_bytes() == changed
    (folder / "out/c0-s1.png").unlink()
    assert statuses(run_direct(path)[0]) == ["kept", "done", "kept", "kept"]


def test_regions_of_an_earlier_run_do_not_stay(folder):
    indexed_mask(folder / "mask.png", {0: "sky", 1: "land"}, halves())
    text = "jobs:\n  - {content: photos/c0.png, style: styles/s0.png, output: out/x.png, content_mask: mask.png}\n"
    run_direct(jobs_file(folder, text))
    assert (folder / "out/x.regions.png").exists()
    run_direct(jobs_file(folder, text.replace(", content_mask: mask.png", "")))
    assert sorted(path.name for path in (folder / "out").iterdir()) == [JOURNAL, "x.png", "x.record.json"]


@pytest.mark.parametrize(
    "torn", [b"", b'{"event": "do', b'{"event": "done", "job": "c0-s0.png"', b"\xff\xfe\n[]\nnull"]
)
def test_a_torn_line_of_the_journal_is_passed_over(folder, torn):
    path = jobs_file(folder)
    run_direct(path)
    before = read_journal(folder / "out")
    with (folder / "out" / JOURNAL).open("ab") as file:
        file.write(torn)
    assert read_journal(folder / "out") == before
    journal = Journal(folder / "out")
    journal.append("lost", "x.png", "key")
    journal.close()
    assert read_journal(folder / "out") == [*before, {"event": "lost", "job": "x.png", "key": "key"}]
    assert statuses(run_direct(path)[0]) == ["kept"] * 4


@pytest.mark.parametrize("files", [0, 1, 2])
def test_a_job_whose_journal_ends_too_early_is_adopted_if_its_record_is_there(folder, files):
    """The process may die after the announcement, the picture, or the record: only the last is final."""
    path = jobs_file(folder)
    run_direct(path)
    before = pictures(folder / "out")
    journal = folder / "out" / JOURNAL
    lines = journal.read_bytes().splitlines(keepends=True)
    assert json.loads(lines[-1])["event"] == "done"
    journal.write_bytes(b"".join(lines[:-1]))
    for name in ("c1-s1.record.json", "c1-s1.png")[: 2 - files]:
        (folder / "out" / name).unlink()
    assert statuses(run_direct(path)[0]) == ["kept"] * 3 + ["kept" if files == 2 else "done"]
    assert pictures(folder / "out") == before
    assert events(folder / "out", "done") == NAMES
    assert statuses(run_direct(path)[0]) == ["kept"] * 4


def test_without_its_journal_a_batch_knows_its_results_by_their_records(folder):
    path = jobs_file(folder)
    run_direct(path)
    (folder / "out" / JOURNAL).unlink()
    assert statuses(run_direct(path)[0]) == ["kept"] * 4
    assert sorted(events(folder / "out", "done")) == NAMES


def test_a_failure_is_repeated_once_and_the_others_go_on(folder):
    outcomes, told = run_direct(jobs_file(folder), fail={0: 1, 1: 2})
    assert statuses(outcomes) == ["done", "failed", "done", "done"]
    assert [outcome.tries for outcome in outcomes] == [2, 2, 1, 1]
    assert outcomes[1].error == "it failed"
    assert [event.number for event in told if isinstance(event, JobLost)] == [0, 1]
    assert events(folder / "out", "failed") == ["c0-s1.png"]
    assert statuses(run_direct(jobs_file(folder))[0]) == ["kept", "done", "kept", "kept"]


def test_a_job_that_kills_its_workers_is_given_up(folder):
    outcomes, _ = run_direct(jobs_file(folder), lose={0: MOST_LOSSES, 1: 99})
    assert statuses(outcomes) == ["done", "failed", "done", "done"]
    assert (outcomes[0].losses, outcomes[1].losses) == (MOST_LOSSES, MOST_LOSSES + 1)
    assert "memory" in str(outcomes[1].error)


def test_an_input_that_changes_meanwhile_is_no_result(folder):
    path = jobs_file(folder)
    plan = planned(path)
    save(folder / "photos/c0.png", seed=77)
    with pytest.raises(OutputError, match=r"photos/c0.png has changed since the batch began"):
        make_task(0, plan.batch.jobs[0], plan.hashes, 1, set())
    (folder / "photos/c0.png").unlink()
    with pytest.raises(OutputError, match="can't be read any more"):
        make_task(0, plan.batch.jobs[0], plan.hashes, 1, set())


def test_a_worker_tells_failures_by_the_names_of_the_user(folder):
    text = "jobs:\n  - {content: photos/c0.png, style: styles/s0.png, output: a.png, content_mask: mask.png}\n"
    indexed_mask(folder / "mask.png", {0: "sky", 1: "land"}, halves())
    path = jobs_file(folder, text.replace("output", "style_mask: [mask.png, mask.png], output"))
    plan = planned(path)
    worker = Worker(str(folder))
    failed = worker.run(make_task(0, plan.batch.jobs[0], plan.hashes, 1, set()), lambda _event: None)
    assert isinstance(failed, Failed)
    assert "2 style masks were given for 1 style" in failed.message
    (folder / "mask.json").write_text("{")
    batch = read_batch(jobs_file(folder, text))
    failed = worker.run(make_task(0, batch.jobs[0], Hashes(), 1, set()), lambda _event: None)
    assert isinstance(failed, Failed)
    assert failed.message.startswith("legend mask.json is no JSON text")
    worker.close()


def test_networks_are_loaded_once_for_each_worker(folder, monkeypatch):
    loaded = []
    load = photostyle.networks.shared.load_backbone
    monkeypatch.setattr("photostyle.networks.shared.load_backbone", lambda *a, **k: loaded.append(a) or load(*a, **k))
    worker = Worker(str(folder))
    plan = planned(jobs_file(folder))
    known: set[str] = set()
    results = []
    for number, job in enumerate(plan.batch.jobs):
        task = make_task(number, job, plan.hashes, 1, known)
        assert (task.option_files["weights"].contents is None) == bool(known)
        known |= {task.option_files["weights"].folder}
        results.append(worker.run(task, lambda _event: None))
    assert len(loaded) == 1
    assert all(isinstance(result, Finished) for result in results)
    again = Worker(str(folder)).run(make_task(0, plan.batch.jobs[3], plan.hashes, 1, set()), lambda _event: None)
    assert again.picture == results[3].picture  # a network that was used before gives the same
    worker.close()


def test_each_network_that_jobs_need_is_loaded_before_the_first_run(folder, monkeypatch):
    asked = []
    monkeypatch.setattr("photostyle.batches.plan.load_backbone", lambda *a, **k: asked.append((*a, k["edges"])))
    planned(jobs_file(folder))
    assert asked == [("vgg16", False)]
    asked.clear()
    jobs = [
        f"  - {{content: photos/c0.png, style: styles/s0.png, output: out/{number}.png, {more}}}\n"
        for number, more in enumerate(
            ("backbone: vgg19", "mode: photo", "mode: photo, backbone: vgg16", "mode: photo, edge-weight: 0")
        )
    ]
    planned(jobs_file(folder, "jobs:\n" + "".join(jobs)))
    assert asked == [("vgg19", False), ("hed", True), ("vgg16", True), ("hed", False)]


def test_two_batches_do_not_share_a_folder(folder):
    with alone(folder / "out"), pytest.raises(OutputError, match="another batch works in"), alone(folder / "out"):
        pass
    with alone(folder / "out"):
        pass


@pytest.mark.slow
def test_workers_that_are_killed_lose_only_their_job(folder):
    chance = random.Random(7)
    kills = []

    def kill(event: object, engine: LocalEngine | None) -> None:
        if isinstance(event, JobStep) and engine is not None and len(kills) < 3 and event.number not in kills:
            victim = chance.randrange(2)
            if not engine.processes[victim].is_busy:
                return
            kills.append(event.number)
            os.kill(engine.processes[victim].process.pid, signal.SIGKILL)

    path = jobs_file(folder, iterations=30)
    outcomes = run_here(path, workers=2, on_event=kill)
    assert len(kills) == 3
    assert statuses(outcomes) == ["done"] * 4
    check_final(folder / "out", NAMES)
    assert len(events(folder / "out", "lost")) == sum(outcome.losses for outcome in outcomes) > 0
    assert len(events(folder / "out", "start")) == 4 + len(events(folder / "out", "lost"))


def test_workers_that_cannot_start_end_the_batch(folder, monkeypatch):
    monkeypatch.setattr("photostyle.batches.local_engine._serve", os.getpid)  # takes no arguments
    with pytest.raises(PhotostyleError, match="workers can't be started: 3 in a row ended with exit code 1"):
        run_here(jobs_file(folder))


def die(*_arguments: object) -> None:
    """Stand in for a worker's work."""
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_workers_that_are_killed_at_their_start_are_started_again(folder, monkeypatch):
    monkeypatch.setattr("photostyle.batches.local_engine.MOST_START_KILLS", 5)
    monkeypatch.setattr("photostyle.batches.local_engine._serve", die)
    with pytest.raises(PhotostyleError, match="workers can't be started: 5 in a row was killed by SIGKILL at"):
        run_here(jobs_file(folder))


def serve_with_a_full_disk(pipe: Connection, folder: str) -> None:
    """Do a worker's work; the first file that it keeps finds no room."""
    real, left = Path.write_bytes, [OSError(errno.ENOSPC, "No space left on device")]

    def write(path: Path, data: bytes) -> int:
        if left:
            raise left.pop()
        return real(path, data)

    Path.write_bytes = write  # type: ignore[method-assign]
    _serve(pipe, folder)


def test_a_disk_that_was_full_once_costs_one_try(folder, monkeypatch):
    monkeypatch.setattr("photostyle.batches.local_engine._serve", serve_with_a_full_disk)
    outcomes = run_here(jobs_file(folder))
    assert statuses(outcomes) == ["done"] * 4
    assert [outcome.tries for outcome in outcomes] == [2, 1, 1, 1]


def wait_for(journal: Path, kind: str, count: int) -> Iterator[None]:
    """Wait until the journal has so many entries of a kind."""
    deadline = time.monotonic() + 120
    while len(events(journal, kind)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(pids: list[int]) -> list[int]:
    found = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            found.append(pid)
    return found


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks at processes as Linux shows them")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.slow
def test_a_batch_that_is_ended_goes_on_where_it_was(folder, how):
    path = jobs_file(folder, iterations=40)
    process = command(path, "--workers", 2, "--threads", 1)
    wait_for(folder / "out", "done", 1)
    workers = children(process.pid)
    assert len(workers) >= 2
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert "jobs finished, which stay; the same command goes on" in err
        assert "Traceback" not in err
        summary = json.loads((folder / "out/batch.json").read_bytes())
        assert set(summary["counts"]) == {"done", "open"}
    deadline = time.monotonic() + 60
    while alive(workers):
        assert time.monotonic() < deadline, "a worker outlived its batch"
        time.sleep(0.05)
    final = set(events(folder / "out", "done"))
    before = {name: sha256 for name, sha256 in pictures(folder / "out").items() if name in final}
    assert len(before) == len(final) > 0
    assert statuses(run_direct(path)[0]).count("kept") >= len(before)
    check_final(folder / "out", NAMES)
    assert before.items() <= pictures(folder / "out").items()


def test_an_interrupt_waits_for_what_must_not_be_cut_in_two():
    done = []

    @deferred_interrupt()
    def work():
        signal.raise_signal(signal.SIGINT)
        done.extend(["first", "second"])

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["first", "second"]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)  # the usual handler is back
    with pytest.raises(ValueError, match="mine"), deferred_interrupt():
        raise ValueError("mine")


def test_the_threads_are_divided():
    assert default_threads(10_000) == 1
    assert default_threads(1) >= default_threads(2) >= 1


@pytest.fixture
def workshop(monkeypatch, capsys, tmp_path):
    shop = Workshop(monkeypatch, capsys, tmp_path)
    workplace(tmp_path)
    return shop


def test_the_command_reports_and_fails_with_the_failed(workshop):
    good = "  - {content: photos/c0.png, style: styles/s0.png, output: batch/good.png}\n"
    bad = "  - {content: photos/c1.png, style: styles/s0.png, style_mask: none, output: batch/bad.png}\n"
    path = jobs_file(workshop.folder, "jobs:\n" + bad + good)
    listed = workshop("batch", path, "--dry-run", "--json")
    assert [row["output"] for row in json.loads(listed.out)] == ["bad.png", "good.png"]
    assert not (workshop.folder / "batch").exists()
    outcome = workshop("batch", path, "--workers", 2, "--threads", 1, "--json")
    assert outcome.code == 1
    assert "again: bad.png: --style-mask" in outcome.err
    assert "failed: bad.png" in outcome.err
    assert "photostyle: error: 1 of 2 jobs failed, the first bad.png: --style-mask" in outcome.err
    summary = json.loads(outcome.out)
    assert summary == json.loads((workshop.folder / "batch/batch.json").read_bytes())
    assert (summary["counts"], summary["workers"], summary["threads"]) == ({"failed": 1, "done": 1}, 2, 1)
    assert [(row["status"], row["tries"]) for row in summary["jobs"]] == [("failed", 2), ("done", 1)]
    path = jobs_file(workshop.folder, "jobs:\n" + good)
    assert workshop("batch", path).code == 0
    assert workshop("batch", path, "--quiet").err == ""
    listed = workshop("batch", path, "--dry-run")
    assert listed.out.startswith("done  good.png  photos/c0.png ← styles/s0.png")


def test_the_command_refuses_what_cannot_be(workshop, monkeypatch):
    path = jobs_file(workshop.folder)
    assert "must be one of: local, ray" in workshop.refused(2, "batch", path, "--engine", "slurm")
    assert "--address belongs to --engine ray" in workshop.refused(2, "batch", path, "--address", "a:1")
    assert "jobs.yaml:7: matrix is" in workshop.refused(2, "batch", jobs_file(workshop.folder, "matrix: 3\n"))
    assert "must be HOST:PORT" in workshop.refused(2, "batch", path, "--engine", "ray", "--address", "nonsense")

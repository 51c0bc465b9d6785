"""The queue of the page: order, one at a time, cancelling, and what is left when nobody waits any more."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from web_helpers import wait_until

from photostyle.apps.web.jobs import Abandoned, Job, JobQueue, data_url
from photostyle.errors import ImageError, UsageError
from photostyle.progress import Message, Rows, Snapshot, Step


def step(iteration: int, iterations: int = 5) -> Step:
    return Step("style", (64, 48), iteration, iterations, {"total": 1.0}, 1.0, 2.0)


@pytest.fixture
def queue() -> Iterator[JobQueue]:
    made = JobQueue(most=3)
    yield made
    made.close()


class Blocker:
    """Work that lasts until it is let go."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, callback):
        self.begun.set()
        assert self.go.wait(30)
        for number in range(1, 6):
            callback(step(number))
        return "whole"


def test_jobs_run_one_after_the_other_in_their_order(queue):
    running, most, order = [], [], []

    def work(name):
        def run(callback):
            running.append(name)
            most.append(len(running))
            order.append(name)
            running.remove(name)
            return name

        return run

    blocker = Blocker()
    first = queue.submit(blocker)
    assert blocker.begun.wait(30)
    others = [queue.submit(work(name)) for name in "abc"]
    assert [queue.ahead(job) for job in (first, *others)] == [0, 1, 2, 3]
    blocker.go.set()
    wait_until(lambda: all(job.over for job in others))
    assert first.outcome == "whole"
    assert order == list("abc")
    assert set(most) == {1}
    assert [job.outcome for job in others] == list("abc")


def test_too_many_are_refused(queue):
    blocker = Blocker()
    queue.submit(blocker)
    assert blocker.begun.wait(30)
    for _ in range(3):
        queue.submit(lambda callback: None)
    with pytest.raises(UsageError, match="3 runs wait already"):
        queue.submit(lambda callback: None)
    blocker.go.set()


def test_a_waiting_job_that_is_cancelled_never_runs(queue):
    blocker, ran = Blocker(), []
    queue.submit(blocker)
    assert blocker.begun.wait(30)
    waiting, last = queue.submit(lambda callback: ran.append(1)), queue.submit(lambda callback: "last")
    queue.cancel(waiting)
    assert (waiting.state, waiting.over) == ("dropped", True)
    assert queue.ahead(last) == 1
    blocker.go.set()
    wait_until(lambda: last.over)
    assert ran == []


def test_a_running_job_that_is_cancelled_ends_between_two_steps(queue):
    seen = []
    ready, go = threading.Event(), threading.Event()

    def work(callback):
        try:
            for number in range(1, 6):
                seen.append(number)
                if number == 2:
                    ready.set()
                    assert go.wait(30)
                callback(step(number))
        except KeyboardInterrupt:
            return f"the best of {seen[-1]}"
        return "whole"

    job = queue.submit(work)
    assert ready.wait(30)
    queue.cancel(job)
    go.set()
    wait_until(lambda: job.over)
    assert (job.state, job.outcome) == ("done", "the best of 2")


@pytest.mark.parametrize("event", [step(5), Rows(1, 2)])
def test_what_is_almost_done_is_let_through(event):
    job = Job(lambda callback: None)
    job.stop()
    job.hear(event)
    job.stop(abandoned=True)
    with pytest.raises(Abandoned):
        job.hear(event)


@pytest.mark.parametrize("event", [step(4), Message("loading", "wait")])
def test_what_is_stopped_ends_at_the_next_event(event):
    job = Job(lambda callback: None)
    job.hear(event)
    job.stop()
    with pytest.raises(KeyboardInterrupt):
        job.hear(event)


def test_an_error_is_the_jobs_own_and_the_queue_goes_on(queue, capsys):
    def wrong(callback):
        raise ImageError("no picture")

    def broken(callback):
        raise ZeroDivisionError("secret")

    jobs = [queue.submit(work) for work in (wrong, broken, lambda callback: 7)]
    wait_until(lambda: jobs[-1].over)
    assert [job.state for job in jobs] == ["failed", "failed", "done"]
    assert jobs[0].error == "no picture"
    assert "ZeroDivisionError" in jobs[1].error
    assert "secret" not in jobs[1].error
    assert "secret" in capsys.readouterr().err  # for whoever runs the server


def test_closing_ends_all_of_them():
    queue, blocker = JobQueue(), Blocker()
    running = queue.submit(blocker)
    assert blocker.begun.wait(30)
    waiting = queue.submit(lambda callback: None)
    threading.Timer(0.2, blocker.go.set).start()
    queue.close()
    assert waiting.state == "dropped"
    assert running.state == "failed"
    with pytest.raises(UsageError, match="stopping"):
        queue.submit(lambda callback: None)


def test_progress_is_kept_for_the_page():
    job = Job(lambda callback: None)
    job.hear(Message("loading vgg16", "wait"))
    assert job.text == "loading vgg16"
    job.hear(step(1))
    job.hear(Snapshot(1, np.full((40, 60, 3), 0.5, dtype=np.float32)))
    assert job.step == step(1)
    assert job.preview.startswith("data:image/jpeg;base64,")
    assert job.text == ""


def test_a_data_url_is_no_larger_than_asked():
    small, large = (data_url(np.random.default_rng(0).random((400, 600, 3), dtype=np.float32), n) for n in (32, 256))
    assert len(small) < 4000 < len(large)

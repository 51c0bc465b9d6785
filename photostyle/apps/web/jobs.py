"""The queue of the page: one job at a time on the device, the others in the order in which they came."""

from __future__ import annotations

import base64
import io
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photostyle.errors import PhotostyleError, UsageError
from photostyle.progress import Callback, Download, Event, Message, Rows, Snapshot, Step

_PREVIEW_SIDE = 320
_PREVIEW_EVERY = 0.5  # seconds


class Abandoned(PhotostyleError):  # noqa: N818 - what happened, as Interrupted
    """Nobody waits for the job any more: unlike a KeyboardInterrupt, it leaves no result."""


class Job:
    """One piece of work, what it tells of itself, and what came out.

    Attributes
    ----------
    state : str
        "waiting", "running", "done", "failed" or "dropped" (cancelled before it began).
    step : Step or None
        The last iteration.
    text : str
        What it does, where that isn't an iteration.
    preview : str
        The last snapshot as a data URL.
    outcome : object
        What the work returned.
    error : str
        Why it failed, one line.
    """

    def __init__(self, work: Callable[[Callback], Any]) -> None:
        self._work: Callable[[Callback], Any] | None = work
        self.state = "waiting"
        self.step: Step | None = None
        self.text = ""
        self.preview = ""
        self.outcome: Any = None
        self.error = ""
        self._stop = False
        self._abandoned = False
        self._shown = 0.0

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.state in ("done", "failed", "dropped")

    def stop(self, *, abandoned: bool = False) -> None:
        """Ask it to end between two steps; what is abandoned is not finished either, since nobody waits for it."""
        self._stop = True
        self._abandoned = self._abandoned or abandoned

    def hear(self, event: Event) -> None:
        """Receive the events of the run."""
        if isinstance(event, Step):
            self.step, self.text = event, ""
        elif isinstance(event, Snapshot):
            if time.monotonic() - self._shown > _PREVIEW_EVERY:
                self.preview, self._shown = data_url(event.image, _PREVIEW_SIDE), time.monotonic()
        elif isinstance(event, Message) and event.kind == "wait":
            self.text = event.text
        elif isinstance(event, Download):
            self.text = f"fetching {event.name}" + (f", {event.done / event.total:.0%}" if event.total else "")
        elif isinstance(event, Rows):
            self.text = f"painting the result, {event.done / event.total:.0%}"
        finishing = isinstance(event, Rows) or (self.step is not None and self.step.iteration >= self.step.iterations)
        if self._abandoned:
            raise Abandoned("nobody waits for it any more")
        if self._stop and not finishing:
            raise KeyboardInterrupt

    def run(self) -> None:
        """Do the work; whatever it raises becomes the job's error."""
        assert self._work is not None
        self.state = "running"
        try:
            self.outcome = self._work(self.hear)
            self.state = "done"
        except (KeyboardInterrupt, PhotostyleError, MemoryError) as error:
            self.error = str(error) or ("stopped" if isinstance(error, KeyboardInterrupt) else "out of memory")
            self.state = "failed"
        except Exception as error:  # a fault of ours must not end the queue
            if not self._abandoned:  # its folder is gone, so it may stumble over that
                traceback.print_exc()
            self.error = f"an error in photostyle itself ({type(error).__name__}): please report it"
            self.state = "failed"
        finally:
            self.drop_work()

    def drop_work(self) -> None:
        """Let go of everything that the work holds."""
        self._work = None


class JobQueue:
    """Runs jobs one after the other in a thread of its own."""

    def __init__(self, most: int = 100) -> None:
        self.most = most
        self._waiting: deque[Job] = deque()
        self._running: Job | None = None
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._loop, name="photostyle-jobs", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[Callback], Any]) -> Job:
        """Add a job at the end."""
        with self._changed:
            if self._closed:
                raise UsageError("the server is stopping: start it again")
            if len(self._waiting) >= self.most:
                raise UsageError(f"{self.most} runs wait already: try again in a few minutes")
            job = Job(work)
            self._waiting.append(job)
            self._changed.notify()
        return job

    def ahead(self, job: Job) -> int:
        """Count the jobs that come before one that waits, the running one included."""
        with self._changed:
            if job not in self._waiting:
                return 0
            return self._waiting.index(job) + (self._running is not None)

    def cancel(self, job: Job, *, abandoned: bool = False) -> None:
        """Take a waiting job out, or ask a running one to end; an abandoned one without its result."""
        with self._changed:
            job.stop(abandoned=abandoned)
            if job in self._waiting:
                self._waiting.remove(job)
                job.state, job.error = "dropped", "cancelled before it began"
                job.drop_work()

    def close(self, timeout: float = 10.0) -> None:
        """Drop what waits, end what runs, and wait for the thread, at most `timeout` seconds."""
        with self._changed:
            self._closed = True
            for job in (*self._waiting, *([self._running] if self._running else [])):
                job.stop(abandoned=True)
            for job in self._waiting:
                job.state, job.error = "dropped", "the server was stopped"
            self._waiting.clear()
            self._changed.notify()
        self._thread.join(timeout)

    def _loop(self) -> None:
        while True:
            with self._changed:
                self._running = None
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                job = self._running = self._waiting.popleft()
            job.run()


def data_url(rgb: NDArray[np.float32], side: int) -> str:
    """Encode a picture, shape (H, W, 3) in [0, 1], no longer than `side` pixels, as a data URL (JPEG)."""
    image = Image.fromarray(np.round(np.clip(rgb, 0, 1) * 255).astype(np.uint8))
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()

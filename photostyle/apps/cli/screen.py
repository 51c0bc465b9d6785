"""What a user sees of a run: a bar with losses and time left, notes, and an orderly Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn
from rich.status import Status
from rich.text import Text

from photostyle.progress import Download, Event, Message, Rows, Step

_BAR = 20  # characters


class Screen:
    """Receives the events of a run and shows them on standard error.

    The bar, and before it what is being waited for, are drawn only on a terminal; notes are written wherever standard
    error goes, unless quiet.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.progress: Progress | None = None
        self.task: TaskID | None = None
        self.status: Status | None = None
        self.prefix = ""

    def __enter__(self) -> Screen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if self.quiet:
            return
        if isinstance(event, Message):
            if event.kind == "detail":
                return
            mark = {"warning": "warning: ", "wait": "… "}.get(event.kind, "")
            self.say(f"{mark}{event.text}")
        elif isinstance(event, Step):
            text = f"{self.prefix}{event.stage} {event.size[0]}×{event.size[1]}"
            room = self.console.width - len(f"{text}  {event.iterations}/{event.iterations} ") - _BAR
            self._draw(text, event.iteration, event.iterations, _info(event, room))
        elif isinstance(event, Rows):
            self._draw(f"{self.prefix}{event.doing}", event.done, event.total, event.counted)
        elif isinstance(event, Download):
            self._draw(f"fetching {event.name}", event.done, event.total, "")

    def say(self, text: str) -> None:
        """Write one line."""
        if not self.quiet:
            self.console.print(Text(text))

    def wait(self, text: str) -> None:
        """Show that there is work without steps, until the first of them."""
        if not self.quiet and self.console.is_terminal:
            self._stop()
            self.status = self.console.status(text, spinner="line")
            self.status.start()

    def _draw(self, text: str, done: int, total: int | None, info: str) -> None:
        if not self.console.is_terminal:
            return
        if self.progress is None or self.task is None or self.progress.tasks[0].fields["kind"] != bool(info):
            self._stop()
            count = TextColumn("{task.completed:.0f}/{task.total:.0f}") if info else DownloadColumn()
            columns = (TextColumn("{task.description}"), BarColumn(_BAR), count, TextColumn("{task.fields[info]}"))
            self.progress = Progress(*columns, console=self.console, transient=True)
            self.task = self.progress.add_task(text, total=total, info=info, kind=bool(info))
            self.progress.start()
        self.progress.update(self.task, description=text, completed=done, total=total, info=info)

    def _stop(self) -> None:
        for drawn in (self.progress, self.status):
            if drawn is not None:
                drawn.stop()
        self.progress, self.task, self.status = None, None, None


def _info(event: Step, room: int) -> str:
    """Tell the losses and the time left: all losses if there is room, else their sum, else none."""
    left = f"{_clock(event.remaining)} left"
    for names in (list(event.losses), ["total"]):
        text = "  ".join([*(f"{name} {event.losses[name]:.4g}" for name in names if name in event.losses), left])
        if len(text) <= room:
            return text
    return left


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextlib.contextmanager
def loading(quiet: bool) -> Iterator[None]:
    """Show that something is imported, which takes seconds."""
    with Screen(quiet=quiet) as screen:
        screen.wait("loading")
        yield


class _Gate:
    """Turns the first Ctrl-C of a running optimisation into a wish that is met between two iterations."""

    def __init__(self, screen: Screen, kept: str) -> None:
        self.screen, self.kept = screen, kept
        self.running = False
        self.wished = False

    def __call__(self, event: Event) -> None:
        self.screen(event)
        if isinstance(event, Step):
            self.running = True  # to the end: the first Ctrl-C after the last step lets the result be saved
            if self.wished and event.iteration < event.iterations:
                self.wished = self.running = False
                raise KeyboardInterrupt

    def on_signal(self, _number: int, _frame: FrameType | None) -> Any:
        if not self.running or self.wished:
            raise KeyboardInterrupt
        self.wished = True
        self.screen.say(f"stopping after this step, {self.kept} (Ctrl-C again: at once)")


@contextlib.contextmanager
def gentle_interrupt(screen: Screen, kept: str = "the best picture is kept") -> Iterator[_Gate]:
    """Let the first Ctrl-C end a run between two iterations; yields the callback to run with."""
    screen.wait("preparing")
    gate = _Gate(screen, kept)
    if threading.current_thread() is not threading.main_thread():
        yield gate
        return
    before = signal.signal(signal.SIGINT, gate.on_signal)
    try:
        yield gate
    finally:
        signal.signal(signal.SIGINT, before)

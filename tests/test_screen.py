"""What a user sees of a run, and what the first and the second Ctrl-C do."""

from __future__ import annotations

import io
import re
import signal
import threading

import pytest
from rich.console import Console

from photostyle.apps.cli.screen import Screen, gentle_interrupt
from photostyle.progress import Download, Message, Snapshot, Step


@pytest.fixture(autouse=True)
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)


def screen_on(*, is_terminal, quiet=False, width=140):
    screen = Screen(quiet=quiet)
    screen.console = Console(
        file=io.StringIO(),
        force_terminal=is_terminal,
        force_interactive=is_terminal,
        width=width,
        color_system=None,
        soft_wrap=screen.console.soft_wrap,
    )
    return screen


LOSSES = {"content": 0.25, "total": 1.5}


def step(iteration, iterations=40, remaining=75.0):
    return Step("style", (64, 48), iteration, iterations, LOSSES, 3.0, remaining)


def shown(screen):
    return screen.console.file.getvalue()


def test_steps_on_a_terminal_are_a_bar():
    with screen_on(is_terminal=True) as screen:
        screen(step(7))
        screen.progress.refresh()
        screen(step(8, remaining=3725.0))
        screen.progress.refresh()
        assert len(screen.progress.tasks) == 1
    for word in ("style 64×48", "7/40", "8/40", "content 0.25", "total 1.5", "1:15 left", "1:02:05 left"):
        assert word in shown(screen)
    assert screen.progress is None


@pytest.mark.parametrize(
    ("width", "told"), [(140, {"content", "total", "left"}), (80, {"total", "left"}), (60, {"left"})]
)
def test_where_there_is_little_room_losses_are_left_out_and_not_the_bar(width, told, monkeypatch):
    names = ("content", "style", "tv", "edge", "color", "total")
    monkeypatch.setitem(globals(), "LOSSES", dict.fromkeys(names, 0.01234))
    with screen_on(is_terminal=True, width=width) as screen:
        screen(step(107, iterations=300))
        screen.progress.refresh()
    assert {word for word in ("content", "total", "left") if word in shown(screen)} == told
    (line,) = {line for line in re.split(r"\x1b\[2K|[\r\n]", shown(screen)) if "107/300" in line}
    assert line.startswith("style 64×48 ━━━━━━━")
    assert len(line.rstrip()) <= width
    assert "1:15 left" in line


def test_that_a_run_begins_is_shown_until_its_first_step():
    screen = screen_on(is_terminal=True)
    with screen, gentle_interrupt(screen) as gate:
        assert screen.status is not None
        gate(Message("a decision"))
        gate(step(1))
        assert screen.status is None
        assert screen.progress is not None
    assert "preparing" in shown(screen)
    with screen_on(is_terminal=True, quiet=True) as screen, gentle_interrupt(screen):
        assert screen.status is None


def test_downloads_on_a_terminal_are_a_bar_of_bytes():
    with screen_on(is_terminal=True) as screen:
        screen(Download("vgg16", 1_500_000, 58_000_000))
        screen.progress.refresh()
        screen(Download("vgg19", 2_500_000, None))
        screen.progress.refresh()
    assert "fetching vgg16" in shown(screen)
    assert "1.5/58.0 MB" in shown(screen)
    assert "fetching vgg19" in shown(screen)


def test_a_bar_of_steps_takes_the_place_of_one_of_bytes():
    with screen_on(is_terminal=True) as screen:
        screen(Download("vgg16", 5, 10))
        first = screen.progress
        screen(step(1))
        assert screen.progress is not first
        assert first.finished or not first.live.is_started
        screen.progress.refresh()
    assert "1/40" in shown(screen)


def test_messages_are_lines_everywhere():
    for is_terminal in (True, False):
        with screen_on(is_terminal=is_terminal) as screen:
            screen(Message("a decision on [red]labels[/red]"))
            screen(Message("not as wished", "warning"))
            screen(Message("fetching", "wait"))
            screen(Message("for the record", "detail"))
            screen(Message(300 * "x"))
        lines = shown(screen).splitlines()
        assert lines == ["a decision on [red]labels[/red]", "warning: not as wished", "… fetching", 300 * "x"]


def test_messages_while_a_bar_is_shown():
    with screen_on(is_terminal=True) as screen:
        screen(step(1))
        screen(Message("a decision"))
    assert "a decision\n" in shown(screen)


def test_nothing_but_messages_away_from_a_terminal():
    with screen_on(is_terminal=False) as screen:
        screen(step(7))
        screen(Download("vgg16", 5, 10))
        screen(Snapshot(7, None))
    assert shown(screen) == ""


@pytest.mark.parametrize("is_terminal", [True, False])
def test_quiet_shows_nothing(is_terminal):
    with screen_on(is_terminal=is_terminal, quiet=True) as screen:
        for event in (step(1), Download("vgg16", 5, 10), Message("a decision", "warning")):
            screen(event)
        screen.say("a line")
    assert shown(screen) == ""


def test_an_error_takes_the_bar_away():
    screen = screen_on(is_terminal=True)
    bars = []

    def fail():
        with screen:
            screen(step(1))
            bars.append(screen.progress)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert screen.progress is None
    assert not bars[0].live.is_started


def test_standard_error_by_default(capsys):
    with Screen() as screen:
        screen(Message("a decision"))
        screen(step(3))
    captured = capsys.readouterr()
    assert captured.err == "a decision\n"
    assert captured.out == ""


# Ctrl-C


def test_first_interrupt_ends_the_run_between_two_iterations():
    before = signal.getsignal(signal.SIGINT)
    screen = screen_on(is_terminal=False)
    with gentle_interrupt(screen) as gate:
        gate(step(1))
        signal.raise_signal(signal.SIGINT)
        assert "stopping after this step" in shown(screen)
        gate(Message("still alive"))
        with pytest.raises(KeyboardInterrupt):
            gate(step(2))
    assert signal.getsignal(signal.SIGINT) is before


def test_second_interrupt_ends_the_run_at_once():
    with gentle_interrupt(screen_on(is_terminal=False)) as gate:
        gate(step(1))
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_interrupt_while_nothing_runs_ends_at_once():
    with gentle_interrupt(screen_on(is_terminal=False)), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)  # the pictures are being read


def test_interrupt_while_the_result_is_finished_lets_it_be_saved():
    with gentle_interrupt(screen_on(is_terminal=False)) as gate:
        gate(step(39))
        gate(step(40))
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_interrupt_while_what_was_reached_is_saved_ends_at_once():
    with gentle_interrupt(screen_on(is_terminal=False)) as gate:
        gate(step(1))
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            gate(step(2))
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_handler_comes_back_after_an_error():
    before = signal.getsignal(signal.SIGINT)

    def fail():
        with gentle_interrupt(screen_on(is_terminal=False)):
            assert signal.getsignal(signal.SIGINT) is not before
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert signal.getsignal(signal.SIGINT) is before


def test_another_thread_leaves_the_handler_alone():
    before, seen = signal.getsignal(signal.SIGINT), []

    def work():
        with gentle_interrupt(screen_on(is_terminal=False)) as gate:
            gate(step(1))
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]

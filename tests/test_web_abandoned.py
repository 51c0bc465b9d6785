"""A run whose tab is closed leaves nothing anywhere, whenever it is closed; one that is cancelled leaves its best."""

from __future__ import annotations

import tempfile

import pytest
from helpers import LAYERS, save
from web_helpers import Halves, wait_until

from photostyle.apps.web import running
from photostyle.apps.web.service import Service
from photostyle.apps.web.session import Limits
from photostyle.options.config import TransferConfig
from photostyle.pipeline import Result
from photostyle.progress import Message, Rows, Snapshot, Step

pytestmark = pytest.mark.slow

OPTIONS = {"size": 64, "iterations": 6}
PHOTO = {"mode": "photo", "denoise": "none"}


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def service(temporary, weights):
    made = Service(TransferConfig(weights=weights, **LAYERS), Limits(side=64), Halves())
    yield made
    made.close()
    assert not made.sessions.root.exists()


@pytest.fixture
def session(service, tmp_path):
    made = service.sessions.get("tab")
    service.take_content(made, save(tmp_path / "content.png"), "content.png")
    service.take_style(made, save(tmp_path / "style.png", seed=1), "style.png")
    return made


MOMENTS = {
    "before the first step": lambda event: isinstance(event, Message),
    "in between": lambda event: isinstance(event, Step) and event.iteration == 3,
    "at a snapshot": lambda event: isinstance(event, Snapshot),
    "at the last step": lambda event: isinstance(event, Step) and event.iteration == event.iterations,
    "while it is painted": lambda event: isinstance(event, Rows),
}


def leftovers(service, temporary):
    """What lies in the system's folder and the server's own besides the inbox, and besides PyTorch's cache."""
    root, inbox = service.sessions.root, service.sessions.inbox
    found = [path.name for path in (*temporary.iterdir(), *root.iterdir()) if path not in (root, inbox)]
    return [name for name in found if not name.startswith("torchinductor_")]


@pytest.mark.parametrize("compare", [False, True], ids=["transfer", "comparison"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_closed_tab_leaves_nothing(service, session, temporary, monkeypatch, capsys, moment, compare):
    reached = []
    plain = {name: getattr(running, name) for name in ("transfer", "compare")}

    def closing(callback):
        def on_event(event):
            if not reached and MOMENTS[moment](event):
                reached.append(event)
                service.sessions.close("tab")
            callback(event)

        return on_event

    for name in plain:
        monkeypatch.setattr(
            running, name, lambda name=name, *, callback, **given: plain[name](**given, callback=closing(callback))
        )
    options = {**OPTIONS, **(PHOTO if moment == "while it is painted" else {})}
    job = service.start(session, options, use_regions=True, compare=compare)
    wait_until(lambda: job.over)
    assert reached
    assert (job.state, job.outcome) == ("failed", None)
    assert leftovers(service, temporary) == []
    assert "Traceback" not in capsys.readouterr().err


def test_one_that_is_closed_while_its_result_is_saved_leaves_nothing(service, session, temporary, monkeypatch, capsys):
    plain = Result.save

    def closing(self, path, **given):
        service.sessions.close("tab")
        plain(self, path, **given)

    monkeypatch.setattr(Result, "save", closing)
    job = service.start(session, OPTIONS, use_regions=True)
    wait_until(lambda: job.over)
    assert job.state == "failed"
    assert leftovers(service, temporary) == []
    assert "Traceback" not in capsys.readouterr().err


def test_a_cancelled_run_keeps_its_best(service, session):
    job = service.start(session, {**OPTIONS, "iterations": 5000}, use_regions=True)
    wait_until(lambda: job.step is not None)
    service.cancel(session)
    wait_until(lambda: job.over)
    assert (job.state, job.outcome.stopped) == ("done", "stopped")
    assert job.outcome.files["picture"].is_file()

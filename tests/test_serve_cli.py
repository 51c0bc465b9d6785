"""``photostyle serve`` as a command: what it refuses, what it says, and how it ends."""

from __future__ import annotations

import builtins
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from cli_helpers import Workshop

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def shop(monkeypatch, capsys, tmp_path):
    return Workshop(monkeypatch, capsys, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--port", "70000"), "--port is 70000"),
        (("--port", "-1"), "--port is -1"),
        (("--token", "short"), "--token must be 8 to 200"),
        (("--token", "has a space in it"), "--token must be"),
        (("--max-upload", "0"), "--max-upload is 0"),
        (("--max-pixels", "nan"), "--max-pixels is nan"),
        (("--max-size", "8"), "--max-size is 8"),
        (("--device", "tpu"), "--device is 'tpu'"),
        (("--host", "no.such.host.invalid", "--port", "0"), "can't be used"),
    ],
)
def test_wrong_options_are_refused(shop, arguments, words):
    assert words in shop.refused(2, "serve", *arguments)


def test_a_port_in_use_is_refused_in_one_line(shop):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"port {port} of 127.0.0.1 can't be used" in shop.refused(2, "serve", "--port", port)


def test_without_gradio_the_error_names_the_install_command(shop, monkeypatch):
    real = builtins.__import__

    def missing(name, *rest, **given):
        if name == "gradio":
            raise ImportError("No module named 'gradio'")
        return real(name, *rest, **given)

    monkeypatch.setattr(builtins, "__import__", missing)
    assert "pip install 'photostyle[web]'" in shop.refused(2, "serve")


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_it_answers_and_ends_leaving_nothing(tmp_path, ending):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path), "PHOTOSTYLE_TOKEN": "correct-horse"}
    environment["COVERAGE_FILE"] = str(tmp_path.parent / "coverage")
    command = [sys.executable, "-m", "photostyle", "serve", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if found := re.search(r"http://127\.0\.0\.1:\d+/", line):
                break
        assert found, said
        assert httpx.get(found[0], trust_env=False).status_code == 401
        page = httpx.get(found[0], headers={"authorization": "Bearer correct-horse"}, trust_env=False)
        assert "photostyle" in page.text
        assert "correct-horse" not in "".join(said)
        assert len(list(tmp_path.glob("photostyle-*"))) == 1
        process.send_signal(ending)
        rest = process.stderr.read()
        assert process.wait(60) == 130
    assert "Traceback" not in rest
    assert "the pictures of all visitors are removed" in rest
    assert list(tmp_path.glob("photostyle-*")) == []


def test_other_addresses_without_a_token_are_warned_of(shop, monkeypatch):
    served = []
    monkeypatch.setattr("signal.signal", lambda number, handler: None)
    monkeypatch.setattr("photostyle.apps.web.server.run_server", lambda app, taken, say: served.append(app))
    monkeypatch.setattr("photostyle.apps.web.service.Service.warm_up", lambda self: None)
    outcome = shop("serve", "--host", "0.0.0.0", "--port", "0")
    assert outcome.code == 0
    assert "everybody who reaches 0.0.0.0 may use this page: pass --token" in outcome.err
    quiet = shop("serve", "--host", "0.0.0.0", "--port", "0", "--token", "correct-horse")
    assert "everybody" not in quiet.err
    assert len(served) == 2

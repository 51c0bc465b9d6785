"""Batches on Ray: the same bytes as on local processes, and addresses behind which there is no cluster."""

from __future__ import annotations

import json
import socket
import sys

import pytest
from batch_helpers import check_final, command, jobs_file, pictures, run_here, workplace

from photostyle.batches.ray_engine import check_address
from photostyle.errors import PhotostyleError, UsageError

pytestmark = pytest.mark.slow

TWO = "matrix: {content: photos/*.png, style: styles/s0.png}\noutput: %s/{content}-{style}.png\n"


def test_ray_gives_the_bytes_of_local_processes(tmp_path):
    folder = workplace(tmp_path)
    run_here(jobs_file(folder, TWO % "local"))
    path = jobs_file(folder, TWO % "cluster")
    process = command(path, "--engine", "ray", "--threads", 1, "--json")
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    summary = json.loads(out)
    assert (summary["engine"], summary["counts"]) == ("ray", {"done": 2})
    check_final(folder / "cluster", ["c0-s0.png", "c1-s0.png"])
    assert pictures(folder / "cluster") == pictures(folder / "local")


@pytest.mark.parametrize(
    "address", ["head", "head:", ":1", "head:http", "head:99999", "ray://head:1", "http://head:80"]
)
def test_an_address_must_be_one(address):
    with pytest.raises(UsageError, match="must be HOST:PORT"):
        check_address(address)


def test_where_nothing_answers_there_is_no_cluster():
    with socket.socket() as taken:  # bound, but not listening: nobody else can have the port
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(PhotostyleError, match=r"no Ray cluster answers at 127.0.0.1:\d+ \(.*refused.*ray start"):
            check_address(f"127.0.0.1:{taken.getsockname()[1]}")
    with pytest.raises(PhotostyleError, match=r"no Ray cluster answers at nowhere\.invalid:6379"):
        check_address("nowhere.invalid:6379")
    check_address(None)
    check_address("auto")


def test_what_answers_may_be_no_ray(monkeypatch):
    monkeypatch.setattr("photostyle.batches.ray_engine._PROBE", 4.0)
    server = socket.create_server(("127.0.0.1", 0))  # the system answers, and nobody says a word
    with server, pytest.raises(PhotostyleError, match="is no Ray cluster"):
        check_address(f"127.0.0.1:{server.getsockname()[1]}")


def test_a_missing_ray_names_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'photostyle\[batch\]'"):
        check_address(None)

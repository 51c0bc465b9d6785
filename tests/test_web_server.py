"""The page over HTTP: many clients at once, what is refused, closed tabs; a real server and the tiny network."""

from __future__ import annotations

import contextlib
import io
import json
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from helpers import picture
from measure_helpers import quick_scores
from PIL import Image
from web_helpers import Client, page_served, picture_bytes, wait_until

from photostyle.apps.web.server import bind
from photostyle.apps.web.session import Limits
from photostyle.errors import UsageError

CLIENTS = 20
HEAD = b"--x\r\ncontent-disposition: form-data; name=files; filename=a.png\r\n\r\n"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with page_served(tmp_path_factory.mktemp("server")) as page:
        yield page


@pytest.fixture
def client(served):
    made = Client(served.url)
    yield made
    made.close()


def tinted(number: int) -> bytes:
    """A picture in a colour that no other client has."""
    hue = np.array([number % 3, number // 3 % 3, number // 9]) / 2
    rgb = 0.8 * hue + 0.2 * picture(seed=number)
    buffer = io.BytesIO()
    Image.fromarray(np.round(rgb * 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def pixels(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as opened:
        return np.asarray(opened.convert("RGB"), dtype=np.float64) / 255


def test_twenty_clients_at_once_each_get_their_own(served):
    def visit(number: int) -> tuple[np.ndarray, dict]:
        client = Client(served.url)
        with client.tab():
            client.content(tinted(number), "same-name.png")
            client.styles(picture_bytes(seed=99))
            told = client.run(use="whole", strength=0.3)
            assert "Done in" in told, told[-1500:]
            result = pixels(client.fetch(told, "picture"))
            record = json.loads(client.fetch(told, "record"))
        client.close()
        return result, record

    with ThreadPoolExecutor(CLIENTS) as pool:
        results = list(pool.map(visit, range(CLIENTS)))
    contents = np.array([pixels(tinted(number)) for number in range(CLIENTS)])
    for number, (result, record) in enumerate(results):
        distances = np.abs(contents - result).mean((1, 2, 3))
        assert distances.argmin() == number
        assert record["losses"]["iteration"] == 4
    # whoever is gone leaves nothing behind
    wait_until(lambda: len(served.service.sessions) == 0)
    wait_until(lambda: [path.name for path in served.service.sessions.root.iterdir()] == ["inbox"])


def test_jobs_of_all_tabs_run_one_at_a_time(served):
    running, most = [], []
    lock = threading.Lock()

    def work(callback):
        with lock:
            running.append(1)
            most.append(len(running))
        with lock:
            running.pop()

    jobs = [served.service.jobs.submit(work) for _ in range(10)]
    wait_until(lambda: all(job.over for job in jobs))
    assert set(most) == {1}


def test_a_closed_tab_frees_its_job_and_its_pictures(served):
    client = Client(served.url)
    gone = threading.Event()
    with client.tab():
        client.content(picture_bytes())
        client.styles(picture_bytes(seed=1))
        session = served.service.sessions.get(client.session)
        data = [*client.defaults]
        data[client.places.index("use")], data[client.places.index("iterations")] = "whole", 100_000
        client.join(("run", "click"), data).raise_for_status()
        wait_until(lambda: session.job is not None and session.job.state == "running" and session.job.step is not None)
        assert session.folder.exists()
        gone.set()
    client.close()
    wait_until(lambda: session.job.over)
    wait_until(lambda: not session.folder.exists())
    after = served.service.jobs.submit(lambda callback: "next")
    wait_until(lambda: after.over)
    assert after.outcome == "next"


def test_a_second_run_of_a_tab_is_refused_while_one_runs(served, client):
    client.content(picture_bytes())
    client.styles(picture_bytes(seed=1))
    session = served.service.sessions.get(client.session)
    stop = threading.Event()
    session.job = served.service.jobs.submit(lambda callback: stop.wait(60))
    try:
        assert "isn't over yet" in client.run(use="whole")
    finally:
        stop.set()
    wait_until(lambda: session.job.over)


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../../../../etc/passwd", "http://example.org/a.png", "", "photostyle"]
)
def test_a_path_from_a_client_is_never_opened(client, path):
    answer = client.join(("content-file", "upload"), ["", client.file(path)])
    assert answer.status_code == 403
    answer = client.join(("run", "click"), ["", {"path": path, "meta": {"_type": "gradio.FileData"}}])
    assert answer.status_code == 403


def test_gradios_own_check_of_paths_is_on(served, client):
    assert not served.service.is_upload("/etc/passwd")
    inbox = served.service.sessions.inbox
    link = inbox / "link.png"
    link.symlink_to("/etc/passwd")
    assert client.join(("content-file", "upload"), ["", client.file(str(link))]).status_code == 403
    assert client.join(("content-file", "upload"), ["", client.file(f"{inbox}/../../x.png")]).status_code == 403
    link.unlink()


def test_the_pictures_of_others_are_in_no_route(served, client):
    client.content(picture_bytes())
    stored = served.service.sessions.get(client.session).content.path
    for path in (f"/gradio_api/file={stored}", f"/photostyle/file/{stored}", f"/photostyle/file/..%2f{stored.name}"):
        assert client.http.get(path).status_code == 404


def test_names_with_dots_and_slashes_go_nowhere(served, client):
    told = client.content(picture_bytes(), "../../../../tmp/evil.png")
    assert "evil.png" in told
    session = served.service.sessions.get(client.session)
    assert session.content.path.parent == session.folder
    assert [path.name for path in served.service.sessions.root.parent.glob("evil*")] == []


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.png", "x")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "is not a picture in a known format"),
        (zipped(), "is not a picture in a known format"),
        (picture_bytes()[:200], "is damaged or cut off"),
        (b"", "is an empty file"),
    ],
)
def test_what_is_no_picture_gets_a_message(client, data, words):
    told = client.content(data, "holiday.png")
    assert words in told
    assert "holiday.png" in told
    assert "Traceback" not in told
    assert "/tmp" not in told


def test_what_was_there_before_a_bad_upload_stays(served, client):
    client.content(picture_bytes(), "good.png")
    told = client.content(b"x", "bad.png")
    assert "good.png" in told
    assert served.service.sessions.get(client.session).content.name == "good.png"


def test_a_file_of_two_hundred_megabytes_is_refused_before_it_is_read(served, client):
    sent: list[int] = []

    def chunks():
        yield HEAD
        for _ in range(200):
            sent.append(1)
            yield b"\0" * 1_000_000

    headers = {"content-type": "multipart/form-data; boundary=x", "content-length": str(len(HEAD) + 200_000_000)}
    with contextlib.suppress(httpx.TransportError):  # it hangs up while we still send
        answer = client.http.post("/gradio_api/upload", content=chunks(), headers=headers)
        assert answer.status_code == 413
    assert list(served.service.sessions.inbox.rglob("*.tmp")) == []
    assert sum(sent) < 100
    assert "fine.png" in client.content(picture_bytes(), "fine.png")


def test_no_styles_no_content_and_wrong_values_get_messages(client):
    assert "There is no content picture yet" in client.run()
    client.content(picture_bytes())
    assert "There is no style picture yet" in client.run()
    client.styles(picture_bytes(seed=1))
    assert "--style-scale is 0" in client.run(style_scale=0)
    assert "--seed is -1" in client.run(seed=-1)


def test_too_many_styles_are_refused(served, client):
    told = client.styles(*[picture_bytes(seed=seed) for seed in range(served.service.limits.styles + 1)])
    assert "is one too many" in told
    assert len(served.service.sessions.get(client.session).styles) == served.service.limits.styles


def test_edits_reach_the_run(served, client):
    client.content(picture_bytes())
    client.styles(picture_bytes(seed=1), picture_bytes(seed=2))
    regions = served.service.sessions.get(client.session).regions
    height, width = regions.found.shape
    sky, water = regions.labels.index("sky"), regions.labels.index("water")
    half = width * height // 2
    state = {
        "version": regions.version,
        "runs": f"{half}x{sky},{width * height - half}x{water}",
        "choices": {"sky": 1, "water": -1},
    }
    told = client.run(state=json.dumps(state), use="each")
    record = json.loads(client.fetch(told, "record"))
    assert record["config"]["keep"] == ["water"]
    with Image.open(io.BytesIO(client.fetch(told, "regions"))) as opened:
        labels = np.asarray(opened)
    legend = json.loads(client.fetch(told, "legend"))["labels"]
    assert {legend[str(labels[0, 0])], legend[str(labels[-1, -1])]} == {"sky", "water"}
    result, content = pixels(client.fetch(told, "picture")), pixels(picture_bytes())
    below, above = np.abs(result - content)[-10:].mean(), np.abs(result - content)[:10].mean()
    assert below < 0.01 < above


def test_photo_mode_and_options_of_the_page_reach_the_record(client):
    client.content(picture_bytes())
    client.styles(picture_bytes(seed=1))
    told = client.run(mode="photo", use="each", iterations="3", strength=0.5, seed="7")
    config = json.loads(client.fetch(told, "record"))["config"]
    assert (config["mode"], config["iterations"], config["strength"], config["seed"]) == ("photo", 3, 1.0, 7)
    assert "?strength=0.50" in told  # it is chosen on the finished picture
    assert "--iterations is 'many'" in client.run(iterations="many")


def test_broken_edits_are_a_message(served, client):
    client.content(picture_bytes())
    client.styles(picture_bytes(seed=1))
    version = served.service.sessions.get(client.session).regions.version
    assert "can't be read" in client.run(state="{")
    assert "doesn't fit the picture" in client.run(state=json.dumps({"version": version, "runs": "7x0"}))


def test_a_run_whose_tab_ends_as_it_begins_says_so(served, client, monkeypatch):
    client.content(picture_bytes())
    client.styles(picture_bytes(seed=1))
    start = served.service.start

    def ended(session, *arguments, **options):
        served.service.sessions.close(client.session)
        return start(session, *arguments, **options)

    monkeypatch.setattr(served.service, "start", ended)
    assert "was away for too long" in client.run("run")


def test_the_comparison_has_both_pictures_and_scores(served, client, monkeypatch):
    quick_scores(monkeypatch)
    client.content(picture_bytes())
    client.styles(picture_bytes(seed=1), picture_bytes(seed=2))
    regions = served.service.sessions.get(client.session).regions
    height, width = regions.found.shape
    runs = f"{width * (height // 2)}x0,{width * (height - height // 2)}x4"
    told = client.run("compare", state=json.dumps({"version": regions.version, "runs": runs}), use="each")
    assert "style_regions" in told, told[-1500:]
    assert told.index("style_alex") < told.index("More scores") < told.index("edge_ssim")
    one, two = (pixels(client.fetch(told, name)) for name in ("segmented", "unsegmented"))
    assert one.shape == two.shape
    assert not np.array_equal(one, two)
    assert set(json.loads(client.fetch(told, "record"))["scores"]) == {"segmented", "unsegmented"}


def test_with_a_token_the_page_is_closed_to_others(tmp_path):
    with page_served(tmp_path, token="correct-horse") as page:
        client = Client(page.url, headers={"authorization": "Bearer correct-horse"})
        assert "content.png" in client.content(picture_bytes())
        client.http.headers.pop("authorization")
        for path in ("/config", "/", "/gradio_api/queue/data?session_hash=a"):
            assert client.http.get(path).status_code == 401
        client.close()


def test_when_the_server_ends_every_file_is_gone(tmp_path):
    with page_served(tmp_path, limits=Limits(side=64, sessions=3)) as page:
        client = Client(page.url)
        client.content(picture_bytes())
        root = page.service.sessions.root
        assert len(list(root.rglob("*.png"))) >= 1
        client.close()
    assert not root.exists()


def test_a_port_in_use_is_an_error_that_names_it():
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} of 127.0.0.1 can't be used .*another --port"):
            bind("127.0.0.1", port)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1", "a b"])
def test_a_host_that_is_not_ours_is_an_error(host):
    with pytest.raises(UsageError, match="can't be used"):
        bind(host, 0)

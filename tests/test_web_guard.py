"""What the guard lets through: hosts, the token, routes, sizes, files that were uploaded; and its headers."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse

from photostyle.apps.web.guard import BODY, COOKIE, HEADERS, Guard, names_only

TOKEN = "correct-horse"
UPLOAD = 1_000_000


async def echo(scope, receive, send):
    """An application that answers with what it was sent."""
    body = await Request(scope, receive).body()
    await PlainTextResponse(body or b"fine", headers={"server": "x", "x-frame-options": "ALLOWALL"})(
        scope, receive, send
    )


def ask(method, path, *, token=None, hosts=("localhost",), host="localhost", **given):
    """Ask a guard once."""
    guard = Guard(echo, hosts=hosts, token=token, upload=UPLOAD, uploaded=lambda path: path == "/inbox/a.png")

    async def request():
        transport = httpx.ASGITransport(app=guard)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            return await client.request(method, path, **given)

    return asyncio.run(request())


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/config",
        "/theme.css",
        "/assets/index.js",
        "/static/fonts/a.woff2",
        "/photostyle/page.js",
        "/gradio_api/queue/data",
        "/gradio_api/heartbeat/abc123",
        "/gradio_api/app_id",
        "/photostyle/here/abc123",
    ],
)
def test_what_the_page_needs_is_let_through(path):
    assert ask("GET", path).text == "fine"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/gradio_api/file=/etc/passwd"),
        ("GET", "/gradio_api/file/etc/passwd"),
        ("GET", "/gradio_api/proxy=http://example.org/"),
        ("GET", "/gradio_api/info"),
        ("GET", "/gradio_api/openapi.json"),
        ("GET", "/gradio_api/deep_link"),
        ("GET", "/gradio_api/heartbeat/a/b"),
        ("GET", "/assets/../../etc/passwd"),
        ("GET", "/assets/%2e%2e/%2e%2e/etc/passwd"),
        ("GET", "/docs"),
        ("GET", "/monitoring"),
        ("GET", "//etc/passwd"),
        ("POST", "/gradio_api/component_server"),
        ("POST", "/gradio_api/run/predict"),
        ("POST", "/gradio_api/call/run"),
        ("POST", "/login"),
        ("POST", "/"),
        ("PUT", "/"),
        ("DELETE", "/config"),
        ("OPTIONS", "/"),
        ("TRACE", "/"),
    ],
)
def test_nothing_else_is(method, path):
    assert ask(method, path, content=b"{}" if method == "POST" else None).status_code == 404


def test_every_answer_has_the_headers_once():
    for answer in (ask("GET", "/"), ask("GET", "/no"), ask("GET", "/", token=TOKEN), ask("GET", "/", host="evil.org")):
        for name, value in HEADERS.items():
            assert answer.headers.get_list(name) == [value]
        assert "server" not in answer.headers


def test_what_runs_on_the_page_may_speak_to_this_server_alone():
    policy = dict(part.strip().split(" ", 1) for part in HEADERS["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["connect-src"] == policy["form-action"] == "'self'"
    assert policy["object-src"] == policy["frame-ancestors"] == "'none'"
    assert "http" not in HEADERS["content-security-policy"]


@pytest.mark.parametrize("host", ["evil.org", "localhost.evil.org", "", "[::1"])
def test_other_names_are_refused(host):
    answer = ask("GET", "/", headers={"host": host})
    assert answer.status_code == 421
    assert ask("GET", "/gradio_api/app_id", headers={"host": host}).status_code == 421
    assert ask("GET", "/", hosts=None, headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://localhost", 200), ("http://evil.org", 403), ("null", 403), ("http://localhost:99", 403)],
)
def test_requests_from_other_pages_are_refused(origin, status):
    answer = ask("POST", "/gradio_api/queue/join", json={}, headers={"origin": origin})
    assert answer.status_code == status


def test_without_the_token_nothing_is_told():
    page = ask("GET", "/", token=TOKEN)
    assert page.status_code == 401
    assert "Token" in page.text
    for path in ("/config", "/photostyle/page.js", "/gradio_api/queue/data", "/gradio_api/app_id", "/no"):
        assert ask("GET", path, token=TOKEN).status_code == 401
    assert ask("POST", "/gradio_api/upload", token=TOKEN, content=b"x").status_code == 401


@pytest.mark.parametrize("given", ["", "wrong", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "é"])
def test_a_wrong_token_opens_nothing(given):
    assert ask("GET", "/", token=TOKEN, params={"token": given}).status_code == 401
    bearer = {"authorization": f"Bearer {given}".encode()}
    assert ask("GET", "/config", token=TOKEN, headers=bearer).status_code == 401
    assert ask("GET", "/config", token=TOKEN, headers={"cookie": f"{COOKIE}={given}".encode()}).status_code == 401


def test_the_token_opens_as_bearer_as_cookie_and_as_a_link_that_becomes_one():
    assert ask("GET", "/config", token=TOKEN, headers={"authorization": f"Bearer {TOKEN}"}).text == "fine"
    assert ask("GET", "/config", token=TOKEN, headers={"cookie": f"a=b; {COOKIE}={TOKEN}"}).text == "fine"
    link = ask("GET", "/", token=TOKEN, params={"token": TOKEN})
    assert (link.status_code, link.headers["location"]) == (303, "/")  # the address shows it no more
    cookie = link.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert ask("GET", "/", token=TOKEN, headers={"cookie": f"{COOKIE}={TOKEN}"}).status_code == 200


def test_a_token_in_the_address_counts_on_the_page_alone():
    assert ask("GET", "/config", token=TOKEN, params={"token": TOKEN}).status_code == 401


def test_an_upload_may_be_as_large_as_said_and_no_larger():
    assert ask("POST", "/gradio_api/upload", content=b"x" * UPLOAD).status_code == 200
    assert ask("POST", "/gradio_api/upload", content=b"x" * (2 * UPLOAD)).status_code == 413
    assert ask("POST", "/gradio_api/queue/join", content=b"x" * (BODY + 1)).status_code == 413


def test_a_body_that_hides_its_length_is_cut_off():
    async def chunks():
        for _ in range(40):
            yield b"[" * 100_000

    answer = ask("POST", "/gradio_api/queue/join", content=chunks(), headers={"transfer-encoding": "chunked"})
    assert answer.status_code == 413
    with pytest.raises(ClientDisconnect):  # the application never sees the rest
        ask("POST", "/gradio_api/upload", content=chunks(), headers={"transfer-encoding": "chunked"})


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({"data": [{"path": "/inbox/a.png"}]}, 200),
        ({"data": [None, {"x": [{"path": "/inbox/a.png"}]}]}, 200),
        ({"data": [{"path": "/etc/passwd"}]}, 403),
        ({"data": [{"path": "/inbox/a.png"}, {"deep": {"path": "/inbox/../etc/passwd"}}]}, 403),
        ({"data": [{"path": "http://example.org/a.png"}]}, 403),
        ({"data": [{"path": 7}]}, 403),
        ({"path": "/etc/passwd"}, 403),
    ],
)
def test_a_request_names_uploads_alone(data, status):
    answer = ask("POST", "/gradio_api/queue/join", json=data)
    assert answer.status_code == status
    if status == 200:
        assert json.loads(answer.text) == data  # the application reads it as it was


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 200_000])
def test_what_is_no_json_is_refused(body):
    assert ask("POST", "/gradio_api/queue/join", content=body).status_code == 400


def test_names_are_looked_for_everywhere():
    assert names_only([1, "a", None, {"b": {}}], lambda path: False)
    assert not names_only([[{"a": [{"path": ""}]}]], lambda path: False)

"""What stands between the network and the page: who may ask, what may be asked, and how much may be sent.

gradio serves more than this page needs: files by path, a proxy, an API. Only the routes of the list below are let
through, a request may not name a file that wasn't uploaded here, and every answer carries security headers.
"""

from __future__ import annotations

import hmac
import html
import json
import re
from collections.abc import Callable, Container
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "photostyle_token"
BODY = 2_000_000
"""Bytes of a request that is no upload: the label map of a large picture takes a tenth of it."""

_SELF = "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
HEADERS = {
    # gradio's page has inline scripts, and compiles its templates; whatever runs may speak to this server alone
    "content-security-policy": _SELF + "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
"""What every answer carries."""

_GET = re.compile(
    r"/|/config|/theme\.css|/favicon\.ico|/robots\.txt|/manifest\.json|/(assets|static|svelte)/.+|/photostyle/.+"
    r"|/gradio_api/(startup-events|theme\.css|queue/data|upload_progress|app_id|heartbeat/[\w-]+)"
)
_POST = re.compile(r"/gradio_api/(upload|queue/join|cancel|reset)")

_ASK = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>photostyle</title>
<body style="font: 16px system-ui; max-width: 26rem; margin: 15vh auto; padding: 0 1rem"><h1>photostyle</h1>
<p>{text}</p><form method="get" action="/"><label>Token <input name="token" type="password" autocomplete="off"
required></label> <button>Open</button></form></body></html>"""


class Guard:
    """ASGI middleware around the whole server."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Container[str] | None,
        token: str | None,
        upload: int,
        uploaded: Callable[[str], bool],
    ) -> None:
        self.app, self.hosts, self.upload, self.uploaded = app, hosts, upload, uploaded
        self.token = token.encode() if token else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, _with_headers(send))

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        answer = self._refusal(scope, headers)
        if answer is None and scope["method"] == "POST":
            answer, receive = await self._body(scope, headers, receive)
        await (answer or self.app)(scope, receive, send)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> Response | None:
        """Return an answer to what may not be asked."""
        host = headers.get("host", "")
        if self.hosts is not None and _hostname(host) not in self.hosts:
            return PlainTextResponse("this server isn't known by that name", 421)
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return PlainTextResponse("requests from other pages are refused", 403)
        if self.token is not None and (answer := self._unknown(scope, headers)) is not None:
            return answer
        allowed = {"GET": _GET, "HEAD": _GET, "POST": _POST}.get(scope["method"])
        if allowed is None or not allowed.fullmatch(scope["path"]) or ".." in scope["path"].split("/"):
            return PlainTextResponse("there is nothing here", 404)
        return None

    def _unknown(self, scope: Scope, headers: dict[str, str]) -> Response | None:
        """Return an answer to those who don't know the token; None for the others."""
        assert self.token is not None
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if given and scope["path"] == "/":
            if not self._is_token(given):
                return HTMLResponse(_ASK.format(text=html.escape("That is not the token.")), 401)
            answer = RedirectResponse("/", 303)
            answer.set_cookie(COOKIE, given, httponly=True, samesite="strict", secure=scope["scheme"] == "https")
            return answer
        kind, _, bearer = headers.get("authorization", "").partition(" ")
        if (kind.lower() == "bearer" and self._is_token(bearer.strip())) or self._is_token(_cookie(headers)):
            return None
        if scope["path"] == "/":
            return HTMLResponse(_ASK.format(text="This page asks for its token; whoever started it has it."), 401)
        return PlainTextResponse("the token is missing or wrong", 401, {"www-authenticate": "Bearer"})

    def _is_token(self, given: str) -> bool:
        assert self.token is not None
        return hmac.compare_digest(given.encode(), self.token)

    async def _body(self, scope: Scope, headers: dict[str, str], receive: Receive) -> tuple[Response | None, Receive]:
        """Check the size of what is sent, and which files it names; return what gives the body once more."""
        uploading = scope["path"] == "/gradio_api/upload"
        most = self.upload + 100_000 if uploading else BODY  # what multipart adds
        length = headers.get("content-length", "")
        if (length.isdigit() and int(length) > most) or (not length and "transfer-encoding" not in headers):
            return _too_large(most), receive
        if uploading:
            return None, _limited(receive, most)
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > most:
                return _too_large(most), receive
            if message["type"] == "http.disconnect" or not message.get("more_body"):
                break
        try:
            data = json.loads(body or b"null")
            fine = names_only(data, self.uploaded)
        except (ValueError, RecursionError):
            return PlainTextResponse("the request is no JSON", 400), receive
        if not fine:
            return PlainTextResponse("the request names a file that wasn't uploaded here", 403), receive
        return None, _again(body, receive)


def names_only(data: Any, uploaded: Callable[[str], bool]) -> bool:
    """Whether all files that a request names, however deep, are uploads."""
    if isinstance(data, dict):
        path = data.get("path")
        if path is not None and not (isinstance(path, str) and uploaded(path)):
            return False
        return all(names_only(value, uploaded) for value in data.values())
    if isinstance(data, list):
        return all(names_only(value, uploaded) for value in data)
    return True


def _too_large(most: int) -> Response:
    return PlainTextResponse(f"at most {most / 1e6:.0f} MB may be sent", 413, {"connection": "close"})


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _cookie(headers: dict[str, str]) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _with_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            names = {name.encode() for name in HEADERS} | {b"server"}
            kept = [(name, value) for name, value in message.get("headers", []) if name.lower() not in names]
            message["headers"] = kept + [(name.encode(), value.encode()) for name, value in HEADERS.items()]
        await send(message)

    return wrapped


def _limited(receive: Receive, most: int) -> Receive:
    """Cut off a body that is longer than it may be, whatever it said of its length."""
    taken = 0

    async def wrapped() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        return message if taken <= most else {"type": "http.disconnect"}

    return wrapped


def _again(body: bytes, receive: Receive) -> Receive:
    """Give a body that was read already; afterwards the connection speaks for itself."""
    given = False

    async def wrapped() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return wrapped

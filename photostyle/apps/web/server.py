"""From a port to a running page: the socket, the two routes of our own, gradio's page, and the guard around them."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import gradio
import uvicorn
from fastapi import FastAPI, HTTPException, Query, Response
from fastapi.responses import FileResponse
from starlette.types import ASGIApp

from photostyle.apps.web.guard import Guard
from photostyle.apps.web.page import FONTS, build_page
from photostyle.apps.web.running import RESULT, part_way
from photostyle.apps.web.service import Service
from photostyle.errors import UsageError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Names under which only this machine is reached."""

_HERE = Path(__file__).parent
_GRACE = 2  # seconds for answers that are on their way when the server stops


def bind(host: str, port: int) -> socket.socket:
    """Take a port, before anything is loaded."""
    found = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
        if os.name == "posix":
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(128)  # the port is taken from here on, for certain
    except (OSError, OverflowError, UnicodeError) as error:
        if found is not None:
            found.close()
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise UsageError(
            f"port {port} of {host} can't be used ({reason}): stop the program that has it, or pass another --port "
            "or --host"
        ) from None
    return found


def make_app(service: Service, *, token: str | None, hosts: tuple[str, ...] | None) -> ASGIApp:
    """Put the page together."""
    os.environ["GRADIO_TEMP_DIR"] = str(service.sessions.inbox)  # where gradio puts uploads; it reads this each time
    os.environ["GRADIO_ANALYTICS_CACHE_FREQUENCY"] = str(10**9)  # its statistics of the queue are shown to nobody
    os.environ["GRADIO_ANALYTICS_MAX_EVENTS"] = "1"
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/photostyle/page.js")
    def script() -> FileResponse:
        return FileResponse(_HERE / "page.js", media_type="text/javascript", headers={"cache-control": "no-cache"})

    @app.get("/photostyle/file/{key}")
    def file(key: str, strength: Annotated[float, Query(ge=0, le=1)] = 1.0) -> FileResponse:
        found = service.sessions.file(key)
        if found is None or not found[0].is_file():
            raise HTTPException(404, "this file is gone: run again")
        path = part_way(found[0], strength) if strength < 1 and found[0].name == RESULT else found[0]
        return FileResponse(path, filename=found[1], headers={"cache-control": "private, no-store"})

    @app.get("/photostyle/here/{name}")
    def here(name: str) -> Response:
        service.sessions.hear_of(name)
        return Response(status_code=204)

    with ThreadPoolExecutor(1) as thread:  # this one may have a loop already
        thread.submit(asyncio.run, _mount(app, service)).result()
    return Guard(app, hosts=hosts, token=token, upload=service.limits.upload, uploaded=service.is_upload)


async def _mount(app: FastAPI, service: Service) -> None:
    """Add gradio's page; inside a running loop, since gradio otherwise makes loops that nobody closes."""
    page = build_page(service)
    gradio.mount_gradio_app(
        app,
        page,
        "/",
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=service.limits.upload,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=gradio.themes.Soft(primary_hue="indigo", font=FONTS, font_mono=["ui-monospace", "monospace"]),
        css_paths=[_HERE / "page.css"],
        head='<script src="photostyle/page.js" defer></script>',
    )
    page.has_launched = True  # else gradio leaves out its own check that a file lies among the uploads


def run_server(app: ASGIApp, taken: socket.socket, on_start: Callable[[uvicorn.Server], None]) -> None:
    """Answer until Ctrl-C, or until somebody sets ``should_exit`` of what `on_start` is given."""
    settings = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=_GRACE, lifespan="on"
    )
    server = uvicorn.Server(settings)
    on_start(server)
    server.run(sockets=[taken])

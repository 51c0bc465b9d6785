"""``photostyle serve``: the web page, on this machine alone unless told otherwise."""

from __future__ import annotations

import os
import re
import signal
import threading
from dataclasses import replace
from typing import Annotated

import typer

from photostyle.apps.cli.screen import Screen
from photostyle.errors import Interrupted, UsageError
from photostyle.options.config import TransferConfig, option_help
from photostyle.progress import Message

_TOKEN = re.compile(r"[\w.~-]{8,200}", re.ASCII)


_Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        metavar="TEXT",
        envvar="PHOTOSTYLE_TOKEN",
        help="What visitors must know; safer in the environment variable, which other users don't see.",
        show_default=False,
        show_envvar=True,
    ),
]


def serve_command(
    host: Annotated[
        str, typer.Option("--host", metavar="HOST", help="Address to answer at; 0.0.0.0 is every network.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="N", help="Port; 0 takes any that is free.")] = 7860,
    token: _Token = None,
    max_upload: Annotated[
        float, typer.Option("--max-upload", metavar="MB", help="Largest file that is taken, in megabytes.")
    ] = 20,
    max_pixels: Annotated[
        float, typer.Option("--max-pixels", metavar="MP", help="Largest picture that is taken, in megapixels.")
    ] = 24,
    max_size: Annotated[
        int, typer.Option("--max-size", metavar="N", help="Longest side of a result, in pixels.")
    ] = 1024,
    device: Annotated[str, typer.Option("--device", metavar="NAME", help=option_help("device"))] = "auto",
    backbone: Annotated[
        str | None, typer.Option("--backbone", metavar="NAME", help=option_help("backbone"), show_default=False)
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help=option_help("offline"))] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Open the web page of photostyle until Ctrl-C; nothing of it leaves this machine."""
    config = replace(TransferConfig(), device=device, backbone=backbone, offline=offline)
    _check(port, token, max_upload, max_pixels, max_size)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before gradio is imported: it asks its maker for news
    try:
        import gradio  # noqa: F401 - whether it is there
    except ImportError as error:
        raise UsageError(f"serve needs gradio ({error}): pip install 'photostyle[web]'") from None
    from photostyle.apps.web.server import LOOPBACK, bind, make_app, run_server
    from photostyle.apps.web.service import Service
    from photostyle.apps.web.session import Limits

    with Screen(quiet=quiet) as screen, bind(host, port) as taken:
        screen(Message("loading the page", "wait"))
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: files are removed
        limits = Limits(upload=round(max_upload * 1e6), pixels=round(max_pixels * 1e6), side=max_size)
        service = Service(config, limits)
        try:
            service.warm_up()
            app = make_app(service, token=token, hosts=LOOPBACK if host in LOOPBACK else None)
            if host not in LOOPBACK and not token:
                text = f"everybody who reaches {host} may use this page: pass --token, or stay at 127.0.0.1"
                screen(Message(text, "warning"))
            name = f"[{host}]" if ":" in host else host
            where = f"http://{name}:{taken.getsockname()[1]}/"
            run_server(app, taken, lambda _server: screen.say(f"photostyle is at {where} (Ctrl-C stops it)"))
        except KeyboardInterrupt:
            raise Interrupted("stopped; the pictures of all visitors are removed") from None
        finally:
            service.close()


def _check(port: int, token: str | None, max_upload: float, max_pixels: float, max_size: int) -> None:
    if not 0 <= port <= 65535:
        raise UsageError(f"--port is {port}, but must lie between 0 and 65535")
    if token is not None and not _TOKEN.fullmatch(token):
        raise UsageError("--token must be 8 to 200 letters, digits, or one of . _ ~ -")
    for flag, value in (("--max-upload", max_upload), ("--max-pixels", max_pixels)):
        if not 0 < value <= 10_000:
            raise UsageError(f"{flag} is {value:g}, but must be above 0, and at most 10000")
    if not 64 <= max_size <= 8192:
        raise UsageError(f"--max-size is {max_size}, but must lie between 64 and 8192")

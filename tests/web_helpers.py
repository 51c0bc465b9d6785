"""A running page with the tiny network, and a client that speaks to it as a browser does."""

from __future__ import annotations

import contextlib
import html
import io
import json
import os
import re
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import httpx
import numpy as np
import uvicorn
from helpers import LAYERS, image, tiny_weights

from photostyle.apps.web.server import LOOPBACK, bind, make_app, run_server
from photostyle.apps.web.service import Service
from photostyle.apps.web.session import Limits
from photostyle.images import Picture
from photostyle.options.config import TransferConfig
from photostyle.regions.labelmap.label_colors import LABEL_COLORS
from photostyle.regions.labels import LabelMasks
from photostyle.regions.segmentation import Segmentation
from photostyle.regions.segmentation.trust import Trust

__all__ = ["Client", "Halves", "Page", "page_served", "picture_bytes", "wait_until"]


class Page:
    """A page that answers: its address, and what is behind it."""

    def __init__(self, url: str, service: Service) -> None:
        self.url, self.service = url, service


class Halves:
    """A segmenter that sees sky above and building below, at once."""

    labels = tuple(LABEL_COLORS)

    def __call__(self, picture: Picture) -> Segmentation:
        height, width = picture.size[1], picture.size[0]
        masks = np.zeros((2, height, width), dtype=np.float32)
        masks[0, : height // 2] = masks[1, height // 2 :] = 1
        found = LabelMasks(("sky", "building"), masks)
        return Segmentation(found, self.labels, Trust(0.9, {"sky": 0.9, "building": 0.9}, ""), "halves")


@contextlib.contextmanager
def page_served(
    folder: Path, *, token: str | None = None, limits: Limits | None = None, segmenter: Any = None, **options: Any
) -> Iterator[Page]:
    """Serve the page from a thread, on a free port, with the tiny network."""
    config = TransferConfig(**{"weights": str(tiny_weights(folder)), **LAYERS, "iterations": 4, **options})
    before = os.environ.get("GRADIO_TEMP_DIR")
    service = Service(config, limits or Limits(side=64, grace=0.5), segmenter or Halves())  # type: ignore[arg-type]
    app = make_app(service, token=token, hosts=LOOPBACK)
    servers: list[uvicorn.Server] = []
    with bind("127.0.0.1", 0) as taken:
        thread = threading.Thread(target=run_server, args=(app, taken, servers.append))
        thread.start()
        try:
            wait_until(lambda: bool(servers) and servers[0].started)
            yield Page(f"http://127.0.0.1:{taken.getsockname()[1]}", service)
        finally:
            servers[0].should_exit = True
            thread.join(30)
            service.close()
            os.environ.pop("GRADIO_TEMP_DIR")
            if before is not None:  # another server goes on
                os.environ["GRADIO_TEMP_DIR"] = before
    assert not thread.is_alive()


def wait_until(condition: Any, seconds: float = 60.0) -> None:
    """Wait until something is so; fail if it doesn't come."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def picture_bytes(width: int = 64, height: int = 48, seed: int = 0) -> bytes:
    """A small picture as a PNG file."""
    buffer = io.BytesIO()
    image(width, height, seed).save(buffer, "PNG")
    return buffer.getvalue()


class Client:
    """One tab, without a browser.

    Parameters
    ----------
    url : str
    headers : mapping, optional
    """

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        self.http = httpx.Client(base_url=url, timeout=120, headers=headers, trust_env=False)
        self.session = secrets.token_hex(6)
        config = self.http.get("/config").raise_for_status().json()
        ids = {part["props"].get("elem_id"): part["id"] for part in config["components"]}
        self.calls = {
            (name, event): call["id"]
            for call in config["dependencies"]
            for target, event in call["targets"]
            for name, number in ids.items()
            if target == number
        }
        props = {part["props"].get("elem_id"): part["props"] for part in config["components"]}
        order = [self.calls["run", "click"]]
        inputs = next(call["inputs"] for call in config["dependencies"] if call["id"] == order[0])
        names = {number: name for name, number in ids.items()}
        self.defaults = [props[names[number]].get("value") for number in inputs]
        self.places = [names[number] for number in inputs]

    def upload(self, data: bytes, name: str = "picture.png") -> str:
        """Upload a file; returns where gradio says it lies."""
        answer = self.http.post("/gradio_api/upload", files={"files": (name, data)})
        return str(answer.raise_for_status().json()[0])

    def file(self, path: str, name: str = "picture.png") -> dict[str, Any]:
        """What the page sends of an uploaded file."""
        return {"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}}

    def join(self, call: tuple[str, str], data: list[Any]) -> httpx.Response:
        """Queue an event."""
        body = {"fn_index": self.calls[call], "data": data, "session_hash": self.session, "trigger_id": None}
        return self.http.post("/gradio_api/queue/join", json=body)

    def event(self, call: tuple[str, str], data: list[Any]) -> str:
        """Queue an event, and return all that comes of it, as text."""
        event_id = self.join(call, data).raise_for_status().json()["event_id"]
        told = []
        with self.http.stream("GET", "/gradio_api/queue/data", params={"session_hash": self.session}) as stream:
            for line in stream.iter_lines():
                if not line.startswith("data:"):
                    continue
                message = json.loads(line.removeprefix("data:"))
                told.append(json.dumps(message.get("output"), ensure_ascii=False))
                if message["msg"] == "process_completed" and message["event_id"] == event_id:
                    break
        return html.unescape("\n".join(told).replace('\\"', '"'))

    def content(self, data: bytes, name: str = "content.png") -> str:
        """Upload the content."""
        return self.event(("content-file", "upload"), ["", self.file(self.upload(data, name), name)])

    def styles(self, *pictures: bytes) -> str:
        """Upload styles."""
        files = [self.file(self.upload(data, f"style{i}.png"), f"style{i}.png") for i, data in enumerate(pictures)]
        return self.event(("style-files", "upload"), ["", files])

    def run(self, button: str = "run", **inputs: Any) -> str:
        """Press a button that runs."""
        data = [
            inputs.get((name or "").replace("-", "_"), v) for name, v in zip(self.places, self.defaults, strict=True)
        ]
        return self.event((button, "click"), data)

    def fetch(self, told: str, what: str) -> bytes:
        """Fetch one of the files of a result."""
        found = re.search(rf'data-file="{what}" href="([^"]+)"', told)
        assert found, told[-2000:]
        return self.http.get("/" + found[1]).raise_for_status().content

    @contextlib.contextmanager
    def tab(self) -> Iterator[None]:
        """Keep the tab open, as the heartbeat of a browser does; it is closed at the end."""
        ready, leave = threading.Event(), threading.Event()

        def beat() -> None:
            with httpx.stream("GET", f"{self.http.base_url}/gradio_api/heartbeat/{self.session}", timeout=60) as stream:
                lines = stream.iter_lines()
                next(lines)
                ready.set()
                leave.wait(200)

        thread = threading.Thread(target=beat)
        thread.start()
        assert ready.wait(30)
        try:
            yield
        finally:
            leave.set()
            thread.join(30)

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

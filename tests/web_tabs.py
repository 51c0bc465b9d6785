"""A real browser, and a tab of it that shows the page."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright
from web_helpers import picture_bytes

__all__ = ["SIDE", "Tab", "chromium", "find_chromium"]

SIDE = 160
INSTALL = "no Chromium was found, which the tests of the page need: apt-get install chromium"
expect.set_options(timeout=60_000)


def find_chromium() -> str:
    """The path of a Chromium; where there is none the test fails, and says what to do."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    raise AssertionError(INSTALL)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start a Chromium."""
    with sync_playwright() as tools:
        found = tools.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        yield found
        found.close()


class Tab:
    """A tab, and what it said and asked meanwhile."""

    def __init__(self, browser: Browser, url: str, width: int, height: int) -> None:
        self.url = url
        self.context = browser.new_context(viewport={"width": width, "height": height}, accept_downloads=True)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.errors: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        self.page.on("request", lambda r: self.asked.append(r.url))
        self.page.goto(url)
        expect(self.page.locator("#run")).to_be_enabled()

    def upload(self, target: str, *files: tuple[str, bytes]) -> None:
        payload = [{"name": name, "mimeType": "image/png", "buffer": data} for name, data in files]
        self.page.locator(f"#{target} input[type=file]").set_input_files(payload)

    def fill(self) -> None:
        """Upload a content and two styles."""
        self.upload("content-file", ("castle.png", picture_bytes(SIDE, 120)))
        expect(self.page.locator(".ps-regions")).to_be_visible()
        self.upload("style-files", ("one.png", picture_bytes(seed=1)), ("two.png", picture_bytes(seed=2)))
        expect(self.page.locator("#style-cards li")).to_have_count(2)

    def press(self, button: str) -> None:
        """Click on a button that runs or cancels."""
        self.page.locator(f"#{button} button, button#{button}").first.click()

    def download(self, name: str) -> bytes:
        with self.page.expect_download() as waiting:
            self.page.locator(f'#result [data-file="{name}"]').click()
        return Path(waiting.value.path()).read_bytes()

"""A lost line, in a real browser: the tab goes on by itself, and what it had is still there."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from line import Line
from PIL import Image
from playwright.sync_api import Browser, expect
from web_helpers import page_served, wait_until
from web_tabs import SIDE, Tab, chromium

from photostyle.apps.web.session import Limits

pytestmark = pytest.mark.slow

OUTAGE = 1.0  # seconds; a browser sees at once that a connection was dropped


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with page_served(tmp_path_factory.mktemp("line"), limits=Limits(side=SIDE), iterations=12) as running:
        yield running


@pytest.fixture
def line(served) -> Iterator[Line]:
    with Line(urlsplit(served.url).port) as made:
        yield made


@pytest.fixture
def tab(browser, line) -> Iterator[Tab]:
    made = Tab(browser, line.url, 1280, 900)
    yield made
    made.context.close()


def lose(line: Line, seconds: float = OUTAGE) -> None:
    line.cut()
    time.sleep(seconds)
    line.mend()


def begin_a_long_run(tab: Tab) -> None:
    tab.page.get_by_text("More options").click()
    tab.page.get_by_label("Iterations").first.fill("5000")
    tab.page.get_by_label("Iterations").first.press("Tab")
    tab.press("run")
    expect(tab.page.get_by_role("progressbar")).to_be_visible()


def test_a_line_lost_in_a_run_brings_the_tab_back_to_its_run(tab, line):
    tab.fill()
    tab.page.get_by_label("Style of building").select_option(label="Keep as it is")
    begin_a_long_run(tab)
    with tab.page.expect_event("load"):  # it loads itself again
        lose(line)
    expect(tab.page.locator("#content-card")).to_contain_text("castle.png")
    expect(tab.page.locator("#style-cards li")).to_have_count(2)
    expect(tab.page.get_by_label("Style of building")).to_have_value("-1")
    expect(tab.page.get_by_role("progressbar")).to_be_visible()
    tab.press("cancel")
    expect(tab.page.locator("#status")).to_contain_text("this is the best picture after")
    with Image.open(io.BytesIO(tab.download("picture"))) as opened:
        assert opened.size == (SIDE, 120)
    tab.page.get_by_text("More options").click()
    expect(tab.page.get_by_label("Iterations").first).to_have_value("5000")


def test_a_line_lost_while_nothing_runs_changes_nothing(tab, line, served):
    tab.fill()
    tab.press("run")
    expect(tab.page.locator("#status")).to_contain_text("Done in")
    tab.page.wait_for_timeout(500)  # the last it hears of the run
    session = served.service.sessions.find(tab.page.evaluate("window.__gradio_session_hash__"))
    tab.page.evaluate("window.unchanged = true")
    lose(line)
    wait_until(lambda: session.left is not None)
    before = session.left
    with tab.page.expect_response("**/photostyle/here/*") as answer:
        tab.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    assert answer.value.status == 204
    assert session.left > before
    tab.page.get_by_role("button", name="Compare with unsegmented").click()
    expect(tab.page.locator("#status")).to_contain_text("with and without regions")
    assert tab.page.evaluate("window.unchanged")


def test_a_page_that_is_loaded_again_shows_pictures_paint_and_result(tab):
    tab.fill()
    tab.press("run")
    expect(tab.page.locator("#status")).to_contain_text("Done in")
    tab.page.get_by_role("radio", name="Paint building").check()
    tab.page.locator(".ps-size").fill("80")
    tab.page.locator(".ps-stage canvas").click(position={"x": 60, "y": 30})
    share = tab.page.locator('.ps-row[data-label="building"] .ps-share').inner_text()
    assert share != "50%"
    tab.page.reload()
    expect(tab.page.locator("#status")).to_contain_text("Done in")
    expect(tab.page.locator(".ps-slider")).to_be_visible()
    expect(tab.page.locator('.ps-row[data-label="building"] .ps-share')).to_have_text(share)
    expect(tab.page.locator("#content-card")).to_contain_text("castle.png")
    assert tab.errors == []


def test_after_too_long_the_page_says_so_and_begins_anew(browser, tmp_path):
    limits = Limits(side=SIDE, grace=0.2)
    with page_served(tmp_path, limits=limits, iterations=12) as running, Line(urlsplit(running.url).port) as line:
        tab = Tab(browser, line.url, 1280, 900)
        tab.fill()
        begin_a_long_run(tab)
        with tab.page.expect_event("load"):
            lose(line)
        expect(tab.page.locator("#status")).to_contain_text("was away for too long")
        tab.fill()
        tab.press("run")
        expect(tab.page.locator("#status")).to_contain_text("Done in")
        tab.context.close()

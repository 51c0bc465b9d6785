"""The report in a real browser: slider, sorting, filter, links, keyboard; no network and nothing on the console."""

from __future__ import annotations

import json

import pytest
from helpers import save
from playwright.sync_api import expect
from web_tabs import chromium

from photostyle.report.found import Run, Shot
from photostyle.report.page import html_page

NAMES = ("first", "second", "third")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page of three runs with losses 3, 1, 2, and one that failed."""
    folder = tmp_path_factory.mktemp("report")
    content = save(folder / "content.png")
    runs = []
    for number, name in enumerate(NAMES, 1):
        shots = (Shot("content", content, "input"), Shot("result", save(folder / f"{name}.png", seed=number), "result"))
        record = {"content": {"name": "content.png"}, "size": [64, 48], "seconds": 10.0 / number}
        scores = {"result": {"total": [3.0, 1.0, 2.0][number - 1]}}
        runs.append(Run(name, "transfer", "ok", record, {"seed": number, "mode": "artistic"}, shots, {}, scores))
    runs.append(Run("broken", "batch", "failed", {}, {}, message="its style is gone"))
    path = folder / "report.html"
    path.write_text(html_page(runs, title="A test"), encoding="utf-8")
    seen, trouble = [], []
    with chromium() as browser:
        tab = browser.new_page(viewport={"width": 390, "height": 800})
        tab.on("request", lambda request: seen.append(request.url))
        tab.on("console", lambda message: trouble.append(message.text))
        tab.on("pageerror", lambda error: trouble.append(str(error)))
        tab.goto(path.as_uri())
        yield tab
    assert [url for url in seen if not url.startswith(("file:", "data:"))] == []
    assert trouble == []


def names(page):
    """The rows of the index that are seen, in their order."""
    cells = page.locator("#index tbody tr:visible td:nth-child(2)")
    return [text.strip() for text in cells.all_inner_texts()]


def test_rows_are_sorted_with_what_is_missing_last(page):
    assert names(page) == [*NAMES, "broken"]
    head = page.get_by_role("button", name="total")
    head.click()
    assert names(page) == ["second", "third", "first", "broken"]
    assert page.locator("th[aria-sort=ascending]").count() == 1
    head.press("Enter")
    assert names(page) == ["first", "third", "second", "broken"]
    page.get_by_role("button", name="name").click()
    assert names(page) == ["broken", *NAMES]


def test_rows_are_filtered(page):
    words = page.get_by_label("Show what holds")
    words.fill("style is GONE")
    assert names(page) == ["broken"]
    assert page.locator("#shown").inner_text() == "1 of 4"
    assert page.locator("details.run:visible").count() == 1
    words.fill("")
    page.get_by_label("Status").select_option("ok")
    assert sorted(names(page)) == sorted(NAMES)
    page.get_by_label("Status").select_option("")
    assert len(names(page)) == 4


def test_the_slider_moves_with_the_keyboard(page):
    run = page.locator("#run-1")
    slider = run.get_by_role("slider")
    share = run.locator(".frame").evaluate("frame => frame.style.getPropertyValue('--x')")
    assert share == "50%"
    slider.focus()
    for _ in range(4):
        slider.press("ArrowRight")
    assert run.locator(".frame").evaluate("frame => frame.style.getPropertyValue('--x')") == "52%"
    slider.press("Home")
    assert run.locator(".frame").evaluate("frame => frame.style.getPropertyValue('--x')") == "0%"


def test_any_two_pictures_can_be_compared(page):
    run = page.locator("#run-1")
    store = json.loads(page.locator("#store").text_content())
    keys = [button.get_attribute("data-key") for button in run.locator(".pictures button").all()]
    assert run.locator("img.before").get_attribute("src") == store[keys[0]]
    assert run.locator("img.after").get_attribute("src") == store[keys[1]]
    run.locator("select.left").select_option("result")
    run.locator(".pictures button").first.click()
    assert run.locator("img.before").get_attribute("src") == store[keys[1]]
    assert run.locator("img.after").get_attribute("src") == store[keys[0]]
    assert run.locator("img.after").evaluate("image => image.naturalWidth") == 64


def test_a_link_opens_its_run(page):
    run = page.locator("#run-3")
    assert run.get_attribute("open") is None
    page.get_by_role("link", name="third", exact=True).click()
    expect(run).to_have_attribute("open", "")
    assert run.locator("img.after").evaluate("image => image.complete && image.naturalWidth") == 64


def test_a_phone_needs_no_sideways_scrolling(page):
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    unnamed = page.evaluate(
        "[...document.querySelectorAll('input, select, button')].filter(e => !e.labels?.length && "
        "!e.getAttribute('aria-label') && !e.textContent.trim()).length"
    )
    assert unnamed == 0

"""The page in a real browser: from upload to result, by mouse and by keyboard, on a desk and on a phone."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import numpy as np
import pytest
from helpers import SAMPLES
from PIL import Image
from playwright.sync_api import Browser, expect
from web_helpers import page_served, picture_bytes
from web_tabs import SIDE, Tab, chromium, find_chromium

from photostyle.apps.web.session import Limits
from photostyle.studies.segment import Segmenter

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with page_served(tmp_path_factory.mktemp("page"), limits=Limits(side=SIDE), iterations=30) as running:
        yield running


@pytest.fixture
def tab(browser, served) -> Iterator[Tab]:
    made = Tab(browser, served.url, 1280, 900)
    yield made
    made.context.close()


@pytest.fixture
def phone(browser, served) -> Iterator[Tab]:
    made = Tab(browser, served.url, 390, 844)
    yield made
    made.context.close()


def test_a_missing_chromium_is_a_failure_that_says_what_to_do(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(AssertionError, match="apt-get install chromium"):
        find_chromium()


def test_from_upload_to_a_finished_picture_for_each_region(tab):
    page = tab.page
    tab.fill()
    expect(page.locator(".ps-row:visible")).to_have_count(2)
    assert [row.get_attribute("data-label") for row in page.locator(".ps-row:visible").all()] == ["sky", "building"]
    page.locator("#run button, button#run").first.click()
    bar = page.get_by_role("progressbar")
    expect(bar).to_be_visible()
    expect(page.locator(".ps-progress")).to_contain_text("left")
    expect(page.locator(".ps-losses")).to_contain_text("total")
    expect(page.locator("#status")).to_contain_text("Done in")
    slider = page.get_by_role("slider", name="Before to the left of the line")
    before = page.locator(".ps-before").evaluate("e => getComputedStyle(e).clipPath")
    slider.focus()
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    assert page.locator(".ps-before").evaluate("e => getComputedStyle(e).clipPath") != before
    assert page.locator(".ps-slider img").evaluate_all("all => all.every(e => e.naturalWidth > 0)")
    with Image.open(io.BytesIO(tab.download("picture"))) as opened:
        assert opened.size == (SIDE, 120)
    record = json.loads(tab.download("record"))
    assert record["config"]["iterations"] == 30
    with Image.open(io.BytesIO(tab.download("regions"))) as opened:
        assert len(np.unique(np.asarray(opened))) == 2
    assert tab.errors == []
    assert {url.split("/")[2] for url in tab.asked if url.startswith("http")} == {tab.url.split("/")[2]}
    assert all(url.startswith(("http", "data:", "blob:")) for url in tab.asked)


def test_the_strength_of_a_photograph_is_chosen_on_the_finished_picture(tab):
    page = tab.page
    tab.fill()
    page.get_by_label("Photo: stays a photograph").check()
    page.locator("#run button, button#run").first.click()
    expect(page.locator("#status")).to_contain_text("Done in")
    with Image.open(io.BytesIO(tab.download("picture"))) as opened:
        whole = np.asarray(opened.convert("RGB"), dtype=float)
    page.get_by_label("Strength of the style").fill("40")
    expect(page.locator(".ps-strength output")).to_have_text("40%")
    assert page.locator(".ps-after").evaluate("e => getComputedStyle(e).opacity") == "0.4"
    with Image.open(io.BytesIO(tab.download("picture"))) as opened:
        part = np.asarray(opened.convert("RGB"), dtype=float)
    with Image.open(io.BytesIO(picture_bytes(SIDE, 120))) as opened:
        content = np.asarray(opened.convert("RGB"), dtype=float)
    assert np.abs(whole - content).mean() > 5
    np.testing.assert_allclose(part, content + 0.4 * (whole - content), atol=1)
    assert tab.errors == []


def test_a_mended_mask_reaches_the_result(tab):
    page = tab.page
    tab.fill()
    page.get_by_label("Style of building").select_option(label="Keep as it is")
    share = page.locator('.ps-row[data-label="building"] .ps-share')
    expect(share).to_have_text("50%")
    page.get_by_role("radio", name="Paint building").check()
    page.locator(".ps-size").fill("60")
    box = page.locator(".ps-stage canvas").bounding_box()
    page.mouse.move(box["x"] + 4, box["y"] + box["height"] * 0.15)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 4, box["y"] + box["height"] * 0.15, steps=8)
    page.mouse.up()
    painted = int(share.inner_text().rstrip("%"))
    assert painted > 60
    page.locator("#run button, button#run").first.click()
    expect(page.locator("#status")).to_contain_text("Done in")
    with Image.open(io.BytesIO(tab.download("regions"))) as opened:
        labels = np.asarray(opened)
    legend = json.loads(tab.download("legend"))["labels"]
    assert legend[str(labels[18, 80])] == legend[str(labels[-1, 80])] == "building"
    with Image.open(io.BytesIO(tab.download("picture"))) as opened:
        result = np.asarray(opened.convert("RGB"), dtype=float)
    with Image.open(io.BytesIO(picture_bytes(SIDE, 120))) as opened:
        content = np.asarray(opened, dtype=float)
    changed = np.abs(result - content).mean(2)
    assert changed[18, 40:120].mean() < 1 < changed[50, 40:120].mean()
    assert tab.errors == []


def test_the_eraser_and_undo_take_back(tab):
    page = tab.page
    tab.fill()
    share = page.locator('.ps-row[data-label="sky"] .ps-share')
    canvas = page.locator(".ps-stage canvas")
    box = canvas.bounding_box()
    place = {"x": box["width"] / 2, "y": box["height"] * 0.8}
    page.get_by_role("radio", name="Paint sky").check()
    page.locator(".ps-size").fill("80")
    canvas.click(position=place)
    expect(share).not_to_have_text("50%")
    page.get_by_role("button", name="Undo").click()
    expect(share).to_have_text("50%")
    canvas.click(position=place)
    page.get_by_role("radio", name="Eraser").check()
    canvas.click(position=place)
    expect(share).to_have_text("50%")
    # the same without a mouse: the brush moves with the arrows, and paints with the space bar
    page.get_by_role("radio", name="Paint sky").check()
    canvas.focus()
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    expect(share).not_to_have_text("50%")
    # a region that nobody found may be added
    page.locator(".ps-add select").select_option("water")
    expect(page.get_by_label("Style of water")).to_be_visible()


def test_cancelling_keeps_the_best_so_far(tab):
    page = tab.page
    tab.fill()
    page.get_by_text("More options").click()
    page.get_by_label("Iterations").first.fill("5000")
    page.get_by_label("Iterations").first.press("Tab")
    page.locator("#run button, button#run").first.click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.get_by_alt_text("The picture so far")).to_be_visible()
    page.locator("#cancel button, button#cancel").first.click()
    expect(page.locator("#status")).to_contain_text("this is the best picture after")
    expect(page.locator(".ps-slider")).to_be_visible()
    assert len(tab.download("picture")) > 1000


def test_the_comparison_shows_both_and_a_table(tab):
    page = tab.page
    tab.fill()
    page.locator("#run button, button#run").first.click()
    expect(page.locator("#status")).to_contain_text("Done in")
    page.get_by_role("button", name="Compare with unsegmented").click()
    expect(page.locator("#status")).to_contain_text("with and without regions")
    expect(page.locator("#result table tbody tr")).not_to_have_count(0)
    expect(page.locator("#result thead").first).to_contain_text("without")
    assert page.locator(".ps-slider img").evaluate_all("all => all.every(e => e.naturalWidth > 0)")
    assert tab.errors == []


@pytest.mark.parametrize(
    ("name", "data"),
    [("broken.png", picture_bytes()[:300]), ("drawing.png", b"<svg xmlns='x'/>"), ("a.png", b"PK\3\4zz")],
)
def test_a_corrupt_upload_shows_a_message(tab, name, data):
    tab.upload("content-file", (name, data))
    alert = tab.page.locator("#status [role=alert]")
    expect(alert).to_contain_text(name)
    assert "Traceback" not in tab.page.content()


def test_a_click_on_a_sample_loads_and_runs_it(browser, tmp_path):
    limits = Limits(side=SIDE)
    with page_served(tmp_path, limits=limits, segmenter=Segmenter("outdoor"), iterations=6) as running:
        tab = Tab(browser, running.url, 1280, 900)
        tab.page.get_by_role("button", name="An abbey, the sky kept").click()
        expect(tab.page.locator("#status")).to_contain_text("Done in")
        expect(tab.page.get_by_label("Style of sky")).to_have_value("-1")
        expect(tab.page.locator(".ps-row:visible")).not_to_have_count(1)
        assert json.loads(tab.download("record"))["config"]["keep"] == ["sky"]
        assert tab.errors == []
        tab.context.close()
    assert (SAMPLES / "montStMichel.webp").is_file()


def test_it_fits_a_phone(phone):
    phone.fill()
    phone.page.locator("#run button, button#run").first.click()
    expect(phone.page.locator("#status")).to_contain_text("Done in")
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390
    phone.page.get_by_role("button", name="Compare with unsegmented").click()
    expect(phone.page.locator("#result table").first).to_be_visible()
    phone.page.get_by_text("More options").click()
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert phone.page.evaluate("[...document.querySelectorAll('button, select, a')].every("
        "e => !e.offsetParent || e.getBoundingClientRect().right <= 391)")  # fmt: skip


def test_the_keyboard_reaches_everything_in_order(tab):
    tab.fill()
    reached = []
    tab.page.locator("body").focus()
    for _ in range(60):
        tab.page.keyboard.press("Tab")
        reached.append(
            tab.page.evaluate(
                "document.activeElement.closest('[id$=-file],[id$=-files],#use,.ps-stage,.ps-legend,#mode,#run')"
                "?.matches('.ps-stage,.ps-legend') ? document.activeElement.closest('.ps-stage,.ps-legend').className"
                " : document.activeElement.closest('[id$=-file],[id$=-files],#use,#mode,#run')?.id"
            )
        )
        if reached[-1] == "run":
            break
    order = [name for name in dict.fromkeys(reached) if name]
    assert order == ["content-file", "style-files", "use", "ps-stage", "ps-legend", "mode", "run"]
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator("#status")).to_contain_text("Done in")


def test_every_input_has_a_name_of_its_own(tab):
    tab.fill()
    tab.page.get_by_text("More options").click()
    unnamed = tab.page.evaluate(
        """() => [...document.querySelectorAll('input, select, textarea, button, [role=img]')]
        .filter(e => e.offsetParent && !(e.getAttribute('aria-label') || e.labels?.length
          || e.innerText?.trim() || e.getAttribute('title')))
        .map(e => e.outerHTML.slice(0, 120))"""
    )
    assert unnamed == []
    drops = tab.page.locator("[id$=-file] button, [id$=-files] button").evaluate_all(
        "all => all.map(e => e.getAttribute('aria-label'))"
    )
    assert len(drops) == len(set(drops)) == 2
    assert tab.page.locator("img:not([alt])").count() == 0
    assert tab.page.evaluate("document.documentElement.lang") == "en"
    groups = tab.page.locator("#mode, #use").evaluate_all("all => all.map(e => e.getAttribute('aria-label'))")
    assert groups == ["What takes a style", "Mode"]


def test_a_run_that_isnt_heard_of_is_asked_for_again(tab):
    """gradio can close its stream of answers just as an event is sent; whatever is sent next opens it again."""
    tab.fill()
    tab.page.wait_for_timeout(500)  # what the uploads sent is answered
    held = []

    def hold(route):
        held.append(route)
        if len(held) == 2:  # the answer to the run comes with that to the nudge
            for each in held:
                each.continue_()

    tab.page.route("**/gradio_api/queue/join**", hold)
    tab.press("run")
    expect(tab.page.locator("#status")).to_contain_text("Done in")
    assert len(held) >= 2

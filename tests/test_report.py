"""The HTML report: what it finds, what it embeds, and that it needs nothing else."""

from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from cli_helpers import Workshop
from helpers import save
from PIL import Image

import photostyle
from photostyle.errors import ImageError, UsageError
from photostyle.report.curves import loss_curves_svg
from photostyle.report.found import find_runs
from photostyle.report.page import html_page
from photostyle.studies.measure import SCORES

VOID = {"meta", "img", "input", "link", "br", "hr", "path", "use"}


@pytest.fixture
def shop(monkeypatch, capsys, tmp_path):
    return Workshop(monkeypatch, capsys, tmp_path)


class Nesting(HTMLParser):
    """Notes each element that isn't closed where it should be, and all links."""

    def __init__(self):
        super().__init__()
        self.open, self.wrong, self.links, self.ids = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href", "xlink:href") and value]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href", "xlink:href") and value]

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def parsed(page):
    nesting = Nesting()
    nesting.feed(page)
    assert nesting.wrong == []
    assert nesting.open == []
    return nesting


def store(page):
    return json.loads(re.search(r'<script type="application/json" id="store">(.*?)</script>', page, re.S).group(1))


def decoded(uri):
    assert uri.startswith("data:image/webp;base64,")
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGB"))


def blocks(rgb):
    """Means of 8×8 pixels."""
    return rgb.astype(float).reshape(6, 8, 8, 8, 3).mean(axis=(1, 3))


def test_a_page_of_everything_needs_nothing_else(shop):
    results = shop.output.parent
    assert shop.transfer(*shop.masks).code == 0
    assert shop.compare(results / "pair", *shop.masks).code == 0
    vary = ("--vary", "style_weight=1,10")
    arguments = ["sweep", shop.content, shop.style, "-o", results / "grid", *shop.network, *shop.quick]
    assert shop(*arguments, *vary).code == 0
    rows = {run.name: run for run in find_runs(results)}
    cells = sorted(name for name in rows if name.startswith("grid/"))
    assert [run.kind for run in rows.values()].count("sweep") == len(cells) == 2
    assert {"pair": "compare", "result": "transfer"}.items() <= {run.name: run.kind for run in rows.values()}.items()
    assert [shot.title for shot in rows["pair"].results] == ["unsegmented", "segmented"]
    assert [shot.title for shot in rows["result"].shots] == ["content", "style", "result", "regions"]
    assert rows[cells[0]].config.keys() == {"style_weight"}
    assert all(run.status == "ok" and run.missing == () for run in rows.values())

    outcome = shop("report", results)
    assert (outcome.code, outcome.out) == (0, "")
    page = (results / "report.html").read_text(encoding="utf-8")
    nesting = parsed(page)
    assert all(link.startswith(("data:image/", "#")) for link in nesting.links)
    assert "@import" not in page
    assert "url(http" not in page
    assert "default-src 'none'" in page
    assert len(nesting.ids) == len(set(nesting.ids))
    for link in nesting.links:
        assert not link.startswith("#run-") or link[1:] in nesting.ids
    pictures = store(page)
    assert {decoded(uri).shape for uri in pictures.values()} == {(48, 64, 3)}
    # content and style are in four runs, but once in the page; 5 results, 2 overlays, the regions over the content
    assert len(pictures) == 2 + 5 + 2 + 1
    assert page.count("data:image/svg+xml") == 2
    for text in ("style 1: sky", "unsegmented", "SHA-256", "style regions", "loss style"):
        assert text in page
    index = page[page.index('<table id="index">') : page.index("</table>")]
    heads = re.findall(r'<button type="button">([^<]*)</button>', index)
    assert heads.index("lpips") < heads.index("grain luma")
    assert not {"edge ssim", "style regions"} & set(heads), "the index has what tells most of the mode"


def test_a_comparison_of_an_earlier_version_is_read_with_one_matting(shop):
    folder = shop.output.parent / "pair"
    assert shop.compare(folder, *shop.masks).code == 0
    path = folder / "comparison.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    variants = record["scores"]
    old = ("content", "style_regions", "style_global")
    record["numbers"] = {v: {name: scores[name] for name in old} | {"matting": 77.0} for v, scores in variants.items()}
    photo = ("edge_ssim", "color", "gram", "matting")
    record["scores"] = {v: {name: scores[name] for name in photo} for v, scores in variants.items()}
    path.write_text(json.dumps(record), encoding="utf-8")
    (run,) = find_runs(folder)
    assert list(run.scores["segmented"]) == [*old, *photo]
    assert run.scores["segmented"]["matting"] == variants["segmented"]["matting"]
    assert SCORES["matting"].told.replace("'", "&#39;") in html_page([run], title="a")
    record["scores"] = {}
    path.write_text(json.dumps(record), encoding="utf-8")
    (run,) = find_runs(folder)
    assert list(run.scores["segmented"]) == list(old), "the other matting isn't told under this name"


def test_the_picture_in_the_page_is_the_result(shop):
    assert shop.transfer().code == 0
    page = html_page(find_runs(shop.output.parent), title="a")
    result = np.asarray(Image.open(shop.output).convert("RGB"))
    key = re.findall(r'data-key="(p\d+)" data-title="result"', page)
    assert len(key) == 1
    shown = np.abs(blocks(decoded(store(page)[key[0]])) - blocks(result)).mean()  # WebP is lossy in the details
    content = np.asarray(Image.open(shop.content).convert("RGB"))
    assert shown < 0.5 * np.abs(blocks(content) - blocks(result)).mean()


def test_names_are_shown_not_run(shop, tmp_path):
    evil = tmp_path / "<img src=x onerror=alert(1)>&.png"
    save(evil)
    assert shop("transfer", evil, shop.style, "-o", shop.output, *shop.network, *shop.quick).code == 0
    (shop.output.parent / "</script>.record.json").mkdir(parents=True)
    (shop.output.parent / "</script>.record.json" / "<b>.record.json").write_text("{")
    page = html_page(find_runs(shop.output.parent), title="</title><script>alert(2)</script>")
    parsed(page)
    assert "<img src=x" not in page
    assert "<script>alert" not in page
    assert "<b>.record" not in page


@pytest.mark.parametrize("command", ["transfer", "compare"])
def test_the_network_of_old_records_has_its_name_of_now(shop, command):
    """It was named vgg16; the network that is named so now is another."""
    if command == "transfer":
        assert shop.transfer().code == 0
    else:
        assert shop.compare(shop.output.parent / "cmp", *shop.masks).code == 0
    (path,) = [*shop.output.parent.rglob("*.record.json"), *shop.output.parent.rglob("comparison.json")]
    record = json.loads(path.read_text())
    former = "078000d61f661f3b9cf200aeeda05d21c099508cd8994a09079ac1452039cc87"
    for run in [record] if command == "transfer" else record["runs"].values():
        assert (run["backbone"]["name"], run["config"]["backbone"]) == ("vgg16", "vgg16")
        run["backbone"]["weights_sha256"] = former
    (before,) = find_runs(shop.output.parent)
    assert before.config["backbone"] == "vgg16"
    path.write_text(json.dumps(record))
    (run,) = find_runs(shop.output.parent)
    assert run.config["backbone"] == "hed"
    page = html_page([run], title="t")
    assert f"<dd>hed (it was named vgg16 when this was made), SHA-256 {former}</dd>" in page


def test_inputs_that_are_gone_are_named(shop):
    assert shop.transfer().code == 0
    shop.content.unlink()
    (run,) = find_runs(shop.output.parent)
    assert run.missing == (f"content: {shop.content}",)
    page = html_page([run], title="a")
    assert f"not found: content: {shop.content}" in page
    shop.output.unlink()
    (run,) = find_runs(shop.output.parent)
    assert "the result" in run.missing


def test_a_label_map_is_all_that_is_left(shop):
    assert shop.transfer(*shop.masks).code == 0
    for path in (shop.content, shop.style, shop.output):
        path.unlink()
    (run,) = find_runs(shop.output.parent)
    assert [shot.title for shot in run.shots] == ["regions"]
    assert len(store(html_page([run], title="a"))) == 1


def test_a_picture_of_another_size_is_another_picture(shop):
    assert shop.transfer().code == 0
    assert shop.compare(shop.output.parent / "pair", *shop.masks).code == 0
    for path in (shop.content, shop.output, shop.output.parent / "pair" / "segmented.png"):
        save(path, height=40)
    save(shop.style, height=90, width=80)
    pair, run = find_runs(shop.output.parent)
    another = "of 64×48 (what is there has another size)"
    assert run.missing == (f"content: {shop.content} {another}", f"the result {another}")
    assert pair.missing == (f"content: {shop.content} {another}", f"segmented.png {another}")
    assert [shot.title for shot in run.shots] == ["style"], "which may have had margins"
    save(shop.output.with_name("content.png"))
    assert find_runs(shop.output.parent)[1].shots[0].path == shop.output.with_name("content.png")


def test_a_content_that_stands_upright_by_its_exif_is_found(shop):
    exif = Image.Exif()
    exif[274] = 6
    Image.open(shop.content).save(shop.content, exif=exif)
    assert shop.transfer().code == 0
    (run,) = find_runs(shop.output.parent)
    assert run.missing == ()


def test_inputs_are_found_beside_the_record_too(shop):
    assert shop.transfer().code == 0
    shop.content.rename(shop.output.with_name("content.png"))
    (run,) = find_runs(shop.output.parent)
    assert run.missing == ()
    assert run.shots[0].path == shop.output.with_name("content.png")


def test_what_cannot_be_read_is_a_row(shop):
    assert shop.transfer().code == 0
    folder = shop.output.parent
    (folder / "torn.record.json").write_text('{"photostyle": "0.1.0", "conf')
    (folder / "other.record.json").write_text('{"something": "else"}')
    (folder / "list.record.json").write_text("[1]")
    shop.style.write_bytes(b"not a picture")
    runs = {run.name: run for run in find_runs(folder)}
    assert {name: run.status for name, run in runs.items()} == {
        "torn.record": "broken",
        "other.record": "broken",
        "list.record": "broken",
        "result": "ok",
    }
    outcome = shop("report", folder)
    assert outcome.code == 0
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "torn.record.json can&#39;t be read as a record" in page
    assert f"{shop.style}" in page


def test_jobs_of_a_batch_without_a_record_are_rows(tmp_path):
    job = {"output": "a/b.png", "status": "failed", "error": "content.png is gone", "options": {"seed": 3}}
    (tmp_path / "batch.json").write_text(json.dumps({"jobs": [job]}))
    (run,) = find_runs(tmp_path)
    assert (run.name, run.kind, run.status, run.message) == ("a/b", "batch", "failed", "content.png is gone")
    assert "content.png is gone" in html_page([run], title="a")


def test_curves_are_the_same_each_time():
    history = [{"iteration": i, "stage": "style", "size": [8, 8], "style": 1 / i, "total": 1 / i} for i in range(1, 9)]
    svg = loss_curves_svg({"a": history})
    assert svg.startswith("<svg")
    assert svg == loss_curves_svg({"a": history})
    assert "iteration" in svg


def test_progress_counts_runs(shop):
    assert shop.transfer().code == 0
    events = []
    photostyle.html_report(shop.output.parent, callback=events.append)
    assert [(event.done, event.total, event.counted) for event in events] == [(1, 1, "runs")]


def test_errors(shop, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UsageError, match="holds no results of photostyle"):
        photostyle.html_report(empty)
    with pytest.raises(ImageError, match="is no folder"):
        photostyle.html_report(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="--longest is 3"):
        photostyle.html_report(empty, longest=3)
    assert shop.refused(1, "report", tmp_path / "nowhere").startswith(f"{tmp_path / 'nowhere'} is no folder")
    assert "name it .html" in shop.refused(2, "report", empty, "-o", tmp_path / "a.pdf")
    assert shop.transfer().code == 0
    assert shop("report", shop.output.parent).code == 0
    assert "exists already" in shop.refused(2, "report", shop.output.parent)
    assert shop("report", shop.output.parent, "--overwrite", "-q").err == ""

"""The page: what stands where, and which click calls what. What happens then is in ``events.py``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from photostyle._version import __version__
from photostyle.apps.web import fragments
from photostyle.apps.web.events import EACH, NO_REGIONS, WELCOME, WHOLE, Events
from photostyle.apps.web.options import option_inputs
from photostyle.apps.web.samples import Sample, find_samples
from photostyle.apps.web.service import Service

FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
"""What the reader's machine has: nothing is fetched."""

_STATE = "(state, ...rest) => [window.photostyleRegions ? window.photostyleRegions() : '', ...rest]"
_BEFORE = """async () => {
  for (let tries = 0; tries < 100 && !window.photostyleBefore; tries++)  // page.js may come later than gradio is ready
    await new Promise((done) => setTimeout(done, 50));
  return window.photostyleBefore ? window.photostyleBefore() : ["", ""];
}"""
_QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
_SAMPLE_SIDE = 200
_HEAD = f"""<header class="ps-head"><h1>photostyle</h1>
<p>Give a picture the style of another, region by region.</p><small>{__version__}</small></header>"""


def build_page(service: Service, samples: Sequence[Sample] | None = None) -> gr.Blocks:
    """Build the page."""
    samples = find_samples() if samples is None else samples
    events = Events(service)
    page: gr.Blocks = gr.Blocks(title="photostyle", analytics_enabled=False)
    with page:
        gr.HTML(_HEAD)
        buttons = _sample_buttons(service, samples)
        with gr.Row(elem_id="columns", equal_height=False):
            with gr.Column(min_width=300, elem_id="left"):
                with gr.Column(elem_classes="ps-step"):
                    gr.HTML(_step(1, "Pictures"))
                    content_card = _html("content-card")
                    content_file = _file("Picture to change", "content-file", several=False)
                    style_cards = _html("style-cards")
                    style_files = _file("Style pictures (one or more)", "style-files", several=True)
                    clear = gr.Button("Remove all styles", size="sm", visible=False, elem_id="clear-styles")
                with gr.Column(elem_classes="ps-step"):
                    gr.HTML(_step(2, "Regions"))
                    kinds = [("A style for each region", EACH), ("One style for the whole picture", WHOLE)]
                    use = gr.Radio(kinds, value=EACH, label="What takes a style", elem_id="use")
                    regions = _html("regions", NO_REGIONS)
            with gr.Column(min_width=300, elem_id="right"):
                with gr.Column(elem_classes="ps-step"):
                    gr.HTML(_step(3, "Look"))
                    inputs = option_inputs(service.limits.side)
                with gr.Column(elem_classes="ps-step"):
                    gr.HTML(_step(4, "Result"))
                    with gr.Row(elem_id="buttons"):
                        run = gr.Button("Run", variant="primary", elem_id="run")
                        cancel = gr.Button("Cancel", interactive=False, elem_id="cancel")
                    status = _html("status", fragments.notice(WELCOME))
                    progress = _html("progress")
                    result = _html("result")
                    compare = gr.Button("Compare with unsegmented", visible=False, elem_id="compare")
        nudge = gr.Button(visible="hidden", elem_id="nudge")  # page.js says what for
        state, before = _hidden("state", "Regions as edited"), _hidden("before", "Name before")

        shown = [content_card, style_cards, clear, regions, use, status]
        takes: dict[str, Any] = {"concurrency_id": "pictures", "concurrency_limit": 1, **_QUIET}
        follows: dict[str, Any] = {"concurrency_limit": None, **_QUIET}
        runs: dict[str, Any] = {
            "inputs": [state, use, *inputs],
            "outputs": [status, progress, result, run, cancel, compare],
            "js": _STATE,
            **follows,
        }
        for file, event in ((content_file, events.content), (style_files, events.styles)):
            taken = file.upload(event, [state, file], shown, js=_STATE, preprocess=False, **takes)
            taken.then(lambda: None, outputs=file, **_QUIET)
        clear.click(events.clear, [state], shown, js=_STATE, **takes)
        for button, sample in zip(buttons, samples, strict=True):
            button.click(events.sample(sample), None, [*shown, inputs[0]], **takes).success(events.run, **runs)
        run.click(events.run, **runs)
        compare.click(events.compare, **runs)
        nudge.click(lambda: None, **follows)
        cancel.click(events.cancel, None, [status], concurrency_limit=None, **_QUIET)
        again = page.load(events.resume, [before, state], [*shown, *inputs], js=_BEFORE, **_QUIET)
        again.success(events.follow, None, runs["outputs"], **follows)
        page.unload(events.leave)
    return _limited(page, service.limits.sessions)


def _limited(page: gr.Blocks, sessions: int) -> gr.Blocks:
    page.max_threads = 4 * sessions  # each tab may follow a run, and cancel it
    page.state_session_capacity = 2 * sessions
    page.queue(api_open=False, max_size=4 * sessions)
    return page


def _hidden(name: str, label: str) -> gr.Textbox:
    return gr.Textbox(visible="hidden", elem_id=name, label=label, container=False)


def _html(name: str, value: str = "") -> gr.HTML:
    return gr.HTML(value, elem_id=name, js_on_load=None)


def _file(label: str, name: str, *, several: bool) -> gr.File:
    count: Any = "multiple" if several else "single"
    return gr.File(label=label, file_count=count, file_types=["image"], height=110, elem_id=name)


def _step(number: int, title: str) -> str:
    return f'<h2 class="ps-title"><span aria-hidden="true">{number}</span>{title}</h2>'


def _sample_buttons(service: Service, samples: Sequence[Sample]) -> list[gr.Button]:
    """Make a card of each sample: its pictures are the background of its button."""
    if not samples:
        gr.HTML('<p class="ps-hint">Samples come with the source code; this installation has none.</p>')
        return []
    strips = []
    for index, sample in enumerate(samples):
        pictures = [service.thumbnail(path, _SAMPLE_SIDE) for path in (sample.content, *sample.styles)]
        shares = ", ".join(f'url("{picture}")' for picture in pictures)
        width = 100 / len(pictures)
        places = ", ".join(f"{100 * i / max(1, len(pictures) - 1):.1f}% 0" for i in range(len(pictures)))
        strips.append(
            f"#sample-{index}::before {{ background-image: {shares}; background-position: {places}; "
            f"background-size: {width:.2f}% 100%; background-repeat: no-repeat; }}"
        )
    gr.HTML(f'<style>{" ".join(strips)}</style><p class="ps-hint">Try one: a click loads it and runs it.</p>')
    with gr.Row(elem_id="samples"):
        return [
            gr.Button(sample.title, elem_id=f"sample-{index}", elem_classes="ps-sample", min_width=150)
            for index, sample in enumerate(samples)
        ]

"""The parts of the page that gradio has no component for, as HTML; names that come from people are escaped."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from photostyle.apps.web.editing import KEEP, encode_runs
from photostyle.apps.web.jobs import Job
from photostyle.apps.web.session import Regions
from photostyle.studies.measure import SCORES

Choices = Mapping[str, int]


def notice(text: str, kind: str = "info") -> str:
    """Return one sentence; kind "error" is announced at once, others when there is time."""
    if not text:
        return ""
    role = "alert" if kind == "error" else "status"
    return f'<p class="ps-notice ps-{kind}" role="{role}">{html.escape(text[:1].upper() + text[1:])}</p>'


def cards(pictures: Sequence[tuple[str, str]], *, numbered: bool = False) -> str:
    """Return thumbnails with names."""
    items = "".join(
        f'<li><img src="{url}" alt="{html.escape(name)}"><span>'
        f"{f'<b>{number}</b> ' if numbered else ''}{html.escape(name)}</span></li>"
        for number, (url, name) in enumerate(pictures, 1)
    )
    return f'<ul class="ps-cards">{items}</ul>' if items else ""


def regions_panel(
    regions: Regions, picture: str, colors: Mapping[str, str], styles: Sequence[str], choices: Choices
) -> str:
    """Return the editor: the picture under its regions, the legend with a style for each, the brush."""
    height, width = regions.label_map.shape
    rows = "".join(
        _row(index, label, colors[label], regions.shares[label], styles, choices.get(label))
        for index, label in enumerate(regions.labels)
    )
    absent = [(index, label) for index, label in enumerate(regions.labels) if label not in choices]
    more = "".join(f'<option value="{index}">{html.escape(label)}</option>' for index, label in absent)
    return f"""
<div class="ps-regions" data-width="{width}" data-height="{height}" data-runs="{encode_runs(regions.label_map)}"
 data-version="{regions.version}" data-found="{encode_runs(regions.found)}" data-edited="{str(regions.edited).lower()}">
 <div class="ps-stage" style="aspect-ratio: {width} / {height}">
  <img src="{picture}" alt="The content picture under its coloured regions">
  <canvas width="{width}" height="{height}" tabindex="0" role="img" aria-label="Coloured regions. Choose a brush below,
 then drag over the picture; with the keyboard, arrow keys move the brush and the space bar paints."></canvas>
 </div>
 <fieldset class="ps-legend"><legend>Regions and their styles</legend>
 {rows}
 <label class="ps-add">Another region <select><option value="">choose…</option>{more}</select></label>
 </fieldset>
 <fieldset class="ps-tools"><legend>Brush</legend>
  <label><input type="radio" name="ps-brush" value="none" checked> Off</label>
  <label><input type="radio" name="ps-brush" value="eraser"> Eraser (as it was found)</label>
  <label>Size <input type="range" class="ps-size" min="2" max="80" value="16"></label>
  <label>Colours <input type="range" class="ps-opacity" min="0" max="100" value="55"></label>
  <button type="button" class="ps-undo" disabled>Undo</button>
 </fieldset>
</div>"""


def _row(index: int, label: str, color: str, share: float, styles: Sequence[str], choice: int | None) -> str:
    name = html.escape(label)

    def option(number: int, text: str) -> str:
        return f'<option value="{number}"{" selected" if number == choice else ""}>{html.escape(text)}</option>'

    options = "".join(option(number, f"{number + 1} · {style}") for number, style in enumerate(styles))
    keep = option(KEEP, "Keep as it is")
    hidden = "" if choice is not None else " hidden"
    return f"""<div class="ps-row" data-label="{name}" data-index="{index}" data-color="{color}"{hidden}>
  <label class="ps-brush" title="Paint {name}"><input type="radio" name="ps-brush" value="{index}"
 aria-label="Paint {name}"><span class="ps-chip" style="background: {color}"></span><span>{name}</span></label>
  <span class="ps-share">{share:.0%}</span>
  <select aria-label="Style of {name}">{options or '<option value="0">(no style yet)</option>'}{keep}</select>
 </div>"""


def progress(job: Job, ahead: int) -> str:
    """Return how far a job is: the bar, the losses, the time left, the picture so far."""
    if job.state == "waiting":
        text = "Your turn is next." if ahead == 0 else f"Waiting: {ahead} before you."
        return f'<div class="ps-progress"><p>{text}</p></div>'
    step = job.step
    if step is None:
        text = html.escape(job.text or "getting ready")
        return f'<div class="ps-progress"><p>{text[:1].upper() + text[1:]} …</p></div>'
    share = step.iteration / step.iterations
    losses = "  ·  ".join(f"{html.escape(name)} {value:.3g}" for name, value in step.losses.items())
    left = html.escape(job.text) or f"{clock(step.remaining)} left"
    image = f'<img src="{job.preview}" alt="The picture so far">' if job.preview else ""
    return f"""<div class="ps-progress">{image}
 <div class="ps-bar" role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax="{step.iterations}"
 aria-valuenow="{step.iteration}"><span style="width: {share:.1%}"></span></div>
 <p><b>{step.iteration} of {step.iterations}</b> iterations at {step.size[0]}×{step.size[1]} · {left}</p>
 <p class="ps-losses">{losses}</p></div>"""


def slider(before: str, after: str, names: tuple[str, str], strength: float | None = None) -> str:
    """Return two pictures over one another, and a slider between them; the second at a strength, over the first."""
    left, right = map(html.escape, names)
    shown = "" if strength is None else f"; --strength: {strength:.2f}; --plain: url({before})"
    return f"""<div class="ps-slider" style="--at: 50%{shown}">
 <img class="ps-after" src="{after}" alt="{right}"><img class="ps-before" src="{before}" alt="{left}">
 <span class="ps-line"></span>
 <input type="range" min="0" max="100" value="50" aria-label="{left} to the left of the line, {right} to the right">
 <span class="ps-tag ps-left">{left}</span><span class="ps-tag ps-right">{right}</span></div>"""


def result(urls: Mapping[str, str], record: Mapping[str, Any], strength: float | None = None) -> str:
    """Return the finished picture beside what it was, and what may be downloaded.

    With a strength there is a second slider that shows the picture as far from what it was as one likes.
    """
    names = {
        "picture": "Picture",
        "regions": "Regions (label map)",
        "legend": "Legend of the regions",
        "record": "Record of the run",
    }
    shown, stronger = slider(urls["before"], urls["after"], ("Before", "After"), strength), ""
    if strength is not None:
        stronger = f"""<label class="ps-strength">Strength <input type="range" min="0" max="100"
 value="{100 * strength:.0f}" aria-label="Strength of the style"><output>{strength:.0%}</output></label>"""
        urls = {**urls, "picture": f"{urls['picture']}?strength={strength:.2f}"}
    links = _links({name: (text, urls[name]) for name, text in names.items() if name in urls})
    decisions = "".join(f"<li>{html.escape(str(note))}</li>" for note in record.get("notes", ()))
    told = f"<details><summary>What was decided</summary><ul>{decisions}</ul></details>" if decisions else ""
    return f'<div class="ps-result">{shown}{stronger}{links}{told}</div>'


def compared(urls: Mapping[str, str], record: Mapping[str, Any]) -> str:
    """Return the results with and without regions, and their scores."""
    both = slider(urls["unsegmented-view"], urls["segmented-view"], ("Without regions", "With regions"))
    scores, mode = record["scores"], record["runs"]["segmented"]["config"]["mode"]
    telling = [name for name in scores["segmented"] if SCORES[name].tells in (mode, "regions")]
    others = [name for name in scores["segmented"] if name not in telling]
    more = f"<details><summary>More scores</summary>{_table(scores, others)}</details>" if others else ""
    links = _links(
        {
            "segmented": ("With regions", urls["segmented"]),
            "unsegmented": ("Without regions", urls["unsegmented"]),
            "record": ("Scores and records", urls["record"]),
        }
    )
    return f'<div class="ps-result">{both}{_table(scores, telling)}{more}{links}</div>'


def _table(scores: Mapping[str, Mapping[str, float]], names: Sequence[str]) -> str:
    """Return scores of both results as a table, each with its meaning."""
    rows = "".join(
        f'<tr><th scope="row">{name}<small>{html.escape(SCORES[name].told)}</small></th>'
        + "".join(f"<td>{scores[v][name]:.{SCORES[name].digits}f}</td>" for v in ("segmented", "unsegmented"))
        + "</tr>"
        for name in names
    )
    return f"""<table><thead><tr><td></td><th scope="col">with regions</th>
 <th scope="col">without</th></tr></thead><tbody>{rows}</tbody></table>"""


def _links(links: Mapping[str, tuple[str, str]]) -> str:
    items = "".join(
        f'<a class="ps-download" data-file="{name}" href="{url}" download>{text}</a>'
        for name, (text, url) in links.items()
    )
    return f'<p class="ps-downloads"><b>Download</b> {items}</p>'


def clock(seconds: float) -> str:
    """Return a time for people: "40 s", "2 min 5 s"."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"

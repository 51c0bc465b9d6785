"""What happens on each click: from the page's inputs to what it shows next. What can be done is in ``service.py``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from photostyle.apps.web import fragments
from photostyle.apps.web.jobs import Job
from photostyle.apps.web.options import OPTIONS, config_options
from photostyle.apps.web.running import Outcome
from photostyle.apps.web.samples import Sample
from photostyle.apps.web.service import Service
from photostyle.apps.web.session import Session
from photostyle.apps.web.sessions import GONE
from photostyle.errors import PhotostyleError
from photostyle.report.masks import label_colors

EACH, WHOLE = "each", "whole"
WELCOME = "Choose a picture to change and one or more whose style it shall take, or click on a sample."
AGAIN = "The page was loaded again, and what you had is still here."
NO_REGIONS = '<p class="ps-hint">The regions of your picture appear here as soon as you have chosen it.</p>'

_POLL = 0.25  # seconds between two looks at a job
_THUMBNAIL, _EDITOR = 160, 640


class Events:
    """The handlers; each takes the tab from gradio's request."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def content(self, state: str, file: Any, request: gr.Request) -> Iterator[list[Any]]:
        """Take the uploaded content in."""
        yield _wait("Finding the regions of your picture …")
        yield self._change(request, state, lambda session: self._take(session, file, self.service.take_content))

    def styles(self, state: str, files: Any, request: gr.Request) -> Iterator[list[Any]]:
        """Take the uploaded styles in."""
        yield _wait("Reading the style …")
        yield self._change(request, state, lambda session: self._take(session, files, self.service.take_style))

    def clear(self, state: str, request: gr.Request) -> list[Any]:
        """Remove the styles."""
        return self._change(request, state, self.service.clear_styles)

    def sample(self, sample: Sample) -> Callable[[gr.Request], Iterator[list[Any]]]:
        """Return the handler that takes a sample in; besides it sets the mode."""

        def load(request: gr.Request) -> Iterator[list[Any]]:
            yield [*_wait("Loading the sample and finding its regions …"), sample.mode]
            shown = self._change(request, "", lambda session: self.service.take_sample(session, sample), strict=True)
            yield [*shown, sample.mode]

        return load

    async def run(self, state: str, use: str, request: gr.Request, *values: Any) -> AsyncIterator[list[Any]]:
        """Queue a run, and follow it."""
        async for shown in self._run(state, use, request, values, compare=False):
            yield shown

    async def compare(self, state: str, use: str, request: gr.Request, *values: Any) -> AsyncIterator[list[Any]]:
        """Queue a comparison, and follow it."""
        async for shown in self._run(state, use, request, values, compare=True):
            yield shown

    def cancel(self, request: gr.Request) -> str:
        """End the run."""
        session = self.service.sessions.get(request.session_hash)
        if not session.busy:
            return fragments.notice("Nothing runs.")
        self.service.cancel(session)
        return fragments.notice("Stopping after this step; the best picture so far is kept.")

    def leave(self, request: gr.Request) -> None:
        """Note that a tab was closed, loaded again, or lost its line; which of them, time will tell."""
        self.service.sessions.leave(request.session_hash)

    def resume(self, before: str, state: str, request: gr.Request) -> list[Any]:
        """Show what a tab had before its page was loaded again, and the options of its last run."""
        nothing = [gr.skip()] * (6 + len(OPTIONS))
        try:
            session = self.service.sessions.resume(before, request.session_hash)
        except PhotostyleError as error:
            return [*nothing[:5], fragments.notice(str(error), "error"), *nothing[6:]]
        if session is None:
            return nothing
        session.use_proposed = False
        shown = self._change(request, state, lambda _session: None, told=AGAIN)
        use, *values = session.asked or (shown[4], *nothing[6:])
        return [*shown[:4], use, shown[5], *values]

    async def follow(self, request: gr.Request) -> AsyncIterator[list[Any]]:
        """Follow the run of a tab that was loaded again, or show its result."""
        session = self.service.sessions.find(request.session_hash)
        if session is None or session.job is None:
            yield [gr.skip()] * 6
            return
        async for shown in self._follow(session, session.job):
            yield shown

    def _take(self, session: Session, files: Any, take: Callable[[Session, Path, str], None]) -> None:
        for file in files if isinstance(files, list) else [files]:
            path = file.get("path") if isinstance(file, dict) else None
            if not isinstance(path, str) or not self.service.is_upload(path):
                raise PhotostyleError("the upload isn't there: choose the picture again")
            take(session, Path(path), str(file.get("orig_name") or Path(path).name))

    def _change(
        self,
        request: gr.Request,
        state: str,
        change: Callable[[Session], None],
        *,
        told: str = "",
        strict: bool = False,
    ) -> list[Any]:
        """Change what a tab has, and show it under one sentence; an error is shown beside what there still is."""
        try:
            session = self.service.sessions.get(request.session_hash)
        except PhotostyleError as error:
            return [*[gr.skip()] * 5, fragments.notice(str(error), "error")]
        told = fragments.notice(told)
        try:
            self.service.take_edits(session, state)
            change(session)
        except PhotostyleError as error:
            if strict:
                raise gr.Error(str(error), print_exception=False) from None
            told = fragments.notice(str(error), "error")
        return self._shown(session, told)

    def _shown(self, session: Session, told: str) -> list[Any]:
        """Return content, styles, the button that clears them, regions, their use, and the status."""
        content, regions = session.content, session.regions
        thumbnail = self.service.thumbnail
        card = "" if content is None else fragments.cards([(thumbnail(content.path, _THUMBNAIL), content.name)])
        styles = fragments.cards([(thumbnail(s.path, _THUMBNAIL), s.name) for s in session.styles], numbered=True)
        panel, use = NO_REGIONS, gr.skip()
        if content is not None and regions is not None:
            panel = fragments.regions_panel(
                regions,
                thumbnail(content.path, _EDITOR),
                _hex_colors(regions.labels),
                [style.name for style in session.styles],
                self.service.choices(session),
            )
            if regions.doubt:
                panel = fragments.notice(f"{regions.doubt}: look at the regions before you use them", "warn") + panel
            if not session.use_proposed:
                session.use_proposed, use = True, WHOLE if regions.doubt else EACH
        if not told:
            told = fragments.notice(_next_step(session))
        return [card, styles, gr.update(visible=bool(session.styles)), panel, use, told]

    async def _run(
        self, state: str, use: str, request: gr.Request, values: Sequence[Any], *, compare: bool
    ) -> AsyncIterator[list[Any]]:
        try:
            session = self.service.sessions.get(request.session_hash)
            self.service.take_edits(session, state)
            job = await asyncio.to_thread(
                self.service.start, session, config_options(values), use_regions=use == EACH, compare=compare
            )
            session.asked = (use, *values)
        except PhotostyleError as error:
            yield [fragments.notice(str(error), "error"), "", *[gr.skip()] * 4]
            return
        except FileNotFoundError:  # the tab was ended meanwhile, and its folder with it
            yield [fragments.notice(f"{GONE}: load the page again", "error"), "", *[gr.skip()] * 4]
            return
        async for shown in self._follow(session, job):
            yield shown

    async def _follow(self, session: Session, job: Job) -> AsyncIterator[list[Any]]:
        idle, same, compare = gr.skip(), "", session.compares
        yield [
            fragments.notice("The comparison is on its way." if compare else "The run is on its way."),
            fragments.progress(job, self.service.jobs.ahead(job)),
            *(idle if compare else "", gr.update(interactive=False), gr.update(interactive=True)),
            gr.update(interactive=False) if compare else gr.update(visible=False),
        ]
        while not job.over:
            shown = fragments.progress(job, self.service.jobs.ahead(job))
            if shown != same:
                yield [idle, shown, *[idle] * 4]
            same = shown
            await asyncio.sleep(_POLL)
        buttons = [gr.update(interactive=True), gr.update(interactive=False)]
        if job.state != "done":
            yield [fragments.notice(job.error, "error"), "", idle, *buttons, gr.update(interactive=True)]
            return
        outcome: Outcome = job.outcome
        urls = self.service.urls(session, outcome)
        picture = (
            fragments.compared(urls, outcome.record)
            if compare
            else fragments.result(urls, outcome.record, outcome.strength)
        )
        yield [
            fragments.notice(_ending(outcome, compare=compare)),
            "",
            picture,
            *buttons,
            gr.update(visible=session.regions is not None, interactive=True),
        ]


def _wait(text: str) -> list[Any]:
    return [*[gr.skip()] * 5, fragments.notice(text)]


def _hex_colors(labels: Sequence[str]) -> dict[str, str]:
    return {
        label: "#" + "".join(f"{round(255 * level):02x}" for level in color)
        for label, color in label_colors(labels).items()
    }


def _next_step(session: Session) -> str:
    if session.content is None and not session.styles:
        return WELCOME
    if session.content is None:
        return "Now choose the picture to change."
    if not session.styles:
        return "Now choose a picture whose style it takes."
    return "Ready: press Run. The styles of the regions may be changed before, but need not be."


def _ending(outcome: Outcome, *, compare: bool) -> str:
    record = outcome.record
    if compare:
        seconds = sum(run["seconds"] for run in record["runs"].values())
        return f"Done in {fragments.clock(seconds)}: the same run with and without regions."
    done, whole = record["losses"]["iteration"], record["config"]["iterations"]
    if outcome.stopped:
        why = "" if outcome.stopped == "stopped" else f" ({outcome.stopped})"
        return f"Stopped{why}: this is the best picture after {done} of {whole} iterations."
    return f"Done in {fragments.clock(record['seconds'])}."

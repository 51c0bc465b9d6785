"""What the page can do, without how it looks: take pictures in, find regions, start, follow and cancel runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from photostyle.apps.web.editing import read_edits
from photostyle.apps.web.jobs import Job, JobQueue, data_url
from photostyle.apps.web.running import (
    Outcome,
    choices_of,
    comparison_work,
    find_regions,
    inputs_of,
    transfer_work,
)
from photostyle.apps.web.samples import Sample
from photostyle.apps.web.session import Limits, Session, store_picture
from photostyle.apps.web.sessions import Sessions
from photostyle.errors import ImageError, UsageError
from photostyle.options.config import TransferConfig
from photostyle.studies.segment import Segmenter, read_picture

_NAMES = {
    "picture": "photostyle.png",
    "regions": "photostyle.regions.png",
    "legend": "photostyle.regions.json",
    "record": "photostyle.record.json",
    "segmented": "with-regions.png",
    "unsegmented": "without-regions.png",
}
_NAME_LENGTH = 40


class Service:
    """All that the tabs share: the queue of the device, the segmenter, the limits."""

    def __init__(
        self, config: TransferConfig, limits: Limits | None = None, segmenter: Segmenter | None = None
    ) -> None:
        self.config, self.limits = config, limits or Limits()
        self.jobs = JobQueue(most=self.limits.sessions)
        self.sessions = Sessions(self.limits, self._drop_job)
        self.segmenter = segmenter or Segmenter(config.segmenter, offline=config.offline)

    def warm_up(self) -> None:
        """Load the segmenter, so that the first visitor doesn't wait for it."""
        _ = self.segmenter.network

    def close(self) -> None:
        """End all jobs and remove all files."""
        self.jobs.close()
        self.sessions.end()

    def is_upload(self, path: str) -> bool:
        """Whether a path is that of a file that was uploaded to this server."""
        try:
            resolved = Path(path).resolve()
            return resolved.is_relative_to(self.sessions.inbox.resolve()) and resolved.is_file()
        except (OSError, ValueError):
            return False

    def take_content(self, session: Session, source: Path, name: str) -> None:
        """Take a content picture in, and find its regions."""
        name = shown_name(name)
        before = session.content
        session.content = store_picture(source, name, session.new_path("content", ".png"), "content", self.limits)
        session.regions, session.choices, session.use_proposed = None, {}, False
        if before is not None:
            before.path.unlink(missing_ok=True)
        session.regions = find_regions(session, self.segmenter)

    def take_style(self, session: Session, source: Path, name: str) -> None:
        """Take one more style picture in."""
        name = shown_name(name)
        if len(session.styles) >= self.limits.styles:
            raise ImageError(f"style picture {name}: is one too many, since {self.limits.styles} are the most allowed")
        target = session.new_path("style", ".png")
        session.styles.append(store_picture(source, name, target, "style", self.limits))

    def clear_styles(self, session: Session) -> None:
        """Remove all style pictures."""
        for style in session.styles:
            style.path.unlink(missing_ok=True)
        session.styles, session.choices = [], {}

    def take_sample(self, session: Session, sample: Sample) -> None:
        """Take the pictures of a sample in, in place of what is there."""
        self.clear_styles(session)
        content, *styles = sample.names
        self.take_content(session, sample.content, content)
        for style, name in zip(sample.styles, styles, strict=True):
            self.take_style(session, style, name)
        session.choices = dict(sample.choices)

    def take_edits(self, session: Session, text: str | None) -> None:
        """Keep what was painted and chosen on the page."""
        if session.regions is None:
            return
        regions = session.regions
        height, width = regions.found.shape
        edits = read_edits(text, regions.version, (width, height), regions.labels, max(1, len(session.styles)))
        if edits.label_map is not None:
            regions.label_map = edits.label_map
        session.choices |= edits.choices

    def choices(self, session: Session) -> dict[str, int]:
        """Return the style of each region that there is."""
        return choices_of(session)

    def thumbnail(self, path: Path, side: int) -> str:
        """Return a stored picture as a data URL."""
        return data_url(read_picture(path).rgb, side)

    def start(self, session: Session, options: dict[str, Any], *, use_regions: bool, compare: bool = False) -> Job:
        """Queue a run, or a comparison."""
        if session.busy:
            raise UsageError("a run of this page isn't over yet: wait for it, or cancel it")
        config = TransferConfig(**{**vars(self.config), **options})
        if config.size is None or config.size > self.limits.side:
            raise UsageError(f"the size is {config.size}, but must be at most {self.limits.side} on this server")
        inputs = inputs_of(session, config, use_regions=use_regions or compare)
        work = (comparison_work if compare else transfer_work)(inputs, self.segmenter)
        session.job, session.compares = self.jobs.submit(work), compare
        return session.job

    def cancel(self, session: Session) -> None:
        """End a tab's run; the best so far is kept."""
        if session.job is not None:
            self.jobs.cancel(session.job)

    def urls(self, session: Session, outcome: Outcome) -> dict[str, str]:
        """Let a tab fetch what came out; returns the addresses by what they are."""
        return {
            name: f"photostyle/file/{session.offer(path, _NAMES.get(name, path.name))}"
            for name, path in outcome.files.items()
        }

    def _drop_job(self, session: Session) -> None:
        if session.job is not None:
            self.jobs.cancel(session.job, abandoned=True)


def shown_name(name: str) -> str:
    """Return what a file is called on the page: its last part, of harmless characters alone."""
    last = re.split(r"[/\\]", name)[-1]
    clean = re.sub(r"[^\w .()+-]", "", last).strip(" .")
    return clean[:_NAME_LENGTH] or "picture"

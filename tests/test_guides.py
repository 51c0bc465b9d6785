"""Every command of the guides and of the README's gallery runs, on small pictures with few iterations."""

from __future__ import annotations

import re
import shlex
import sys
from fractions import Fraction
from pathlib import Path

import pytest
import yaml
from video_helpers import panned, tone, video_of

from photostyle.apps.cli import app as cli

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
TABLES = ROOT / "samples" / "guides" / "measurements.md"  # the one page without a command
GUIDES = sorted({*(ROOT / "samples" / "guides").glob("*.md")} - {TABLES})
QUICK = {
    "transfer": ["--size", "64", "--iterations", "2"],
    "compare": ["--size", "64", "--iterations", "2"],
    "reconstruct": ["--size", "64", "--iterations", "2"],
    "sweep": ["--size", "64", "--iterations", "2"],
    "video": ["--size", "48", "--iterations", "2"],
}
EXPECTED = {
    "artistic",
    "augmentation",
    "batches",
    "comparing",
    "masks",
    "objective",
    "photo-to-photo",
    "reports",
    "several-styles",
    "video",
}


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def commands(text: str) -> list[list[str]]:
    """The commands of the guide, each as a list of its words."""
    lines = "".join(blocks(text, "sh")).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


def test_there_is_a_guide_for_each_use():
    assert {guide.stem for guide in GUIDES} == EXPECTED
    index = (ROOT / "samples" / "README.md").read_text(encoding="utf-8")
    assert f"guides/{TABLES.name}" in index
    for guide in GUIDES:
        assert f"guides/{guide.name}" in index
        assert commands(guide.read_text(encoding="utf-8")), guide.name


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_every_command_runs(guide, tmp_path, monkeypatch, capsys):
    text = guide.read_text(encoding="utf-8")
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path)
    if "walk.mp4" in text:
        video_of(panned(6), tmp_path / "walk.mp4", Fraction(12), tone(tmp_path / "tone.wav", 0.5))
    for block in blocks(text, "yaml"):
        name = re.match(r"# (\S+\.yaml)", block).group(1)
        jobs = yaml.safe_load(block)
        jobs["defaults"] = {**jobs.get("defaults", {}), "size": 64, "iterations": 2}
        Path(name).write_text(yaml.safe_dump(jobs))
    for words in commands(text):
        assert words[0] == "photostyle", words
        more = [] if "statistics" in words else QUICK.get(words[1], [])
        monkeypatch.setattr(sys, "argv", [*words, *more])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        captured = capsys.readouterr()
        assert stop.value.code == 0, f"{' '.join(words)}\n{captured.err}"
        if "-o" in words:
            assert Path(words[words.index("-o") + 1]).exists()


def test_links_of_the_texts_lead_somewhere():
    texts = [ROOT / "README.md", ROOT / "samples" / "README.md", *GUIDES]
    links = [(text, link) for text in texts for link in re.findall(r"\]\(([^)#]+)", text.read_text(encoding="utf-8"))]
    assert len(links) > 15
    for text, link in links:
        if not link.startswith(("http://", "https://")):
            assert (text.parent / link).exists(), f"{text.name}: {link}"

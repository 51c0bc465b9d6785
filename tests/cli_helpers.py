"""A folder with pictures, masks and weights, and the command line run on them in this process."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from helpers import LAYER_FLAGS, halves, indexed_mask, save, tiny_weights
from measure_helpers import quick_scores

from photostyle.apps.cli import app as cli

PREFIX = "photostyle: error: "


class Outcome:
    """What one run of the command line left behind."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def error(self) -> str:
        """The message, which must be all that is on standard error."""
        assert self.err.startswith(PREFIX), self.err
        assert self.err.endswith("\n")
        assert self.err.count("\n") == 1
        return self.err.removeprefix(PREFIX).rstrip()


class Workshop:
    """Inputs of 64×48 pixels, an empty folder for results, a network of three layers, and narrow ones for scores.

    Parameters
    ----------
    monkeypatch, capsys : fixtures
    folder : Path
        Everything lies in here, so that nothing can be left behind unseen.
    """

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path, *, iterations: int = 2
    ) -> None:
        self.monkeypatch, self.capsys, self.folder = monkeypatch, capsys, folder
        (folder / "out").mkdir()
        self.output = folder / "out" / "result.png"
        self.content = save(folder / "content.png")
        self.style = save(folder / "style.png", seed=1)
        self.content_mask = indexed_mask(folder / "content-mask.png", {0: "sky", 1: "land"}, halves())
        self.style_mask = indexed_mask(folder / "style-mask.png", {0: "land", 1: "sky"}, halves())
        self.masks = ("--content-mask", self.content_mask, "--style-mask", self.style_mask)
        self.weights = tiny_weights(folder)
        self.network = ("--weights", self.weights, *LAYER_FLAGS)
        self.quick = ("--schedule", "single", "--iterations", iterations)
        monkeypatch.setenv("COLUMNS", "100")
        quick_scores(monkeypatch)

    def __call__(self, *arguments: object) -> Outcome:
        """Run ``photostyle`` with these arguments."""
        self.capsys.readouterr()
        self.monkeypatch.setattr(sys, "argv", ["photostyle", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert isinstance(stop.value.code, int)
        captured = self.capsys.readouterr()
        assert "Traceback" not in captured.err
        return Outcome(stop.value.code, captured.out, captured.err)

    def transfer(self, *arguments: object) -> Outcome:
        """Run a small transfer; what is in ``arguments`` goes before what is here."""
        return self(*self.arguments(*arguments))

    def arguments(self, *more: object) -> list[object]:
        """List the arguments of a small transfer."""
        return ["transfer", self.content, self.style, "-o", self.output, *self.network, *self.quick, *more]

    def compare(self, folder: Path, *arguments: object) -> Outcome:
        """Run a small comparison into a folder."""
        return self("compare", self.content, self.style, "-o", folder, *self.network, *self.quick, *arguments)

    def refused(self, code: int, *arguments: object) -> str:
        """Run what must fail: one line on standard error, nothing on standard output, no file new or changed."""
        before = self.files()
        outcome = self(*arguments)
        assert (outcome.code, outcome.out) == (code, ""), outcome.err
        assert self.files() == before
        return outcome.error

    def results(self) -> list[str]:
        """List the names in the folder for results."""
        return sorted(path.name for path in self.output.parent.iterdir())

    def files(self) -> dict[Path, bytes | None]:
        """Read all files; None stands for a folder."""
        return {path: path.read_bytes() if path.is_file() else None for path in self.folder.rglob("*")}

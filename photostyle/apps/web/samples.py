"""Samples that one click loads and runs: pictures of the repository, where they lie beside the package."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from photostyle.apps.web.editing import KEEP


@dataclass(frozen=True)
class Sample:
    """A content, its styles, and what to do with them.

    Attributes
    ----------
    title : str
    content : Path
    styles : tuple of Path
    names : tuple of str
        What the content and the styles are called.
    mode : str
        "artistic" or "photo".
    choices : dict of str to int
        Label to the number of its style, for the labels that shall not have what is usual.
    """

    title: str
    content: Path
    styles: tuple[Path, ...]
    names: tuple[str, ...]
    mode: str = "artistic"
    choices: dict[str, int] = field(default_factory=dict)


_NAMES = {
    "neuschwansteinCastle.webp": "Neuschwanstein Castle",
    "schwerinPalace.webp": "Schwerin Palace",
    "montStMichel.webp": "Mont Saint-Michel",
    "starry_night_cropped.jpg": "The Starry Night",
    "Gogh4.webp": "Café Terrace at Night",
    "VincentVanGogh0019.webp": "The Harvest",
    "VincentVanGoghBridge.webp": "The Langlois Bridge",
    "brandenburgGate.webp": "Brandenburg Gate",
}
_SAMPLES: tuple[tuple[str, tuple[str, ...], str, dict[str, int]], ...] = (
    (
        "A castle in three paintings",
        ("neuschwansteinCastle.webp", "starry_night_cropped.jpg", "Gogh4.webp", "VincentVanGogh0019.webp"),
        "artistic",
        {"sky": 0, "building": 1, "vegetation": 2, "mountain": 2, "ground": 2},
    ),
    ("A palace at nightfall", ("schwerinPalace.webp", "brandenburgGate.webp"), "photo", {}),
    ("An abbey, the sky kept", ("montStMichel.webp", "VincentVanGoghBridge.webp"), "artistic", {"sky": KEEP}),
)


def find_samples(folder: Path | None = None) -> list[Sample]:
    """Return the samples whose pictures are there; an installed wheel has none."""
    folder = folder or Path(__file__).resolve().parents[3] / "samples"
    found = []
    for title, files, mode, choices in _SAMPLES:
        content, *styles = (folder / file for file in files)
        names = tuple(_NAMES[file] for file in files)
        found.append(Sample(title, content, tuple(styles), names, mode, dict(choices)))
    return [sample for sample in found if all(path.is_file() for path in (sample.content, *sample.styles))]

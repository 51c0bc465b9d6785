"""The pictures of the README and of the gallery in samples/, made anew: each by the command that is told beside it.

python scripts/gallery.py [--only plain,regions,…] [--size 768] [--work out/gallery]

Results lie in the work folder and are taken as they are where they are there already, so that the script can be stopped
and started again. What the pages show is written to samples/results as JPEG. All of it takes more than an hour.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from demo import SAMPLES, commands

from photostyle.images import fit_longest_side, read_picture, resize, write_picture

RESULTS = SAMPLES / "results"
SCRIPTS = Path(__file__).parent
PAIRS = {
    "mont-bridge": ("montStMichel.webp", "VincentVanGoghBridge.webp"),
    "gateway-cafe": ("gatewayofIndia.webp", "Gogh4.webp"),
}
"""Contents and styles of the gallery, beside the runs of the demo."""
SHEET = "neuschwansteinCastle.webp,schwerinPalace.webp,gatewayofIndia.webp"
"""Contents of the sheet, in six styles each."""
INPUTS = {
    "content-neuschwanstein": "neuschwansteinCastle.webp",
    "style-starry-night": "starry_night_cropped.jpg",
    "content-schwerin": "schwerinPalace.webp",
    "style-brandenburg": "brandenburgGate.webp",
}
"""Contents and styles that the README shows beside its results."""
LONGEST = 1600
"""Pixels of the longest side of a sheet, as a reader sees it."""


def runs(work: Path, size: int) -> dict[str, tuple[list[str], dict[str, str]]]:
    """Return by name the arguments of each run, and which of its files becomes which picture in samples/results."""
    made = {
        "plain": {"plain.png": "plain.jpg"},
        "regions": {"regions.png": "regions.jpg"},
        "segmented": {"segmented/sheet.png": "segmented-sheet.jpg"},
        "photo": {"photo/segmented.png": "photo.jpg", "photo/sheet.png": "photo-sheet.jpg"},
    }
    found = {name: (["-m", "photostyle", *each], made[name]) for name, each in commands(work, size).items()}
    for name, (content, style) in PAIRS.items():
        inputs = [str(SAMPLES / content), str(SAMPLES / style)]
        arguments = ["-m", "photostyle", "transfer", *inputs, "-o", str(work / f"{name}.png"), "--size", str(size)]
        found[name] = ([*arguments, "--overwrite"], {f"{name}.png": f"{name}.jpg"})
    found["reconstructions"] = (
        [str(SCRIPTS / "readme_reconstructions.py"), "--size", "192", "--iterations", "100"],
        {},
    )
    found["sheet"] = (
        [str(SCRIPTS / "artistic_sheet.py"), str(work / "artistic-sheet.jpg"), "--size", "256", "--contents", SHEET],
        {"artistic-sheet.jpg": "artistic-sheet.jpg"},
    )
    return found


def make(name: str, arguments: Sequence[str], files: dict[str, str], work: Path) -> None:
    """Run one command, unless its files are there, and write its pictures."""
    if not files or not all((work / file).exists() for file in files):
        print(f"== {name}: python {' '.join(arguments)}", flush=True)
        began = time.monotonic()
        done = subprocess.run([sys.executable, *arguments], check=False)
        if done.returncode:
            sys.exit(done.returncode)
        print(f"== {name}: {time.monotonic() - began:.0f} s", flush=True)
    for file, picture in files.items():
        show(work / file, picture, LONGEST)


def show(source: Path, name: str, longest: int) -> None:
    """Write a picture to samples/results, scaled down to a longest side."""
    picture = read_picture(source)
    size = fit_longest_side(picture.size, min(longest, max(picture.size)))
    write_picture(RESULTS / name, resize(picture.rgb, size), overwrite=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="names of runs, by comma (default: all)")
    parser.add_argument("--size", type=int, default=768, help="longest side of a result (default: 768)")
    parser.add_argument("--work", type=Path, default=Path("out/gallery"), help="folder of the results")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    found = runs(arguments.work, arguments.size)
    wanted = arguments.only.split(",") if arguments.only else list(found)
    if unknown := sorted(set(wanted) - set(found)):
        parser.error(f"--only names {unknown[0]!r}; known are {', '.join(found)}")
    for name in wanted:
        make(name, *found[name], arguments.work)
    for shown, file in INPUTS.items():
        show(SAMPLES / file, f"{shown}.jpg", arguments.size)


if __name__ == "__main__":
    main()

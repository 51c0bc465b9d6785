"""A contact sheet of artistic mode: every content in every style, to look at before a number is believed.

python scripts/artistic_sheet.py out/sheet.jpg [--contents A,B,…] [--styles A,B,…] [--size 384] [--set OPTION=VALUE]

The results lie in a folder beside the sheet, out/sheet/, with their records. Those that are there already are taken
as they are, so that the script can be stopped with Ctrl-C and started again, also with more pictures.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import skimage
from benchmark_photo import options_of
from numpy.typing import NDArray

from photostyle.errors import PhotostyleError
from photostyle.images import fit_longest_side, read_picture, resize, write_picture
from photostyle.report.sheet import Tile, contact_sheet

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
MORE_SAMPLES = Path(skimage.__file__).parent / "data"  # what scikit-image brings along
CONTENTS = (
    "neuschwansteinCastle.webp,schwerinPalace.webp,gatewayofIndia.webp,brandenburgGate.webp,chateaudeChenonceau.webp,"
    "montStMichel.webp"
)
STYLES = "starry_night_cropped.jpg,VincentVanGogh0019.webp,VincentVanGoghBridge.webp,Gogh4.webp,ihc.png,gravel.png"
CELL = (384, 288)  # the box into which each picture is fitted


def found(name: str) -> Path:
    """Return the path of a picture: a file, a sample, or a picture of scikit-image's."""
    for path in (Path(name), SAMPLES / name, MORE_SAMPLES / name):
        if path.is_file():
            return path
    sys.exit(f"there is no picture {name}: give a file, or the name of one in samples")


def is_done(result: Path) -> bool:
    """Whether a result is there, and its record says that it is complete."""
    record = result.with_suffix(".record.json")
    return result.exists() and record.exists() and bool(json.loads(record.read_text(encoding="utf-8"))["complete"])


def make(content: Path, style: Path, result: Path, options: Sequence[str]) -> None:
    """Run a transfer, or go on with one that was interrupted."""
    going_on = result.with_name(f"{result.name}.checkpoint").exists()
    command = [sys.executable, "-m", "photostyle", "transfer", str(content), str(style), "-o", str(result)]
    with subprocess.Popen([*command, *options, "--resume" if going_on else "--overwrite"]) as process:
        try:
            status = process.wait()
        except KeyboardInterrupt:  # it got the signal too, and is about to write its checkpoint
            status = process.wait()
    if status:
        sys.exit(status)


def boxed(path: Path) -> NDArray[np.float32]:
    """Return a picture in the middle of a white box."""
    picture, (width, height) = read_picture(path).rgb, CELL
    factor = min(width / picture.shape[1], height / picture.shape[0])
    size = fit_longest_side((picture.shape[1], picture.shape[0]), round(factor * max(picture.shape[:2])))
    box = np.ones((height, width, 3), dtype=np.float32)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    box[top : top + size[1], left : left + size[0]] = resize(picture, size)
    return box


def sheet(contents: Sequence[Path], styles: Sequence[Path], folder: Path) -> NDArray[np.float32]:
    """Lay the results out: a row a content, a column a style; what isn't done yet stays grey."""
    white = np.ones((CELL[1], CELL[0], 3), dtype=np.float32)
    rows = [[Tile(white), *(Tile(boxed(style), (style.stem,)) for style in styles)]]
    for content in contents:
        results = [folder / name_of(content, style) for style in styles]
        cells = [Tile(boxed(result) if is_done(result) else 0.85 * white) for result in results]
        rows.append([Tile(boxed(content), (content.stem,)), *cells])
    return contact_sheet(rows, width=(CELL[0] + 12) * (len(styles) + 1) + 12)


def name_of(content: Path, style: Path) -> str:
    """Return the file name of a result."""
    return f"{content.stem}--{style.stem}.png"


def check_settings(folder: Path, settings: dict[str, object]) -> None:
    """End where the folder's results were made with other options."""
    path = folder / "settings.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else settings
    if before != settings and any(folder.glob("*.png*")):
        sys.exit(f"the results in {folder} were made with {before}, now asked is {settings}: name another sheet")
    path.write_text(json.dumps(settings), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="the sheet, .jpg or .png; the results lie in a folder of its name")
    parser.add_argument("--contents", default=CONTENTS, help="files or samples, by comma (default: six)")
    parser.add_argument("--styles", default=STYLES, help="files, samples or scikit-image's, by comma (default: six)")
    parser.add_argument("--size", type=int, default=384, help="longest side of a result (default: 384)")
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE", help="an option of every run")
    arguments = parser.parse_args()
    output: Path = arguments.output
    contents, styles = ([found(name) for name in names.split(",")] for names in (arguments.contents, arguments.styles))
    for paths in (contents, styles):
        if len({path.stem for path in paths}) < len(paths):
            parser.error(f"two pictures have the same name: {', '.join(map(str, paths))}")
    folder = output.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    check_settings(folder, {"size": arguments.size, "set": arguments.set})
    options = ["--size", str(arguments.size), *options_of(arguments.set)]
    todo = [
        (content, style) for content in contents for style in styles if not is_done(folder / name_of(content, style))
    ]
    try:
        for number, (content, style) in enumerate(todo, 1):
            began = time.monotonic()
            make(content, style, folder / name_of(content, style), options)
            print(f"{number}/{len(todo)} {content.stem} × {style.stem}: {time.monotonic() - began:.0f} s",
                  file=sys.stderr, flush=True)  # fmt: skip
    finally:
        if any(is_done(folder / name_of(content, style)) for content in contents for style in styles):
            write_picture(output, sheet(contents, styles, folder), overwrite=True)
            print(output)


if __name__ == "__main__":
    try:
        main()
    except PhotostyleError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)

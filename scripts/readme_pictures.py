"""Make the README's pictures in samples/results from those of scripts/demo.py.

python scripts/demo.py --output out && python scripts/readme_pictures.py out
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

SAMPLES = Path(__file__).resolve().parents[1] / "samples"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path, help="folder that scripts/demo.py wrote to")
    out: Path = parser.parse_args().demo
    sources = {
        "content-neuschwanstein": SAMPLES / "neuschwansteinCastle.webp",
        "style-starry-night": SAMPLES / "starry_night_cropped.jpg",
        "content-schwerin": SAMPLES / "schwerinPalace.webp",
        "style-brandenburg": SAMPLES / "brandenburgGate.webp",
        "plain": out / "plain.png",
        "regions": out / "regions.png",
        "segmented-sheet": out / "segmented" / "sheet.png",
        "photo": out / "photo" / "segmented.png",
        "photo-sheet": out / "photo" / "sheet.png",
    }
    target = SAMPLES / "results"
    target.mkdir(exist_ok=True)
    for name, source in sources.items():
        with Image.open(source) as picture:
            small = picture.convert("RGB")
            small.thumbnail((1200, 2400) if "sheet" in name else (384, 384), Image.Resampling.LANCZOS)
            small.save(target / f"{name}.jpg", quality=88)


if __name__ == "__main__":
    main()

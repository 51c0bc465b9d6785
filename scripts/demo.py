"""The sample runs of ``make demo``: plain, a style for each region, automatic regions, and photo to photo.

python scripts/demo.py [--output out] [--size 384] [--only plain|regions|segmented|photo]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

SAMPLES = Path(__file__).resolve().parents[1] / "samples"


def commands(output: Path, size: int) -> dict[str, list[str]]:
    """Return the arguments of each sample run; the README shows the same."""

    def sample(name: str) -> str:
        return str(SAMPLES / name)

    return {
        "plain": [
            "transfer", sample("neuschwansteinCastle.webp"), sample("starry_night_cropped.jpg"),
            "-o", str(output / "plain.png"), "--size", str(size), "--overwrite",
        ],
        "regions": [
            "transfer", sample("neuschwansteinCastle.webp"),
            "--content-mask", sample("masks/neuschwansteinCastle.png"),
            "--map", f"sky={sample('starry_night_cropped.jpg')}",
            "--map", f"building={sample('Gogh4.webp')}",
            "--map", f"rest={sample('VincentVanGogh0019.webp')}",
            "-o", str(output / "regions.png"), "--size", str(size), "--overwrite",
        ],
        "segmented": [
            "compare", sample("chateaudeChenonceau.webp"), sample("VincentVanGoghBridge.webp"),
            "-o", str(output / "segmented"), "--size", str(size), "--overwrite",
        ],
        "photo": [
            "compare", sample("schwerinPalace.webp"), sample("brandenburgGate.webp"), "--mode", "photo",
            "--content-mask", sample("masks/schwerinPalace.png"), "--style-mask", sample("masks/brandenburgGate.png"),
            "-o", str(output / "photo"), "--size", str(size), "--overwrite",
        ],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("out"), help="folder for the pictures (default: out)")
    parser.add_argument("--size", type=int, default=384, help="longest side (default: 384)")
    parser.add_argument("--only", choices=["plain", "regions", "segmented", "photo"], help="one of them")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name, command in commands(arguments.output, arguments.size).items():
        if arguments.only in (None, name):
            print(f"== {name}: photostyle {' '.join(command)}", flush=True)
            began = time.monotonic()
            done = subprocess.run([sys.executable, "-m", "photostyle", *command], check=False)
            if done.returncode:
                sys.exit(done.returncode)
            print(f"== {name}: {time.monotonic() - began:.0f} s", flush=True)
    print(f"the pictures are in {arguments.output}")


if __name__ == "__main__":
    main()

"""Batches: what a second worker brings, and whether workers and batches that are killed lose or spoil anything.

python scripts/benchmark_batch.py [--jobs 60] [--size 64] [--iterations 10] [--kills 10] [--out out/batch]

Three runs of the same jobs, each a process of its own as a user would start it: one worker, two workers, each with one
thread, and two workers while a random process is killed (kill -9) at random moments: a worker mostly, sometimes the
batch itself, which is then started again. Throughput counts from the first job's start to the last one's end, so that
loading Python, which a real batch does once in hours, is left out; the time of the whole command is told too, and the
seconds of processor that it took, which other programs of the machine disturb less. Run it where nothing else runs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from photostyle.batches.journal import JOURNAL, read_journal
from photostyle.images import fit_longest_side, read_picture, resize, write_picture

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
CONTENTS = ("schwerinPalace.webp", "neuschwansteinCastle.webp", "brandenburgGate.webp")
STYLES = ("starry_night_cropped.jpg", "VincentVanGogh0019.webp")


def jobs_file(folder: Path, name: str, jobs: int, size: int, iterations: int) -> Path:
    """Write small pictures and a matrix of so many jobs."""
    for file in (*CONTENTS, *STYLES):
        target = folder / Path(file).with_suffix(".png").name
        if not target.exists():
            picture = read_picture(SAMPLES / file)
            write_picture(target, np.clip(resize(picture.rgb, fit_longest_side(picture.size, 2 * size)), 0, 1))
    seeds = list(range(jobs // (len(CONTENTS) * len(STYLES))))
    path = folder / f"{name}.yaml"
    pictures = {kind: [f"{Path(file).stem}.png" for file in files] for kind, files in
                (("content", CONTENTS), ("style", STYLES))}  # fmt: skip
    matrix = pictures | {"seed": seeds, "start": "mix", "size": size, "iterations": iterations, "schedule": "single"}
    path.write_text(json.dumps({"matrix": matrix, "output": f"{name}/{{content}}-{{style}}-{{seed}}.png"}))
    return path


def start(path: Path, workers: int) -> subprocess.Popen[bytes]:
    """Start the command."""
    command = [sys.executable, "-m", "photostyle", "batch", str(path), "--workers", str(workers), "--threads", "1"]
    return subprocess.Popen([*command, "--quiet"])


def entries(folder: Path, kind: str) -> list[dict[str, Any]]:
    """Return the journal's entries of a kind."""
    return [entry for entry in read_journal(folder) if entry["event"] == kind]


def timed(path: Path, workers: int) -> dict[str, float]:
    """Run a batch to its end, and watch its journal grow."""
    folder, began, before = path.with_suffix(""), time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    process = start(path, workers)
    first = last = 0.0
    done = 0
    while process.poll() is None:
        count = len(entries(folder, "done"))
        if not first and entries(folder, "start"):
            first = time.monotonic()
        if count > done:
            done, last = count, time.monotonic()
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"the batch failed with exit code {process.returncode}")
    whole, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    done = len(entries(folder, "done"))
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "jobs": done,
        "seconds": last - first,
        "whole": whole,
        "per_minute": 60 * done / (last - first),
        "processor_seconds": processor,
    }


def killed(path: Path, kills: int, pause: float) -> dict[str, Any]:
    """Run a batch on two workers, and kill a random process of it at random moments."""
    folder, chance = path.with_suffix(""), random.Random(0)
    process, victims = start(path, 2), Counter[str]()
    due = time.monotonic() + chance.uniform(1, 2) * pause
    while process.poll() is None or process.returncode == -9:
        if process.poll() is not None:
            process = start(path, 2)
        if victims.total() < kills and time.monotonic() > due and entries(folder, "start"):
            victim = chance.choice([process.pid, *workers_of(process.pid) * 2])
            os.kill(victim, 9)
            victims["batch" if victim == process.pid else "worker"] += 1
            due = time.monotonic() + chance.uniform(0.3, 1.7) * pause
        time.sleep(0.05)
    log = read_journal(folder)
    final: set[str] = set()
    again = 0
    for entry in log:
        again += entry["event"] == "start" and entry["job"] in final
        final |= {entry["job"]} if entry["event"] == "done" else set()
    return {
        "exit_code": process.returncode,
        "killed": dict(victims),
        "starts": len(entries(folder, "start")),
        "lost": len(entries(folder, "lost")),
        "final": len(entries(folder, "done")),
        "started_after_final": again,
        "left_over": [each.name for each in folder.glob("*.tmp")],
    }


def workers_of(pid: int) -> list[int]:
    """Return the processes of a batch that were started to work, as Linux tells."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    commands = {int(child): Path(f"/proc/{child}/cmdline").read_bytes() for child in children}
    return [child for child, command in commands.items() if b"spawn_main" in command]


def hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each picture."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.png"))}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=60)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("out/batch"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if any(given.out.rglob(JOURNAL)):
        raise SystemExit(f"{given.out} holds an earlier benchmark: remove it, or choose another --out")
    paths = {
        name: jobs_file(given.out, name, given.jobs, given.size, given.iterations) for name in ("one", "two", "kill")
    }
    one, two = timed(paths["one"], 1), timed(paths["two"], 2)
    report: dict[str, Any] = {"processors": os.cpu_count(), "load": os.getloadavg(), "one": one, "two": two}
    report["throughput"] = two["per_minute"] / one["per_minute"]
    report["kills"] = killed(paths["kill"], given.kills, two["seconds"] / (given.kills + 2))
    pictures = {name: hashes(given.out / name) for name in paths}
    report["same_bytes"] = pictures["one"] == pictures["two"] == pictures["kill"]
    report["pictures"] = {name: len(found) for name, found in pictures.items()}
    (given.out / "benchmark.json").write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()

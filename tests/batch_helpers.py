"""A folder with pictures, a tiny network and a file of jobs, and what a batch left behind."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from helpers import save, tiny_weights

from photostyle.batches import Outcome, Plan, plan_batch, read_batch, run_batch
from photostyle.batches.journal import alone, read_journal
from photostyle.batches.local_engine import LocalEngine

ROOT = Path(__file__).resolve().parents[1]
DEFAULTS = """\
defaults:
  weights: tiny.safetensors
  content-layers: relu2_1
  style_layers: [relu1_1, relu2_1]
  schedule: single
  iterations: {iterations}
"""
MATRIX = """\
matrix:
  content: photos/*.png
  style: styles/*.png
output: out/{content}-{style}.png
"""


def workplace(folder: Path, *, contents: int = 2, styles: int = 2) -> Path:
    """Make photos, styles and the network; return the folder."""
    (folder / "photos").mkdir()
    (folder / "styles").mkdir()
    for number in range(contents):
        save(folder / "photos" / f"c{number}.png", seed=number)
    for number in range(styles):
        save(folder / "styles" / f"s{number}.png", seed=100 + number)
    tiny_weights(folder)
    return folder


def jobs_file(folder: Path, text: str = MATRIX, *, iterations: int = 2) -> Path:
    """Write a file of jobs with the tiny network as its default."""
    path = folder / "jobs.yaml"
    path.write_text(DEFAULTS.format(iterations=iterations) + text, encoding="utf-8")
    return path


def planned(path: Path, **options: Any) -> Plan:
    """Read and check a file of jobs."""
    return plan_batch(read_batch(path), **options)


def run_here(path: Path, *, workers: int = 1, on_event: Any = lambda _event, _engine: None) -> list[Outcome]:
    """Run a file of jobs on local workers; the callback gets the engine too."""
    outcomes: list[Outcome] = []
    engines: list[LocalEngine] = []
    batch = read_batch(path)
    with alone(batch.folder):
        plan = plan_batch(batch)

        def start() -> LocalEngine:
            engines.append(LocalEngine(workers, 1, plan.hashes))
            return engines[0]

        run_batch(plan, start, lambda event: on_event(event, engines[0] if engines else None), outcomes)
    return outcomes


def pictures(folder: Path) -> dict[str, str]:
    """The SHA-256 of each picture of an output folder."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.png"))}


def events(folder: Path, kind: str) -> list[str]:
    """The jobs of the journal's entries of a kind."""
    return [entry["job"] for entry in read_journal(folder) if entry["event"] == kind]


def check_final(folder: Path, names: list[str]) -> None:
    """All outputs are there once, whole, final once, and none was started after it was final."""
    found = pictures(folder)
    assert sorted(found) == sorted(names)
    assert sorted(events(folder, "done")) == sorted(names)
    for name, sha256 in found.items():
        record = json.loads((folder / name).with_suffix(".record.json").read_bytes())
        assert record["batch"]["sha256"] == sha256
        assert record["complete"]
    final = set()
    for entry in read_journal(folder):
        if entry["event"] == "start":
            assert entry["job"] not in final
        if entry["event"] == "done":
            final.add(entry["job"])
    assert not list(folder.rglob("*.tmp"))


def command(*arguments: object) -> subprocess.Popen[str]:
    """Start ``photostyle batch`` as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "photostyle", "batch", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )

"""Score a segmenter on the validation scenes: accuracy and IoU by set and label, edges, seconds.

    python scripts/score_segmenter.py --data FOLDER [--segmenter NAME] [--night] [--output scores.json]

FOLDER holds the three sets that ``segmentation_data.py`` describes. Each photograph goes through the same way as in
photostyle; "plain" is the network's output enlarged (bilinear), "refined" what becomes of it.
--night darkens the photographs first.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from segmentation_data import LABELS, MAIN_LABELS, SETS, VOID, Photograph, confusion, iou, read_set, split

from photostyle.images import Picture
from photostyle.regions.segmentation import Segmenter, upsample

TOLERANCE = 3  # pixels


def darkened(photographs: list[Photograph], seed: int = 0) -> list[Photograph]:
    """Expose photographs as by night: 1/20 to 1/4 of the light, bluish, with a sensor's noise.

    The dark is the same for all labels, unlike `augmentation.night`, which the segmenter learns from.
    """
    result = []
    for index, photograph in enumerate(photographs):
        random = np.random.default_rng([seed, index])
        linear = (photograph.rgb.astype(np.float32) / 255) ** 2.2
        light = np.exp(random.uniform(np.log(1 / 20), np.log(1 / 4))) * np.array([0.7, 0.85, 1.2])
        seen = (linear * light).clip(0, 1) ** (1 / 2.2) + random.normal(0, 0.015, linear.shape)
        result.append(dataclasses.replace(photograph, rgb=np.round(seen.clip(0, 1) * 255).astype(np.uint8)))
    return result


def borders(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Mark the pixels whose left or upper neighbour has another label."""
    result = np.zeros(labels.shape, dtype=np.bool_)
    result[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    result[1:] |= labels[1:] != labels[:-1]
    return result


def boundary_counts(truth: NDArray[np.uint8], found: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Count border pixels: found and right, found, true and found, true. What is near void doesn't count."""
    reach = 2 * TOLERANCE + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    near_void = cv2.dilate((truth == VOID).astype(np.uint8), disc) > 0
    beside_void = cv2.dilate((truth == VOID).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    true, mine = borders(truth) & ~beside_void, borders(found) & ~near_void
    near_true, near_mine = (cv2.dilate(edge.astype(np.uint8), disc) > 0 for edge in (true, mine))
    return np.array([(mine & near_true).sum(), mine.sum(), (true & near_mine).sum(), true.sum()])


def f_score(counts: NDArray[np.int64]) -> float:
    """Harmonic mean of precision and recall."""
    precision, recall = counts[0] / max(counts[1], 1), counts[2] / max(counts[3], 1)
    return float(2 * precision * recall / max(precision + recall, 1e-9))


def score(segmenter: Segmenter, photographs: list[Photograph]) -> dict[str, Any]:
    """Score a segmenter.

    Parameters
    ----------
    segmenter : Segmenter
        Its labels must be those of the data.
    photographs : list of Photograph

    Returns
    -------
    dict
        By set, and in the mean of the sets.
    """
    if segmenter.network.labels != LABELS:
        raise SystemExit(f"{segmenter.name} has the labels {segmenter.network.labels}, the data {LABELS}")
    matrices = {name: np.zeros((len(LABELS),) * 2, dtype=np.int64) for name in SETS}
    edges = {kind: {name: np.zeros(4, dtype=np.int64) for name in SETS} for kind in ("plain", "refined")}
    seconds, doubted = [], dict.fromkeys(SETS, 0)
    for number, photograph in enumerate(photographs, 1):
        rgb = photograph.rgb.astype(np.float32) / np.float32(255)
        began = time.perf_counter()
        found = segmenter(Picture(rgb, None, 8, photograph.name))
        seconds.append(time.perf_counter() - began)
        doubted[photograph.set] += bool(found.trust.doubt)
        plain = upsample(segmenter.probabilities(rgb), (rgb.shape[1], rgb.shape[0])).argmax(0).astype(np.uint8)
        matrices[photograph.set] += confusion(photograph.labels, found.label_map)
        for kind, labels in (("plain", plain), ("refined", found.label_map)):
            edges[kind][photograph.set] += boundary_counts(photograph.labels, labels)
        if number % 50 == 0:
            print(f"  {number} of {len(photographs)}", flush=True)
    result: dict[str, Any] = {
        name: {
            "photographs": sum(p.set == name for p in photographs),
            "accuracy": float(np.diag(matrix).sum() / max(matrix.sum(), 1)),
            "iou": iou(matrix),
            "main_iou": float(np.mean(list(iou(matrix, MAIN_LABELS).values()))),
            "boundary_plain": f_score(edges["plain"][name]),
            "boundary_refined": f_score(edges["refined"][name]),
            "doubted": doubted[name],
        }
        for name, matrix in matrices.items()
    }
    pooled = iou(sum(matrices.values(), np.zeros_like(matrices["msrc"])))
    result["all"] = {
        key: float(np.mean([result[name][key] for name in SETS]))
        for key in ("accuracy", "main_iou", "boundary_plain", "boundary_refined")
    }
    result["all"]["iou"] = pooled
    result["all"]["main_iou_pooled"] = float(np.mean([pooled[label] for label in MAIN_LABELS if label in pooled]))
    result["all"]["median_seconds"] = statistics.median(seconds)
    return result


def table(scores: dict[str, Any]) -> str:
    """Write scores as a table in Markdown."""
    columns = [*SETS, "all"]
    rows = [f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    rows.append("| photographs | " + " | ".join(str(scores[c].get("photographs", "")) for c in columns) + " |")
    for key in ("accuracy", "main_iou", "boundary_plain", "boundary_refined"):
        rows.append(f"| {key} | " + " | ".join(f"{scores[c][key]:.3f}" for c in columns) + " |")
    for label in LABELS:
        cells = [f"{scores[c]['iou'][label]:.3f}" if label in scores[c]["iou"] else "" for c in columns]
        rows.append(f"| IoU {label} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--segmenter", default="outdoor")
    parser.add_argument("--every", type=int, default=1, help="score every Nth photograph only")
    parser.add_argument("--night", action="store_true", help="darken the photographs first")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    _, validation = split([p for name in SETS for p in read_set(options.data, name)])
    validation = darkened(validation) if options.night else validation
    scores = score(Segmenter(options.segmenter), validation[:: options.every])
    scores["machine"] = f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    print(table(scores))
    print(
        f"main_iou of the pooled pixels {scores['all']['main_iou_pooled']:.3f}; "
        f"{scores['all']['median_seconds']:.2f} s a photograph; doubted "
        + ", ".join(f"{scores[name]['doubted']} of {scores[name]['photographs']} ({name})" for name in SETS)
    )
    if options.output:
        options.output.write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Train the weights of ``--solver grade``: from folders of photographs to the file that is shipped.

    python scripts/train_grade.py --data FOLDER --output models/grade.safetensors

All JPEG files under FOLDER are taken; of folders named camvid, frames of drives, every tenth. In each step a random
look is put on two photographs: one is the style, the other, without its look, the content, so that the right answer is
known. Fourteen numbers, from what is measured of both by a linear map and one hidden layer beside it, are fitted to
what is left of the way, in CIELAB with chroma counted less where it is high (CIE94), by Adam. The last tenth of the
photographs is for validation alone. Ten minutes on one core, of them three for what the network sees.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np
import torch
from grade_looks import random_looks
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from photostyle.colors.grade import NUMBERS, SCENE_LAYERS, color_statistics, graded, scene_features
from photostyle.colors.lab import to_lab
from photostyle.images import fit_longest_side, read_picture, resize
from photostyle.networks import load_backbone

_EVERY = {"camvid": 10}
_SIDE, _COLORS = 112, 2048  # pixels on the longest side of a photograph, and how many of its colours are kept
_AXES = 64  # principal components of what the network sees
_USED = 512  # colours of a photograph in one step
_BATCH = 64
_HIDDEN, _DROPPED = 128, 0.4  # units of the hidden layer, and the share of them that each step does without
_DECAY = 0.05  # of weights
_SCALE = 0.3  # of the numbers: Adam's steps are for weights of about one
_OFFSET = 0.03  # Lab / 100: what a faint look counts beside a strong one
_ROUGH = 0.05  # weight of the second differences of the tone curve


def main() -> None:
    """Read the command line, train, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=8000)
    options = parser.parse_args()
    files = _files(options.data)
    colors, scenes = _read(files)
    order = torch.randperm(len(files), generator=torch.Generator().manual_seed(0))
    rows = _train(colors[order], scenes[order], options.steps)
    save_file(rows, options.output)
    print(f"{options.output}: SHA-256 {hashlib.sha256(options.output.read_bytes()).hexdigest()}")


def _files(folder: Path) -> list[Path]:
    found: list[Path] = []
    for place in sorted({path.parent for path in folder.rglob("*.jpg")}):
        every = next((step for name, step in _EVERY.items() if name in place.parts), 1)
        found += sorted(place.glob("*.jpg"))[::every]
    return found


def _read(files: list[Path]) -> tuple[Tensor, Tensor]:
    """Return the colours, shape (N, 2048, 3), and the scenes, shape (N, S), of all photographs."""
    network = load_backbone("vgg16", content_layers=(), style_layers=SCENE_LAYERS)
    colors, scenes = [], []
    random = np.random.default_rng(0)
    for number, path in enumerate(files):
        rgb = read_picture(path, role="photograph").rgb
        colors.append(_some(resize(rgb, fit_longest_side((rgb.shape[1], rgb.shape[0]), _SIDE)), random))
        scenes.append(scene_features(rgb, network))
        if number % 100 == 99:
            print(f"read {number + 1} of {len(files)} photographs", flush=True)
    return torch.from_numpy(np.stack(colors)), torch.stack(scenes)


def _some(rgb: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    flat = rgb.reshape(-1, 3)
    return np.asarray(flat[random.choice(len(flat), _COLORS, replace=len(flat) < _COLORS)])


def _train(colors: Tensor, scenes: Tensor, steps: int) -> dict[str, Tensor]:
    """Return the tensors of the file."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    kept = len(colors) * 9 // 10
    scene_mean, deviation = scenes[:kept].mean(0), scenes[:kept].std(0) + 1e-3
    _, strengths, axes = torch.linalg.svd((scenes[:kept] - scene_mean) / deviation, full_matrices=False)
    scene_axes = 0.5 * kept**0.5 * (axes[:_AXES] / strengths[:_AXES, None]).T / deviation[:, None]
    seen = (scenes - scene_mean) @ scene_axes
    with torch.no_grad():
        sample = color_statistics(
            random_looks(colors[torch.randint(kept, (1280,), generator=generator), :1024], generator)
        )
    color_mean, color_deviation = sample.mean(0), sample.std(0) + 1e-3
    network = _Numbers(2 * (len(color_mean) + _AXES))

    def loss_of(low: int, high: int, count: int, dice: torch.Generator) -> tuple[Tensor, Tensor]:
        pairs = torch.randint(low, high, (2, count), generator=dice)
        used = torch.randint(_COLORS, (_USED,), generator=dice)
        content, other = (colors[index][:, used] for index in pairs)
        with torch.no_grad():
            truth, style = random_looks(torch.cat([content, other], 1), dice).tensor_split(2, 1)
            measured = [
                torch.cat([(color_statistics(each) - color_mean) / color_deviation, seen[index]], 1)
                for each, index in ((style, pairs[1]), (content, pairs[0]))
            ]
        numbers = _SCALE * network(torch.cat(measured, 1))
        before, after = (_difference(each, truth).mean(1) for each in (content, graded(content, numbers)))
        rough = numbers[:, :5].diff(dim=1).diff(dim=1).square().sum(1)
        return (after / (before + _OFFSET)).mean() + _ROUGH * rough.mean(), (after / before.clamp_min(1e-3)).median()

    optimizer = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        loss, _ = loss_of(0, kept, _BATCH, generator)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if step % 500 == 499:
            network.eval()
            with torch.no_grad():
                left = loss_of(kept, len(colors), 512, torch.Generator().manual_seed(1))[1]
            network.train()
            print(f"step {step + 1} of {steps}: {left:.3f} of the way is left, median on validation", flush=True)
    return {
        "color_mean": color_mean,
        "color_deviation": color_deviation,
        "scene_mean": scene_mean,
        "scene_axes": scene_axes.half().contiguous(),
        "hidden_weight": network.hidden.weight.detach(),
        "hidden_bias": network.hidden.bias.detach(),
        "weight": (_SCALE * network.out.weight.detach()).contiguous(),
        "bias": _SCALE * network.out.bias.detach(),
    }


class _Numbers(nn.Module):
    """The function that is fitted; it begins with no grade at all."""

    def __init__(self, measured: int) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(measured, _HIDDEN), nn.Linear(measured + _HIDDEN, NUMBERS)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor) -> Tensor:
        hidden = functional.dropout(functional.gelu(self.hidden(x)), _DROPPED, self.training)
        numbers: Tensor = self.out(torch.cat([x, hidden], 1))
        return numbers


def _difference(one: Tensor, other: Tensor) -> Tensor:
    """Return about CIE94's colour difference of colours, shape (B, P, 3), in Lab / 100."""
    first, second = to_lab(one), to_lab(other)
    chroma = 100 * (first[..., 1:].norm(dim=-1) + second[..., 1:].norm(dim=-1)) / 2
    steps = (first - second).square()
    difference: Tensor = (steps[..., 0] + steps[..., 1:].sum(-1) / (1 + 0.03 * chroma).square() + 1e-8).sqrt()
    return difference


if __name__ == "__main__":
    main()

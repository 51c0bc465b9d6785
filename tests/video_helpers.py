"""Small clips: a picture panned by known shifts, in folders and video files, with and without sound."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from helpers import picture
from numpy.typing import NDArray
from PIL import Image

from photostyle.video.encode import Sound, encode_video
from photostyle.video.ffmpeg import run

Frame = NDArray[np.uint8]


def wide(width: int = 160, height: int = 48, seed: int = 0) -> Frame:
    """A picture with detail everywhere, so that its motion can be seen."""
    rng = np.random.default_rng(seed)
    rough = np.kron(rng.uniform(0, 1, (height // 4, width // 4 + 1, 3)), np.ones((4, 4, 1)))[:, :width]
    return np.rint(255 * (0.6 * picture(width, height, seed) + 0.4 * rough)).astype(np.uint8)


def panned(count: int, *, step: int = 2, width: int = 64, seed: int = 0) -> list[Frame]:
    """Frames that look at a picture ever further to the right: what is at x was at x + step in the frame before."""
    whole = wide(width + step * count, seed=seed)
    return [np.ascontiguousarray(whole[:, i * step : i * step + width]) for i in range(count)]


def folder_of(frames: Sequence[Frame], folder: Path) -> Path:
    """Write frames as numbered pictures; 9 is followed by 10, not by 90."""
    folder.mkdir()
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"shot{index + 8}.png")
    return folder


def tone(path: Path, seconds: float, rate: int = 8000) -> Path:
    """A WAV file."""
    samples = np.rint(8000 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path


def video_of(frames: Sequence[Frame], path: Path, rate: Fraction = Fraction(12), sound: Path | None = None) -> Path:
    """Encode frames, with the whole of a sound."""
    voice = None if sound is None else Sound(sound, Fraction(0), whole=True)
    encode_video(iter(frames), len(frames), path, rate, sound=voice)
    return path


def packets(path: Path, stream: str) -> list[tuple[float, float]]:
    """When the packets of a stream begin, and how long they last, in seconds; what the container says, not ours."""
    code, output, complaint = run(["-i", str(path), "-map", f"0:{stream}", "-c", "copy", "-f", "framecrc", "-"])
    assert code == 0, complaint
    lines = output.decode().splitlines()
    tick = Fraction(next(line.split(": ")[1] for line in lines if line.startswith("#tb")))
    rows = [[int(word) for word in line.split(",")[2:4]] for line in lines if not line.startswith("#")]
    return [(float(at * tick), float(length * tick)) for at, length in rows]


def psnr(one: Frame, other: Frame) -> float:
    """Peak signal to noise ratio of the brightness in dB; that of colour is halved by a codec."""
    error = np.mean((one.mean(2) - other.mean(2)) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else float("inf")

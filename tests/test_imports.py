"""What is imported when: seconds of a start that nobody needs."""

from __future__ import annotations

import subprocess
import sys

import pytest
from cli_helpers import Workshop

RUN = """
import sys
from photostyle.apps.cli.app import main
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
print("imported:", *{name.partition(".")[0] for name in sys.modules})
"""


def imported(*arguments: object) -> set[str]:
    """Run the command line in a process of its own; return the packages that it imported."""
    command = [sys.executable, "-c", RUN, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8")
    return set(done.stdout.rpartition("imported:")[2].split())


@pytest.mark.parametrize(
    "arguments",
    [("--version",), ("--help",), ("transfer", "--help"), ("video", "--help"), ("models", "fetch", "--help")],
)
def test_version_and_help_import_nothing_that_computes(arguments):
    assert not imported(*arguments) & {"torch", "numpy", "scipy", "cv2", "PIL", "gradio", "ray"}


def test_a_transfer_with_masks_imports_nothing_that_segments_or_draws(tmp_path, monkeypatch, capsys):
    shop = Workshop(monkeypatch, capsys, tmp_path)
    more = (*shop.masks, "--mode", "photo", "--edge-weight", 0)
    found = imported(*shop.arguments(*more))
    assert "torch" in found
    assert shop.output.exists()
    unwanted = {
        "segmentation_models_pytorch",
        "timm",
        "huggingface_hub",
        "torchvision",
        "matplotlib",
        "skimage",
        "gradio",
    }
    assert not found & unwanted

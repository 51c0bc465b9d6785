"""Checkpoints: a run's state on disk, so that an interrupted run ends as if it had never been interrupted."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from photostyle.errors import OutputError, UsageError
from photostyle.images import write_atomically

_FORMAT = 2  # 1: when the default network was what is now named hed
_DIGEST = hashlib.sha256().digest_size  # the file begins with the SHA-256 of all that follows


def save_checkpoint(path: str | os.PathLike[str], fingerprint: str, state: dict[str, Any]) -> None:
    """Write a checkpoint; the one before it stays whole until this one is.

    Parameters
    ----------
    path : path
    fingerprint : str
        What the run depends on (inputs and options), as a hash.
    state : dict
        Tensors, numbers, strings, and lists and dicts of them.

    Raises
    ------
    OutputError
        If it can't be written.
    """
    payload = {"format": _FORMAT, "fingerprint": fingerprint, "state": state}
    buffer = io.BytesIO()
    torch.save(payload, buffer)
    data = buffer.getvalue()
    write_atomically(path, hashlib.sha256(data).digest() + data)


def load_checkpoint(path: str | os.PathLike[str], fingerprint: str, device: str = "cpu") -> dict[str, Any]:
    """Read a checkpoint of the same run.

    Parameters
    ----------
    path : path
    fingerprint : str
        Must equal the one that the checkpoint was written with.
    device : str
        Where the tensors shall be.

    Returns
    -------
    dict
        The state.

    Raises
    ------
    UsageError
        If there is none, or it belongs to other inputs or options.
    OutputError
        If it is damaged.
    """
    if not Path(path).is_file():
        raise UsageError(f"nothing to resume: {path} doesn't exist; run without --resume")
    try:
        content = Path(path).read_bytes()
        digest, data = content[:_DIGEST], content[_DIGEST:]
        if hashlib.sha256(data).digest() != digest:
            raise ValueError("its SHA-256 is not the one that it was written with")
        payload = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        found, state = payload["fingerprint"], payload["state"]
        version = payload["format"]
    except Exception as error:  # torch raises whatever its unpickler meets
        reason = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise OutputError(f"checkpoint {path} is damaged ({reason}): delete it and run without --resume") from None
    if version != _FORMAT:
        raise UsageError(
            f"checkpoint {path} is of an older photostyle, whose network vgg16 is now named hed, and can't be resumed: "
            "delete it and run without --resume, with --backbone hed for the network of then"
        )
    if found != fingerprint:
        raise UsageError(
            f"checkpoint {path} belongs to a run with other pictures, masks, weights or options: "
            "give the same ones, or run without --resume"
        )
    return {name: _moved(value, device) for name, value in state.items()}


def _moved(value: Any, device: str) -> Any:
    """Move all tensors in dicts and lists to a device."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {key: _moved(item, device) for key, item in value.items()}
    return [_moved(item, device) for item in value] if isinstance(value, list) else value

"""A transfer depends on nothing that its caller told PyTorch, and leaves all of it as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def own_torch_state() -> Iterator[None]:
    """Compute with gradients, in float32, on the devices that the config names; also a decorator.

    Within it the caller's ``inference_mode``, ``no_grad``, ``autocast``, default dtype and default device don't count,
    and what is drawn from the global generator of the CPU (initial weights, replaced at once by those of the file) is
    put back. Afterwards, also after an error, everything is as it was. The default dtype is one for all threads: who
    changed it from float32 should not run transfers in several threads at once.
    """
    dtype = torch.get_default_dtype()
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(torch.random.fork_rng(devices=()))
        for kind in ("cpu", "cuda", "mps"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device() != torch.device("cpu"):
            stack.enter_context(torch.device("cpu"))
        if dtype != torch.float32:
            stack.callback(torch.set_default_dtype, dtype)
            torch.set_default_dtype(torch.float32)
        yield

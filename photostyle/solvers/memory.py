"""Memory: what an error says of it, and how to keep what is freed for the next iteration.

An evaluation of the objective needs the same few hundred megabytes again and again. The C library of Linux hands
blocks of that size back to the system at once, which then clears every page anew: a fifth of the time of a step.
"""

from __future__ import annotations

import ctypes
import functools
import platform

import torch

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of glibc's mallopt(3)
_LARGEST_INT = 2**31 - 1


@functools.cache
def keep_freed_memory() -> bool:
    """Tell glibc, for this process and once, to keep what is freed; elsewhere do nothing.

    Returns
    -------
    bool
        Whether it was told.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_TRIM_THRESHOLD, _LARGEST_INT) and mallopt(_MMAP_MAX, 0))


def return_freed_memory() -> bool:
    """Return to the system what is free, as between two levels, whose blocks are of other sizes; glibc only.

    Returns
    -------
    bool
        Whether there was anything to return.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    return bool(ctypes.CDLL(None).malloc_trim(0))


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error of Python, PyTorch or a device says that memory doesn't suffice."""
    words = ("can't allocate memory", "not enough memory", "out of memory")  # Linux, Windows, MPS
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(word in str(error) for word in words)

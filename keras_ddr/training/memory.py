"""Freed memory that a training process keeps instead of giving it back."""

import ctypes
import os
import sys

# Numbers of parameters in glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_LARGEST = 2**30


def keep_freed_memory(of_threads: bool = False) -> bool:
    """Have glibc keep freed memory up to 1 GiB for the process; whether it will."""
    # Left alone, it gives the maps of every step back and gets them again, zeroed: a
    # fifth of a step on PyTorch, and on JAX, whose threads (`of_threads`) have to share
    # the memory of the first one. TensorFlow's first dataset of a generator sets a low
    # limit: call this after that. What the environment sets stays.
    chosen = any(
        name.startswith("MALLOC_") or name in ("GLIBC_TUNABLES", "LD_PRELOAD")
        for name in os.environ
    )
    if chosen or sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl has none
        return False
    return bool(
        mallopt(_MMAP_THRESHOLD, _LARGEST)
        and mallopt(_TRIM_THRESHOLD, _LARGEST)
        and (not of_threads or mallopt(_ARENA_MAX, 1))
    )

"""Freed memory that a training process keeps instead of giving it back."""

import ctypes
import os
import sys

__all__ = ["keep_freed_memory"]

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_LARGEST = 2**30


def keep_freed_memory(of_threads: bool = False) -> bool:
    """Have glibc keep freed memory up to 1 GiB for the process.

    Maps of a few dozen megabytes come and go in every step. Left alone, glibc gives
    their pages back to the system and gets them again, zeroed, one fault a page: on
    PyTorch, whose tensors on a CPU come from malloc, that takes a fifth of a step. On
    TensorFlow it takes a few hundredths, because its datasets of generators set a low
    limit for the whole process when the first is made: call this after that. On JAX it
    takes a fifth: its own threads get one block for all temporary values of a step and
    give it back. Nothing is done on other systems, nor where the environment sets
    malloc's behaviour.

    Args:
        of_threads: Keep the large blocks of other threads, too: threads that start from
            now on share the memory of the first one, for glibc keeps no large block of
            the others.

    Returns:
        Whether memory is kept from now on.
    """
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

"""Freed memory stays with the process while it trains."""

from __future__ import annotations

import ctypes

#: glibc's names (malloc.h) for: the free space at the heap's end above which it goes back to the system, and
#: how many pieces of memory may be had from the system one by one.
TRIM_THRESHOLD, MMAP_MAX = -1, -4


def keep_freed_memory() -> bool:
    """Let what one training step frees be what the next one is given.

    A step on the CPU frees its activations and gradients and asks for as many again. The C library hands
    large pieces back to the system each time, which clears every page before it gives it out again: 10 to
    30 % of a step's time. The process keeps its peak instead, or a few percent more than that.

    Returns:
        Whether the C library was glibc, which can be told so; others are left as they are.
    """
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library; TypeError: Windows
        return False
    return bool(set_option(MMAP_MAX, 0)) and bool(set_option(TRIM_THRESHOLD, 2**31 - 1))

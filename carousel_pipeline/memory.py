"""A run process keeps the memory that it has freed while it works, and gives it back before it waits.

Every picture and every slide takes tens of megabytes for a moment. The C library returned them at once, and the system cleared
them again for the next: a seventh of the work on a carousel. But it also kept what was freed for each thread that ever asked:
after one decoded picture a run held thirty megabytes for nothing while it waited half a minute for the next one, and two hundred
runs six gigabytes.
"""

import ctypes
import functools
from typing import Final

# glibc's malloc.h: what mallopt sets, and to what. Other C libraries know none of it.
_KEPT: Final = (
    (-8, 1),  # M_ARENA_MAX: one pool for all threads, or each keeps its own
    (-3, 32 << 20),  # M_MMAP_THRESHOLD: only larger pieces come from the system each time; the largest it allows
    (-1, 256 << 20),  # M_TRIM_THRESHOLD: more than this at the end of the pool goes back by itself
    (-2, 16 << 20),  # M_TOP_PAD: what the pool grows by at least
)


def keep_freed() -> None:
    """Have this process keep what it frees, where its C library can."""
    if hasattr(_libc(), "malloc_trim"):  # glibc's alone, as are the numbers
        for option, value in _KEPT:
            _libc().mallopt(option, value)


def give_back() -> None:
    """Return freed memory to the system, where the C library can; takes about a millisecond."""
    if hasattr(_libc(), "malloc_trim"):
        _libc().malloc_trim(0)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)

"""Memory that a process has freed goes back to the machine, before the process waits.

The C library keeps what was freed, for each thread that ever asked: after one decoded picture a run held thirty megabytes for
nothing while it waited half a minute for the next one, and two hundred runs six gigabytes.
"""

import ctypes
import functools
from collections.abc import Callable


def give_back() -> None:
    """Return freed memory to the system, where its C library can; takes about a millisecond."""
    trim = _trim()
    if trim is not None:
        trim(0)


@functools.cache
def _trim() -> Callable[[int], int] | None:
    """Return glibc's `malloc_trim`; other C libraries have none."""
    found: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return found

"""Where systems differ: locks on files, what a fork does, how a file is opened, how many may be.

Invariant: nothing else in the package asks which system it runs on. Without POSIX, which is Windows, locks are
msvcrt's, and calls that elsewhere are bounded in time and memory run unbounded.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import IO, Any

try:
    import fcntl
    import resource
except ImportError:  # Windows
    POSIX = False
else:
    POSIX = True

READING = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_FARTHEST = 2**30  # the place of a byte that msvcrt can lock


def lock(file: IO[Any]) -> None:
    """Lock a file for this process until it is closed. Raises OSError where another process has it."""
    if POSIX:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        lock_byte(file, 0)


def lock_byte(file: IO[Any], place: int) -> None:
    """Lock one byte of a file, which need not be that long. Raises OSError where another process has it."""
    if POSIX:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
    else:
        _msvcrt_locking(file, place, "LK_NBLCK")


def unlock_byte(file: IO[Any], place: int) -> None:
    """Leave a byte that ``lock_byte`` has locked to others."""
    if POSIX:
        fcntl.lockf(file, fcntl.LOCK_UN, 1, place)
    else:
        _msvcrt_locking(file, place, "LK_UNLCK")


def _msvcrt_locking(file: IO[Any], place: int, what: str) -> None:
    import msvcrt

    os.lseek(file.fileno(), place % _FARTHEST, os.SEEK_SET)
    msvcrt.locking(file.fileno(), getattr(msvcrt, what), 1)  # type: ignore[attr-defined, unused-ignore]


def after_fork(call: Callable[[], Any]) -> None:
    """Have every child that this process forks begin with ``call``."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=call)


def most_open_files() -> float:
    """How many files and connections this process may hold open."""
    if not POSIX:
        return float("inf")
    lent = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return float("inf") if lent == resource.RLIM_INFINITY else lent


def bound_memory(most: int) -> None:
    """Refuse this process more bytes for its data, for good or until the next call."""
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))

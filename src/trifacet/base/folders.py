"""A folder that a command fills: it belongs to one piece of work, and to one process at a time.

Invariant: what was not written by such a command is never touched.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

from trifacet.base.errors import TrifacetError


@contextlib.contextmanager
def locked(folder: Path, mark: str) -> Iterator[None]:
    """``folder``, made if need be, for this process alone; ``mark`` is the file that tells such a folder from others.

    Raises:
        TrifacetError: it holds files but no ``mark``, or another process works in it; and later, when the disk is full.
    """
    try:
        _refuse_foreign(folder, mark)
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
        os.register_at_fork(after_in_child=lock.close)  # else the workers of a killed process would keep its folder
    except OSError as error:
        raise TrifacetError(f"cannot write to {folder}: {error.strerror}; choose another output") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise TrifacetError(
                f"another process is running in {folder}; wait for it or choose another output"
            ) from None
        try:
            yield
        except (OSError, SafetensorError, RuntimeError) as error:
            if _disk_is_full(error):
                raise TrifacetError(
                    f"the disk of {folder} is full; free some space, then the same command continues from what is "
                    "finished"
                ) from None
            raise


def _refuse_foreign(folder: Path, mark: str) -> None:
    if not folder.is_dir() or (folder / mark).exists():
        return
    temporary = (".lock", f".{mark}.")  # what is left of a process that was killed as it began
    others = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith(temporary))
    if others:
        raise TrifacetError(f"{folder} is not empty and holds no {mark} ({others[0]} ...); choose another output")


def _disk_is_full(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    words = str(error).lower()  # torch and safetensors have no error number
    signs = ("no space left", "file too large", "iostream error", "inline_container.cc")
    return any(sign in words for sign in signs)

"""Opening files that nobody has vouched for.

Invariant: what is read is a regular file, so that no pipe or device keeps a program waiting, and where it is read whole
of a stated size at most; everything else is a DataError that says what to do.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from trifacet.base.errors import DataError, cure_of


@contextmanager
def opened(path: Path, *, most: int | None = None) -> Iterator[IO[bytes]]:
    """The bytes of a file, for reading.

    Args:
        path: links are followed.
        most: largest size in bytes; None for what is read a piece at a time.

    Raises:
        DataError: no such file, a folder, pipe or device, more than ``most`` bytes, or one that cannot be read to its
            end.
    """
    if "\0" in str(path):
        raise DataError("holds a NUL, which no path does", fix="correct the path", file=path)
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            told = os.fstat(file.fileno())
            if not stat.S_ISREG(told.st_mode):
                raise DataError("cannot be read (no regular file)", fix="give a file", file=path)
            if most is not None and told.st_size > most:
                raise DataError(f"is larger than {most} bytes", fix="give a smaller file", file=path)
            yield file
    except FileNotFoundError:
        raise DataError("no such file", fix="correct the path", file=path) from None
    except OSError as error:
        cure = cure_of(error, "give a readable file")
        raise DataError(f"cannot be read ({error.strerror})", fix=cure, file=path) from None


def read_bytes(path: Path, most: int) -> bytes:
    """A whole file of at most ``most`` bytes. Raises DataError as ``opened`` does."""
    with opened(path, most=most) as file:
        return file.read(most)


def read_text(path: Path, most: int) -> str:
    """A whole file of at most ``most`` bytes as UTF-8, a byte order mark left out.

    Raises:
        DataError: as ``opened`` does, or it is not UTF-8.
    """
    try:
        return read_bytes(path, most).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError("is not UTF-8 text", fix="save the file as UTF-8", file=path) from None

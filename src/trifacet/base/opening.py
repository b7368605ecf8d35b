"""Opening files that nobody has vouched for.

Invariant: what is read is a regular file, so that no pipe or device keeps a program waiting, and where it is read whole
of a stated size at most; everything else is a DataError that says what to do.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from trifacet.base import system
from trifacet.base.errors import DataError, cure_of


@contextmanager
def opened(path: Path, *, most: int | None = None) -> Iterator[IO[bytes]]:
    """The bytes of a file, for reading.

    Args:
        path: links are followed.
        most: largest size in bytes; None for what is read a piece at a time.

    Raises:
        DataError: no such file, a folder, pipe or device, more than ``most`` bytes, one that cannot be read to its
            end, or a name that no file can have.
    """
    if "\0" in str(path):
        raise DataError("holds a NUL, which no path does", fix="correct the path", file=path)
    try:
        with open_regular(path) as file:
            if most is not None and os.fstat(file.fileno()).st_size > most:
                raise _too_large(path, most)
            yield file
    except FileNotFoundError:
        raise DataError("no such file", fix="correct the path", file=path) from None
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        cure = cure_of(error, "give a readable file")
        raise DataError(f"cannot be read ({reason})", fix=cure, file=path) from None


def open_regular(path: Path) -> io.BufferedReader:
    """The file, open for reading. Raises OSError, also for what is no regular file."""
    try:
        descriptor = os.open(path, system.READING)
    except ValueError as error:  # NUL, or half of a surrogate pair
        raise OSError(errno.EINVAL, "no name of a file") from error
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        folder = stat.S_ISDIR(mode)
        raise OSError(errno.EISDIR if folder else errno.EINVAL, "Is a directory" if folder else "no regular file")
    return os.fdopen(descriptor, "rb")


def _too_large(path: Path, most: int) -> DataError:
    return DataError(f"is larger than {most} bytes", fix="give a smaller file", file=path)


def is_folder(path: Path) -> bool:
    """Whether there is such a folder; of a name that no file can have ``opened`` says what is wrong."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def is_there(path: Path) -> bool:
    """Whether anything is called so, be it a pipe or a link to nothing."""
    return os.path.lexists(path)


def is_file(path: Path) -> bool:
    """Whether there is such a file, that can be opened; asked alike."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def read_bytes(path: Path, most: int) -> bytes:
    """A whole file of at most ``most`` bytes. Raises DataError as ``opened`` does."""
    with opened(path, most=most) as file:
        data = file.read(most + 1)
    if len(data) > most:  # it grows, or is one of those that the system makes up
        raise _too_large(path, most)
    return data


def read_text(path: Path, most: int) -> str:
    """A whole file of at most ``most`` bytes as UTF-8, a byte order mark left out.

    Raises:
        DataError: as ``opened`` does, or it is not UTF-8.
    """
    try:
        return read_bytes(path, most).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError("is not UTF-8 text", fix="save the file as UTF-8", file=path) from None

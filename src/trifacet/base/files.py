"""Writing files so that a reader, or a run that was killed, never meets half of one.

Invariant: a file is on the disk before it takes its name, so that a power cut too leaves the old one or the new one.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trifacet.base.errors import TrifacetError, cure_of

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp|\.[0-9a-f]{32}\.part")  # of ``replacing``, and of downloads


@contextmanager
def replacing(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """A temporary file beside ``path`` that takes its place if the block ends without an error, else vanishes.

    A device such as /dev/null is refused: root may put a file in its place, and breaks the machine with it. ``sync``
    waits until it is on the disk; leave it out for one of thousands that are looked at, or can be made, anew.
    """
    # processes of several machines may share the disk
    temporary = _beside(path, f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise TrifacetError(f"cannot write {path}: it is a device or pipe; name a file")
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if sync:
            _sync(temporary)
        temporary.replace(path)
    except OSError as error:
        raise TrifacetError(f"cannot write {path}: {error.strerror or error}; {cure_of(error)}") from None
    finally:
        with suppress(OSError):  # there is none, or no folder for it
            temporary.unlink()


@contextmanager
def replacing_folder(folder: Path, *, sync: bool = False) -> Iterator[Path]:
    """The same for a folder: the block makes the folder that it is given, and this takes the place of ``folder``.

    ``sync`` waits until the files are on the disk; leave it out for thousands of small ones that can be made anew.
    """
    partial = _beside(folder, f".{folder.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)  # left by a run that was killed
        folder.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        for path in partial.rglob("*") if sync else ():
            if path.is_file():
                _sync(path)
        if folder.exists():
            shutil.rmtree(folder)
        partial.replace(folder)
    except OSError as error:
        raise TrifacetError(f"cannot write {folder}: {error.strerror or error}; {cure_of(error)}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _beside(path: Path, name: str) -> Path:
    """Raises TrifacetError for ``.`` and ``/``, whose place nothing can take."""
    if not path.name:
        raise TrifacetError(f"cannot write {path}: it is a folder that cannot be replaced; name what to write")
    return path.with_name(name)


def sweep(folder: Path) -> None:
    """Take away the temporary files in and below a folder in which nobody writes: a kill left them."""
    for path in folder.rglob(".*"):
        if _TEMPORARY.fullmatch(path.name) and path.is_file():
            with suppress(OSError):
                path.unlink()


def write_atomically(path: Path, text: str) -> None:
    """Write to a temporary file beside ``path``, then rename: a reader sees the old file or the new one."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def append_durably(path: Path, lines: bytes) -> None:
    """Add lines to a file, on disk when this returns: after a kill at most the last line is incomplete.

    Raises:
        TrifacetError: they cannot be written.
    """
    try:
        with path.open("ab") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise cannot_write(path, error) from None


def cannot_write(path: Path, error: OSError) -> TrifacetError:
    """The one line to end with when a file that grows cannot grow further."""
    cure = cure_of(error, "mend that")
    return TrifacetError(f"cannot write {path}: {error.strerror or error}; {cure}, then the same command continues")

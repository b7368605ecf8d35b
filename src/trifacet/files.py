"""Writing files so that a reader, or a run that was killed, never meets half of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trifacet.errors import TrifacetError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside ``path`` that takes its place if the block ends without an error, else vanishes."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise TrifacetError(f"cannot write {path}: {reason}; free some space or choose another path") from None
    finally:
        with suppress(OSError):  # there is none, or no folder for it
            temporary.unlink()


def write_atomically(path: Path, text: str) -> None:
    """Write to a temporary file beside ``path``, then rename: a reader sees the old file or the new one."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")

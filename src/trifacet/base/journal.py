"""Rows on disk as they come: JSON lines with seals, continued where a process was stopped.

Invariant: a row that ``append`` has returned from is there after a kill; a line that is torn, or not as it was written,
is no row. ``finish`` leaves the bytes that a process without a stop leaves.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from trifacet.base.errors import TrifacetError
from trifacet.base.files import append_durably, replacing, write_atomically
from trifacet.base.seals import sealed, unsealed


class Journal:
    """A file of rows, each a JSON object.

    Args:
        path: the file; its folder is made.

    Raises:
        TrifacetError: it cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.rows: list[dict[str, Any]] = []
        """What was there when it was opened, in the order in which it came."""
        if path.exists():
            self._read()

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rows; they are on the disk when this returns."""
        append_durably(self.path, "".join(_line(sealed(row)) for row in rows).encode("utf-8"))

    def finish(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write these rows, in this order and with their seals, in the place of what came."""
        write_atomically(self.path, "".join(_line(sealed(row)) for row in rows))

    def _read(self) -> None:
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise TrifacetError(f"cannot continue {self.path}: {error.strerror}; choose another output") from None
        kept = []
        for line in content.split(b"\n"):
            if (row := _row(line)) is not None:
                kept.append(line + b"\n")
                self.rows.append(row)
        if (sound := b"".join(kept)) != content:
            with replacing(self.path) as temporary:
                temporary.write_bytes(sound)


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return unsealed(row) if isinstance(row, dict) and "seal" in row else None

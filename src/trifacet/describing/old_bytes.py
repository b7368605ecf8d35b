"""What documents were before texts were put into them: a journal, and the old bytes.

Invariant: a row is on the disk before its document changes, and the old bytes before the row. A journal may have come
with somebody's files: rows that are none of these, bytes that are not those of their digest, and what swells beyond
the largest document are no old bytes; nothing outside the root is looked at.
"""

from __future__ import annotations

import glob
import re
import secrets
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from trifacet.base.claims import claimed, moment
from trifacet.base.digests import sha256_of
from trifacet.base.errors import DataError
from trifacet.base.files import append_durably, replacing, write_atomically
from trifacet.base.journal import Journal
from trifacet.base.opening import read_bytes
from trifacet.describing.planning import FOLDER, MAX_DOCUMENT, NOTHING, Change, digest_of, within

JOURNAL, _KEPT = "journal.jsonl", "before"
_OWN = (JOURNAL, _KEPT, ".gitignore", ".lock")  # what stands in a journal's folder
_HEX = re.compile(r"[0-9a-f]{64}")
_MORE = 1_000_000  # bytes that packing may add


@contextmanager
def opened_bytes(root: Path, journal: Path | None) -> Iterator[OldBytes]:
    """The journal, for this process alone.

    Args:
        root: folder of the documents.
        journal: its folder; None: ``FOLDER`` in the root.

    Raises:
        TrifacetError: no such root, a link in the journal's place, or another process works there.
    """
    if not root.is_dir():
        raise DataError("is no folder", fix="name the folder that was scanned", file=root)
    folder = journal or root / FOLDER
    for path in (*(() if journal else (folder,)), *(folder / name for name in _OWN)):
        if path.is_symlink():  # it may have come with somebody's files
            raise DataError("is a symbolic link", fix="remove it; the journal is kept in the folder itself", file=path)
    with claimed(folder, JOURNAL):
        yield OldBytes(root, folder)


class OldBytes:
    """The journal of a root: a row before each change, and one when it was undone; old bytes by their digest.

    Args:
        root: folder of the documents.
        folder: of the journal.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.folder, self.path = root, folder, folder / JOURNAL
        append_durably(self.path, b"")
        if not (folder / ".gitignore").is_file():
            write_atomically(folder / ".gitignore", "*\n")
        self.journal = Journal(self.path)
        for row in self.pending()[:1]:  # the last change, amid which a kill may have come
            with suppress(DataError, OSError):
                file = within(root, row["path"])
                for torn in file.parent.glob(f".{glob.escape(file.name)}.????????.tmp"):
                    torn.unlink(missing_ok=True)
                if sha256_of(file) == row["before"]:
                    self.tick(row)

    def note(self, run: str, change: Change) -> dict[str, Any]:
        """Before a document changes: keep its old bytes, then both digests; on disk when this returns."""
        before = None if change.made else digest_of(change.before)
        if before is not None and self._kept(before) is None:
            with replacing(self._place(before)) as temporary:
                temporary.write_bytes(zlib.compress(change.before))
        row: dict[str, Any] = {"id": secrets.token_hex(8), "run": run, "when": moment(), "path": change.path}
        row |= {
            "before": before,
            "after": digest_of(change.after),
            "texts": len(change.edits),
            "keys": list(change.edits),
        }
        self._append(row)
        return row

    def tick(self, row: Mapping[str, Any]) -> None:
        """Note that a change is undone."""
        self._append({"undone": row["id"], "when": moment()})

    def pending(self) -> list[dict[str, Any]]:
        """Changes that are not undone, the newest first."""
        undone = {row.get("undone") for row in self.journal.rows}
        return [row for row in reversed(self.journal.rows) if _is_change(row) and row["id"] not in undone]

    def did(self, path: str, before: str, after: str) -> dict[str, Any] | None:
        """The change by which this program made the one of the other, unless it is undone."""
        sought = (path, before, after)
        rows = self.pending()
        return next((row for row in rows if (row["path"], row["before"] or NOTHING, row["after"]) == sought), None)

    def kept(self, digest: str) -> bytes:
        """Old bytes. Raises DataError where they are gone or damaged."""
        data = self._kept(digest)
        if data is None:
            raise DataError(
                "the old bytes are gone or damaged", fix="take them from a backup", file=self._place(digest)
            )
        return data

    def _kept(self, digest: str) -> bytes | None:
        if self._place(digest).is_symlink():
            return None
        try:
            packed = zlib.decompressobj()
            data = packed.decompress(read_bytes(self._place(digest), MAX_DOCUMENT + _MORE), MAX_DOCUMENT)
        except (DataError, zlib.error):
            return None
        return data if packed.eof and digest_of(data) == digest else None

    def _place(self, digest: str) -> Path:
        return self.folder / _KEPT / f"{digest}.z"

    def _append(self, row: dict[str, Any]) -> None:
        self.journal.append([row])
        self.journal.rows.append(row)


def _is_change(row: Mapping[str, Any]) -> bool:
    """Whether a row is one of ``note``'s: a journal may have come with somebody's files."""
    texts = all(isinstance(row.get(name), str) for name in ("id", "run", "path", "after"))
    before = row.get("before", 0)
    kept = before is None or (isinstance(before, str) and _HEX.fullmatch(before) is not None)
    keys = row.get("keys")
    named = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    return texts and kept and named and isinstance(row.get("texts"), int)

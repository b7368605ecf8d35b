"""What was sent to a site, and what stood there before: rows on disk, by which a run goes on and is undone.

Invariant: a row, with the old text whole, is on the disk before the text is sent; no row holds an account.
"""

from __future__ import annotations

import re
import secrets
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trifacet.base.claims import claimed, moment
from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.files import append_durably, replacing, write_atomically
from trifacet.base.journal import Journal
from trifacet.describing.wordpress.export import FIELDS
from trifacet.describing.wordpress.raw import digest_of

FOLDER = ".trifacet-wordpress"  # where the plan is, unless another is given
_ROWS, _KEPT = "wordpress.jsonl", "before"
_OWN = (_ROWS, _KEPT, ".gitignore", ".lock")
_HEX = re.compile(r"[0-9a-f]{64}")


class Book:
    """The journal in a folder that belongs to this process; by ``opened``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        path = folder / _ROWS
        append_durably(path, b"")
        if not (folder / ".gitignore").is_file():
            write_atomically(folder / ".gitignore", "*\n")
        self._journal = Journal(path)

    def note(self, run: str, site: str, name: str, old: str, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Before a text is sent: keep the old one, then a row; on disk when this returns.

        Args:
            run: which run it belongs to.
            site: its address.
            name: the post, for people.
            old: what stands there.
            facts: type, post, field, before, after (digests), texts (how many), suggestions (their ids).
        """
        before = digest_of(old)
        if self._kept(before) is None:
            with replacing(self._place(before), sync=True) as temporary:
                temporary.write_bytes(zlib.compress(old.encode("utf-8", "surrogatepass")))
                temporary.chmod(0o600)  # drafts are nobody else's business
        row = {"id": secrets.token_hex(8), "run": run, "when": moment(), "site": site, "name": name, **facts}
        self._append(row)
        return row

    def tick(self, row: Mapping[str, Any]) -> None:
        """Note that the old text stands there again."""
        self._append({"undone": row["id"], "when": moment()})

    def pending(self) -> list[dict[str, Any]]:
        """What was sent and is not undone, the newest first."""
        undone = {row.get("undone") for row in self._journal.rows}
        return [row for row in reversed(self._journal.rows) if _is_change(row) and row["id"] not in undone]

    def kept(self, digest: str) -> str:
        """An old text. Raises DataError where it is gone or damaged."""
        text = self._kept(digest)
        if text is None:
            fix = "take it from WordPress's revisions"
            raise DataError("the old text is gone or damaged", fix=fix, file=self._place(digest))
        return text

    def _kept(self, digest: str) -> str | None:
        if self._place(digest).is_symlink():
            return None
        try:
            text = zlib.decompress(self._place(digest).read_bytes()).decode("utf-8", "surrogatepass")
        except (OSError, zlib.error, ValueError):
            return None
        return text if digest_of(text) == digest else None

    def _place(self, digest: str) -> Path:
        return self._folder / _KEPT / f"{digest}.z"

    def _append(self, row: dict[str, Any]) -> None:
        self._journal.append([row])
        self._journal.rows.append(row)


@contextmanager
def opened_book(folder: Path, *, there: bool = False) -> Iterator[Book]:
    """The journal, for this process alone.

    Args:
        folder: where it is; it is made if need be.
        there: it has to be there.

    Raises:
        TrifacetError: it is not there, a link stands in it, or another process works with it.
    """
    if there and not (folder / _ROWS).is_file():
        raise TrifacetError(f"{folder} holds no {_ROWS}: nothing was sent from there; give --journal")
    for path in (folder, *(folder / name for name in _OWN)):
        if path.is_symlink():  # it may have come with somebody's files
            raise DataError("is a symbolic link", fix="remove it; the journal is kept in the folder itself", file=path)
    with claimed(folder, _ROWS):
        folder.chmod(0o700)
        yield Book(folder)


def _is_change(row: Mapping[str, Any]) -> bool:
    """Whether a row is one of ``note``'s."""
    texts = all(isinstance(row.get(name), str) for name in ("id", "run", "site", "name", "type", "before", "after"))
    digests = texts and all(_HEX.fullmatch(row[name]) for name in ("before", "after"))
    numbers = all(isinstance(row.get(name), int) for name in ("post", "texts"))
    suggestions: Any = row.get("suggestions")
    named = isinstance(suggestions, Sequence) and all(isinstance(one, str) for one in suggestions)
    return bool(digests and numbers and named and row.get("field") in FIELDS)

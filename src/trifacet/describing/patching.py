"""Texts put into documents, and taken out again.

Invariant: a document is changed only where its bytes are those that were looked at, through its own format, and is the
old one or the new one at any moment. Before it changes, the journal holds both digests and the old bytes, so that after
a kill its own digest tells which of the two it is, and ``undo`` gives back the old bytes exactly or leaves it alone.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
import secrets
import stat
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from trifacet.base.claims import claimed, moment
from trifacet.base.digests import sha256_of
from trifacet.base.errors import DataError, TrifacetError, disk_is_full
from trifacet.base.files import append_durably, replacing, write_atomically
from trifacet.base.journal import Journal
from trifacet.base.opening import read_bytes
from trifacet.describing.difference import is_text, unified
from trifacet.describing.findings import has_text
from trifacet.describing.place import Edit, Format

FOLDER = ".trifacet-alt"  # in the root, unless another is given
MAX_DOCUMENT = 512_000_000  # bytes
_JOURNAL, _KEPT = "journal.jsonl", "before"
_OWN = (_JOURNAL, _KEPT, ".gitignore", ".lock")  # what stands in a journal's folder
_HEX = re.compile(r"[0-9a-f]{64}")
NOTHING = hashlib.sha256(b"").hexdigest()  # digest of a document that is not there yet
Wanted = Mapping[str, tuple[str, Mapping[str, Edit]]]
FormatOf = Callable[[str, bytes], Format | None]
Told = Literal["applied", "undone", "unchanged", "changed", "refused"]


@dataclass(frozen=True)
class Change:
    """What is to become of a document.

    Attributes:
        path: below the root, with "/".
        before, after: its bytes; the same where nothing is to be done, or ``problem`` says why nothing can be.
        edits: the new texts.
        stale: other bytes stand there than were looked at; look at it anew.
        made: it is not there yet.
        kept: how many places keep their text, since nothing was to be replaced.
        shown: a line for each text that changes, for documents that are no text.
        unsaid: keys of places where the document has no way to say that a picture is decorative.
    """

    path: str
    before: bytes = b""
    after: bytes = b""
    edits: Mapping[str, Edit] = field(default_factory=dict)
    problem: str = ""
    stale: bool = False
    made: bool = False
    kept: int = 0
    shown: Sequence[str] = ()
    unsaid: tuple[str, ...] = ()

    @property
    def left(self) -> str:
        """What is not done, though the rest is."""
        return f"can't say that a picture is decorative ({len(self.unsaid)}); say it by hand" if self.unsaid else ""

    @property
    def patch(self) -> bytes:
        """For ``git apply`` and ``patch -p1``; b"" where nothing changes or the document is no text."""
        if self.before == self.after or not (is_text(self.before) and is_text(self.after)):
            return b""
        return unified(self.path, self.before, self.after, made=self.made)


@dataclass(frozen=True)
class Outcome:
    """What became of a document.

    "changed" is one with other bytes than were looked at, "refused" has a ``problem``; ``texts`` were put in or taken
    out, ``kept`` are places with a text, where none was to be replaced. ``keys`` are the places that now have the text
    that was wanted, or of which it was taken out; ``digest`` is that of the bytes that were given back.
    """

    path: str
    told: Told
    texts: int = 0
    kept: int = 0
    problem: str = ""
    keys: tuple[str, ...] = ()
    digest: str = ""


# --- what would be done -----------------------------------------------------------------------------------------


def planned(
    root: Path, wanted: Wanted, format_of: FormatOf, *, overwrite: bool = True, show: bool = True
) -> Iterator[Change]:
    """What would become of each document; nothing is written. One at a time is held.

    Args:
        root: folder that the paths are relative to.
        wanted: by path the digest of the bytes that were looked at, and the new texts by the places' keys.
        format_of: the format of a path with these bytes, None for none.
        overwrite: also where a text stands, or it is said that none is needed.
        show: give a line for each text of what is no text.
    """
    for path, (digest, edits) in wanted.items():
        try:
            change, format = _planned(root, path, digest, edits, format_of, overwrite)
        except TrifacetError as error:
            yield Change(path, problem=str(error))
            continue
        if show and format is not None and not (is_text(change.before) and is_text(change.after)):
            change = replace(change, shown=tuple(_shown(format, change)))
        yield change


def _planned(
    root: Path, path: str, digest: str, edits: Mapping[str, Edit], format_of: FormatOf, overwrite: bool
) -> tuple[Change, Format | None]:
    file = _within(root, path)
    made = digest == NOTHING and not os.path.lexists(file)
    before = b"" if made else read_bytes(file, MAX_DOCUMENT)
    if _digest(before) != digest:
        return Change(path, before, before, problem="changed since it was scanned; scan it again", stale=True), None
    format = format_of(path, before)
    if format is None:
        raise DataError("is of no format that texts can be put into", fix="see the docs for those that are", file=path)
    asked = len(edits)
    if not overwrite:
        written = {place.key for place in format.places(before, path) if has_text(place)}
        edits = {key: edit for key, edit in edits.items() if key not in written}
    after = format.edited(before, path, edits) if edits else before
    kept = asked - len(edits)
    unsaid = _unsaid(format, path, before, after, edits)
    edits = {key: edit for key, edit in edits.items() if key not in unsaid}
    return Change(path, before, after, edits, made=made and after != b"", kept=kept, unsaid=unsaid), format


def _unsaid(format: Format, path: str, before: bytes, after: bytes, edits: Mapping[str, Edit]) -> tuple[str, ...]:
    """The places whose pictures are to be decorative, and count as without a text all the same."""
    if all(edit.alt.strip() for edit in edits.values()):
        return ()
    pairs = zip(format.places(before, path), format.places(after, path), strict=False)
    return tuple(
        old.key
        for old, new in pairs
        if old.key in edits and not edits[old.key].alt.strip() and old.state == new.state == "missing"
    )


def _shown(format: Format, change: Change) -> Iterator[str]:
    for place in format.places(change.before, change.path):
        if (edit := change.edits.get(place.key)) is not None and edit.alt != place.alt:
            old = "none" if place.alt is None else repr(place.alt)
            yield f"{change.path}: {place.picture.file or place.picture.address}: {old} -> {edit.alt!r}"


def _within(root: Path, path: str) -> Path:
    """The document's file. Raises DataError for a path that leaves the root, or goes through a link."""
    parts = PurePosixPath(path)
    plain = path and "\0" not in path and "\\" not in path and parts.as_posix() == path
    if not plain or parts.is_absolute() or ".." in parts.parts or FOLDER in parts.parts:
        raise DataError("is no path below the folder", fix="give it relative to the folder, with /", file=path)
    file = root
    for part in parts.parts:
        file = file / part
        if file.is_symlink():
            raise DataError("is, or lies behind, a symbolic link", fix="name the file itself", file=path)
    return file


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# --- doing it ---------------------------------------------------------------------------------------------------


def apply(
    root: Path, wanted: Wanted, format_of: FormatOf, *, overwrite: bool = True, journal: Path | None = None
) -> list[Outcome]:
    """Put texts into documents; arguments as of ``planned``.

    Args:
        root: folder that the paths are relative to.
        wanted: digests and new texts by path.
        format_of: the format of a path with these bytes, None for none.
        overwrite: also where a text stands, or it is said that none is needed.
        journal: folder of the journal; None: ``.trifacet-alt`` in the root.

    Returns:
        an outcome per document, in their order; a document that can't be changed stops no other.

    Raises:
        TrifacetError: no such root, another process works there, or the disk is full.
    """
    with _opened(root, journal) as book:
        run = secrets.token_hex(8)
        changes = planned(root, wanted, format_of, overwrite=overwrite, show=False)
        return [_applied(book, run, change, wanted[change.path][0]) for change in changes]


def _applied(book: _Book, run: str, change: Change, digest: str) -> Outcome:
    if change.stale and (row := book.did(change.path, digest, _digest(change.before))) is not None:
        return Outcome(change.path, "unchanged", keys=tuple(row["keys"]))  # an earlier run, killed behind it
    if change.problem:
        return Outcome(change.path, "changed" if change.stale else "refused", problem=change.problem)
    if change.before == change.after:
        return Outcome(change.path, "unchanged", kept=change.kept, keys=tuple(change.edits), problem=change.left)
    return _written(book, run, change)


def _written(book: _Book, run: str, change: Change) -> Outcome:
    file = _within(book.root, change.path)
    if file.exists() and not os.access(file, os.W_OK):
        return Outcome(change.path, "refused", problem="may not be written; allow it (chmod u+w)")
    row = book.note(run, change)
    problem = ""
    try:
        if _put(file, change.after, row["before"]):
            done = tuple(change.edits)
            return Outcome(change.path, "applied", len(done), change.kept, keys=done, problem=change.left)
    except TrifacetError as error:
        if disk_is_full(error):
            raise
        problem = str(error)
    book.tick(row)
    overtaken = "changed while texts were put into it; scan it again"
    return Outcome(change.path, "refused" if problem else "changed", problem=problem or overtaken)


def _put(file: Path, data: bytes, expected: str | None) -> bool:
    """Give a file these bytes, its mode and owner kept; False where other bytes than expected stand there."""
    try:
        with replacing(file) as temporary:
            temporary.write_bytes(data)
            if expected is not None:
                known = file.stat()
                with suppress(OSError, AttributeError):  # root's to do, and not on every system
                    os.chown(temporary, known.st_uid, known.st_gid)
                temporary.chmod(stat.S_IMODE(known.st_mode))
            if sha256_of(file) != expected:
                raise _OvertakenError
    except _OvertakenError:
        return False
    return True


class _OvertakenError(Exception):
    pass


# --- undoing it -------------------------------------------------------------------------------------------------


def undo(root: Path, *, everything: bool = False, journal: Path | None = None) -> list[Outcome]:
    """Give back the bytes that documents had before the last ``apply``, or before the first.

    A document that has changed since is left alone, and stays in the journal.

    Raises:
        TrifacetError: nothing was applied there, another process works there, or the disk is full.
    """
    folder = journal or root / FOLDER
    if not (folder / _JOURNAL).is_file():
        raise TrifacetError(f"{folder} holds no {_JOURNAL}: nothing was applied there; name the folder, or --journal")
    with _opened(root, journal) as book:
        rows = book.pending()
        wanted = rows if everything else [row for row in rows if row["run"] == rows[0]["run"]]
        return [_undone(book, row) for row in wanted]


def _undone(book: _Book, row: Mapping[str, Any]) -> Outcome:
    path, before, after = row["path"], row["before"], row["after"]
    try:
        file = _within(book.root, path)
        there = sha256_of(file)
        if there == before:  # a kill came between journal and document, or in an earlier undo
            book.tick(row)
            return Outcome(path, "unchanged", keys=tuple(row["keys"]), digest=before)
        if there != after:
            return Outcome(path, "changed", problem="changed since texts were put into it; it is left as it is")
        if before is None:
            file.unlink()
        elif not _put(file, book.kept(before), after):
            return Outcome(path, "changed", problem="changed while it was given back; it is left as it is")
    except (TrifacetError, OSError) as error:
        if disk_is_full(error):
            raise
        return Outcome(path, "refused", problem=str(error))
    book.tick(row)
    return Outcome(path, "undone", row["texts"], keys=tuple(row["keys"]), digest=before or NOTHING)


@contextmanager
def _opened(root: Path, journal: Path | None) -> Iterator[_Book]:
    """The journal, for this process alone."""
    if not root.is_dir():
        raise DataError("is no folder", fix="name the folder that was scanned", file=root)
    folder = journal or root / FOLDER
    for path in (*(() if journal else (folder,)), *(folder / name for name in _OWN)):
        if path.is_symlink():  # it may have come with somebody's files
            raise DataError("is a symbolic link", fix="remove it; the journal is kept in the folder itself", file=path)
    with claimed(folder, _JOURNAL):
        yield _Book(root, folder)


class _Book:
    """The journal of a root: a row before each change, and one when it was undone; old bytes by their digest."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.folder, self.path = root, folder, folder / _JOURNAL
        append_durably(self.path, b"")
        if not (folder / ".gitignore").is_file():
            write_atomically(folder / ".gitignore", "*\n")
        self.journal = Journal(self.path)
        for row in self.pending()[:1]:  # the last change, amid which a kill may have come
            with suppress(DataError, OSError):
                file = _within(root, row["path"])
                for torn in file.parent.glob(f".{glob.escape(file.name)}.????????.tmp"):
                    torn.unlink(missing_ok=True)
                if sha256_of(file) == row["before"]:
                    self.tick(row)

    def note(self, run: str, change: Change) -> dict[str, Any]:
        """Before a document changes: keep its old bytes, then both digests; on disk when this returns."""
        before = None if change.made else _digest(change.before)
        if before is not None and self._kept(before) is None:
            with replacing(self._place(before)) as temporary:
                temporary.write_bytes(zlib.compress(change.before))
        row: dict[str, Any] = {"id": secrets.token_hex(8), "run": run, "when": moment(), "path": change.path}
        row |= {
            "before": before,
            "after": _digest(change.after),
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
            data = zlib.decompress(self._place(digest).read_bytes())
        except (OSError, zlib.error):
            return None
        return data if _digest(data) == digest else None

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

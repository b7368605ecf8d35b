"""Texts put into documents, and taken out again.

Invariant: a document is changed only where its bytes are those that were looked at, through its own format, and is the
old one or the new one at any moment. Before it changes, the journal holds both digests and the old bytes, so that after
a kill its own digest tells which of the two it is, and ``undo`` gives back the old bytes exactly or leaves it alone.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from trifacet.base.digests import sha256_of
from trifacet.base.errors import TrifacetError, disk_is_full
from trifacet.base.files import replacing
from trifacet.describing.old_bytes import JOURNAL, OldBytes, opened_bytes
from trifacet.describing.planning import FOLDER, NOTHING, Change, FormatOf, Wanted, digest_of, planned, within

Told = Literal["applied", "undone", "unchanged", "changed", "refused"]


@dataclass(frozen=True)
class Outcome:
    """What became of a document.

    "changed" is one with other bytes than were looked at, "refused" has a ``problem``; ``texts`` were put in or taken
    out, ``kept`` are places with a text, where none was to be replaced, ``left`` says what could not be put in, a line
    each. ``keys`` are the places that now have the text that was wanted, or of which it was taken out, ``undescribed``
    those of them that lack their long description; ``digest`` is that of the bytes that were put there or given back,
    ``was`` of those before them.
    """

    path: str
    told: Told
    texts: int = 0
    kept: int = 0
    problem: str = ""
    keys: tuple[str, ...] = ()
    digest: str = ""
    left: tuple[str, ...] = ()
    undescribed: tuple[str, ...] = ()
    was: str = ""


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
    with opened_bytes(root, journal) as book:
        run = secrets.token_hex(8)
        changes = planned(root, wanted, format_of, overwrite=overwrite, show=False)
        return [_applied(book, run, change, wanted[change.path][0]) for change in changes]


def _applied(book: OldBytes, run: str, change: Change, digest: str) -> Outcome:
    if change.stale and (row := book.did(change.path, digest, digest_of(change.before))) is not None:
        return Outcome(change.path, "unchanged", keys=tuple(row["keys"]))  # an earlier run, killed behind it
    if change.problem:
        return Outcome(change.path, "changed" if change.stale else "refused", problem=change.problem)
    if change.before == change.after:
        done = Outcome(change.path, "unchanged", kept=change.kept, keys=tuple(change.edits))
        return replace(done, left=change.left, undescribed=tuple(change.undescribed))
    return _written(book, run, change)


def _written(book: OldBytes, run: str, change: Change) -> Outcome:
    file = within(book.root, change.path)
    if file.exists() and not os.access(file, os.W_OK):
        return Outcome(change.path, "refused", problem="may not be written; allow it (chmod u+w)")
    row = book.note(run, change)
    problem = ""
    try:
        if _put(file, change.after, row["before"]):
            done = tuple(change.edits)
            told = Outcome(change.path, "applied", len(done), change.kept, keys=done, digest=digest_of(change.after))
            return replace(told, left=change.left, undescribed=tuple(change.undescribed), was=digest_of(change.before))
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
    if not (folder / JOURNAL).is_file():
        raise TrifacetError(f"{folder} holds no {JOURNAL}: nothing was applied there; name the folder, or --journal")
    with opened_bytes(root, journal) as book:
        rows = book.pending()
        wanted = rows if everything else [row for row in rows if row["run"] == rows[0]["run"]]
        return [_undone(book, row) for row in wanted]


def _undone(book: OldBytes, row: Mapping[str, Any]) -> Outcome:
    path, before, after = row["path"], row["before"], row["after"]
    try:
        file = within(book.root, path)
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
    return Outcome(path, "undone", row["texts"], keys=tuple(row["keys"]), digest=before or NOTHING, was=after)

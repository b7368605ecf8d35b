"""What would become of documents if texts were put into them; nothing is written.

Invariant: a document is planned for only where its bytes are those that were looked at, through its own format, and
what a plan shows is what ``patching`` does. A place that can't have its text is told, and stops no other.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.opening import read_bytes
from trifacet.describing.difference import is_text, unified
from trifacet.describing.findings import has_text
from trifacet.describing.long_descriptions import in_one_line
from trifacet.describing.place import Edit, Format, Place
from trifacet.describing.settling import settled

FOLDER = ".trifacet-alt"  # of the journal, in the root, unless another is given
MAX_DOCUMENT = 512_000_000  # bytes
NOTHING = hashlib.sha256(b"").hexdigest()  # digest of a document that is not there yet
Wanted = Mapping[str, tuple[str, Mapping[str, Edit]]]
FormatOf = Callable[[str, bytes], Format | None]
_SHOWN = 200  # characters of a long description in a line of a dry run


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
        refused: a line for each text, or long description, that the document can't take.
        undescribed: keys of places that get their text, and not their long description.
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
    refused: tuple[str, ...] = ()
    undescribed: frozenset[str] = frozenset()

    @property
    def left(self) -> tuple[str, ...]:
        """What is not done, though the rest is: a line each."""
        told = f"can't say that a picture is decorative ({len(self.unsaid)}); say it by hand"
        return (*self.refused, *([told] if self.unsaid else []))

    @property
    def patch(self) -> bytes:
        """For ``git apply`` and ``patch -p1``; b"" where nothing changes or the document is no text."""
        if self.before == self.after or not (is_text(self.before) and is_text(self.after)):
            return b""
        return unified(self.path, self.before, self.after, made=self.made)


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
    file = within(root, path)
    made = digest == NOTHING and not os.path.lexists(file)
    before = b"" if made else read_bytes(file, MAX_DOCUMENT)
    if digest_of(before) != digest:
        return Change(path, before, before, problem="changed since it was scanned; scan it again", stale=True), None
    format = format_of(path, before)
    if format is None:
        raise DataError("is of no format that texts can be put into", fix="see the docs for those that are", file=path)
    asked = len(edits)
    if not overwrite:
        written = {place.key: place for place in format.places(before, path) if has_text(place)}
        edits = {key: edit for key, edit in edits.items() if key not in written or _adds(edit, written[key])}
    kept = asked - len(edits)
    put = settled(format, before, path, edits)
    unsaid = _unsaid(format, path, before, put.after, put.edits)
    done = {key: edit for key, edit in put.edits.items() if key not in unsaid}
    made = made and put.after != b""
    change = Change(path, before, put.after, done, made=made, kept=kept, unsaid=unsaid)
    return replace(change, refused=put.refused, undescribed=put.undescribed), format


def _adds(edit: Edit, place: Place) -> bool:
    """Whether an edit replaces nothing, and gives a long description."""
    return bool(edit.long) and not place.described and edit.alt == place.alt


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
        edit, called = change.edits.get(place.key), f"{change.path}: {place.picture.file or place.picture.address}"
        if edit is not None and edit.alt != place.alt:
            old = "none" if place.alt is None else repr(place.alt)
            yield f"{called}: {old} -> {edit.alt!r}"
        if edit is not None and edit.long and in_one_line(edit.long) != place.described:
            cut = edit.long if len(edit.long) <= _SHOWN else f"{edit.long[:_SHOWN]}…"
            yield f"{called}: long description -> {cut!r}"


def within(root: Path, path: str) -> Path:
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


def digest_of(data: bytes) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()

"""Putting texts into a document that is text: what each place has to change, and the proof that nothing else did.

Invariant: what comes out was read again: it has the same places, those that were edited with exactly the texts that
were wanted, the others with the ones that they had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from trifacet.base.errors import DataError
from trifacet.describing.long_descriptions import in_one_line
from trifacet.describing.place import Edit, Place
from trifacet.describing.source import Change, Source

Write = Callable[[Edit], Iterator[Change]]


@dataclass(frozen=True)
class Found:
    """A place, and what has to change for an edit of it; None where it is ``fixed``."""

    place: Place
    write: Write | None = None


def unique(found: Sequence[Found], fixed: str = "") -> list[Found]:
    """Keys that are used twice are told apart; with ``fixed`` none can be changed."""
    seen: dict[str, int] = {}
    told = []
    for one in found:
        key = one.place.key
        seen[key] = seen.get(key, 0) + 1
        if seen[key] > 1:
            key = f"{key}#{seen[key]}"
        reason = one.place.fixed or fixed
        told.append(Found(replace(one.place, key=key, fixed=reason), None if reason else one.write))
    return told


def edited(
    source: Source,
    path: str,
    edits: Mapping[str, Edit],
    read: Callable[[bytes], Sequence[Found]],
    *,
    references: bool = False,
    normal: Callable[[str], str] = str,
) -> bytes:
    """``Format.edited`` of a document that is text.

    Args:
        source: the document.
        path: its path, for messages.
        edits: by the key of the place.
        read: gives the places of such a document.
        references: the format has character references.
        normal: what a text is read as that was written.

    Raises:
        DataError: as ``Format.edited`` says.
    """
    found = read(source.data)
    by_key = {one.place.key: one for one in found}
    wanted: list[Change] = []
    for key, edit in edits.items():
        one = by_key.get(key)
        if one is None:
            raise DataError(f"holds no place {key!r}", fix="scan it again", file=path)
        if one.write is None:
            why = one.place.fixed or "it is fixed"
            raise DataError(f"can't be changed: {why}", fix="change it by hand", file=path, row=one.place.line)
        longer = bool(edit.long) and in_one_line(edit.long) != one.place.described
        if longer or edit.described_by or edit.source or not is_same(one.place, normal(edit.alt)):
            wanted += one.write(edit)
    if not wanted:
        return source.data
    result = source.changed(wanted, path, references=references)
    _check(found, read(result), edits, path, normal)
    return result


def is_same(place: Place, alt: str) -> bool:
    """Whether a place has this text, or says that it needs none."""
    same = (place.alt or "") == alt and (place.alt is not None or not alt)
    return same and place.state != "missing"


def _check(
    old: Sequence[Found], new: Sequence[Found], edits: Mapping[str, Edit], path: str, normal: Callable[[str], str]
) -> None:
    """Raise DataError where the result does not hold what it should."""
    if len(old) != len(new):
        raise _broken(f"{len(new)} places instead of {len(old)}", path, None)
    for before, after in zip(old, new, strict=True):
        was, now = before.place, after.place
        edit = edits.get(was.key)
        if edit is not None and (normal(edit.alt) != (now.alt or "") or now.fixed):
            raise _broken("another text", path, was.line)
        if now.described != (in_one_line(edit.long) if edit is not None and edit.long else _described(was, edit, now)):
            raise _broken("another long description", path, was.line)
        if edit is None and (was.alt, was.state, was.fixed) != (now.alt, now.state, now.fixed):
            raise _broken("another text at a picture that was not to be changed", path, was.line)
        if _picture(was) != _picture(now) or was.around.headings != now.around.headings:
            raise _broken("another picture or heading", path, was.line)


def _described(was: Place, edit: Edit | None, now: Place) -> str:
    """What its long description is to say: what it said, or what an element says that was named now."""
    return now.described if edit is not None and edit.described_by else was.described


def _picture(place: Place) -> tuple[str, str]:
    """A drawing in the page holds its own text."""
    return place.picture.source, place.picture.address if place.picture.source != "svg" else ""


def _broken(what: str, path: str, line: int | None) -> DataError:
    return DataError(f"with the new text the document would hold {what}", fix="change it by hand", file=path, row=line)

"""Raw posts, from whatever file they lie in, one at a time.

Invariant: a row that leaves here can be a row of a build (``building.rows.ROWS``); one that can't is told, by file, row
and field, and the others come all the same. Memory does not grow with the number of rows.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from trifacet.base.errors import DataError
from trifacet.building.settings import Source
from trifacet.building.sources import samples, table, twitter
from trifacet.building.sources.files import fingerprint, image_root, source_files
from trifacet.data.rows import Values
from trifacet.data.tables import peek, plain_name, read_rows

__all__ = ["BadRow", "fingerprint", "image_root", "read_in_turn", "read_source", "source_files"]

LONGEST_TEXT = 1_000_000  # characters of one field: more is no post
LONGEST_ID = 500
DEEPEST = 50  # lists and objects inside each other, in fields beyond ours: so deep that no reader trips over it
Posts = Iterator[tuple[int, Values | None]]


class BadRow(NamedTuple):
    """A row that can't be used: its source and its place there, its id if it has one, and what is wrong with it."""

    source: int
    source_row: int
    id: str | None
    problem: DataError


def read_source(source: Source, number: int, on_bad: Callable[[BadRow], None]) -> Iterator[dict[str, Any]]:
    """The posts of a source in order: dicts with those keys of ``ROWS`` that a source knows, all but ``row``; and with
    ``of_file``, the name of their file without its ending.

    An id is the row's own as text, or ``<file>-<row>`` where it has none; ids may repeat. Files, formats and columns
    are looked at before this returns.

    Args:
        source: the recipe's section.
        number: the source's place in the recipe, from 0.
        on_bad: called for each row that can't be used; reading goes on if it returns.

    Raises:
        DataError: the source as a whole can't be read: no such file, damaged, unknown format or columns.
    """
    return (post for post in read_in_turn(source, number, on_bad) if post is not None)


def read_in_turn(source: Source, number: int, on_bad: Callable[[BadRow], None]) -> Iterator[dict[str, Any] | None]:
    """As ``read_source``, with None after a row that can't be used: time to put away what ``on_bad`` was told."""
    if source.images is not None and not Path(source.images).is_dir():
        raise DataError("no such folder", fix="correct the path", file=source.images, field="images")
    readers = [(file, _reader(source, file)) for file in source_files(source)]
    posts = (post for file, (read, tweets) in readers for post in _file(file, read, tweets, number, on_bad))
    return _limited(posts, source.limit)


def _limited(posts: Iterator[dict[str, Any] | None], limit: int | None) -> Iterator[dict[str, Any] | None]:
    """So many posts at most; what is None does not count."""
    left = math.inf if limit is None else limit
    for post in posts:
        yield post
        left -= post is not None
        if left <= 0:
            return


def _reader(source: Source, file: Path) -> tuple[Callable[[Values], list[Values]], bool]:
    """What makes posts of a row of the file, and whether they are tweets."""
    start = peek(file)
    format: str | None = source.format
    if format == "auto":
        tabular = bool(table.named(source.columns))
        format = None if tabular else samples.detect(file, start)
        format = format or ("twitter" if not tabular and twitter.detect(start) else "table")
    if format == "twitter":
        return twitter.read, True
    if format == "table":
        return table.reader(source.columns, start, file), False
    return samples.reader(str(format), file, source.label), False


def _file(
    file: Path,
    read: Callable[[Values], list[Values]],
    tweets: bool,
    number: int,
    on_bad: Callable[[BadRow], None],
) -> Iterator[dict[str, Any] | None]:
    """The posts of one file, finished, and None after each row that can't be used."""
    stem = plain_name(file).stem

    def bad(row: int, id: str | None, problem: DataError) -> None:
        located = DataError(problem.problem, fix=problem.fix, file=file, row=row, field=problem.field)
        on_bad(BadRow(number, row, id, located))

    def posts() -> Posts:
        for row in read_rows(file, lambda problem: bad(problem.row or 0, None, problem)):
            try:
                found = read(row.values)
            except DataError as problem:
                bad(row.number, _readable_id(row.values.get("id")), problem)
                yield row.number, None
                continue
            yield from ((row.number, post) for post in found)

    for row, post in twitter.told_apart(posts()) if tweets else posts():
        if post is None:
            yield None
            continue
        try:
            finished = _finished(post, f"{stem}-{row}")
        except DataError as problem:
            bad(row, _readable_id(post.get("id")), problem)
            yield None
            continue
        yield {"source": number, "source_row": row, "of_file": stem, **finished}


def _finished(post: Values, made_id: str) -> dict[str, Any]:
    """The post with every field of the type that it has in ``ROWS``."""
    more = post.get("more_images") or []
    if not isinstance(more, list | tuple):
        raise DataError("is no list", fix="give a list of paths", field="more_images")
    found: dict[str, Any] = {
        "id": _id(post.get("id")) or made_id,
        "image": _text(post.get("image"), "image") or None,
        "more_images": [_text(path, "image") for path in more] or None,
        "context": _text(post.get("context"), "context") or "",
        "alt": _text(post.get("alt"), "alt") or "",
        "prompt": _text(post.get("prompt"), "prompt") or None,
    }
    if more and not (found["image"] and all(found["more_images"])):
        raise DataError("has an image without a name", fix="name every image of the list", field="image")
    if not (found["image"] or found["context"].strip() or found["alt"].strip()):
        raise DataError("has neither post nor alt-text nor image", fix="leave the row out")
    return found | {"extra": _extra(post.get("extra"))}


def _id(value: Any) -> str | None:
    """An id as text, None where there is none; a whole float is the integer that a table with gaps made a float of."""
    if value is None or value == "":
        return None
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    usable = isinstance(whole, str | int) or (isinstance(whole, float) and math.isfinite(whole))
    if not usable or isinstance(whole, bool):
        raise DataError("is neither text nor a number", fix="give a short text", field="id")
    if not (text := str(whole).strip()):
        raise DataError("is blank", fix="give a short text, or leave it out", field="id")
    return _text(text, "id", LONGEST_ID)


def _readable_id(value: Any) -> str | None:
    try:
        return _id(value)
    except DataError:
        return None


def _text(value: Any, field: str, longest: int = LONGEST_TEXT) -> str:
    """Text that can be written as UTF-8, of bounded length; nothing is empty."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DataError(f"is not text but {type(value).__name__}", fix="give text", field=field)
    if len(value) > longest:
        raise DataError(f"has {len(value)} characters", fix=f"give at most {longest}", field=field)
    try:
        value.encode()
    except UnicodeEncodeError:
        fix = "write the whole character"
        raise DataError("has half of a surrogate pair (\\ud800-\\udfff)", fix=fix, field=field) from None
    return value


def _extra(value: Any) -> str | None:
    """The other fields as JSON text; None where there are none."""
    if not value:
        return None
    if not isinstance(value, dict):
        raise DataError("is not an object", fix="give a JSON object", field="extra")
    return _text(json.dumps(_finite(value), ensure_ascii=False), "extra")


def _finite(value: Any, deep: int = 0) -> Any:
    """JSON has no infinities: they become null."""
    if deep > DEEPEST:
        raise DataError(f"is nested more than {DEEPEST} deep", fix="leave that field out", field="extra")
    match value:
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {name: _finite(item, deep + 1) for name, item in value.items()}
        case list():
            return [_finite(item, deep + 1) for item in value]
    return value

"""Exports of posts as JSON: what Mastodon's and Bluesky's have in common.

Invariant: a place's key is the number of its value in the file and the path to its text; only that text is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from trifacet.base.errors import DataError
from trifacet.describing.formats.found import check_result, editable, found, refuse_described
from trifacet.describing.formats.json_spans import Way, applied, json_text, json_values, with_values
from trifacet.describing.place import Around, Edit, Picture, Place


class Post(NamedTuple):
    """A picture of a post: the path to its text, the text, the picture, what is around it."""

    way: Way
    alt: str | None
    picture: Picture
    around: Around


Finder = Callable[[Any], Iterator[Post]]


def post_places(data: bytes, path: str, finder: Finder) -> Iterator[Place]:
    """The places of an export. Raises DataError: it is no JSON."""
    yield from (place for place, _, _ in _read(json_text(data, path), path, finder))


def posts_edited(data: bytes, path: str, edits: Mapping[str, Edit], finder: Finder) -> bytes:
    """The export with other texts."""
    text = json_text(data, path)
    read = list(_read(text, path, finder))
    places = [place for place, _, _ in read]
    editable(places, edits, path)
    refuse_described(edits, path)
    by_start: dict[int, dict[Way, Any]] = {}
    for place, start, way in read:
        if place.key in edits:
            by_start.setdefault(start, {})[way] = edits[place.key].alt
    changes = [change for start, values in by_start.items() for change in with_values(text, start, values)]
    after = applied(text, changes).encode()
    check_result(places, list(post_places(after, path, finder)), edits, path)
    return after


def _read(text: str, path: str, finder: Finder) -> Iterator[tuple[Place, int, Way]]:
    for number, (value, line, start) in enumerate(json_values(text, path)):
        for post in finder(value):
            if post.alt is not None and not isinstance(post.alt, str):
                raise DataError("an alt-text is no text", fix="write it in quotes", file=path, row=line)
            key = "/".join(map(str, (number, *post.way)))
            yield found(key, post.picture, post.alt, post.around, line=line), start, post.way


def walk(value: Any, way: Way = ()) -> Iterator[tuple[Way, Any]]:
    """A value and all within it, with the paths to them; no deeper than ``base/json_text.py`` lets them be."""
    yield way, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from walk(inner, (*way, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from walk(inner, (*way, number))


def text_of(value: Any) -> str:
    """A text, "" for what is none."""
    return value if isinstance(value, str) else ""

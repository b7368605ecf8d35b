"""Mastodon's export of posts (``outbox.json``): the attachments' descriptions, which it calls ``name``.

Invariant: attachments that are no pictures (video, sound) are no places.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trifacet.describing.formats.json_posts import Post, post_places, posts_edited, text_of
from trifacet.describing.formats.json_spans import MAX_JSON
from trifacet.describing.formats.plain_html import words_of_html
from trifacet.describing.place import Around, Edit, Picture, Place


class Mastodon:
    """The format: see the module."""

    name = "mastodon"
    suffixes: Sequence[str] = (".json",)
    largest = MAX_JSON

    def begins(self, start: bytes) -> bool:
        """Whether a file is one: a collection of ActivityPub's."""
        return b"https://www.w3.org/ns/activitystreams" in start and b"orderedItems" in start

    def places(self, data: bytes, path: str) -> Iterator[Place]:
        """The pictures of all posts."""
        return post_places(data, path, _posts)

    def edited(self, data: bytes, path: str, edits: Mapping[str, Edit]) -> bytes:
        """The export with other descriptions."""
        return posts_edited(data, path, edits, _posts)


def _posts(outbox: Any) -> Iterator[Post]:
    items = outbox.get("orderedItems") if isinstance(outbox, dict) else None
    for number, item in enumerate(items if isinstance(items, list) else []):
        note = item.get("object") if isinstance(item, dict) else None
        if not isinstance(note, dict):
            continue
        attachments, languages = note.get("attachment"), note.get("contentMap")
        if not attachments:
            continue
        words = words_of_html(text_of(note.get("content")))
        for which, one in enumerate(attachments if isinstance(attachments, list) else []):
            kind = text_of(one.get("mediaType")) if isinstance(one, dict) else ""
            if not kind.startswith("image/"):
                continue
            address = text_of(one.get("url"))
            here = address.startswith("/")
            yield Post(
                ("orderedItems", number, "object", "attachment", which, "name"),
                one.get("name"),
                Picture("file" if here else "remote", address, address.lstrip("/") if here else ""),
                Around(
                    before=words,
                    title=text_of(note.get("summary")),
                    language=next(iter(languages), "") if isinstance(languages, dict) else "",
                    file_name=address.rpartition("/")[2],
                ),
            )


FORMAT = Mastodon()

"""Bluesky's posts as JSON: the ``alt`` of the pictures that a record embeds.

Read are records as ``com.atproto.repo.listRecords`` gives them, a record a line or a file (as ``goat repo unpack``
writes them), and feeds of ``app.bsky.feed.getAuthorFeed``. Invariant: only records are changed, never the views beside
them; the repository's own CAR file is no JSON and is not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trifacet.describing.formats.json_posts import Post, post_places, posts_edited, text_of, walk
from trifacet.describing.formats.json_spans import MAX_JSON
from trifacet.describing.place import Around, Edit, Picture, Place
from trifacet.lint.names import LONGEST_CONTEXT

_IMAGES, _POST = "app.bsky.embed.images", "app.bsky.feed.post"


class Bluesky:
    """The format: see the module."""

    name = "bluesky"
    suffixes: Sequence[str] = (".json", ".jsonl", ".ndjson")
    largest = MAX_JSON

    def begins(self, start: bytes) -> bool:
        """Whether a file holds records of Bluesky's."""
        return b"app.bsky.feed." in start

    def places(self, data: bytes, path: str) -> Iterator[Place]:
        """The pictures of all posts."""
        return post_places(data, path, _posts)

    def edited(self, data: bytes, path: str, edits: Mapping[str, Edit]) -> bytes:
        """The records with other texts."""
        return posts_edited(data, path, edits, _posts)


def _posts(value: Any) -> Iterator[Post]:
    for way, record in walk(value):
        if not (isinstance(record, dict) and record.get("$type") == _POST):
            continue
        languages = record.get("langs")
        around = Around(
            before=" ".join(text_of(record.get("text")).split())[:LONGEST_CONTEXT],
            language=text_of(languages[0]) if isinstance(languages, list) and languages else "",
        )
        for inner, embed in walk(record.get("embed")):
            images = embed.get("images") if isinstance(embed, dict) and embed.get("$type") == _IMAGES else None
            for number, image in enumerate(images if isinstance(images, list) else []):
                if isinstance(image, dict):
                    path = (*way, "embed", *inner, "images", number, "alt")
                    yield Post(path, image.get("alt"), Picture("remote", _link(image.get("image"))), around)


def _link(blob: Any) -> str:
    """The blob's content id, which is its name everywhere."""
    ref = blob.get("ref") if isinstance(blob, dict) else None
    return text_of(ref.get("$link") if isinstance(ref, dict) else blob.get("cid") if isinstance(blob, dict) else "")


FORMAT = Bluesky()

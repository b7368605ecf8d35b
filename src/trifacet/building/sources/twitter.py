"""Hydrated tweets with alt-text: flat tables with a row per medium, and the objects of Twitter's API, v1.1 and v2.

Each photo of a tweet is a post of its own, since alt-text is written for a photo. Videos and GIFs are left out: what
the API gives for them is one frame.
Invariant: the text of a post is what people saw: entities such as ``&amp;`` read, the link to the photo itself gone.
Source: developer.x.com, data dictionaries of API v1.1 (extended entities) and v2 (media).
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from typing import Any

from trifacet.base.errors import DataError
from trifacet.data.rows import Values
from trifacet.data.tables import Peek

_ID = ("id_str", "tweet_id", "id")
_TEXT = ("full_text", "text", "tweet_text")
_URL = ("media_url_https", "media_url", "image_url", "url", "image")
_ALT = ("ext_alt_text", "alt_text", "alt")
_TELLING = {"id_str", "tweet_id", "full_text", "media_url", "media_url_https", "ext_alt_text", "extended_entities"}
_NESTED = {"extended_entities", "entities", "extended_tweet", "attachments", "media"}
_TRAILING_LINK = re.compile(r"\s*https?://t\.co/\w+\s*$")


def detect(start: Peek) -> bool:
    """Whether a file holds tweets, by its columns."""
    columns = set(start.columns)
    flat = bool(_TELLING & columns) and bool((_NESTED | set(_URL)) & columns) and bool(set(_TEXT) & columns)
    return flat or {"data", "includes"} <= columns


def read(row: Values) -> list[Values]:
    """The posts of a row: one for each photo.

    Raises:
        DataError: no tweet, no photo, or parts that are not what the API makes of them.
    """
    if "data" in row and "includes" in row:  # a page of API v2
        tweets = row["data"] if isinstance(row["data"], list) else [row["data"]]
        includes = row["includes"] if isinstance(row["includes"], dict) else {}
        found = _objects(includes.get("media"), "includes.media")
        media = {key: item for item in found if isinstance(key := item.get("media_key"), str)}
        posts = [post for tweet in _objects(tweets, "data") for post in _posts(tweet, _by_key(tweet, media), row)]
    else:
        posts = _posts(row, _media(row), row)
    if not posts:
        raise DataError("has no photo", fix="leave tweets without photos out, or name the column of the photo's URL")
    return posts


def told_apart(posts: Iterable[tuple[int, Values | None]]) -> Iterator[tuple[int, Values | None]]:
    """Posts with ``-1``, ``-2`` ... behind the ids of neighbours that share one: the photos of a tweet.

    None, a row without a post, is passed on at once.
    """
    place, held = 0, None  # place: of the held post among those of its tweet so far
    for number, post in posts:
        if post is None:
            yield number, None
            continue
        if held is not None:
            same = held[1]["id"] == post["id"]
            yield _numbered(held, place if place > 1 or same else 0)
        place = place + 1 if held is not None and same else 1
        held = (number, post)
    if held is not None:
        yield _numbered(held, place if place > 1 else 0)


def _numbered(held: tuple[int, Values], place: int) -> tuple[int, Values]:
    number, post = held
    return (number, post | {"id": f"{post['id']}-{place}"}) if place and post["id"] else held


def _posts(tweet: Values, media: list[Values], row: Values) -> list[Values]:
    whole = tweet.get("extended_tweet")  # what v1.1 cuts off otherwise
    text = (_first(whole, _TEXT) if isinstance(whole, dict) else None) or _first(tweet, _TEXT)
    if text is not None and not isinstance(text, str):
        raise DataError("is not text", fix="give the tweet's text", field="text")
    flat = tweet is row
    used = {*_ID, *_TEXT, *_NESTED, "includes", "data", *(_URL + _ALT if flat else ())}
    extra = {
        name: value for name, value in tweet.items() if name not in used and isinstance(value, str | int | float | bool)
    }
    tweet_id = _first(tweet, _ID)
    context = html.unescape(_TRAILING_LINK.sub("", text or ""))
    return [
        {"id": tweet_id, "image": url, "context": context, "alt": _first(item, _ALT), "extra": extra}
        for item in media
        if item.get("type", "photo") == "photo" and (url := _first(item, _URL)) is not None
    ]


def _media(tweet: Values) -> list[Values]:
    """The media of a tweet, wherever it keeps them; the row itself where it is flat."""
    for holder in (tweet.get("extended_tweet"), tweet):
        if not isinstance(holder, dict):
            continue
        for name in ("extended_entities", "entities", "attachments"):
            inner = holder.get(name)
            if isinstance(inner, dict) and inner.get("media"):
                return _objects(inner["media"], f"{name}.media")
    if isinstance(tweet.get("media"), list):
        return _objects(tweet["media"], "media")
    urls, alts = _first(tweet, _URL), _first(tweet, _ALT)
    if not isinstance(urls, list):
        return [{"url": urls, "alt_text": alts}] if urls is not None else []
    if alts is not None and (not isinstance(alts, list) or len(alts) != len(urls)):
        raise DataError("has not one alt-text for each photo", fix="give lists of the same length", field="alt_text")
    return [{"url": url, "alt_text": alt} for url, alt in zip(urls, alts or [None] * len(urls), strict=True)]


def _by_key(tweet: Values, media: dict[str, Values]) -> list[Values]:
    attached = tweet.get("attachments")
    keys = attached.get("media_keys") if isinstance(attached, dict) else None
    keys = keys if isinstance(keys, list) else []
    return [media[key] for key in keys if isinstance(key, str) and key in media]


def _objects(value: Any, field: str) -> list[Values]:
    items = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(item, dict) for item in items):
        raise DataError("holds something that is no object", fix="give it as the API does", field=field)
    return items


def _first(row: Values, names: tuple[str, ...]) -> Any:
    return next((row[name] for name in names if row.get(name) not in (None, "")), None)

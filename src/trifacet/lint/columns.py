"""Which column of a file of rows holds the alt-texts, the posts and the images.

Invariant: decided once per file by the names that its rows have, all of them: the first row may lack what others have.
A row that shows no image lacks no text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trifacet.base.errors import DataError
from trifacet.data.formats import format_called, format_of
from trifacet.data.formats.chat import LABEL
from trifacet.data.rows import OnProblem, Row, Values

# What columns are called, in lower case without what is no letter; the first of them that a file has.
ALT = (
    "alt", "alttext", "imagealttext", "imagealt", "alternativetext", "alttag", "extalttext", "altdescription", "imgalt",
    "imagealttag", "alternatetext", "accessibilitycaption", "accessibilitytext", "wpattachmentimagealt",
)  # fmt: skip
EXPORTED = "description"  # of Mastodon's media; where a file is of goods or articles it says something else
PREDICTED = ("text", "caption")  # of predictions, where no column says more clearly that it is the one
_CONTEXT = ("context", "post", "posttext")
_IMAGE = (
    "image", "imagepath", "imagesrc", "img", "src", "file", "filename", "url", "imageurl", "mediaurl", "mediaurlhttps",
    "media", "images", "photo", "photourl", "picture", "attachment",
)  # fmt: skip
_KIND = ("mime", "mimetype", "contenttype", "mediatype", "type")
_OF_GOODS = frozenset(("title", "name", "sku", "price", "handle", "body"))
_ANSWERS = frozenset(
    ("chosen", "question", "conversations", "instruction", "messages", "completion", "prompt", "response", "references")
)
_NO_IMAGE = re.compile(
    r"(?:application|audio|video|text|font)/\S+|\S.*\.(?:pdf|docx?|xlsx?|pptx?|od[tsp]|zip|mp3|wav|ogg|flac|m4a|mp4|mov"
    r"|webm|avi|csv|txt)",
    re.IGNORECASE,
)
NO_COLUMN = "has no column of alt-texts"
_MOST = 10_000  # columns that are remembered


@dataclass(frozen=True)
class TextColumns:
    """The columns that the user names; None: found by their usual names."""

    text: str | None = None
    context: str | None = None


@dataclass
class Known:
    """What is known of a file's rows: the columns, with whether any row has something there, and the data format.

    ``looked``: the rows were looked over. ``complete``: the columns are all there, by a schema. ``embedded`` are those
    of pictures that are read as nothing, but are there.
    """

    looked: bool = False
    format: str | None = None
    names: dict[str, bool] = field(default_factory=dict)
    complete: bool = False
    embedded: frozenset[str] = frozenset()


Rows = Callable[[OnProblem], Iterable[Row]]
Reader = Callable[[Values], Iterator[tuple[str | None, str | None, str]]]


@dataclass(frozen=True)
class Chosen:
    """How a file's rows are read to text, post and image, and what the column of the texts is called."""

    read: Reader
    name: str


def look_over(rows: Rows, known: Known) -> None:
    """Note the columns of all rows. What cannot be read is told when it is read."""
    known.looked = True
    first: Values = {}  # a format shows in the kind of what these hold
    with suppress(DataError):
        for number, row in enumerate(rows(lambda problem: None)):
            for name, value in row.values.items():
                if not known.names.get(name) and len(known.names) < _MOST:
                    known.names[name] = _is_filled(value)
            if number == 0:
                first = {name: value for name, value in row.values.items() if name in ("chosen", "messages", "prompt")}
            if known.complete:
                break
    known.format = format_of(dict.fromkeys(known.names) | first)


def choose(known: Known, columns: TextColumns, path: Path) -> Chosen:
    """How the file's rows are read. Raises DataError: no column is, or is said to be, that of the texts."""
    names = known.names
    for named in (columns.text, columns.context):
        if named is not None and named not in names:
            raise DataError(f"has no column {named!r}", fix=f"name one of {_listed(names)}")
    context = columns.context or _column(names, _CONTEXT)
    bare = _bare(names)
    images = [bare[name] for name in _IMAGE if name in bare and (names[bare[name]] or bare[name] in known.embedded)]
    exported = (EXPORTED,) if images and not {*_OF_GOODS, *_ANSWERS} & bare.keys() else ()
    if named := columns.text or _column(names, (*ALT, *exported)):
        return _by_column(named, context, images, known)
    if known.format is not None:
        module = format_called(known.format)
        return Chosen(_by_format(module.reader(path, LABEL)), str(module.NAMES.get("response", "response")))
    if named := _column(names, PREDICTED):
        return _by_column(named, context, images, known)
    raise DataError(NO_COLUMN, fix=f"name it with --column; there are {_listed(names)}")


def _by_column(column: str, context: str | None, images: list[str], known: Known) -> Chosen:
    kinds = [name for bare, name in _bare(known.names).items() if bare in _KIND]

    def read(values: Values) -> Iterator[tuple[str | None, str | None, str]]:
        value = values.get(column)
        shown = [values[name] for name in images if _is_filled(values.get(name))]
        lacks = bool(images) and not shown and not known.embedded.intersection(images)
        lacks = lacks or any(
            _NO_IMAGE.fullmatch(one) for one in (*shown, *map(values.get, kinds)) if isinstance(one, str)
        )
        for text in value if isinstance(value, list) else [value]:
            if text is not None and not isinstance(text, str):
                raise DataError(f"is no text but {type(text).__name__}", fix="give texts in quotes", field=column)
            if not lacks or (text or "").strip():
                image = next((one for one in shown if isinstance(one, str)), "")
                yield text, _string(values.get(context or "")), image

    return Chosen(read, column)


def _by_format(to_values: Callable[[Values], Values]) -> Reader:
    """Rows of the data formats: the chosen response, else every reference."""

    def read(row: Values) -> Iterator[tuple[str | None, str | None, str]]:
        values = to_values(row)
        response = values.get("response")
        texts = [response] if response is not None else values.get("references") or [None]
        for text in texts:
            if text is not None and not isinstance(text, str):
                raise DataError("the answer is no text", fix="give texts in quotes")
            yield text, _string(values.get("context")), _string(values.get("image")) or ""

    return read


def _column(names: Mapping[str, Any], wanted: tuple[str, ...]) -> str | None:
    bare = _bare(names)
    return next((bare[name] for name in wanted if name in bare), None)


def _bare(names: Mapping[str, Any]) -> dict[str, str]:
    """The columns by their names without case and punctuation; of two the first."""
    return {re.sub(r"[^a-z0-9]+", "", name.lower()): name for name in reversed(list(names))}


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(repr(name[:40]) for name in list(names)[:12]) or "none"


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _is_filled(value: Any) -> bool:
    return bool(value.strip() if isinstance(value, str) else value)

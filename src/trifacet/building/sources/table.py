"""Tables: any file whose columns hold a post, its image and the user's alt-text, under names that the recipe gives.

Invariant: columns are checked before the first row is read, so that a wrong name is no matter of rows.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from trifacet.base.errors import DataError
from trifacet.base.json_text import parse_json
from trifacet.building.settings import Columns
from trifacet.data.rows import Values
from trifacet.data.tables import Peek


def named(columns: Columns) -> dict[str, str]:
    """The columns that the user named. One at its default is not: a recipe that a build wrote out spells them all."""
    return {
        field: name
        for field, name in columns.model_dump().items()
        if name is not None and name != Columns.model_fields[field].default
    }


def reader(columns: Columns, start: Peek, path: Path) -> Callable[[Values], list[Values]]:
    """A function from a row to the one post in it.

    Raises:
        DataError: a column that the user named is not there, or there is none of post, alt-text and image.
    """
    known = ", ".join(start.columns[:30]) or "none"
    for field, name in named(columns).items():
        if name not in start.columns:
            near = difflib.get_close_matches(name, start.columns, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise DataError(f"has no column {name!r}", fix=f"{hint}its columns are {known}", file=path, field=field)
    of = {field: name for field, name in columns.model_dump().items() if name in start.columns}
    if not {"context", "alt", "image"} & of.keys():
        wanted = ", ".join(f"columns.{field}" for field in ("context", "alt", "image"))
        raise DataError(
            f"has no column of posts, alt-texts or images; its columns are {known}",
            fix=f"name them in {wanted}",
            file=path,
        )

    def read(row: Values) -> list[Values]:
        post = {field: row.get(name) for field, name in of.items()}
        images = _images(post.get("image"), start.text_only)
        rest = {name: value for name, value in row.items() if name not in of.values() and value is not None}
        return [post | {"image": images[0] if images else None, "more_images": images[1:], "extra": rest}]

    return read


def _images(value: Any, text_only: bool) -> list[Any]:
    """The images of a cell: a path or URL, a list of them, or (in CSV) such a list as JSON."""
    if text_only and isinstance(value, str) and value.startswith("["):
        with suppress(ValueError):  # a file may be called so
            value = parse_json(value)
    images = value if isinstance(value, list) else [value]
    paths = [image.get("path") if isinstance(image, dict) else image for image in images]
    if value is not None and value != [] and None in paths:
        raise DataError("names no file", fix="save embedded images as files and give their paths", field="image")
    return [path for path in paths if path not in (None, "")]

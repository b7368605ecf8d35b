"""Parquet shards: the kind that they say they are of, and images that travel inside them, back to files.

Invariant: nothing is written but decodable images, below the folder given, under the names that the rows use; a name
stands for one picture.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from trifacet.base.digests import file_digest
from trifacet.base.embedded import file_name, name_of
from trifacet.base.errors import DataError
from trifacet.base.files import replacing
from trifacet.base.images import IMAGE_FORMATS
from trifacet.base.opening import is_folder
from trifacet.data.parquet import parquet_file, parquet_values
from trifacet.data.records import EMBEDDED, SCHEMAS

__all__ = ["EMBEDDED", "unpack_images", "written_kind"]


def written_kind(path: Path) -> str | None:
    """The kind of sample ("sft", "preference", "test") that a shard, or the first of a folder, says it holds."""
    shard = min(path.glob("*.parquet"), default=path) if is_folder(path) else path
    if shard.suffix != ".parquet":
        return None
    try:
        with parquet_file(shard) as file:
            kind = (file.schema_arrow.metadata or {}).get(b"trifacet.kind", b"").decode(errors="replace")
    except DataError:  # whoever reads the rows says what is wrong
        return None
    return kind if kind in SCHEMAS else None


def unpack_images(folder: Path, root: Path) -> Iterator[Path]:
    """Write the pictures of every row of the shards below ``folder`` to ``root``; yields what was not there yet.

    Those of our own shards get the names that their rows use.

    Raises:
        DataError: there is no such folder, or no image in it; a shard is damaged; a row's name leaves ``root``, is
            another picture's or cannot be a file's, or its bytes are no image.
    """
    if not is_folder(folder):
        raise DataError("no such folder", fix="give a folder of .parquet files", file=folder)
    shards = sorted(folder.rglob("*.parquet"))
    embedding = [shard for shard in shards if _embeds(shard)]
    others = [shard for shard in shards if shard not in embedding and _holds_bytes(shard)]
    if not embedding and not others:
        fix = "give a folder of shards that were written with images: embedded"
        raise DataError(f"holds no image in its Parquet files ({len(shards)})", fix=fix, file=folder)
    base = root.resolve()
    for shard in others:
        yield from _unpacked_others(base, shard)
    for shard in embedding:
        for number, row in enumerate(parquet_values(shard, ["image", EMBEDDED]), start=1):
            try:
                if isinstance(row, DataError):
                    raise row
                if row[EMBEDDED] is not None and (path := _unpacked(base, row["image"], row[EMBEDDED])) is not None:
                    yield path
            except DataError as problem:
                field = problem.field
                raise DataError(problem.problem, fix=problem.fix, file=shard, row=number, field=field) from None


def _unpacked_others(base: Path, shard: Path) -> Iterator[Path]:
    """The pictures of a shard in which each is bytes, or an object of bytes and path, as ``datasets`` has them.

    Many rows may call theirs the same, so each is called by its content too.
    """
    for number, row in enumerate(parquet_values(shard), start=1):
        try:
            if isinstance(row, DataError):
                raise row
            for data, called in _pictures(row):
                path = base / file_name(name_of(data, called), data)
                if not path.exists():
                    _check(data, None)
                    with replacing(path) as temporary:
                        temporary.write_bytes(data)
                    yield path
        except DataError as problem:
            raise DataError(problem.problem, fix=problem.fix, file=shard, row=number) from None


def _pictures(value: Any) -> Iterator[tuple[bytes, str | None]]:
    match value:
        case {"bytes": bytes(data)}:
            called = value.get("path")
            yield data, called if isinstance(called, str) else None
        case bytes():
            yield value, None
        case dict():
            for item in value.values():
                yield from _pictures(item)
        case list():
            for item in value:
                yield from _pictures(item)


def _holds_bytes(shard: Path) -> bool:
    with parquet_file(shard) as file:
        return "binary" in " ".join(str(one.type) for one in file.schema_arrow)


def _embeds(shard: Path) -> bool:
    with parquet_file(shard) as file:
        names = file.schema_arrow.names
    if EMBEDDED in names and "image" not in names:
        raise DataError("has no column 'image' beside it", fix="build it again", file=shard, field=EMBEDDED)
    return EMBEDDED in names


def _unpacked(base: Path, name: Any, data: Any) -> Path | None:
    """Where the image was written to; None where it is already."""
    if not isinstance(name, str | None) or not isinstance(data, bytes):
        field, what = (EMBEDDED, "bytes") if isinstance(name, str | None) else ("image", "text")
        raise DataError(f"is no {what}", fix="build it again", field=field)
    try:
        path = (base / (name or "..")).resolve()
        if not path.is_relative_to(base) or path == base:
            raise DataError(f"name {_short(name)} leaves the folder", fix="use names below it", field="image")
        taken = next((one for one in path.parents if one.is_relative_to(base) and one.is_file()), None)
        if path.is_file() and file_digest(path) == hashlib.sha256(data).hexdigest():
            return None
        if path.exists() or taken is not None:
            what = "another picture" if taken is None and path.is_file() else "a folder or file of other pictures"
            fix = "give each picture a name of its own, or unpack into an empty folder"
            raise DataError(f"name {_short(name)} is that of {what}", fix=fix, field="image")
    except (OSError, ValueError, RuntimeError):  # too long, NUL, a circle of links
        raise DataError(f"name {_short(name)} can be no file's", fix="give it a short name", field="image") from None
    _check(data)
    with replacing(path) as temporary:
        temporary.write_bytes(data)
    return path


def _short(name: str | None) -> str:
    return ascii(name) if name is None or len(name) <= 60 else f"{name[:60]!a}... ({len(name)} characters)"


def _check(data: bytes, field: str | None = EMBEDDED) -> None:
    try:
        Image.open(io.BytesIO(data), formats=IMAGE_FORMATS).verify()  # of its pixels none is decoded
    except Exception:  # a decoder fed with damaged bytes raises whatever it trips over
        raise DataError("holds no image", fix="build it again", field=field) from None

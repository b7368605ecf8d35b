"""Parquet shards: the kind that they say they are of, and images that travel inside them, back to files.

Invariant: nothing is written but decodable images, below the folder given, under the names that the rows use.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from trifacet.base.errors import DataError
from trifacet.base.files import replacing
from trifacet.base.images import IMAGE_FORMATS
from trifacet.data.records import SCHEMAS

EMBEDDED = "image_bytes"


def written_kind(path: Path) -> str | None:
    """The kind of sample ("sft", "preference", "test") that a shard, or the first of a folder, says it holds."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    shard = min(path.glob("*.parquet"), default=path) if path.is_dir() else path
    if shard.suffix != ".parquet":
        return None
    try:
        kind = (pq.read_schema(shard).metadata or {}).get(b"trifacet.kind", b"").decode(errors="replace")
    except (OSError, pa.ArrowException):  # whoever reads the rows says what is wrong
        return None
    return kind if kind in SCHEMAS else None


def unpack_images(folder: Path, root: Path) -> Iterator[Path]:
    """Write the image of every row of the shards below ``folder`` to ``root``; yields what was not there yet.

    Raises:
        DataError: a row's name leaves ``root``, or its bytes are no image.
    """
    import pyarrow.parquet as pq

    for shard in sorted(folder.rglob("*.parquet")):
        with pq.ParquetFile(shard) as file:
            if EMBEDDED not in file.schema_arrow.names:
                continue
            number = 0
            for batch in file.iter_batches(batch_size=64, columns=["image", EMBEDDED]):
                for row in batch.to_pylist():
                    number += 1
                    if row[EMBEDDED] is not None and (path := _inside(root, row["image"], shard, number)) is not None:
                        _check(row[EMBEDDED], shard, number)
                        with replacing(path) as temporary:
                            temporary.write_bytes(row[EMBEDDED])
                        yield path


def _inside(root: Path, name: str | None, shard: Path, number: int) -> Path | None:
    """Where the row's image goes; None where it is already."""
    base = root.resolve()
    path = (base / (name or "..")).resolve()
    if not path.is_relative_to(base) or path == base:
        raise DataError(f"name {name!r} leaves the folder", fix="use names below it", file=shard, row=number)
    return None if path.exists() else path


def _check(data: bytes, shard: Path, number: int) -> None:
    try:
        Image.open(io.BytesIO(data), formats=IMAGE_FORMATS).verify()  # of its pixels none is decoded
    except Exception as error:  # a decoder fed with damaged bytes raises whatever it trips over
        raise DataError(
            f"holds no image ({error})", fix="build it again", file=shard, row=number, field=EMBEDDED
        ) from None

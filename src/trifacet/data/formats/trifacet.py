"""Trifacet's own format: the records as they are, in JSON lines, a JSON array, or Parquet (``records.SCHEMAS``).

Invariant: nothing is ever lost here, and a field that is not known is refused rather than ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from trifacet.base.errors import DataError
from trifacet.base.files import replacing
from trifacet.base.json_text import parse_json
from trifacet.data.formats.chat import OnLost, ignore
from trifacet.data.formats.pictures import picture, with_pictures
from trifacet.data.records import EMBEDDED, Sample, to_arrow
from trifacet.data.rows import Values, write_rows

LABEL = ""  # request and post are fields of their own
NAMES: dict[str, str] = {}
NEEDS = ""


def reader(path: Path, label: str, lost: OnLost = ignore) -> Callable[[Values], Values]:
    """A function from a row to a record's values."""
    return _values


def _values(row: Values) -> Values:
    values = {name: value for name, value in row.items() if value is not None and name != EMBEDDED}
    if isinstance(data := row.get(EMBEDDED), bytes):
        values["image"] = picture({"bytes": data, "path": row.get("image")}, EMBEDDED)
    values = with_pictures(values)
    if isinstance(values.get("extra"), str):  # as Parquet holds it
        try:
            values["extra"] = parse_json(values["extra"])
        except ValueError as error:
            raise DataError(f"is not JSON ({error})", fix="write a JSON object", field="extra") from None
    return values


def to_row(sample: Sample, label: str) -> Values:
    """The sample's fields, those at their defaults left out; one without an image says its post, be it empty."""
    post = {"context": sample.context} if sample.image is None else {}
    return post | sample.model_dump(mode="json", exclude_defaults=True)


def write(path: Path, rows: list[Values], samples: list[Any], kind: str) -> None:
    """Write the samples, whole or not at all."""
    if path.suffix != ".parquet":
        write_rows(path, rows)
        return
    import pyarrow.parquet as pq

    table = to_arrow(kind, samples)
    with replacing(path) as temporary:
        pq.write_table(table, temporary)

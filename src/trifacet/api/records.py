"""Records that a caller gives as they are or as their values. Invariant: what is no record is named by its row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from trifacet.base.errors import DataError
from trifacet.data.records import AnySample, make_sample


def as_records(kind: type[AnySample], samples: Iterable[AnySample | Mapping[str, Any]]) -> list[AnySample]:
    """Records of one kind; values without an id get their row's, as rows of a file do. Raises DataError."""
    records = []
    for row, given in enumerate(samples, start=1):
        one = (
            make_sample(kind.kind, {"id": f"row-{row}"} | dict(given), row=row) if isinstance(given, Mapping) else given
        )
        if not isinstance(one, kind):
            fix = f"give a {kind.__name__}, or its values"
            raise DataError(f"is a {type(one).__name__}", fix=fix, row=row)
        records.append(one)
    return records

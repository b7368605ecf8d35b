"""Parquet files, which anybody may have written: their columns and rows.

Invariant: a damaged file is a DataError that names it, a row with a value that Python has no place for one that names
the row; what is held at a time is one batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trifacet.base.errors import DataError
from trifacet.base.opening import opened

_ROWS = 64  # of a batch
_FEW = 8
_HELD = 256 * 1024 * 1024  # bytes of a batch, as far as the file tells them


@contextmanager
def parquet_file(path: Path) -> Iterator[Any]:
    """The opened ``pyarrow.parquet.ParquetFile``. Raises DataError, also for what it trips over within the block."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with opened(path) as file:
        try:
            with pq.ParquetFile(file) as found:
                names = found.schema_arrow.names
                if len(set(names)) < len(names):
                    raise DataError("has two columns of one name", fix="name each differently", file=path)
                yield found
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise DataError(f"damaged Parquet ({_reason(error)})", fix="write it again", file=path) from None


def parquet_values(path: Path, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any] | DataError]:
    """The rows in their order, of those columns; in the place of one that cannot be read, what is wrong with it."""
    with parquet_file(path) as file:
        for batch in file.iter_batches(batch_size=_rows_at_once(file.metadata), columns=columns):
            yield from _batch_values(batch)


def _reason(error: Exception) -> str:
    """What an error says, in one line; of a long one the beginning."""
    reason = " ".join(str(error).split())
    return reason if len(reason) <= 300 else f"{reason[:300]} ..."


def _rows_at_once(told: Any) -> int:
    """How many rows are held: fewer where they are large, or where one text of a dictionary may stand in each.

    Sizes of columns would say more, but to ask for those of a damaged file may end the process.
    """
    sizes = [told.row_group(number).total_byte_size for number in range(told.num_row_groups)]
    rows = min(_ROWS, max(_FEW, _HELD // max(*sizes, 1, 1)))
    return max(1, min(rows, _HELD * told.num_rows // max(sum(sizes), 1)))


def _batch_values(batch: Any) -> Iterator[dict[str, Any] | DataError]:
    try:
        yield from batch.to_pylist()
    except (ValueError, OverflowError, RecursionError) as error:
        if batch.num_rows == 1:
            fix = "write texts as UTF-8 and dates between the years 1 and 9999"
            yield DataError(f"cannot be read ({_reason(error)})", fix=fix)
        else:
            for place in range(batch.num_rows):
                yield from _batch_values(batch.slice(place, 1))

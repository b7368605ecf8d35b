"""What rows of the preference set lend each other, contexts and images, without all of them in memory.

Invariant: a lender is never the row itself, a twin of the same content or a row of the same cluster of
near-duplicates; who lends depends on the rows, the seed and the borrower's id only.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow as pa

CHUNK = 8192


def concerned(split: str | None) -> bool:
    """Whether a row of this split gets rejected versions: those of the preference set, or all where none is drawn."""
    return split in (None, "preference")


class TextsOnDisk(Sequence[str]):
    """Texts that are read from a nameless temporary file one by one: eight bytes of memory each."""

    def __init__(self, texts: Iterable[str], folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - open as long as this lives
        ends = [np.zeros(1, dtype=np.int64)]
        for text in _written(texts, self._file):
            ends.append(text)
        self._ends = np.concatenate(ends)
        self._file.flush()

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        start, end = int(self._ends[index]), int(self._ends[index + 1])
        return os.pread(self._file.fileno(), end - start, start).decode("utf-8")


def _written(texts: Iterable[str], file: Any) -> Iterator[np.ndarray]:
    """Write the texts one after the other; yields where each of a chunk of them ends."""
    end, ends = 0, []
    for text in texts:
        end += file.write(text.encode("utf-8"))
        ends.append(end)
        if len(ends) == CHUNK:
            yield np.array(ends, dtype=np.int64)
            ends = []
    yield np.array(ends, dtype=np.int64)


class OutsideCluster(Sequence[str]):
    """The same contents with those of the borrower's cluster left blank, which are no candidates.

    contents: one for each row.
    clusters: (n,) cluster of each row; -1 for none.
    index: the borrower.
    """

    def __init__(self, contents: Sequence[str], clusters: np.ndarray, index: int) -> None:
        self._contents, self._clusters, self._index = contents, clusters, index

    def __len__(self) -> int:
        return len(self._contents)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        own = self._clusters[self._index]
        if index != self._index and own >= 0 and self._clusters[index] == own:
            return ""
        return self._contents[index]


def clusters_of(column: pa.ChunkedArray) -> np.ndarray:
    """The column ``cluster`` as int64, -1 where there is none."""
    return np.asarray(column.cast(pa.int64()).fill_null(-1).to_numpy(), dtype=np.int64)


def decisions_in_turn(rows: Iterable[tuple[int, list[str]]], name: str) -> pa.RecordBatchReader:
    """Decisions with columns ``row`` and ``name`` (list of texts), made while they are read: never all in memory."""
    schema = pa.schema([pa.field("row", pa.int64(), nullable=False), pa.field(name, pa.list_(pa.string()))])
    taken = iter(rows)
    chunks = iter(lambda: list(itertools.islice(taken, CHUNK)), [])
    return pa.RecordBatchReader.from_batches(schema, (_batch(chunk, schema) for chunk in chunks))


def _batch(rows: list[tuple[int, list[str]]], schema: pa.Schema) -> pa.RecordBatch:
    columns = ([row for row, _ in rows], [texts for _, texts in rows])
    return pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)

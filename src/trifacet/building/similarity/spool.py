"""What comparing needs of rows, out of memory: a temporary file that is read a block at a time.

Invariant: memory taken is that of the offsets and of the block asked for, never that of the file.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import DTypeLike, NDArray

from trifacet.building.step import Signatures

_Ints = NDArray[np.int64]
BLOCK = 2048  # pairs compared at a time


class Spool:
    """Values of one column of bytes or lists, by the rows' places; a context manager that removes its file.

    Args:
        column: of type binary, or list of numbers; null counts as empty.
        places: sorted places of the rows to keep; all where None.
    """

    def __init__(
        self, signatures: Signatures, column: str, dtype: DTypeLike, folder: Path, places: _Ints | None = None
    ) -> None:
        self.places, self._dtype = places, np.dtype(dtype)
        self._file = tempfile.NamedTemporaryFile(dir=folder, prefix="spool-")  # noqa: SIM115 - closed by __exit__
        lengths: list[_Ints] = []
        start = 0
        for part in signatures.parts([column]):
            array, size = part.column(column).combine_chunks(), part.num_rows
            if places is not None:
                array = array.take(pa.array(places[slice(*np.searchsorted(places, (start, start + size)))] - start))
            values = _flat(array)
            self._file.write(values.tobytes())
            width = self._dtype.itemsize if pa.types.is_binary(array.type) else 1
            counts = pc.binary_length(array) if pa.types.is_binary(array.type) else pc.list_value_length(array)
            lengths.append(counts.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64) // width)
            start += size
        self._file.flush()
        ends = np.cumsum(np.concatenate(lengths)) if lengths else np.empty(0, np.int64)
        self._starts = np.concatenate([[0], ends])

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *stop: Any) -> None:
        self._file.close()

    def there(self, places: _Ints) -> NDArray[np.bool_]:
        """Which of these rows have values."""
        at = places if self.places is None else np.searchsorted(self.places, places)
        return np.asarray(self._starts[at + 1] > self._starts[at])

    def matrix(self, places: _Ints) -> NDArray[Any]:
        """[n, width]: values of these rows, which must be of equal length."""
        values, lengths = self.ragged(places)
        return values.reshape(len(places), int(lengths[0]) if len(lengths) else 0)

    def ragged(self, places: _Ints) -> tuple[NDArray[Any], _Ints]:
        """The values of these rows one after the other, and how many are each one's."""
        at = places if self.places is None else np.searchsorted(self.places, places)
        starts, lengths = self._starts[at], self._starts[at + 1] - self._starts[at]
        # read, not mapped: the pages of a mapped file would count as memory of this process
        size, file = self._dtype.itemsize, self._file.fileno()
        extents = zip((starts * size).tolist(), (lengths * size).tolist(), strict=True)
        return np.frombuffer(b"".join(os.pread(file, length, start) for start, length in extents), self._dtype), lengths


def bytes_of(array: pa.Array) -> NDArray[np.uint8]:
    """The bytes of all values of a binary array, one after the other; null has none."""
    _, offsets, data = array.buffers()
    if not len(array) or data is None:
        return np.empty(0, np.uint8)
    borders = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1]
    return np.frombuffer(data, np.uint8)[borders[0] : borders[-1]]


def _flat(array: pa.Array) -> NDArray[Any]:
    return bytes_of(array) if pa.types.is_binary(array.type) else np.asarray(array.flatten().to_numpy())


def rows_at(signatures: Signatures, places: _Ints, names: list[str]) -> pa.Table:
    """These columns of the rows at sorted places."""
    found, start = [], 0
    for part in signatures.parts(names):
        inside = places[slice(*np.searchsorted(places, (start, start + part.num_rows)))]
        found.append(part.take(pa.array(inside - start)))
        start += part.num_rows
    return pa.concat_tables(found).combine_chunks()

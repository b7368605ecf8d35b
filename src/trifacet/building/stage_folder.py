"""The parts of a build on disk: a few thousand rows each, with what a stage decided about them, sealed by their hashes.

Invariant: a part counts as done only if its record is there and its files have the recorded hashes; a part's bytes are
a function of the recipe and the sources, so that a lost one can be made again without touching what came of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trifacet.base.claims import broken_seal
from trifacet.base.digests import sha256_of
from trifacet.base.files import append_durably, replacing

Record = dict[str, Any]  # part, files {name: sha256}, steps [{step, in, out, seconds, counts}]


class StageFolder:
    """The folder of one stage: ``rows``, ``events`` and ``signatures`` by part, and the records of what is done."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, kind: str, part: int) -> Path:
        """Where the part's table of a kind ("rows", "events", "signatures") is."""
        return self.folder / kind / f"part-{part:06d}.parquet"

    def write(self, kind: str, part: int, table: pa.Table) -> tuple[str, str]:
        """Write a part's table; returns the name and hash that its record is to hold."""
        path = self.path(kind, part)
        return str(path.relative_to(self.folder)), write_table(path, table)

    def write_both(self, part: int, rows: pa.Table, events: pa.Table) -> dict[str, str]:
        """Write what is left of a part and what was decided about it; returns the hashes by name, for its record."""
        return dict([self.write("rows", part, rows), self.write("events", part, events)])

    def read(self, kind: str, part: int) -> pa.Table:
        """A part's table."""
        return pq.read_table(self.path(kind, part))

    def add(self, log: str, record: Record) -> None:
        """Note that a part is done, on disk when this returns. ``log`` is "parts" or "signatures"."""
        append_durably(self.folder / f"{log}.jsonl", json.dumps(record).encode() + b"\n")

    def records(self, log: str = "parts") -> dict[int, Record]:
        """The latest record of every part, files not looked at; a torn last line is none."""
        path = self.folder / f"{log}.jsonl"
        found: dict[int, Record] = {}
        for line in path.read_bytes().splitlines() if path.exists() else ():
            try:
                record = json.loads(line)
            except ValueError:
                continue  # the line that a kill cut off; the next one began on a line of its own
            found[record["part"]] = record
        return found

    def intact(self, log: str = "parts") -> dict[int, Record]:
        """The records whose files are there, byte for byte."""
        records = self.records(log)
        self._end_line(log)
        with ThreadPoolExecutor(4) as pool:
            whole = pool.map(self._whole, records.values())
            return {part: record for (part, record), fine in zip(records.items(), whole, strict=True) if fine}

    def _whole(self, record: Record) -> bool:
        return broken_seal(self.folder, record["files"]) is None

    def _end_line(self, log: str) -> None:
        """Close a line that a kill cut off, so that the next record stands on its own."""
        path = self.folder / f"{log}.jsonl"
        if path.exists() and (size := path.stat().st_size):
            with path.open("rb") as file:
                file.seek(size - 1)
                torn = file.read(1) != b"\n"
            if torn:
                append_durably(path, b"\n")


def write_table(path: Path, table: pa.Table | pa.RecordBatchReader) -> str:
    """Write a table, or batches as they come, as Parquet, whole or not at all; returns the file's SHA-256."""
    batches = table if isinstance(table, pa.RecordBatchReader) else table.to_batches(max_chunksize=65_536)
    with replacing(path) as temporary:
        with pq.ParquetWriter(temporary, table.schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch)
        digest = sha256_of(temporary)
    assert digest is not None
    return digest


def events_of(stages: list[StageFolder], **wanted: Any) -> Iterator[dict[str, Any]]:
    """The events of the stages, in the order of stages and rows, whose fields have the ``wanted`` values."""
    filters = [(name, "=", value) for name, value in wanted.items()] or None
    for stage in stages:
        for part in sorted(stage.records()):
            yield from pq.read_table(stage.path("events", part), filters=filters).to_pylist()

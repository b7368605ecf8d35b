"""The parts of a build on disk: a few thousand rows each, with what a stage decided about them, sealed by their hashes.

Invariant: a part counts as done only if its record is there and as it was written, its files have the recorded hashes
and its pictures the recorded sizes; a part's bytes are a function of the recipe and the sources, so that a lost one can
be made again without touching what came of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trifacet.base import seals
from trifacet.base.errors import TrifacetError
from trifacet.base.files import append_durably, replacing
from trifacet.base.seals import Damage, Seal

DECISIONS, DECISIONS_SEAL = "decisions.parquet", "decisions.sha256"  # of a stage that looks at all rows
Record = dict[str, Any]  # part, files {name: [bytes, sha256]}, steps [{step, in, out, seconds, counts}]


class StageFolder:
    """The folder of one stage: ``rows``, ``events``, ``signatures`` and seals of ``pictures`` by part, and the records
    of what is done.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, Seal] = {}  # of the parts' files, once they are asked for
        self._sound: set[Path] = set()

    def path(self, kind: str, part: int) -> Path:
        """Where the part's table of a kind ("rows", "events", "signatures") is."""
        return self.folder / kind / f"part-{part:06d}.parquet"

    def write(self, kind: str, part: int, table: pa.Table) -> tuple[str, Seal]:
        """Write a part's table; returns the name and seal that its record is to hold."""
        path = self.path(kind, part)
        return str(path.relative_to(self.folder)), write_table(path, table)

    def write_both(self, part: int, rows: pa.Table, events: pa.Table) -> dict[str, Seal]:
        """Write what is left of a part and what was decided about it; returns the seals by name, for its record."""
        return dict([self.write("rows", part, rows), self.write("events", part, events)])

    def read(self, kind: str, part: int) -> pa.Table:
        """A part's table."""
        return pq.read_table(self.path(kind, part))

    def sound(self, kind: str, part: int) -> Path:
        """The part's table of a kind, for those who look at a build; each is held against its seal once.

        Raises:
            TrifacetError: it is not as it was written.
        """
        path = self.path(kind, part)
        if path not in self._sound:
            name = path.relative_to(self.folder).as_posix()
            if not self._known:
                self._known = {name: seal for one in self.records().values() for name, seal in one["files"].items()}
            if name in self._known and (damage := seals.first_damage(self.folder, {name: self._known[name]})):
                cure = "delete it, and the same build makes it again" if path.exists() else "build again"
                raise TrifacetError(f"{path} {damage.problem}; {cure}")
            self._sound.add(path)
        return path

    def add(self, log: str, record: Record) -> None:
        """Note that a part is done, on disk when this returns. ``log`` is "parts" or "signatures"."""
        append_durably(self.folder / f"{log}.jsonl", json.dumps(seals.sealed(record)).encode() + b"\n")
        self._known.clear()
        self._sound.clear()

    def records(self, log: str = "parts") -> dict[int, Record]:
        """The latest record of every part, files not looked at; a line that is torn or damaged is none."""
        path = self.folder / f"{log}.jsonl"
        read = map(_record, path.read_bytes().split(b"\n") if path.exists() else ())
        return {record["part"]: record for record in read if record is not None}

    def intact(self, log: str = "parts") -> dict[int, Record]:
        """The records whose files are there, byte for byte, and whose pictures have their sizes."""
        records = self.records(log)
        self._end_line(log)
        with ThreadPoolExecutor(4) as pool:
            found = pool.map(lambda record: next(self.damages(record), None), records.values())
            return {part: record for (part, record), damage in zip(records.items(), found, strict=True) if not damage}

    def damages(self, record: Record, *, whole: bool = True, pictures: bool = False) -> Iterator[Damage]:
        """What of a part is not as it was sealed, by names in the stage's folder.

        Args:
            record: the part's.
            whole: look at every byte of its files, not at their sizes alone.
            pictures: look at every byte of its pictures too; else at their sizes.
        """
        lost = list(seals.damages(self.folder, record["files"], whole=whole))
        yield from lost
        if not lost:
            kept = {
                f"../../work/{file.replace(':', '/', 1)}": seal for file, seal in self.pictures(record["part"]).items()
            }
            yield from seals.damages(self.folder, kept, whole=pictures)

    def pictures(self, part: int) -> dict[str, Seal]:
        """The seals of the files that a part's steps have put into the build's folder, by "ROOT:path".

        Raises:
            TrifacetError: the list of them is not as it was written.
        """
        if not self.path("pictures", part).exists():
            return {}
        table = pq.read_table(self.sound("pictures", part))
        columns = map(pa.ChunkedArray.to_pylist, table.columns)
        return {file: [size, digest] for file, size, digest in zip(*columns, strict=True)}

    def _end_line(self, log: str) -> None:
        """Close a line that a kill cut off, so that the next record stands on its own."""
        path = self.folder / f"{log}.jsonl"
        if path.exists() and (size := path.stat().st_size):
            with path.open("rb") as file:
                file.seek(size - 1)
                torn = file.read(1) != b"\n"
            if torn:
                append_durably(path, b"\n")


def _record(line: bytes) -> Record | None:
    """The record of a line; None where a kill cut it off, or where it is damaged."""
    try:
        record = seals.unsealed(json.loads(line))
    except (ValueError, RecursionError):
        return None
    return record if record is not None and _is_record(record) else None


def _is_record(record: Record) -> bool:
    part, files, steps = record.get("part"), record.get("files"), record.get("steps", [])
    if not (isinstance(part, int) and isinstance(files, dict) and files and isinstance(steps, list)):
        return False
    numbers = [one.get(key) for one in steps if isinstance(one, dict) for key in ("step", "in", "out", "seconds")]
    return (
        all(name.endswith(f"part-{part:06d}.parquet") for name in files)
        and all(isinstance(one, dict) and isinstance(one.get("counts"), dict) for one in steps)
        and all(
            isinstance(number, int | float)
            for number in [*numbers, *([] if "steps" in record else [record.get("seconds")])]
        )
    )


def sealed_pictures(files: list[str], path_of: Callable[[str], Path]) -> pa.Table:
    """What a part keeps of its pictures ("ROOT:path" each): their sizes and SHA-256."""
    rows = [
        dict(zip(("file", "bytes", "sha256"), (file, *seals.seal_of(path_of(file))), strict=True)) for file in files
    ]
    return pa.Table.from_pylist(rows)


def write_table(path: Path, table: pa.Table | pa.RecordBatchReader) -> Seal:
    """Write a table, or batches as they come, as Parquet, whole or not at all; returns the file's seal."""
    batches = table if isinstance(table, pa.RecordBatchReader) else table.to_batches(max_chunksize=65_536)
    with replacing(path) as temporary:
        with pq.ParquetWriter(temporary, table.schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch)
        return seals.seal_of(temporary)


def events_of(stages: list[StageFolder], **wanted: Any) -> Iterator[dict[str, Any]]:
    """The events of the stages, in the order of stages and rows, whose fields have the ``wanted`` values."""
    filters = [(name, "=", value) for name, value in wanted.items()] or None
    for stage in stages:
        for part in sorted(stage.records()):
            yield from pq.read_table(stage.sound("events", part), filters=filters).to_pylist()

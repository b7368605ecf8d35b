"""Reading the sources into parts: rows get their numbers, and rows that cannot be used their reasons.

Invariant: a row's number is its place among all rows of all sources, whatever becomes of it.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import json
import time
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trifacet.base.digests import text_number
from trifacet.building.recipe import BuildRecipe
from trifacet.building.rows import EVENTS, ROWS, RowBatch
from trifacet.building.sources import BadRow, read_in_turn
from trifacet.building.stage_folder import Record, StageFolder
from trifacet.building.step import READ
from trifacet.building.workers import step_record
from trifacet.data.tables import plain_name

_Ints = NDArray[np.int64]


def read_sources(
    recipe: BuildRecipe, target: Path, on_part: Callable[[Record], None], only: frozenset[int] | None = None
) -> None:
    """Write the posts of all sources as parts below ``target``; ``on_part`` gets each part's record.

    ``only`` are the numbers of the rows to take, None for all. A row whose id an earlier one has leaves at once, or
    gets its file's name before its id where that one is of another file: its part is written, and ``on_part`` called
    for it, a second time.
    """
    stage, known, started = StageFolder(target), _Ids(), time.monotonic()
    for part, (rows, events) in enumerate(_parts(recipe, only)):
        for row in rows:
            known.add(row)
        table, told = pa.Table.from_pylist(rows, schema=ROWS), pa.Table.from_pylist(events, schema=EVENTS)
        files = stage.write_both(part, table, told)
        record = step_record(0, len(rows) + len(events), table, told, time.monotonic() - started)
        started = time.monotonic()
        stage.add("parts", made := {"part": part, "files": files, "steps": [record]})
        on_part(made)
    for record in _settle_ids(stage, known):
        stage.add("parts", record)
        on_part(record)


def numbered(recipe: BuildRecipe) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    """Every row of all sources with its number: what a step can use, or why it cannot be used."""
    number = itertools.count()
    bad: list[BadRow] = []
    for place, source in enumerate(recipe.sources):
        for row in read_in_turn(source, place, bad.append):
            yield from ((next(number), one) for one in bad)
            bad.clear()
            if row is not None:
                yield next(number), row
        yield from ((next(number), one) for one in bad)  # after the last good row
        bad.clear()


def draw_sample(recipe: BuildRecipe, size: int) -> tuple[frozenset[int], int]:
    """Numbers of ``size`` rows, each as likely as any other, drawn by the recipe's seed; and how many rows there are.

    Reads all sources; a row's chance does not depend on what else they hold.
    """
    lot = hashlib.blake2b(str(recipe.seed).encode(), digest_size=8)

    def ticket(number: int) -> bytes:
        drawn = lot.copy()
        drawn.update(number.to_bytes(8))
        return drawn.digest()

    rows = -1
    chosen: list[tuple[bytes, int]] = []
    for rows, _ in numbered(recipe):
        chosen.append((ticket(rows), rows))
        if len(chosen) >= 2 * size:
            chosen = heapq.nsmallest(size, chosen)
    return frozenset(number for _, number in heapq.nsmallest(size, chosen)), rows + 1


def _parts(
    recipe: BuildRecipe, only: frozenset[int] | None
) -> Iterator[tuple[list[dict[str, Any]], list[dict[str, Any]]]]:
    """(rows, events) of one part after another; at least one part, so that an empty build is a build."""
    rows: list[dict[str, Any]] = []
    events: list[dict[str, Any]] = []
    parts = 0
    for number, row in numbered(recipe):
        if only is not None and number not in only:
            continue
        if isinstance(row, BadRow):
            events.append(_bad_event(row, number))
        else:
            rows.append(row | {"row": number})
        if max(len(rows), len(events)) >= recipe.part_rows:
            yield rows, events
            rows, events, parts = [], [], parts + 1
    if rows or events or not parts:
        yield rows, events


def _bad_event(bad: BadRow, number: int) -> dict[str, Any]:
    detail = {"source": bad.source, "source_row": bad.source_row, "problem": str(bad.problem)}
    return {
        "row": number,
        "id": bad.id or (f"{plain_name(Path(bad.problem.file)).stem}-{bad.source_row}" if bad.problem.file else ""),
        "step": 0,
        "name": READ,
        "verdict": "fail",
        "reason": "row cannot be used",
        "field": bad.problem.field,
        "detail": json.dumps(detail, ensure_ascii=False, sort_keys=True),
    }


def _settle_ids(stage: StageFolder, known: _Ids) -> Iterator[Record]:
    """Give ids of their own to rows of other files, take doubled rows out, and yield these parts' new records."""
    doubled = known.doubled()
    numbers = np.array([row for row, _, _ in doubled], np.int64)
    for part, record in sorted(stage.records().items()) if doubled else ():
        started, batch = time.monotonic(), RowBatch(stage.read("rows", part), 0, READ)
        rows = batch.column("row")
        here = slice(*np.searchsorted(numbers, (rows[0], rows[-1] + 1))) if rows else slice(0)
        places = {row: place for place, row in enumerate(rows)}
        for row, first, name in doubled[here]:
            place = places[row]
            before = batch.column("id")[place]
            if name is None:
                batch.fail(place, "id used before", field="id", before=before, row=first)
            else:
                batch.change(place, "id", known.free(f"{name}-{before}"), "id used in another file", row=first)
        table, events = batch.result()
        if not events.num_rows:
            continue
        both = pa.concat_tables([stage.read("events", part), events]).sort_by("row")
        files = stage.write_both(part, table, both)
        step = step_record(0, record["steps"][0]["in"], table, both, time.monotonic() - started)
        yield {"part": part, "files": files, "steps": [step]}


class _Ids:
    """The ids of all rows and what they stand for, as hashes of 64 bits: 28 bytes a row."""

    def __init__(self) -> None:
        self._ids, self._contents, self._rows, self._files = array("q"), array("q"), array("q"), array("i")
        self._names: list[tuple[int, str]] = []  # source and file
        self._taken: set[int] | None = None

    def add(self, row: dict[str, Any]) -> None:
        """The next row."""
        if (name := (row["source"], row["of_file"])) not in self._names[-1:]:
            self._names.append(name)
        self._ids.append(text_number(row["id"]))
        self._contents.append(text_number(json.dumps([row[field] for field in ("image", "context", "alt")])))
        self._rows.append(row["row"])
        self._files.append(len(self._names) - 1)

    def doubled(self) -> list[tuple[int, int, str | None]]:
        """Rows, in order, whose id came before: with the first row that has it, and the name that tells them apart.

        None where they cannot both stay: they are of one file, or the same.
        """
        ids, contents, rows = (np.asarray(one, np.int64) for one in (self._ids, self._contents, self._rows))
        files = np.asarray(self._files, np.int32)
        first = _heads(ids)
        first_of_file = _heads(ids, files)
        again = np.flatnonzero(first != np.arange(len(ids)))
        own = (first_of_file[again] == again) & (contents[again] != contents[first[again]])
        heads = np.where(first_of_file[again] == again, first[again], first_of_file[again])
        return [
            (row, head, self._names[file][1] if apart else None)
            for row, head, file, apart in zip(
                rows[again].tolist(), rows[heads].tolist(), files[again].tolist(), own.tolist(), strict=True
            )
        ]

    def free(self, name: str) -> str:
        """The name, with a number behind it where it is taken; it is taken then."""
        if self._taken is None:
            self._taken = set(self._ids)
        names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
        chosen = next(one for one in names if text_number(one) not in self._taken)
        self._taken.add(text_number(chosen))
        return chosen


def _heads(*keys: NDArray[Any]) -> _Ints:
    """For each row the first one that has the same keys."""
    order = np.lexsort((np.arange(len(keys[0])), *keys[::-1]))
    new = np.ones(len(order), bool)
    new[1:] = np.logical_or.reduce([key[order][1:] != key[order][:-1] for key in keys])
    heads = np.empty(len(order), np.int64)
    heads[order] = order[np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))]
    return heads

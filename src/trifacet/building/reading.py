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
from trifacet.building.plan import READ
from trifacet.building.recipe import BuildRecipe
from trifacet.building.rows import EVENTS, ROWS, RowBatch
from trifacet.building.sources import BadRow, read_in_turn
from trifacet.building.stage_folder import Record, StageFolder
from trifacet.building.workers import step_record
from trifacet.data.tables import plain_name

_Ints = NDArray[np.int64]


def read_sources(
    recipe: BuildRecipe, target: Path, on_part: Callable[[Record], None], only: frozenset[int] | None = None
) -> None:
    """Write the posts of all sources as parts below ``target``; ``on_part`` gets each part's record.

    ``only`` are the numbers of the rows to take, None for all. A row whose id an earlier one has leaves at once: its
    part is written, and ``on_part`` called for it, a second time.
    """
    stage, ids, started = StageFolder(target), array("q"), time.monotonic()
    numbers = array("q")
    for part, (rows, events) in enumerate(_parts(recipe, only)):
        for row in rows:
            ids.append(text_number(row["id"]))
            numbers.append(row["row"])
        table, told = pa.Table.from_pylist(rows, schema=ROWS), pa.Table.from_pylist(events, schema=EVENTS)
        files = stage.write_both(part, table, told)
        record = step_record(0, len(rows) + len(events), table, told, time.monotonic() - started)
        started = time.monotonic()
        stage.add("parts", made := {"part": part, "files": files, "steps": [record]})
        on_part(made)
    for record in _drop_doubled(stage, *_doubled(np.asarray(ids, np.int64), np.asarray(numbers, np.int64))):
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


def _drop_doubled(stage: StageFolder, doubled: _Ints, firsts: _Ints) -> Iterator[Record]:
    """Take rows whose id came before out of the parts, and yield these parts' new records."""
    for part, record in sorted(stage.records().items()) if len(doubled) else ():
        started, batch = time.monotonic(), RowBatch(stage.read("rows", part), 0, READ)
        rows = batch.column("row")
        here = slice(*np.searchsorted(doubled, (rows[0], rows[-1] + 1))) if rows else slice(0)
        places = {row: place for place, row in enumerate(rows)}
        for row, first in zip(doubled[here].tolist(), firsts[here].tolist(), strict=True):
            place = places[row]
            batch.fail(place, "id used before", field="id", before=batch.column("id")[place], row=first)
        table, events = batch.result()
        if not events.num_rows:
            continue
        both = pa.concat_tables([stage.read("events", part), events]).sort_by("row")
        files = stage.write_both(part, table, both)
        step = step_record(0, record["steps"][0]["in"], table, both, time.monotonic() - started)
        yield {"part": part, "files": files, "steps": [step]}


def _doubled(ids: _Ints, numbers: _Ints) -> tuple[_Ints, _Ints]:
    """Rows, in order, whose id (as a hash of 64 bits) came before, and of each the first row that has it.

    Args:
        ids: the hash of each row's id.
        numbers: the rows' numbers, ascending.
    """
    if not len(ids):
        return numbers, numbers
    order = np.argsort(ids, kind="stable")
    ordered = ids[order]
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    heads = order[np.maximum.accumulate(np.where(first, np.arange(len(ids)), 0))]
    rows, firsts = numbers[order[~first]], numbers[heads[~first]]
    in_turn = np.argsort(rows)
    return rows[in_turn], firsts[in_turn]

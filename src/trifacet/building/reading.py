"""Reading the sources into parts: rows get their numbers, and rows that cannot be used their reasons.

Invariant: a row's number is its place among all rows of all sources, whatever becomes of it.
"""

from __future__ import annotations

import hashlib
import json
import time
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from trifacet.building.parts import Record, Stage
from trifacet.building.plan import READ
from trifacet.building.recipe import BuildRecipe
from trifacet.building.rows import EVENTS, ROWS, Batch
from trifacet.building.sources import BadRow, read_source
from trifacet.building.workers import step_record


def read_sources(recipe: BuildRecipe, target: Path, on_part: Callable[[Record], None]) -> None:
    """Write the posts of all sources as parts below ``target``; ``on_part`` gets each part's record.

    A row whose id an earlier one has leaves at once: its part is written, and ``on_part`` called for it, a second time.
    """
    stage, ids, started = Stage(target), array("q"), time.monotonic()
    numbers = array("q")
    for part, (rows, events) in enumerate(_parts(recipe)):
        for row in rows:
            ids.append(int.from_bytes(hashlib.blake2b(row["id"].encode(), digest_size=8).digest(), signed=True))
            numbers.append(row["row"])
        table, told = pa.Table.from_pylist(rows, schema=ROWS), pa.Table.from_pylist(events, schema=EVENTS)
        files = dict([stage.write("rows", part, table), stage.write("events", part, told)])
        record = step_record(0, len(rows) + len(events), table, told, time.monotonic() - started)
        started = time.monotonic()
        stage.add("parts", made := {"part": part, "files": files, "steps": [record]})
        on_part(made)
    for record in _drop_doubled(stage, _doubled(np.asarray(ids, np.int64), np.asarray(numbers, np.int64))):
        stage.add("parts", record)
        on_part(record)


def _parts(recipe: BuildRecipe) -> Iterator[tuple[list[dict[str, Any]], list[dict[str, Any]]]]:
    """(rows, events) of one part after another; at least one part, so that an empty build is a build."""
    rows: list[dict[str, Any]] = []
    events: list[dict[str, Any]] = []
    number = -1
    bad: list[BadRow] = []
    for place, source in enumerate(recipe.sources):
        for row in read_source(source, place, bad.append):
            for one in bad:
                events.append(_bad_event(one, number := number + 1))
            bad.clear()
            rows.append(row | {"row": (number := number + 1)})
            if max(len(rows), len(events)) >= recipe.part_rows:
                yield rows, events
                rows, events = [], []
        for one in bad:  # after the last good row
            events.append(_bad_event(one, number := number + 1))
        bad.clear()
    if rows or events or number < 0:
        yield rows, events


def _bad_event(bad: BadRow, number: int) -> dict[str, Any]:
    detail = {"source": bad.source, "source_row": bad.source_row, "problem": str(bad.problem)}
    return {
        "row": number,
        "id": bad.id or "",
        "step": 0,
        "name": READ,
        "verdict": "fail",
        "reason": "row cannot be used",
        "field": bad.problem.field,
        "detail": json.dumps(detail, ensure_ascii=False, sort_keys=True),
    }


def _drop_doubled(stage: Stage, doubled: dict[int, int]) -> Iterator[Record]:
    """Take rows whose id came before out of the parts, and yield these parts' new records."""
    for part, record in sorted(stage.records().items()) if doubled else ():
        started, batch = time.monotonic(), Batch(stage.read("rows", part), 0, READ)
        for place, row in enumerate(batch.column("row")):
            if row in doubled:
                batch.fail(place, "id used before", field="id", before=batch.column("id")[place], row=doubled[row])
        table, events = batch.result()
        if not events.num_rows:
            continue
        both = pa.concat_tables([stage.read("events", part), events]).sort_by("row")
        files = dict([stage.write("rows", part, table), stage.write("events", part, both)])
        step = step_record(0, record["steps"][0]["in"], table, both, time.monotonic() - started)
        yield {"part": part, "files": files, "steps": [step]}


def _doubled(ids: np.ndarray, numbers: np.ndarray) -> dict[int, int]:
    """Rows whose id (as a hash of 64 bits) came before, each with the first row that has it."""
    if not len(ids):
        return {}
    order = np.argsort(ids, kind="stable")
    ordered = ids[order]
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    heads = order[np.maximum.accumulate(np.where(first, np.arange(len(ids)), 0))]
    return dict(zip(numbers[order[~first]].tolist(), numbers[heads[~first]].tolist(), strict=True))

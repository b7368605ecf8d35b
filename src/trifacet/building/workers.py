"""Steps over parts, which workers do (``base.workers``).

Invariant: a part's files and record do not depend on which worker made them, nor when.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trifacet.base import workers
from trifacet.base.workers import Workers
from trifacet.building.rows import EVENTS, RowBatch
from trifacet.building.stage_folder import Record, StageFolder, sealed_pictures
from trifacet.building.step import GlobalStep, MapStep, Tools
from trifacet.building.steps import STEPS


@dataclass(frozen=True)
class ChainLink:
    """A step in a chain: its place in the recipe from 1, its name, its parameters; a global one has its decisions."""

    index: int
    name: str
    parameters: Any
    decisions: Path | None = None


@dataclass(frozen=True)
class Job:
    """What workers do with a part: read it from ``source``, put it through ``links``, write it to ``target``.

    ``sign`` writes the signatures of the first link, a global step, instead.
    """

    source: Path
    target: Path
    links: tuple[ChainLink, ...]
    tools: Tools
    sign: bool = False


def do_parts(job: Job, parts: Sequence[int], *, on_cluster: bool = False) -> Iterator[Record]:
    """Do the parts, in whatever order workers finish them; yields their records, whose files are written.

    Args:
        job: what to do.
        parts: which parts.
        on_cluster: see ``base.workers.Workers``.

    Raises:
        TrifacetError: a step found something that the user has to mend, or a worker was killed.
    """
    return workers.do_parts(do_part, job, parts, Workers(job.tools.workers, on_cluster), of=str(job.target))


def do_part(job: Job, part: int) -> Record:
    """Do one part in this process; see ``do_parts``."""
    target, table = StageFolder(job.target), StageFolder(job.source).read("rows", part)
    if job.sign:
        link, started = job.links[0], time.monotonic()
        step = STEPS[link.name]
        assert isinstance(step, GlobalStep)
        name, digest = target.write("signatures", part, step.sign(table, link.parameters, job.tools))
        return {"part": part, "files": {name: digest}, "seconds": time.monotonic() - started}
    events, told, pictures = [EVENTS.empty_table()], [], list[str]()
    for link in job.links:
        started, batch = time.monotonic(), RowBatch(table, link.index, link.name)
        _apply(link, batch, job.tools)
        rows_in = len(batch)
        table, decided = batch.result()
        events.append(decided)
        pictures += batch.kept
        told.append(step_record(link.index, rows_in, table, decided, time.monotonic() - started))
    files = target.write_both(part, table, pa.concat_tables(events))
    if pictures:
        files |= dict([target.write("pictures", part, sealed_pictures(pictures, job.tools.path))])
    return {"part": part, "files": files, "steps": told}


def step_record(index: int, rows_in: int, kept: pa.Table, events: pa.Table, seconds: float) -> dict[str, Any]:
    """What a part's record holds of one step; ``counts`` are events by "verdict: reason"."""
    kinds = zip(events.column("verdict").to_pylist(), events.column("reason").to_pylist(), strict=True)
    counts = Counter(f"{verdict}: {reason}" for verdict, reason in kinds)
    return {"step": index, "in": rows_in, "out": kept.num_rows, "seconds": round(seconds, 4), "counts": dict(counts)}


def _apply(link: ChainLink, batch: RowBatch, tools: Tools) -> None:
    step: Any = STEPS[link.name]
    if isinstance(step, MapStep):
        step.apply(batch, link.parameters, tools)
        return
    assert link.decisions is not None
    step.apply(batch, decided_about(link.decisions, batch.table), link.parameters, tools)


def decided_about(decisions: Path, table: pa.Table) -> pa.Table:
    """The rows of a table of decisions, sorted by ``row``, that speak of the rows of ``table``."""
    if not table.num_rows:
        return pq.read_schema(decisions).empty_table()
    rows = table.column("row")
    return pq.read_table(decisions, filters=[("row", ">=", rows[0].as_py()), ("row", "<=", rows[-1].as_py())])

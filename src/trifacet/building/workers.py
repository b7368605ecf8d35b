"""Steps over parts in worker processes, of this machine or of a Ray cluster.

Invariant: a part's files and record do not depend on which worker made them, nor when.
"""

from __future__ import annotations

import itertools
import json
import os
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trifacet.base.bounded import OutOfBoundsError, call_many
from trifacet.base.errors import TrifacetError, first_line
from trifacet.base.extras import needed_for
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
        on_cluster: on the cluster of ``connect`` instead of in processes of this machine. Its machines must see the
            job's folders under the same paths.

    Raises:
        TrifacetError: a step found something that the user has to mend, or a worker was killed.
    """
    if not parts:
        return
    workers = min(job.tools.workers, len(parts))
    if workers == 1 and not on_cluster:  # nothing to hand out: starting a process takes longer than most parts
        yield from (_checked(job, _told(job, part)) for part in parts)
        return
    if on_cluster:
        told = _by_cluster(job, parts, workers)
    else:
        told = call_many(_told, ((job, part) for part in parts), processes=workers)
    try:
        yield from (_checked(job, record) for record in told)
    except OutOfBoundsError as death:
        raise TrifacetError(
            f"a worker process ended amid its work ({death}): it was killed, or the memory did not suffice; free some "
            "memory or take fewer --workers, then the same command continues"
        ) from None


def _by_cluster(job: Job, parts: Sequence[int], workers: int) -> Iterator[str]:
    import ray

    task, sent = ray.remote(_told), ray.put(job)
    waiting, at_work = iter(parts), list[Any]()
    try:
        while True:
            at_work += [task.remote(sent, part) for part in itertools.islice(waiting, workers - len(at_work))]
            if not at_work:
                return
            done, at_work = ray.wait(at_work)
            yield from ray.get(done)
    except ray.exceptions.RayError as error:
        raise OutOfBoundsError(first_line(error)[:200]) from None


def _checked(job: Job, told: str) -> Record:
    record: Record = json.loads(told)
    if "user_error" in record:
        raise TrifacetError(record["user_error"])
    if "error" in record:
        raise RuntimeError(f"a worker failed at part {record['part']} of {job.target}:\n{record['error']}")
    return record


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


def _told(job: Job, part: int) -> str:
    """The part's record as text; errors too, since what is raised in a worker loses its type on the way."""
    try:
        return json.dumps(do_part(job, part))
    except TrifacetError as error:
        return json.dumps({"part": part, "user_error": str(error)})
    except Exception:
        return json.dumps({"part": part, "error": traceback.format_exc()})


def connect(ray: str) -> int:
    """Use the Ray cluster at this address ("auto", "ray://host:port", "host:port"); returns how many cores it has.

    Raises:
        TrifacetError: there is no such cluster, or ray is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # it reports to nobody
    with needed_for("--ray"):
        import ray as cluster
    try:
        cluster.init(address=ray, log_to_driver=False, ignore_reinit_error=True)
        return int(cluster.cluster_resources().get("CPU", 1))
    except Exception as error:  # ray's own, of many kinds
        raise TrifacetError(
            f"cannot use the Ray cluster at {ray} ({error}); check the address, and set RAY_AUTH_MODE=token where the "
            "cluster asks for a token"
        ) from None

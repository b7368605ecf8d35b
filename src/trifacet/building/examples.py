"""Some of a build's decisions of every kind, to be looked at: drawn by hash, so that nobody picked them.

Invariant: which ones are drawn depends on rows, steps and seed alone; memory grows with what is drawn, not with rows.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from trifacet.building.plan import stages_of
from trifacet.building.recipe import BuildRecipe
from trifacet.building.stage_folder import StageFolder

ExampleRow = Mapping[str, Any]
KEPT = ("kept", "row")  # details that name the row that stayed: of the steps for duplicates, of reading
EVENTS_A_ROW = 4  # of one reason, shown at most


class Reason(NamedTuple):
    """What the funnel counts by: the step's place (0: reading), the verdict, the step's phrase."""

    step: int
    verdict: str
    reason: str


@dataclass(frozen=True)
class BuildExample:
    """A row as read (None: it could not be), what was decided of it, and the row in whose favour it was dropped."""

    events: list[ExampleRow]  # of one reason, such as for two fields; as ``EVENTS``, but ``detail`` is a dict
    row: ExampleRow | None
    kept: ExampleRow | None = None


@dataclass
class _Drawn:
    """The rows of a reason with the smallest hashes, each with its events."""

    limit: int
    rows: dict[bytes, list[ExampleRow]] = field(default_factory=dict)

    def open(self, draw: bytes) -> bool:
        return len(self.rows) < self.limit or draw <= max(self.rows)

    def add(self, draw: bytes, event: ExampleRow) -> None:
        told = self.rows.setdefault(draw, [])
        if len(told) < EVENTS_A_ROW:
            told.append(event)
        if len(self.rows) > self.limit:
            del self.rows[max(self.rows)]


def examples(recipe: BuildRecipe, per_reason: int = 4) -> dict[Reason, list[BuildExample]]:
    """For each step and reason up to ``per_reason`` decisions; rows are fetched in one pass over the parts as read."""
    drawn = draw_events(stages_of(recipe), recipe.seed, per_reason)
    events = [event for found in drawn.values() for told in found for event in told]
    kept = {event["row"]: number for event in events if (number := kept_row(event)) is not None}
    rows = rows_as_read(recipe, {event["row"] for event in events} | set(kept.values()))
    return {
        reason: [
            BuildExample(
                told, rows.get(row := told[0]["row"]), rows.get(kept[row]) if kept_row(told[0]) is not None else None
            )
            for told in found
        ]
        for reason, found in drawn.items()
    }


def draw_events(stages: list[StageFolder], seed: int, per_reason: int) -> dict[Reason, list[list[ExampleRow]]]:
    """The events of the ``per_reason`` rows of each reason that have the smallest hashes, in the hashes' order."""
    drawn: dict[Reason, _Drawn] = defaultdict(lambda: _Drawn(per_reason))
    for stage in stages:
        for part in sorted(stage.records()):
            path = stage.sound("events", part)
            narrow = pq.read_table(path, columns=["row", "step", "verdict", "reason"])
            taken = []
            for place, (row, *reason) in enumerate(zip(*map(pa.ChunkedArray.to_pylist, narrow.columns), strict=True)):
                draw = hashlib.blake2b(b"%d %d %d" % (seed, reason[0], row), digest_size=8).digest()
                if drawn[why := Reason(*reason)].open(draw):
                    taken.append((place, draw, why))
            if taken:  # texts are read only for what may stay
                told = pq.read_table(path).take([place for place, _, _ in taken]).to_pylist()
                for (_, draw, why), event in zip(taken, told, strict=True):
                    drawn[why].add(draw, with_detail(event))
    return {reason: [drawn[reason].rows[draw] for draw in sorted(drawn[reason].rows)] for reason in sorted(drawn)}


def rows_as_read(recipe: BuildRecipe, numbers: Collection[int]) -> dict[int, ExampleRow]:
    """The rows of these numbers as the sources gave them; with ``file`` where a later step has fetched the image."""
    stages = stages_of(recipe)
    rows: dict[int, ExampleRow] = {row["row"]: row for row in rows_with(stages[0], numbers)}
    remote = {number for number, row in rows.items() if row["image"] and image_of(row) is None}
    for stage in stages[1:] if remote else ():
        for row in rows_with(stage, remote, ["row", "file"]):
            if row["file"]:
                rows[row["row"]] = {**rows[row["row"]], "file": row["file"]}
                remote.discard(row["row"])
    return rows


def rows_with(
    stage: StageFolder, numbers: Collection[int], columns: list[str] | None = None
) -> Iterator[dict[str, Any]]:
    """The rows of these numbers that a stage has left; parts whose rows lie outside are not read."""
    wanted = sorted(numbers)
    for part in sorted(stage.records()) if wanted else ():
        path = stage.sound("rows", part)
        if not path.exists():
            continue  # the last stage has events only
        limits = _first_and_last(pq.read_metadata(path))
        inside = [number for number in wanted if limits and limits[0] <= number <= limits[1]]
        if inside:
            yield from pq.read_table(path, columns=columns, filters=[("row", "in", inside)]).to_pylist()


def image_of(row: ExampleRow) -> str | None:
    """Where the row's image is, as "ROOT:path" for ``Tools.path``; None where there is none on this machine."""
    if row.get("file"):
        return str(row["file"])
    return f"{row['source']}:{row['image']}" if row.get("image") and "://" not in row["image"] else None


def kept_row(event: ExampleRow) -> int | None:
    """The number of the row in whose favour the event's row was dropped, for duplicates of any kind."""
    detail = event["detail"]
    known = [detail.get(name) for name in KEPT if isinstance(detail.get(name), int)]
    return known[0] if known and event["verdict"] in ("drop", "fail") else None


def with_detail(event: dict[str, Any]) -> dict[str, Any]:
    """The event with its detail read."""
    return event | {"detail": json.loads(event["detail"]) if event["detail"] else {}}


def _first_and_last(metadata: pq.FileMetaData) -> tuple[int, int] | None:
    """The smallest and the largest row number of a part, from the statistics that its file has."""
    groups = [metadata.row_group(place).column(0).statistics for place in range(metadata.num_row_groups)]
    known = [group for group in groups if group is not None and group.has_min_max]
    return (min(group.min for group in known), max(group.max for group in known)) if known else None

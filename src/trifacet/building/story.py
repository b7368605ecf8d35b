"""What a build did, read from its folder, finished or not: the funnel, the story of one row, the planted faults.

Invariant: all is told from the records and events of the parts that are on disk; nothing is guessed, and memory does
not grow with the number of rows.
"""

from __future__ import annotations

import difflib
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from trifacet.base.errors import TrifacetError
from trifacet.base.seals import first_damage
from trifacet.building.examples import KEPT, ExampleRow, kept_row, rows_with, with_detail
from trifacet.building.folder import STATE_FILE
from trifacet.building.output import FAILED, SET_KINDS, kind_of, read_manifest
from trifacet.building.plan import stages_of
from trifacet.building.reading import numbered
from trifacet.building.recipe import BuildRecipe
from trifacet.building.sources import BadRow
from trifacet.building.stage_folder import Record, StageFolder, events_of
from trifacet.building.step import READ, WRITE

GIVEN = ("image", "more_images", "context", "alt", "prompt")  # fields that a source gives: what a fault may be in
_COMPARED = 10_000  # ids at most that a mistyped one is compared with
_TOLD = 100  # rows of one id, and rows dropped for one row, at most


@dataclass
class StepTold:
    """One step: rows in and out, events by (verdict, reason), seconds of work added up over workers.

    ``parts`` of ``of_parts`` are done. rows_in = rows_out + dropped + failed at any time.
    """

    index: int
    name: str
    parameters: dict[str, Any]
    rows_in: int = 0
    rows_out: int = 0
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: float = 0.0
    parts: int = 0
    of_parts: int = 0

    def total(self, verdict: str) -> int:
        """Events of a verdict: rows for "drop" and "fail"; a row may be changed or noted more than once."""
        return sum(count for (kind, _), count in self.counts.items() if kind == verdict)


@dataclass(frozen=True)
class Ending:
    """Where a row ended: "written", "dropped", "failed" or "not yet"; in words, and the shard it is in."""

    state: str
    words: str
    file: str | None = None
    file_row: int | None = None  # from 1


@dataclass(frozen=True)
class RowStory:
    """All that happened to one row. ``read`` is the row as its source gave it, None where it could not be used.

    ``kept`` is the row in whose favour this one was dropped, ``dropped_for_it`` the events of the first
    rows dropped for this one.
    """

    id: str
    row: int
    source: str
    source_row: int | None
    read: ExampleRow | None
    events: Sequence[ExampleRow]
    kept: ExampleRow | None
    dropped_for_it: Sequence[ExampleRow]
    ending: Ending


@dataclass
class Fault:
    """What became of the rows with a planted fault; counters are by (step, reason).

    Each planted row is in one of dropped, failed, changed, kept and waiting. ``changed``: written with another image or
    text than its source gave (a row counts under each reason that changed it; ``changed_rows`` counts it once).
    ``kept``: written as it was. ``waiting``: the build has not come to its end yet.
    """

    label: str
    planted: int = 0
    dropped: Counter[tuple[str, str]] = field(default_factory=Counter)
    failed: Counter[tuple[str, str]] = field(default_factory=Counter)
    changed: Counter[tuple[str, str]] = field(default_factory=Counter)
    changed_rows: int = 0
    kept: int = 0
    waiting: int = 0


def steps_told(recipe: BuildRecipe) -> list[StepTold]:
    """All steps from reading (0) to writing, as far as their parts are sealed."""
    names = [(READ, {}), *((one.name, one.parameters.model_dump(mode="json")) for one in recipe.steps), (WRITE, {})]
    told = [StepTold(index, name, parameters) for index, (name, parameters) in enumerate(names)]
    stages = stages_of(recipe)
    of_parts = len(stages[0].records())
    for stage in stages:
        for record in stage.records().values():
            for one in record["steps"]:
                _add(told[one["step"]], one)
        signed = sum(record["seconds"] for record in stage.records("signatures").values())
        if signed:
            told[int(stage.folder.name.partition("-")[0])].seconds += signed
    for step in told:
        step.of_parts = of_parts
    return told


def _add(step: StepTold, record: Record) -> None:
    step.rows_in += record["in"]
    step.rows_out += record["out"]
    step.seconds += record["seconds"]
    step.parts += 1
    for said, count in record["counts"].items():
        verdict, _, reason = said.partition(": ")
        step.counts[verdict, reason] += count


def explain(recipe: BuildRecipe, row_id: str) -> list[RowStory]:
    """The stories of the first rows that have this id, in their order: the build goes on with the very first.

    Raises:
        TrifacetError: the folder holds no build; no row has this id (the nearest ids are named).
    """
    stages = stages_of(recipe)
    parts = sorted(stages[0].records())
    if not parts:
        raise TrifacetError(f"{recipe.folder} holds no build with rows; run 'trifacet build' with this recipe first")
    found = [(row, part) for part in parts for row in sorted(_rows_named(stages[0], part, row_id))] if row_id else []
    if not found:
        near = ", ".join(repr(one) for one in _nearest(stages[0], parts, row_id)) or "none"
        unread = any(verdict == "fail" for verdict, _ in steps_told(recipe)[0].counts)
        beside = f"; rows that could not be read go by FILE-ROW, as {FAILED} has them" if unread else ""
        raise TrifacetError(f"no row of {recipe.folder} has the id {row_id!r}; the nearest ids are {near}{beside}")
    return [_story(recipe, stages, row_id, row, part) for row, part in found[:_TOLD]]


def _rows_named(stage: StageFolder, part: int, row_id: str) -> set[int]:
    """Numbers of the rows with this id, those that could not be used among them."""
    named = [("id", "=", row_id)]
    tables = [pq.read_table(stage.sound(kind, part), columns=["row"], filters=named) for kind in ("rows", "events")]
    return {row for table in tables for row in table.column("row").to_pylist()}


def _nearest(stage: StageFolder, parts: list[int], row_id: str) -> list[str]:
    """Ids like this one, out of a bounded number: those that begin alike, else the first; where none is, the first."""
    start = row_id[: max(1, len(row_id) // 2)]

    def ids(alike: bool) -> Iterator[str]:
        for part in parts:
            column = pq.read_table(stage.sound("rows", part), columns=["id"]).column("id")
            yield from (column.filter(pc.starts_with(column, start)) if alike else column).to_pylist()

    begin_alike = list(itertools.islice(ids(True), _COMPARED))
    compared = begin_alike or list(itertools.islice(ids(False), _COMPARED))
    return difflib.get_close_matches(row_id, compared, n=3, cutoff=0.3) or compared[:3]


def _story(recipe: BuildRecipe, stages: list[StageFolder], row_id: str, row: int, part: int) -> RowStory:
    states = [next(rows_in_part(stage, part, [row]), None) for stage in stages[:-1]]
    events = [event for stage in stages for event in events_in_part(stage, part, row)]
    kept = next((number for event in events if (number := kept_row(event)) is not None), None)
    came = states[0] or next((event["detail"] for event in events if "source" in event["detail"]), {})
    return RowStory(
        id=row_id,
        row=row,
        source=recipe.sources[came["source"]].path if "source" in came else "unknown",
        source_row=came.get("source_row"),
        read=states[0],
        events=events,
        kept=next(rows_with(stages[0], [kept]), None) if kept is not None else None,
        dropped_for_it=list(itertools.islice(_dropped_for(stages, row), _TOLD)),
        ending=_ending(recipe, stages, events, states, part),
    )


def rows_in_part(stage: StageFolder, part: int, numbers: list[int]) -> Iterator[dict[str, Any]]:
    """Rows of these numbers as a stage left them in one part, if it has come to it."""
    path = stage.sound("rows", part)
    if path.exists():
        yield from pq.read_table(path, filters=[("row", "in", numbers)]).to_pylist()


def events_in_part(stage: StageFolder, part: int, row: int | None = None) -> Iterator[dict[str, Any]]:
    """A stage's events of one part, or of one row in it, details read."""
    path = stage.sound("events", part)
    if path.exists():
        filters = None if row is None else [("row", "=", row)]
        yield from map(with_detail, pq.read_table(path, filters=filters).to_pylist())


def _dropped_for(stages: list[StageFolder], row: int) -> Iterator[dict[str, Any]]:
    """Events of rows that left in favour of this one."""
    for stage in stages:
        for part in sorted(stage.records()):
            details = pq.read_table(stage.sound("events", part), columns=["detail"]).column("detail")
            hits = [pc.fill_null(pc.match_substring(details, f'"{name}": {row}'), False) for name in KEPT]
            if any(pc.any(hit).as_py() for hit in hits):  # "row": 12 begins like "row": 123: the detail decides
                yield from (event for event in events_in_part(stage, part) if kept_row(event) == row)


def _ending(
    recipe: BuildRecipe,
    stages: list[StageFolder],
    events: Sequence[ExampleRow],
    states: Sequence[ExampleRow | None],
    part: int,
) -> Ending:
    left = next((event for event in events if event["verdict"] in ("drop", "fail")), None)
    if left:
        state = {"drop": "dropped", "fail": "failed"}[left["verdict"]]
        return Ending(state, f"{state} by step {left['step']}, {left['name']}: {left['reason']}")
    last = states[-1]
    manifest = read_manifest(recipe.folder)
    if last is None or manifest is None:
        reached = max((place for place, state in enumerate(states) if state is not None), default=0)
        return Ending("not yet", f"not at the end yet: it has passed {stages[reached].folder.name}")
    kind = kind_of(dict(last))
    for shard in manifest["shards"]:
        if shard["file"].split("/")[0] == kind:
            if damage := first_damage(recipe.folder, {shard["file"]: shard["sha256"]}):
                raise TrifacetError(f"{recipe.folder / damage.name} {damage.problem}; build again to mend it")
            ids = pq.read_table(recipe.folder / shard["file"], columns=["id"]).column("id")
            place = pc.index(ids, last["id"]).as_py()
            if place >= 0:
                return Ending("written", f"written to the {kind} set", shard["file"], place + 1)
    raise TrifacetError(
        f"row {last['id']!r} is in none of the {SET_KINDS} shards of {recipe.folder}; build again to mend them"
    )


def audit(recipe: BuildRecipe) -> list[Fault]:
    """What became of the rows whose ``extra`` names, under the recipe's ``audit`` field, a fault planted in them.

    A row that leaves at reading is in no part: its label is looked up in the sources. One that no reader can make sense
    of has none, and is not counted.
    """
    if recipe.audit is None:
        return []
    stages, faults = stages_of(recipe), dict[str, Fault]()
    written = stages[-1].records()
    for part in sorted(stages[0].records()):
        rows = pq.read_table(stages[0].sound("rows", part), columns=["row", "extra"]).to_pylist()
        labels = {row["row"]: label for row in rows if (label := _label(row, recipe.audit)) is not None}
        events: dict[int, list[ExampleRow]] = {row: [] for row in labels}
        for stage in stages if labels else ():
            for event in events_in_part(stage, part):
                if event["row"] in events:
                    events[event["row"]].append(event)
        for row, label in labels.items():
            _count(faults.setdefault(label, Fault(label)), events[row], part in written)
    unread = {event["row"]: event for event in events_of(stages[:1], verdict="fail")}
    for number, read in numbered(recipe) if unread else ():
        if number in unread and not isinstance(read, BadRow) and (label := _label(read, recipe.audit)) is not None:
            _count(faults.setdefault(label, Fault(label)), [unread[number]], True)
    return [faults[label] for label in sorted(faults)]


def _label(row: ExampleRow, field_name: str) -> str | None:
    """The row's planted fault; a list of them is one label."""
    value = json.loads(row["extra"] or "{}").get(field_name)
    if isinstance(value, list):
        return ", ".join(map(str, value)) or None
    return None if value in (None, "", False) else str(value)


def _count(fault: Fault, events: list[ExampleRow], at_end: bool) -> None:
    fault.planted += 1
    left = next((event for event in events if event["verdict"] in ("drop", "fail")), None)
    changes = {(one["name"], one["reason"]) for one in events if one["verdict"] == "change" and one["field"] in GIVEN}
    if left:
        (fault.dropped if left["verdict"] == "drop" else fault.failed)[left["name"], left["reason"]] += 1
    elif not at_end:
        fault.waiting += 1
    elif changes:
        fault.changed.update(changes)
        fault.changed_rows += 1
    else:
        fault.kept += 1


def wall_seconds(recipe: BuildRecipe) -> dict[str, float]:
    """Seconds by the clock that each stage took, over all times that the build was started."""
    try:
        found: dict[str, float] = json.loads((recipe.folder / STATE_FILE).read_text(encoding="utf-8"))["seconds"]
        return found
    except (OSError, ValueError, KeyError):
        return {}

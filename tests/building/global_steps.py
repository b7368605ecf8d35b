"""Runs a global step over rows cut into parts of any size, as a build does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from rows_of import about, decided

from trifacet.building.rows import ROWS, RowBatch
from trifacet.building.step import GlobalStep, Tools


def post(row: int, **values: Any) -> dict[str, Any]:
    """One row; what is not given is as a source leaves it."""
    return {"row": row, "id": f"post-{row}", "source": 0, "source_row": row + 1, "context": "", "alt": ""} | values


@dataclass
class Outcome:
    """What came of a step: the rows left, the events, and the decisions."""

    rows: list[dict[str, Any]]
    events: list[dict[str, Any]]
    decided: pa.Table

    def column(self, name: str) -> list[Any]:
        return [row[name] for row in self.rows]

    @property
    def dropped(self) -> list[int]:
        return [event["row"] for event in self.events if event["verdict"] == "drop"]


def run_step(
    step: GlobalStep,
    posts: Sequence[dict[str, Any]],
    folder: Path,
    part_rows: int = 1000,
    build_seed: int = 17,
    **given: Any,
) -> Outcome:
    """Sign, decide and apply over parts of so many rows and an empty one; ``given`` are the step's parameters."""
    parameters = step.parameters.model_validate(given)
    folder.mkdir(parents=True, exist_ok=True)
    tools = Tools(seed=build_seed, folder=folder, roots={"0": folder})
    starts = range(0, len(posts), part_rows)
    parts = [pa.Table.from_pylist(list(posts[start : start + part_rows]), schema=ROWS) for start in starts]
    parts.append(ROWS.empty_table())
    table = decided(step, parts, parameters, tools, folder)
    rows, events = [], []
    for part in parts:
        batch = RowBatch(part, 1, step.name)
        step.apply(batch, about(table, part), parameters, tools)
        left, told = batch.result()
        rows += left.to_pylist()
        events += told.to_pylist()
    return Outcome(rows, events, table)

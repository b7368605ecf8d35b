"""What a report says of a stage's curriculum: a row per phase, and where in the curves the phases meet.

Invariant: the rows are those of ``done.json``; the borders are where the log's lines change their phase.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from trifacet.evaluation.run_folder import number

COLUMNS = ("samples", "difficulty", "epochs", "steps", "reference", "optimizer", "schedule")


@dataclass(frozen=True)
class Phases:
    """The table: a caption, and for each phase the texts of ``COLUMNS``."""

    caption: str
    rows: list[list[str]]


def phases(done: Mapping[str, Any]) -> Phases | None:
    """The table of the stage whose ``done.json`` this is; None where it had no curriculum."""
    told = done.get("curriculum")
    if not isinstance(told, Mapping) or not isinstance(told.get("phases"), list):
        return None
    measure = " ".join(str(told[key]) for key in ("difficulty", "column") if told.get(key))
    mixed = "; each phase has the samples of those before it, too" if told.get("mixed") else ""
    rows = [row for row in told["phases"] if isinstance(row, Mapping)]
    return Phases(f"By {measure}, {told.get('order', '')}{mixed}.", [_cells(row) for row in rows])


def _cells(row: Mapping[str, Any]) -> list[str]:
    known = {key: number(row.get(key)) for key in ("samples", "easiest", "hardest", "epochs", "steps")}
    shown = {key: "–" if value is None else f"{value:,.4g}" for key, value in known.items()}
    numbers = [shown["samples"], f"{shown['easiest']} to {shown['hardest']}", shown["epochs"], shown["steps"]]
    return [*numbers, *(str(row.get(key, "–")) for key in COLUMNS[4:])]


def borders(log: Sequence[Mapping[str, Any]]) -> list[float]:
    """The places between the last logged step of a phase and the first of the next."""
    known = [(number(row.get("step")), number(row.get("phase"))) for row in log]
    told = [(step, phase) for step, phase in known if step is not None and phase is not None]
    return [(step + after) / 2 for (step, phase), (after, next_phase) in pairwise(told) if phase != next_phase]

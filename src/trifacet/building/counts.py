"""How far a build has come, for whoever shows it. Invariant: counts are those of the parts' records, nothing else."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from trifacet.building.stage_folder import Record
from trifacet.llm.books import Tally

_State = Literal["waiting", "signing", "deciding", "running", "done"]


@dataclass
class StepProgress:
    """One step: rows in and out, events by "verdict: reason", and how much of it this process did in what time.

    ``parts_done`` counts the parts of the present ``state``: of signing first where a step has to see all rows.
    ``rows_here`` are the rows of finished parts that this process put through the step in ``seconds`` since it began.
    """

    index: int
    name: str
    parts: int = 0
    state: _State = "waiting"
    parts_done: int = 0
    rows_in: int = 0
    rows_out: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    rows_here: int = 0
    rows_underway: int = 0  # decided, in parts that are not finished
    began: float = 0.0
    seconds: float = 0.0
    money: float = 0.0  # what this process has spent on it

    def add(self, told: dict, *, here: bool) -> None:
        """Count one part's record of this step; ``here`` if this process made it."""
        self.rows_in += told["in"]
        self.rows_out += told["out"]
        self.counts.update(told["counts"])
        self.parts_done += 1
        if here:
            self.rows_here += told["in"]
            self.rows_underway = max(0, self.rows_underway - told["in"])
            self.seconds = time.monotonic() - self.began


@dataclass
class BuildProgress:
    """All steps of a build, step 0 (reading) first; ``show`` is called whenever something has changed."""

    steps: list[StepProgress]
    show: Callable[[BuildProgress], None] = lambda progress: None
    sent: int = 0  # questions that went to an endpoint in this process
    kept: int = 0  # questions answered by what earlier runs had kept
    money: float = 0.0  # what this process has spent

    def begin(self, indices: list[int], state: _State, parts: int) -> None:
        """The steps of a stage enter ``state``."""
        for index in indices:
            step = self.steps[index]
            step.state, step.parts, step.parts_done, step.began = state, parts, 0, time.monotonic()
        self.show(self)

    def add(self, record: Record, *, here: bool = True) -> None:
        """Count a part's record."""
        for told in record["steps"]:
            self.steps[told["step"]].add(told, here=here)
        self.show(self)

    def signed(self, index: int, parts: int = 1) -> None:
        """Count parts that were signed for a step that has to see all rows."""
        self.steps[index].parts_done += parts
        self.show(self)

    def asked(self, index: int, tallies: Mapping[tuple[str, str], Tally]) -> None:
        """One more row was asked about; ``tallies``, by (step, model), say what this process's questions came to."""
        step = self.steps[index]
        step.rows_underway += 1
        step.seconds = time.monotonic() - step.began
        step.money = sum(one.spent for (name, _), one in tallies.items() if name == step.name)
        counted = tallies.values()
        self.sent, self.kept = sum(one.sent for one in counted), sum(one.cached for one in counted)
        self.money = sum(one.spent for one in counted)
        self.show(self)

    def end(self, indices: list[int]) -> None:
        """The steps of a stage are done."""
        for index in indices:
            self.steps[index].state = "done"
        self.show(self)

"""Trying a recipe on some of its rows: what would become of them, and what the whole would cost.

Invariant: a trial writes beside the build's folder, never into it; what its questions cost is kept for the build.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trifacet.building.asking import Asker
from trifacet.building.build import Show, run_build
from trifacet.building.counts import StepProgress
from trifacet.building.losses import loss
from trifacet.building.plan import StagePlan, plan_stages, stages_of, tools_of
from trifacet.building.reading import draw_sample
from trifacet.building.recipe import BuildRecipe
from trifacet.building.rows import ROWS, RowBatch
from trifacet.building.stage_folder import DECISIONS, Record, StageFolder, write_table
from trifacet.building.step import READ, WRITE, AskStep, Signatures, Tools
from trifacet.building.steps import STEPS
from trifacet.building.story import steps_told, wall_seconds
from trifacet.building.workers import Job, do_part
from trifacet.llm.books import Books, Tally
from trifacet.llm.counting import CountingModel
from trifacet.llm.model import LanguageModel

COMPARING = ("lint", "exact-duplicates", "near-duplicates")  # of more rows they drop a larger share
AGAIN = "rejected-again"  # the prompt of attempts after the first: asked only where the judge was not convinced


@dataclass(frozen=True)
class _Trial:
    """What came of a trial: its recipe, the manifest, how many rows were tried and how many there are."""

    recipe: BuildRecipe
    manifest: dict[str, Any]
    rows: int
    of: int

    @property
    def scale(self) -> float:
        """How many rows each tried one stands for."""
        return self.of / self.rows if self.rows else 0.0


def dry_run(recipe: BuildRecipe, rows: int, *, workers: int | None, show: Show, asker: Asker | None = None) -> _Trial:
    """Build from ``rows`` rows drawn from all; models are asked, unless ``asker`` says otherwise."""
    only, of = draw_sample(recipe, rows)
    trial = recipe.model_copy(
        update={
            "output": str(recipe.folder.with_name(f"{recipe.folder.name}.dry-run")),
            "answers": str(recipe.answers_file),
            "max_dropped": dict.fromkeys([READ, *(chosen.name for chosen in recipe.steps), WRITE], 1.0),
            "steps": [_scaled(chosen, len(only) / of if of else 1.0) for chosen in recipe.steps],
        }
    )
    manifest = run_build(trial, overwrite=True, workers=workers, show=show, only=only, asker=asker)
    return _Trial(trial, manifest, len(only), of)


def losses(recipe: BuildRecipe, manifest: Mapping[str, Any]) -> list[str]:
    """What a build by this recipe would stop for, if all rows are as those of a trial."""
    steps = (
        StepProgress(
            index, told["name"], rows_in=told["rows_in"], rows_out=told["rows_out"], counts=Counter(told["counts"])
        )
        for index, told in enumerate(manifest["steps"])
    )
    return [said for step in steps if (said := loss(recipe, step))]


def untold(recipe: BuildRecipe, tried: int, of: int) -> str:
    """What a trial of ``tried`` rows of ``of`` cannot tell; empty where it can: steps that drop a row for others."""
    names = [chosen.name for chosen in recipe.steps if chosen.name in COMPARING]
    if not names or tried >= of:
        return ""
    verb = "compares" if len(names) == 1 else "compare"
    return f"{', '.join(names)} {verb} rows with each other: of {of} a larger share may go than of {tried}"


def _scaled(chosen: Any, share: float) -> Any:
    """A step whose set sizes are counts, with its share of them."""
    sizes = getattr(chosen.parameters, "sizes", None)
    if not sizes:
        return chosen
    smaller = {name: round(count * share) for name, count in sizes.items()}
    return chosen.model_copy(update={"parameters": chosen.parameters.model_copy(update={"sizes": smaller})})


@dataclass(frozen=True)
class StepCost:
    """What one step of the whole build will cost: rows, seconds of one core, questions, tokens and money.

    The seconds are those of what is done once (by each process), for each row, and in deciding over all rows. ``most``
    is the money if every repeated attempt is needed; answers count as long as they may be.
    """

    step: str
    rows: int
    core_seconds: float
    questions: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    money: float = 0.0
    most: float = 0.0


def estimate_build(recipe: BuildRecipe, rows: int, *, workers: int | None, show: Show) -> tuple[_Trial, list[StepCost]]:
    """The cost of the whole build, from a trial in which no model is asked.

    Every row is taken to come through the steps that ask. Nothing is sent, and nothing is spent.
    """
    counter = _Counter()
    fifths = recipe.model_copy(update={"part_rows": max(1, ceil(rows / 5))})  # the first loads what is loaded once
    trial = dry_run(fifths, rows, workers=1, show=show, asker=counter)
    seconds = _seconds(trial, ceil(trial.of / recipe.part_rows), workers or os.cpu_count() or 1)
    return trial, [
        _cost(step.name, step.rows_in, seconds[step.index], counter.asked, trial.scale)
        for step in steps_told(trial.recipe)
    ]


def _seconds(trial: _Trial, parts: int, workers: int) -> list[float]:
    """Seconds of one core for each step of the whole build of so many parts, reading and writing included."""
    recipe, tools = trial.recipe, tools_of(trial.recipe, 1)
    first, *_, last = stages_of(recipe)
    found = [0.0] * (len(recipe.steps) + 2)
    found[0] = wall_seconds(recipe).get(first.folder.name, 0.0)  # a trial reads all rows too
    scaling = _Scaling(trial.scale, parts, min(workers, parts))
    with tempfile.TemporaryDirectory(dir=recipe.folder) as folder:
        nothing = StageFolder(Path(folder) / "nothing")
        started = time.monotonic()
        nothing.write("rows", 0, ROWS.empty_table())
        found[-1] = scaling([one["steps"][0] for one in _in_turn(last)], time.monotonic() - started)
        for plan in plan_stages(recipe):
            stage = StageFolder(plan.folder)
            told = [one["steps"] for one in _in_turn(stage)]
            links = plan.links
            if plan.looks_at_all:
                links = (replace(links[0], decisions=stage.folder / DECISIONS), *links[1:])
                signed = [
                    {"in": steps[0]["in"], "seconds": one["seconds"]}
                    for steps, one in zip(told, _in_turn(stage, "signatures"), strict=True)
                ]
                idle = do_part(Job(nothing.folder, Path(folder) / "signed", links[:1], tools, sign=True), 0)["seconds"]
                found[plan.indices[0]] = scaling(signed, idle)
                files = [stage.path("signatures", one["part"]) for one in _in_turn(stage, "signatures")]
                found[plan.indices[0]] += _deciding(plan, files, Path(folder), tools, trial.scale)
            idle = [0.0] * len(links)
            if not plan.asks:
                idle = [one["seconds"] for one in do_part(Job(nothing.folder, Path(folder), links, tools), 0)["steps"]]
            for place, index in enumerate(plan.indices):
                found[index] += scaling([steps[place] for steps in told], idle[place])
    return found


def _in_turn(stage: StageFolder, log: str = "parts") -> list[Record]:
    return [record for _, record in sorted(stage.records(log).items())]


@dataclass(frozen=True)
class _Scaling:
    """From what a trial took to what the whole will take.

    Three costs are told apart: what a process loads once, what a part takes even if it has no rows, what a row takes.
    """

    scale: float
    parts: int
    processes: int

    def __call__(self, told: list[dict[str, Any]], idle: float) -> float:
        """Seconds, from ``in`` and ``seconds`` of parts of which the first had to load what is loaded once."""
        warm = [one for one in told[1:] if one["in"]] or told[:1]
        each = median(max(0.0, one["seconds"] - idle) / max(1, one["in"]) for one in warm)
        once = max(0.0, told[0]["seconds"] - idle - each * told[0]["in"])
        return once * self.processes + idle * self.parts + each * self.scale * sum(one["in"] for one in told)


def _deciding(plan: StagePlan, signatures: list[Path], folder: Path, tools: Tools, scale: float) -> float:
    """Seconds of a decision over all rows, from decisions over the rows of the trial and over half of them."""
    step: Any = STEPS[plan.links[0].name]
    table = pa.concat_tables([pq.read_table(file) for file in signatures])

    def took(rows: int) -> float:
        file = folder / f"first-{rows}.parquet"
        write_table(file, table.slice(0, rows))
        started = time.process_time()
        decided = step.decide(Signatures((file,)), plan.links[0].parameters, tools)
        if isinstance(decided, pa.RecordBatchReader):
            decided.read_all()
        return time.process_time() - started

    half = table.num_rows // 2
    whole, part = (min(took(rows) for _ in range(3)) for rows in (table.num_rows, half))
    each = max(0.0, whole - part) / max(1, table.num_rows - half)
    return whole + each * (scale - 1) * table.num_rows


def _cost(name: str, rows: int, seconds: float, asked: Mapping[tuple[str, str, str], Tally], scale: float) -> StepCost:
    def of(*, again: bool) -> tuple[int, int, int, float]:
        """Questions, tokens in and out, and money."""
        found = [one for (step, _, prompt), one in asked.items() if step == name and (prompt == AGAIN) == again]
        tokens = (sum(one.tokens_in for one in found), sum(one.tokens_out for one in found))
        return sum(one.asked for one in found), *tokens, sum(one.spent for one in found)

    questions, tokens_in, tokens_out, first = of(again=False)
    further, _, _, more = of(again=True)
    most = first + more + (first * further / (questions / 2) if questions else 0.0)  # judged in both orders
    return StepCost(
        name,
        round(rows * scale),
        seconds,
        round(questions * scale),
        round(tokens_in * scale),
        round(tokens_out * scale),
        first * scale,
        most * scale,
    )


class _Counter(Asker):
    """Counts questions instead of asking them, and lets every row pass."""

    def __init__(self) -> None:
        self.asked: dict[tuple[str, str, str], Tally] = {}  # by step, model and prompt

    def open(self, name: str, recipe: BuildRecipe, books: Books) -> LanguageModel:
        """A model that answers nothing."""
        return CountingModel(name, recipe.models[name], books, tally_of=self._tally, max_pixels=recipe.max_pixels)

    def _tally(self, step: str, model: str, prompt: str) -> Tally:
        return self.asked.setdefault((step, model, prompt), Tally())

    def settle(self, step: AskStep, batch: RowBatch) -> tuple[pa.Table, pa.Table]:
        """The rows as they came; where the step writes rejected responses, the alt-text stands in for one."""
        fresh = RowBatch(batch.table, 0, step.name)
        if "rejected responses" in step.gives:
            fresh.fill("rejected_responses", [[alt] for alt in fresh.column("alt")])
        return fresh.result()

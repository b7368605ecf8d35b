"""Trying a recipe on some of its rows: what would become of them, and what the whole would cost.

Invariant: a trial writes beside the build's folder, never into it; what its questions cost is kept for the build.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from trifacet.building.asking import Asker
from trifacet.building.build import Show, run_build
from trifacet.building.counts import StepProgress
from trifacet.building.losses import loss
from trifacet.building.reading import draw_sample
from trifacet.building.recipe import BuildRecipe
from trifacet.building.rows import RowBatch
from trifacet.building.step import READ, WRITE, AskStep
from trifacet.building.story import steps_told
from trifacet.llm.books import Books, Tally
from trifacet.llm.counting import CountingModel
from trifacet.llm.model import LanguageModel

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

    ``most`` is the money if every repeated attempt is needed; answers count as long as they may be.
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
    trial = dry_run(recipe, rows, workers=workers, show=show, asker=counter)
    return trial, [
        _cost(step.name, step.rows_in, step.seconds, counter.asked, trial.scale) for step in steps_told(trial.recipe)
    ]


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
        seconds * scale,
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

"""The numbers of a study's cells: of each seed a measure, with what each sample adds to it.

Four places have numbers of a run, told apart by a measure's name (``measures.py``): its ``scores.json``, the files of
its rounds, the record of the measured stage's training, and looks into the model. Invariant: a number is that of the
run's own files; a run that is not finished, or whose files are damaged, gives none, and what is missing is told.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from trifacet.base.errors import TrifacetError
from trifacet.data.source import FilesRead, source_of
from trifacet.evolving.settings import EvolveRecipe
from trifacet.metrics.scores import score_texts
from trifacet.statistics.measures import Array, Measure
from trifacet.statistics.over_seeds import Estimate, over_seeds, pseudo_values
from trifacet.studies.evolved import evolved_numbers, model_there
from trifacet.studies.evolved_names import EVOLVED
from trifacet.studies.folder import damage_of, is_finished
from trifacet.studies.looks import look_numbers
from trifacet.studies.measures import COST, PROBE, RELATIVE, plainly
from trifacet.studies.works import Job, Outcome, Plan
from trifacet.training.recipe import Optimisation
from trifacet.training.stage import read_done, stage_folder

MOST_BYTES = 1_000_000_000
Pair = tuple[str, int]  # a cell and a seed


@dataclass(frozen=True)
class Number:
    """A measure of one cell and one seed: its value, and what each sample adds, by the sample's id.

    What is no sum over samples, such as seconds, has itself alone to add.
    """

    value: float
    units: tuple[str, ...]
    pseudo_U: Array


@dataclass
class Outcomes:
    """What was measured: by cell and seed, then by measure.

    ``degenerate``: why texts say nothing; ``problems``: what could not be read.
    """

    numbers: dict[Pair, dict[str, Number]] = field(default_factory=dict)
    degenerate: dict[Pair, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def seeds_of(self, cells: Sequence[str], measure: str, seeds: Sequence[int]) -> list[int]:
        """The seeds in which all of these cells have a finite value of the measure."""
        return [seed for seed in seeds if all(self._has(cell, seed, measure) for cell in cells)]

    def mean(self, cell: str, measure: str, seeds: Sequence[int], *, crossed: bool) -> Estimate | None:
        """A cell's measure over seeds; None without any."""
        there = self.seeds_of([cell], measure, seeds)
        numbers = [self.numbers[cell, seed][measure] for seed in there]
        if not numbers:
            return None
        alike = crossed and all(one.units == numbers[0].units for one in numbers)
        return over_seeds([one.value for one in numbers], [one.pseudo_U for one in numbers], crossed=alike)

    def difference(
        self, cell: str, other: str, measure: str, seeds: Sequence[int], *, crossed: bool
    ) -> Estimate | None:
        """The first cell's measure less the other's, paired by seed and within it by sample; None without any."""
        there = self.seeds_of([cell, other], measure, seeds)
        pairs = [(self.numbers[cell, seed][measure], self.numbers[other, seed][measure]) for seed in there]
        if not pairs:
            return None
        samples = [_apart(*pair) for pair in pairs]
        alike = crossed and all(one.units == pairs[0][0].units for pair in pairs for one in pair)
        return over_seeds([one.value - two.value for one, two in pairs], samples, crossed=alike)

    def is_measured(self, measure: str) -> bool:
        """Whether any cell of any seed has it; without any number yet: nobody knows, and it counts as measured."""
        return not self.numbers or any(self._has(cell, seed, measure) for cell, seed in self.numbers)

    def _has(self, cell: str, seed: int, measure: str) -> bool:
        number = self.numbers.get((cell, seed), {}).get(measure)
        return number is not None and math.isfinite(number.value)


def read_outcomes(plan: Plan, measures: Sequence[str], against: str | None = None) -> Outcomes:
    """The numbers of all finished runs of a plan; relative ones are in per cent of those of ``against``."""
    found, files = Outcomes(), FilesRead()
    asked = list(dict.fromkeys(map(plainly, measures)))
    sources: list[tuple[list[str], Callable[[Plan, Outcome, list[str]], dict[str, Number]]]] = [
        ([one for one in asked if one.startswith(EVOLVED)], _of_rounds),
        ([one for one in asked if one.startswith(COST)], _of_record),
        ([one for one in asked if one.startswith(PROBE)], _of_looks),
    ]
    scored = [one for one in asked if not one.startswith((EVOLVED, COST, PROBE))]
    for (cell, seed), outcome in plan.outcomes.items():
        if not is_finished(plan.jobs[outcome.job]):
            continue
        numbers: dict[str, Number] = {}
        try:
            numbers |= _of_scores(plan, outcome, scored, files, found, (cell, seed))
        except (TrifacetError, KeyError, TypeError, ValueError) as error:
            found.problems.append(f"{outcome.job}: its scores cannot be used ({error})")
        for names, source in sources:
            try:
                numbers |= source(plan, outcome, names) if names else {}
            except (TrifacetError, KeyError, TypeError, ValueError) as error:
                found.problems.append(f"{outcome.job}: {names[0].partition('/')[0]}: {error}")
        if numbers:
            found.numbers[cell, seed] = numbers
    if against is not None:
        _add_relative(found, [one for one in measures if one.startswith(RELATIVE)], against)
    return found


def alone(value: float) -> Number:
    """A number that is no sum over samples."""
    return Number(value, (), np.array([value]))


def _add_relative(found: Outcomes, measures: Sequence[str], against: str) -> None:
    for (_, seed), numbers in found.numbers.items():
        for measure in measures:
            base = found.numbers.get((against, seed), {}).get(plainly(measure))
            if (own := numbers.get(plainly(measure))) is not None and base is not None and base.value:
                numbers[measure] = alone(100.0 * own.value / base.value)


def _apart(one: Number, two: Number) -> Array:
    """What each sample adds to a difference; of samples that are not the same ones nothing can be paired."""
    if one.units == two.units:
        return one.pseudo_U - two.pseudo_U
    rows = {unit: row for row, unit in enumerate(two.units)}
    shared = [(place, rows[unit]) for place, unit in enumerate(one.units) if unit in rows]
    if len(shared) < 2:
        return np.array([one.value - two.value])
    ours, theirs = zip(*shared, strict=True)
    return one.pseudo_U[list(ours)] - two.pseudo_U[list(theirs)]


# --- the record of a stage ---


def _of_record(plan: Plan, outcome: Outcome, measures: list[str]) -> dict[str, Number]:
    """What the training of the measured model cost; nothing of a model that was not trained in a study."""
    trained = _trained(plan, outcome)
    if trained is None:
        return {}
    folder, settings = trained
    done = read_done(folder)
    held = done.get("cost", {})
    told = {
        f"{COST}seconds_per_sample": _ratio(done.get("seconds_per_step"), settings.batch_size * settings.accumulation),
        f"{COST}hours": _ratio(_less(done.get("seconds"), done.get("seconds_watching")), 3600),
        f"{COST}tokens": held.get("tokens_per_sample"),
        f"{COST}sequences": held.get("sequences_per_sample"),
        f"{COST}peak_memory": _ratio(held.get("peak_memory"), 2**30),
    }
    return {name: alone(float(told[name])) for name in measures if told.get(name) is not None}


def _trained(plan: Plan, outcome: Outcome) -> tuple[Path, Optimisation] | None:
    """The folder and the settings of the stage that trained the measured model; None where no job of the study did."""
    job, model = plan.jobs[outcome.job], outcome.model
    while model == "base":  # described by another job than that which trained it
        path, others = str(job.recipe.model.path), [plan.jobs[one] for one in job.needs]
        at = [
            (other, name)
            for other in others
            if not isinstance(other.recipe, EvolveRecipe)
            for name in ("base", "sft", *other.recipe.align)
            if path == str(stage_folder(other.folder, name) / "model")
        ]
        if not at:
            return None
        job, model = at[0]
    if isinstance(job.recipe, EvolveRecipe):
        return None
    settings = job.recipe.sft if model == "sft" else job.recipe.align[model]
    assert settings is not None
    return stage_folder(job.folder, model), settings


def _ratio(value: Any, by: float) -> float | None:
    return None if value is None else float(value) / by


def _less(value: Any, off: Any) -> float | None:
    return None if value is None else float(value) - float(off or 0.0)


# --- rounds ---


def _of_rounds(plan: Plan, outcome: Outcome, measures: list[str]) -> dict[str, Number]:
    job = plan.jobs[outcome.job]
    return {name: _mean(units) for name, units in evolved_numbers(job, outcome.model, measures).items()}


# --- looks ---


def _of_looks(plan: Plan, outcome: Outcome, measures: list[str]) -> dict[str, Number]:
    found = look_numbers(plan.jobs[outcome.job].folder, outcome.model, measures)
    return {name: alone(one) if isinstance(one, float) else _of_measure(one) for name, one in found.items()}


# --- scores ---


def _of_scores(
    plan: Plan, outcome: Outcome, measures: Sequence[str], files: FilesRead, found: Outcomes, pair: Pair
) -> dict[str, Number]:
    job = plan.jobs[outcome.job]
    if (model := model_there(job, outcome.model)) != outcome.model:
        why = f"without a pair no {outcome.model} was trained: {model} is measured in its place"
        found.problems.append(f"{pair[0]}, seed {pair[1]}: {why}")
    scored = _scores(job)["models"][model]
    known = {name: _number(scored, name) for name in measures if scored["metrics"].get(name) is not None}
    if None in known.values():  # a metric that is no mean over samples: from the texts
        known |= _from_texts(plan, outcome.job, model, measures, files)
    if scored.get("degenerate"):
        found.degenerate[pair] = str(scored["degenerate"])
    return {name: one for name, one in known.items() if one is not None}


def _scores(job: Job) -> dict[str, Any]:
    if damage := damage_of(job):
        raise TrifacetError(f"{damage}; run the study again to have it made anew")
    path = job.folder / job.scores
    if not path.exists():
        raise TrifacetError("there are none")
    if path.stat().st_size > MOST_BYTES:
        raise TrifacetError(f"{path} is larger than {MOST_BYTES} bytes")
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def _number(scored: Mapping[str, Any], name: str) -> Number | None:
    """A metric that is the mean of its values per sample; None where it is something else."""
    value = float(scored["metrics"][name])
    samples = {str(unit): row[name] for unit, row in scored["per_sample"].items() if row.get(name) is not None}
    own_U = np.array(list(samples.values()), dtype=np.float64)
    if not len(own_U) or not math.isclose(float(own_U.mean()), value, rel_tol=1e-6, abs_tol=1e-9):
        return None
    return Number(value, tuple(samples), own_U)


def _mean(units: Mapping[str, float]) -> Number:
    own_U = np.array(list(units.values()), dtype=np.float64)
    return Number(float(own_U.mean()), tuple(units), own_U)


def _from_texts(plan: Plan, job: str, model: str, measures: Sequence[str], files: FilesRead) -> dict[str, Number]:
    recipe, folder = plan.jobs[job].recipe, plan.jobs[job].folder
    file = (folder / plan.jobs[job].scores).parent / "generations" / f"{model}.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines()
    texts = {str(row["id"]): str(row["text"]) for row in map(json.loads, lines)}
    read: list[Any] = source_of(recipe.data, folder, "test", files=files).read()
    samples = [sample for sample in read if sample.id in texts]
    measured: Sequence[Measure] = score_texts(texts, samples).measures
    return {one.name: _of_measure(one) for one in measured if one.name in measures}


def _of_measure(measure: Measure) -> Number:
    return Number(measure.value, measure.units, pseudo_values(measure))

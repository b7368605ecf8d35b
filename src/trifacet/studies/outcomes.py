"""The numbers of a study's cells: of each seed a measure, with what each sample adds to it.

Invariant: a number is that of the run's own ``scores.json``; a run that is not finished, or whose scores are damaged,
gives none, and what is missing is told.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from trifacet.base import seals
from trifacet.base.errors import TrifacetError
from trifacet.data.source import FilesRead, source_of
from trifacet.metrics.scores import score_texts
from trifacet.statistics.measures import Array, Measure
from trifacet.statistics.over_seeds import Estimate, over_seeds, pseudo_values
from trifacet.studies.folder import is_finished, record_of
from trifacet.studies.works import Plan

SCORES, MOST_BYTES = "scores.json", 1_000_000_000
Pair = tuple[str, int]  # a cell and a seed


@dataclass(frozen=True)
class Number:
    """A measure of one cell and one seed: its value, and what each sample adds, by the sample's id."""

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

    def _has(self, cell: str, seed: int, measure: str) -> bool:
        number = self.numbers.get((cell, seed), {}).get(measure)
        return number is not None and math.isfinite(number.value)


def read_outcomes(plan: Plan, measures: Sequence[str]) -> Outcomes:
    """The numbers of all finished runs of a plan."""
    found, files = Outcomes(), FilesRead()
    for (cell, seed), outcome in plan.outcomes.items():
        job = plan.jobs[outcome.job]
        if not is_finished(plan, job):
            continue
        folder = plan.folder / outcome.job
        try:
            scored = _scores(folder)["models"][outcome.model]
            known = {name: _number(scored, name) for name in measures if scored["metrics"].get(name) is not None}
            if None in known.values():  # a metric that is no mean over samples: from the texts
                known |= _from_texts(plan, outcome.job, outcome.model, measures, files)
        except (TrifacetError, KeyError, TypeError, ValueError) as error:
            found.problems.append(f"{outcome.job}: its scores cannot be used ({error})")
            continue
        found.numbers[cell, seed] = {name: one for name, one in known.items() if one is not None}
        if scored.get("degenerate"):
            found.degenerate[cell, seed] = str(scored["degenerate"])
    return found


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


def _scores(folder: Path) -> dict[str, Any]:
    noted = record_of(folder).get("sealed", {})
    if damage := seals.first_damage(folder, {name: noted[name] for name in (SCORES,) if name in noted}):
        raise TrifacetError(f"{folder / damage.name} {damage.problem}; run the study again to have it made anew")
    path = folder / SCORES
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


def _from_texts(plan: Plan, job: str, model: str, measures: Sequence[str], files: FilesRead) -> dict[str, Number]:
    recipe, folder = plan.jobs[job].recipe, plan.folder / job
    lines = (folder / "generations" / f"{model}.jsonl").read_text(encoding="utf-8").splitlines()
    texts = {str(row["id"]): str(row["text"]) for row in map(json.loads, lines)}
    read: list[Any] = source_of(recipe.data, folder, "test", files=files).read()
    samples = [sample for sample in read if sample.id in texts]
    measured: Sequence[Measure] = score_texts(texts, samples).measures
    return {one.name: Number(one.value, one.units, pseudo_values(one)) for one in measured if one.name in measures}

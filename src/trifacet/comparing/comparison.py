"""Models side by side: every metric with its interval, and every compared pair with difference, test and effect size.

Invariant: what is compared has the same units in the same order for all models; a difference is always first less
second; no verdict without a corrected p-value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

from trifacet.base.errors import TrifacetError
from trifacet.base.words import listed
from trifacet.comparing.contestants import Contestant, aligned, shared_keys, with_shared_units
from trifacet.statistics.effects import Correction, Effect, corrected, effect
from trifacet.statistics.keys import Key, title
from trifacet.statistics.measures import Array, Better, Measure
from trifacet.statistics.significance import (
    FEWEST,
    LEVEL,
    RESAMPLES,
    SEED,
    Chance,
    Interval,
    interval,
    jackknifed,
    permutation_tests,
    resampled,
)

_FEW = 20  # units below which intervals are rough
DifferenceVerdict = Literal["better", "worse", "differs", ""]


@dataclass(frozen=True)
class ComparisonSettings:
    """How models are compared.

    ``level`` is that of intervals; 1 less it is what corrected p-values are held to. ``pairs``: every model against the
    baseline (None: the first), or all pairs. ``metrics``: names, or profile/name; empty: all. ``common``: where units
    differ, those that all have. ``one_table``: all columns are shown in one table, and not one for each profile.
    """

    draws: int = RESAMPLES
    level: float = LEVEL
    seed: int = SEED
    correction: Correction = "holm"
    pairs: Literal["baseline", "all"] = "baseline"
    method: Literal["bca", "percentile"] = "bca"
    baseline: str | None = None
    metrics: Sequence[str] = ()
    common: bool = False
    one_table: bool = False


@dataclass(frozen=True)
class Column:
    """A metric in all models. ``units``: how many were drawn and swapped as wholes."""

    profile: str
    name: str
    better: Better
    units: int

    @property
    def key(self) -> Key:
        """Profile and metric."""
        return self.profile, self.name

    @property
    def title(self) -> str:
        """The metric with its profile before it, where there is one."""
        return title(self.key)


@dataclass(frozen=True)
class MeasuredCell:
    """A metric of a model; nan where it is not defined. ``unofficial`` says why it is not the official value, or ""."""

    value: float
    interval: Interval | None
    unofficial: str


@dataclass(frozen=True)
class MetricDifference:
    """``model`` less ``other`` in one metric. ``p_corrected`` within the metric, ``p_over_all`` over all metrics too.

    ``verdict`` is "" unless p_corrected is at most 1 - level; "differs" where neither direction is better.
    """

    model: str
    other: str
    column: Column
    value: float
    interval: Interval | None
    chance: Chance
    p_corrected: float | None
    p_over_all: float | None
    effect: Effect
    verdict: DifferenceVerdict


@dataclass(frozen=True)
class Comparison:
    """The whole result.

    ``measures`` are those that were compared, aligned: one per (model, column key); none where it was read from a file.
    """

    models: tuple[str, ...]
    baseline: str
    columns: tuple[Column, ...]
    cells: Mapping[tuple[str, Key], MeasuredCell]
    differences: tuple[MetricDifference, ...]
    measures: Mapping[tuple[str, Key], Measure]
    settings: ComparisonSettings
    notes: tuple[str, ...]

    def against_baseline(self, model: str, column: Column) -> MetricDifference | None:
        """What the table's mark says; None for the baseline itself."""
        for one in self.differences:
            if (one.model, one.other, one.column.key) == (model, self.baseline, column.key):
                return one
        return None


def compare(contestants: Sequence[Contestant], settings: ComparisonSettings, notes: Sequence[str] = ()) -> Comparison:
    """Compare models in the metrics that all of them have; of one alone, its values with their intervals.

    Raises:
        TrifacetError: no shared metric, an unknown metric or baseline.
        DataError: the models' units differ and ``settings.common`` is off, or they share none.
    """
    models = tuple(one.name for one in contestants)
    baseline = _baseline(models, settings)
    said = [*notes]
    keys = shared_keys(contestants, settings.metrics, said)
    if settings.common:
        keys = with_shared_units(contestants, keys, said)
    measures: dict[tuple[str, Key], Measure] = {}
    for key in keys:
        for name, measure in zip(models, aligned(contestants, key, settings.common, said), strict=True):
            measures[name, key] = measure
    columns = tuple(_column(key, measures[baseline, key]) for key in keys)
    pairs = compared_pairs(models, settings)
    cells: dict[tuple[str, Key], MeasuredCell] = {}
    differences: list[MetricDifference] = []
    for together in _of_same_units(keys, measures, baseline):
        chosen = [column for column in columns if column.key in together]
        some_cells, some = _compared(chosen, models, pairs, measures, settings)
        cells |= some_cells
        differences += some
    order = {column.key: place for place, column in enumerate(columns)}
    differences.sort(key=lambda one: order[one.column.key])
    judged = _judged(differences, settings)
    said += _warnings(columns, cells)
    return Comparison(models, baseline, columns, cells, tuple(judged), measures, settings, tuple(dict.fromkeys(said)))


def _baseline(models: Sequence[str], settings: ComparisonSettings) -> str:
    if settings.baseline is not None and settings.baseline not in models:
        raise TrifacetError(f"baseline {settings.baseline!r} is not one of the models: {', '.join(models)}")
    return settings.baseline or models[0]


def compared_pairs(models: Sequence[str], settings: ComparisonSettings) -> list[tuple[str, str]]:
    """(model, other): every model against the baseline; for all pairs, the later against the earlier besides.

    Raises:
        TrifacetError: an unknown baseline.
    """
    baseline = _baseline(models, settings)
    others = [name for name in models if name != baseline]
    against = [(name, baseline) for name in others]
    if settings.pairs == "baseline":
        return against
    return against + [(later, earlier) for earlier, later in combinations(others, 2)]


def _of_same_units(keys: Sequence[Key], measures: Mapping[tuple[str, Key], Measure], baseline: str) -> list[list[Key]]:
    groups: dict[tuple[str, ...], list[Key]] = {}
    for key in keys:
        groups.setdefault(measures[baseline, key].units, []).append(key)
    return list(groups.values())


def _compared(
    columns: Sequence[Column],
    models: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    measures: Mapping[tuple[str, Key], Measure],
    settings: ComparisonSettings,
) -> tuple[dict[tuple[str, Key], MeasuredCell], list[MetricDifference]]:
    """Cells and differences, not yet corrected, of columns with the same units: one set of draws for all."""
    names = [(model, column.key) for column in columns for model in models]
    values = dict(
        zip(names, resampled([measures[n] for n in names], draws=settings.draws, seed=settings.seed), strict=True)
    )
    left_out: dict[tuple[str, Key], Array] = {}
    if settings.method == "bca":
        left_out = {name: jackknifed(measures[name]) for name in names}

    enough = columns[0].units >= FEWEST

    def between(value: float, drawn_D: Array, jackknife_U: Array | None) -> Interval | None:
        return interval(value, drawn_D, settings.level, jackknife_U) if enough else None

    cells = {
        name: MeasuredCell(
            measures[name].value,
            between(measures[name].value, values[name], left_out.get(name)),
            measures[name].unofficial,
        )
        for name in names
    }
    asked = [(model, other, column) for column in columns for model, other in pairs]
    chances = permutation_tests(
        [(measures[model, column.key], measures[other, column.key]) for model, other, column in asked],
        draws=settings.draws,
        seed=settings.seed,
    )
    differences = []
    for (model, other, column), chance in zip(asked, chances, strict=True):
        ours, theirs = (model, column.key), (other, column.key)
        value = cells[ours].value - cells[theirs].value
        apart = left_out[ours] - left_out[theirs] if left_out else None
        found = between(value, values[ours] - values[theirs], apart)
        size = effect(measures[ours], measures[theirs])
        differences.append(MetricDifference(model, other, column, value, found, chance, None, None, size, ""))
    return cells, differences


def _judged(differences: Sequence[MetricDifference], settings: ComparisonSettings) -> list[MetricDifference]:
    """The differences with corrected p-values and verdicts; the family is the pairs of a metric."""
    over_all = corrected([one.chance.p for one in differences], settings.correction)
    families: dict[Key, list[int]] = {}
    for place, one in enumerate(differences):
        families.setdefault(one.column.key, []).append(place)
    found = list(differences)
    for places in families.values():
        within = corrected([differences[place].chance.p for place in places], settings.correction)
        for place, p in zip(places, within, strict=True):
            one = differences[place]
            verdict = _verdict(one, p, settings)
            found[place] = replace(one, p_corrected=p, p_over_all=over_all[place], verdict=verdict)
    return found


def _verdict(one: MetricDifference, p: float | None, settings: ComparisonSettings) -> DifferenceVerdict:
    if p is None or p > 1 - settings.level + 1e-12 or one.value == 0:
        return ""
    if one.column.better == "neither":
        return "differs"
    return "better" if (one.value > 0) == (one.column.better == "higher") else "worse"


def _column(key: Key, measure: Measure) -> Column:
    return Column(*key, measure.better, len(measure.units))


def held_against_baseline(comparison: Comparison) -> Comparison:
    """Of a comparison of all pairs that of each model against the baseline, whose p-values are corrected for less."""
    settings = replace(comparison.settings, pairs="baseline")
    against = [one for one in comparison.differences if one.other == comparison.baseline]
    return replace(comparison, differences=tuple(_judged(against, settings)), settings=settings)


def _warnings(columns: Sequence[Column], cells: Mapping[tuple[str, Key], MeasuredCell]) -> list[str]:
    """What a reader of these numbers must know beyond what is always true."""
    said = []
    few = min(column.units for column in columns)
    if few < FEWEST:
        said.append("a metric has a single unit: of one there is no interval")
    elif few < _FEW:
        said.append(f"only {few} units in the smallest metric: intervals of fewer than {_FEW} are rough")
    flat = [title(key) for (_, key), cell in cells.items() if cell.interval and cell.interval[0] == cell.interval[1]]
    if flat:
        named = listed(list(dict.fromkeys(flat)), 20)
        said.append(
            "the intervals of a model whose units are all alike have no width, which is no certainty: of n samples "
            f"that are all right, up to about 3 / n of all samples may be wrong: {named}"
        )
    undefined = [title(key) for (_, key), cell in cells.items() if not math.isfinite(cell.value)]
    if undefined:
        said.append(f"not defined for every model: {listed(list(dict.fromkeys(undefined)), 20)}")
    return said

"""Models to compare, and what they have in common: metrics, and units in one order.

Invariant: measures that leave ``aligned`` have the same units in the same order; who lacks what is never passed over
in silence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.words import listed
from trifacet.metrics.target import Target
from trifacet.statistics.keys import Key, title
from trifacet.statistics.measures import Measure, in_order

if TYPE_CHECKING:
    from trifacet.benchmarks.benchmark import Result

# What a model that says less gains by itself never stands without what it then loses.
_BESIDE = {"chair_i": "recall", "chair_s": "recall", "chair": "cover", "hal": "cover", "cog": "cover"}


@dataclass(frozen=True)
class Contestant:
    """One model: its measures by (profile, metric) and, where they are known, its texts by sample id.

    ``results`` are the results of benchmarks that measures come from.
    """

    name: str
    source: str
    measures: Mapping[Key, Measure]
    texts: Mapping[str, str] = field(default_factory=dict)
    results: Sequence[Result] = ()


def shared_keys(contestants: Sequence[Contestant], metrics: Sequence[str], notes: list[str]) -> list[Key]:
    """The metrics that all models have, in the first one's order, of those asked for; what is left out is noted.

    A rate of hallucinations brings the recall or coverage of its benchmark, which is noted too.

    Raises:
        TrifacetError: there is none, or one is asked for that not all have.
    """
    first, *others = contestants
    everywhere = [key for key in first.measures if all(key in other.measures for other in others)]
    if not everywhere:
        has = "; ".join(f"{one.name} has {listed([title(key) for key in one.measures])}" for one in contestants)
        raise TrifacetError(f"the models share no metric: {has}; score them by the same profile or benchmark")
    wanted = everywhere
    if metrics:
        known = {title(key) for key in everywhere} | {name for _, name in everywhere}
        unknown = [name for name in metrics if name not in known]
        if unknown:
            known_names = listed([title(key) for key in everywhere], 40)
            raise TrifacetError(f"no metric {unknown[0]!r} in all models; there are {known_names}")
        asked = {key for key in everywhere if title(key) in metrics or key[1] in metrics}
        beside = {(of, _BESIDE[name]) for of, name in asked if name in _BESIDE}
        wanted = [key for key in everywhere if key in asked | beside]
        if added := [title(key) for key in wanted if key not in asked]:
            notes.append(f"{listed(added)}: since who says less hallucinates less, it stands beside the rate")
    else:
        partly = dict.fromkeys(key for one in contestants for key in one.measures if key not in everywhere)
        if partly:
            notes.append(f"not in all models, and not compared: {listed([title(key) for key in partly], 20)}")
    return wanted


def with_shared_units(contestants: Sequence[Contestant], keys: Sequence[Key], notes: list[str]) -> list[Key]:
    """The metrics with a unit that all models have; the others are noted. Where no metric has one, all of them."""
    shared = [key for key in keys if set.intersection(*(set(one.measures[key].units) for one in contestants))]
    apart = [title(key) for key in keys if key not in shared]
    if shared and apart:
        notes.append(f"no unit is in all models, so that they are not compared in: {listed(apart, 20)}")
    return shared or list(keys)


def aligned(contestants: Sequence[Contestant], key: Key, common: bool, notes: list[str]) -> list[Measure]:
    """The measures with the same units, sorted: the order of rows in a file changes no draw."""
    measures = [one.measures[key] for one in contestants]
    check_same({one.name: measure.units for one, measure in zip(contestants, measures, strict=True)}, common, key)
    shared = set(measures[0].units).intersection(*(measure.units for measure in measures[1:]))
    most = max(len(measure.units) for measure in measures)
    if len(shared) < most:
        notes.append(f"{title(key)}: the {len(shared)} units that all models have; one of them has {most}")
    order = sorted(shared)
    return [in_order(measure, order) for measure in measures]


def check_same(ids: Mapping[str, Sequence[str]], common: bool, key: Key | None = None) -> None:
    """Whether all models have the same ids; with ``common``, at least one that all have.

    Raises:
        DataError: naming who lacks which.
    """
    sets = {name: set(known) for name, known in ids.items()}
    shared = set.intersection(*sets.values())
    where = f"{title(key)}: " if key else ""
    if common:
        if not shared:
            raise DataError(f"{where}no id is in all of {listed(list(ids))}", fix="compare models on one test set")
        return
    everything = list(dict.fromkeys(name for known in ids.values() for name in known))
    lacking = []
    for name, known_ids in sets.items():
        missing = [one for one in everything if one not in known_ids]
        if missing:
            lacking.append(
                f"{name} lacks {len(missing)} of {len(everything)} ids: {listed([repr(m) for m in missing])}"
            )
    if lacking:
        raise DataError(
            where + "; ".join(lacking), fix="give texts of the same samples, or --common to compare those that all have"
        )


@dataclass(frozen=True)
class Entered:
    """Everything that the arguments named.

    ``samples`` are what the texts are about, by id; ``images`` is the folder of their pictures where a run knows it.
    """

    contestants: Sequence[Contestant]
    samples: Mapping[str, Target]
    images: Path | None
    notes: Sequence[str]

"""Numbers of a run with their intervals, from sums per sample.

Invariant: a sample is drawn as a whole; which interval a number gets depends on the sums alone, never on the order in
which they came. Memory grows with the samples by a few numbers each, never with their texts.
Shape letters: U units (samples), K statistics of a unit.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from trifacet.statistics.measures import Array, Formula, Measure, ratio
from trifacet.statistics.significance import FEWEST, LEVEL, RESAMPLES, SEED, bca_intervals

Key = tuple[str, ...]
Number = dict[str, Any]
"""{"value": float or None, "interval": [lower, upper] or None, "count": what it is a share or mean of}."""
MOST_KINDS = 100  # tasks or origins that are told apart
OTHERS = "others"
_DRAWN = 200_000_000  # units over all draws: some seconds
_FEWEST_DRAWS = 1000


class Kind(NamedTuple):
    """A formula over K sums of which the last is what is counted; ``share``: it lies between 0 and 1."""

    formula: Formula
    share: bool


def _difference(sums: Array) -> Array:
    """The first of two ratios less the second: (a, b, c, d) to a / b - c / d."""
    return ratio(sums[..., :2]) - ratio(sums[..., 2:])


def _balanced(sums: Array) -> Array:
    """The mean of two ratios: (a, b, c, d) to (a / b + c / d) / 2."""
    return (ratio(sums[..., :2]) + ratio(sums[..., 2:])) / 2


SHARE, MEAN = Kind(ratio, True), Kind(ratio, False)
DIFFERENCE, BALANCED = Kind(_difference, False), Kind(_balanced, True)


@dataclass
class _Sums:
    kind: Kind
    units: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))


class Numbers:
    """Sums by key and sample; ``told`` makes numbers of them."""

    def __init__(self) -> None:
        self._units: dict[str, int] = {}
        self._sums: dict[Key, _Sums] = {}

    def add(self, kind: Kind, key: Key, unit: str, *sums: float) -> None:
        """Add a sample's sums to a number; what is all 0 adds nothing."""
        place = self._units.setdefault(unit, len(self._units))
        if any(sums):
            found = self._sums.setdefault(key, _Sums(kind))
            found.units.append(place)
            found.values.extend(sums)

    def told(self, level: float = LEVEL) -> dict[Key, Number]:
        """Every number, with the bootstrap's BCa interval over samples.

        A share of which all samples say 0, or all 1, has no spread to draw from: its interval is Clopper and Pearson's
        (1934) for as many samples. None for fewer than two samples, or where it is not defined.
        """
        order = {place: row for row, (_, place) in enumerate(sorted(self._units.items()))}
        rows_U = np.array([order[place] for place in range(len(order))], dtype=np.int64)
        names = tuple(sorted(self._units))
        measures = {key: _measure(key, names, rows_U, self._sums[key]) for key in sorted(self._sums)}
        draws = max(_FEWEST_DRAWS, min(RESAMPLES, _DRAWN // max(len(names), 1)))
        drawn = bca_intervals(list(measures.values()), draws=draws, level=level, seed=SEED)
        found = {}
        for (key, measure), between in zip(measures.items(), drawn, strict=True):
            interval, value, informed = between, measure.value, int(measure.sums_UK.any(axis=1).sum())
            if informed < FEWEST:
                interval = None
            elif self._sums[key].kind.share and value in (0.0, 1.0):
                edge = ((1 - level) / 2) ** (1 / informed)
                interval = (0.0, 1 - edge) if value == 0 else (edge, 1.0)
            found[key] = number(value, interval, measure.sums_UK[:, -1].sum())
        return found


def number(value: float, interval: tuple[float, float] | None, count: float) -> Number:
    """A number as JSON has it: what is not defined is null."""
    defined = bool(np.isfinite(value))
    told = [float(end) for end in interval] if interval is not None and defined else None
    return {"value": float(value) if defined else None, "interval": told, "count": int(count)}


def missing() -> Number:
    """A number of nothing."""
    return {"value": None, "interval": None, "count": 0}


def below(numbers: Mapping[Key, Number], *key: str) -> dict[str, Number]:
    """Of the numbers whose key begins so those one longer, by their last part."""
    return {one[-1]: told for one, told in numbers.items() if one[:-1] == key}


class Names:
    """Names that are told apart, a bounded number of them."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def __call__(self, name: str) -> str:
        """The name itself, or ``OTHERS`` where there are too many."""
        if name not in self._known and len(self._known) >= MOST_KINDS:
            return OTHERS
        self._known.add(name)
        return name


def _measure(key: Key, names: tuple[str, ...], rows_U: np.ndarray, sums: _Sums) -> Measure:
    units = np.frombuffer(sums.units, dtype=np.int64)
    values_NK = np.frombuffer(sums.values, dtype=np.float64).reshape(len(units), -1)
    sums_UK = np.zeros((len(names), values_NK.shape[1]))
    np.add.at(sums_UK, rows_U[units], values_NK)
    return Measure("/".join(key), names, sums_UK, sums.kind.formula)

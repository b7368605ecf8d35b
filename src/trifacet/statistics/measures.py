"""A metric as a formula over sums, so that its value, its interval and its differences come from one array.

Invariant: a formula sees sums over samples only. So a metric of the whole set (corpus BLEU, CHAIR, F1) is resampled as
exactly as a mean: draw samples, add up their statistics, apply the formula.
Shape letters: U units, K statistics of a unit, D draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Formula = Callable[[Array], Array]
Condition = Callable[[Array], NDArray[np.bool_]]
Better = Literal["higher", "lower", "neither"]


def _never(sums: Array) -> NDArray[np.bool_]:
    return np.zeros(sums.shape[:-1], dtype=np.bool_)


@dataclass(frozen=True, eq=False)
class Measure:
    """One metric of one model on one set of samples.

    ``units`` name the rows of ``sums_UK``: what is drawn as a whole when the set is resampled. That is the sample's id,
    or the name of a group whose samples belong together (all questions of a HallusionBench set). A name stands once.
    ``formula`` takes (..., K) sums to (...) values, nan where there is nothing to divide by. ``unofficial`` says why
    the value is not the one that the metric's own program gives; empty: it is. ``nothing`` takes such sums to whether
    their value stands for 0, as what guards against division leave of BLEU does; between two such values there is no
    winner.
    """

    name: str
    units: tuple[str, ...]
    sums_UK: Array
    formula: Formula
    better: Better = "higher"
    unofficial: str = ""
    nothing: Condition = _never

    @property
    def value(self) -> float:
        """The metric of the whole set; nan where it is not defined."""
        return float(self.formula(self.sums_UK.sum(axis=0)))

    def of_units(self) -> Array:
        """The metric of each unit alone, (U,); nan where a unit has nothing to count."""
        return self.formula(self.sums_UK)

    def resampled(self, weights_DU: Array) -> Array:
        """The metric of D resampled sets, (D,); a weight says how often a unit was drawn."""
        return self.formula(weights_DU @ self.sums_UK)


def in_order(measure: Measure, units: Sequence[str]) -> Measure:
    """The measure of these of its units, in this order."""
    if tuple(units) == measure.units:
        return measure
    rows = {unit: row for row, unit in enumerate(measure.units)}
    return replace(measure, units=tuple(units), sums_UK=measure.sums_UK[[rows[unit] for unit in units]])


def per_hundred(sums: Array) -> Array:
    """100 x the first sum over the second."""
    return 100.0 * ratio(sums)


def ratio(sums: Array) -> Array:
    """The first sum over the second; nan where that is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(sums[..., 1] == 0, np.nan, sums[..., 0] / sums[..., 1])


def mean_measure(
    name: str,
    values: Mapping[str, float],
    *,
    better: Better = "higher",
    unofficial: str = "",
    nothing: float | None = None,
) -> Measure:
    """The mean of a value per sample; samples that lack it are left out of ``values``. One up to ``nothing`` stands for
    0.
    """
    sums_U2 = np.array([[value, 1.0] for value in values.values()], dtype=np.float64).reshape(-1, 2)
    condition = _never if nothing is None else lambda sums: ratio(sums) <= nothing
    return Measure(name, tuple(values), sums_U2, ratio, better, unofficial, condition)


def share_measure(
    name: str,
    units: Sequence[str],
    numerators_U: Sequence[float] | Array,
    denominators_U: Sequence[float] | Array,
    *,
    better: Better = "higher",
    unofficial: str = "",
) -> Measure:
    """100 x the sum of the numerators over the sum of the denominators; units of one name are added up first."""
    sums_N2 = np.column_stack([numerators_U, denominators_U])
    return grouped_measure(name, units, sums_N2, per_hundred, better=better, unofficial=unofficial)


def grouped_measure(
    name: str,
    units: Sequence[str],
    sums_NK: Sequence[Sequence[float]] | Array,
    formula: Formula,
    *,
    better: Better = "higher",
    unofficial: str = "",
) -> Measure:
    """A formula over N x K statistics, where ``units`` names the unit of each row; rows of one unit are added up."""
    rows_NK = np.asarray(sums_NK, dtype=np.float64)
    order = {unit: row for row, unit in enumerate(dict.fromkeys(units))}
    sums_UK = np.zeros((len(order), rows_NK.shape[1]))
    np.add.at(sums_UK, [order[unit] for unit in units], rows_NK)
    return Measure(name, tuple(order), sums_UK, formula, better, unofficial)

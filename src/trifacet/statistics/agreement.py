"""Krippendorff's alpha and pairwise agreement as measures over samples.

Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011). Both need sums over samples only, the coincidences of
values, so that their intervals come from the same resampling as every other metric's.
Invariant: a sample counts as soon as two judges answered it; what is missing is never filled in.
Shape letters: U samples, J judges, V values.
"""

from __future__ import annotations

from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trifacet.statistics.measures import Array, Formula, Measure, ratio

_Level = Literal["nominal", "ordinal"]
MISSING = -1  # where a judge gave no value
_Values = NDArray[np.int64]


def alpha_measure(level: _Level, units: tuple[str, ...], values_UJ: _Values, size: int) -> Measure:
    """Krippendorff's alpha: 1 is full agreement, 0 what chance gives, below 0 worse than chance; nan: not defined.

    Args:
        level: "nominal" takes values as different or not; "ordinal" takes them as ranks, in their numbers' order.
        units: the samples' ids.
        values_UJ: what each judge said of each sample, 0 to ``size`` - 1, or ``MISSING``.
        size: how many values there are.
    """
    sums_UK = coincidences(values_UJ, size).reshape(len(units), size * size)
    return Measure(f"alpha_{level}", units, sums_UK, _alpha(level, size))


def coincidences(values_UJ: _Values, size: int) -> Array:
    """(U, V, V): the ordered pairs of values that two judges gave a sample, each over the sample's judges less one."""
    counts_UV = np.stack([(values_UJ == value).sum(axis=1) for value in range(size)], axis=1).astype(np.float64)
    pairs_UVV = counts_UV[:, :, None] * counts_UV[:, None, :]
    for value in range(size):  # nobody is paired with oneself
        pairs_UVV[:, value, value] -= counts_UV[:, value]
    judges_U = counts_UV.sum(axis=1)
    return np.where(judges_U > 1, 1.0 / np.maximum(judges_U - 1, 1), 0.0)[:, None, None] * pairs_UVV


def _alpha(level: _Level, size: int) -> Formula:
    def formula(sums: Array) -> Array:
        observed = sums.reshape(*sums.shape[:-1], size, size)
        totals = observed.sum(axis=-1)
        distance = _ordinal(totals) if level == "ordinal" else 1.0 - np.eye(size)
        n = totals.sum(axis=-1)
        by_chance = (totals[..., :, None] * totals[..., None, :] * distance).sum(axis=(-2, -1))
        found = (observed * distance).sum(axis=(-2, -1))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(by_chance > 0, 1.0 - (n - 1.0) * found / by_chance, np.nan)

    return formula


def _ordinal(totals: Array) -> Array:
    """The squared distances (..., V, V): how many values lie from one to the other, half of both ends counted."""
    upto = np.cumsum(totals, axis=-1)
    low, high = upto - totals, upto
    middle = (low + high) / 2.0
    return (middle[..., :, None] - middle[..., None, :]) ** 2


def why_no_alpha(values_UJ: _Values) -> str:
    """Why alpha is not defined for these values; "" where it is."""
    answered_UJ = values_UJ != MISSING
    if (answered_UJ.any(axis=0)).sum() < 2:
        return "it takes two judges"
    shared_U = answered_UJ.sum(axis=1) > 1
    if not shared_U.any():
        return "no sample has answers of two judges"
    if len(np.unique(values_UJ[shared_U][answered_UJ[shared_U]])) < 2:
        return "all answers are the same, so that chance would agree as well"
    return ""


def percent_measure(units: tuple[str, ...], values_UJ: _Values) -> Measure:
    """Share of the pairs of judges who gave a sample the same value, over all samples; nan where there is no pair."""
    sums_U2 = np.zeros((len(units), 2))
    for one, other in combinations(range(values_UJ.shape[1]), 2):
        shared = (values_UJ[:, one] != MISSING) & (values_UJ[:, other] != MISSING)
        sums_U2[:, 0] += shared & (values_UJ[:, one] == values_UJ[:, other])
        sums_U2[:, 1] += shared
    return Measure("agreement", units, sums_U2, ratio)

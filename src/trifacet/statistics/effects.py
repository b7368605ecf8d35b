"""How large a difference is beside how sure it is, and p-values corrected for having looked several times.

Invariant: effect sizes come from the values of single units; a unit without a value in either model is in none of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trifacet.statistics.measures import Measure
from trifacet.statistics.significance import SAME

Correction = Literal["holm", "bh", "none"]


@dataclass(frozen=True)
class Effect:
    """The first measure held against the second, unit by unit.

    ``units`` have a value in both. ``d_z`` is the mean of the units' differences over their standard deviation (Cohen's
    d for pairs); None where the metric is no mean over units, or the differences do not spread. ``cliffs_delta`` is the
    share of all pairs of units (one of each model) in which the first's value is larger, less the share in which it is
    smaller: -1 to 1. ``wins``, ``ties`` and ``losses`` count units by which value is better, ``superiority`` is the
    share of wins with half of the ties; None where neither direction is better.
    """

    units: int
    d_z: float | None
    cliffs_delta: float | None
    wins: int | None
    ties: int | None
    losses: int | None
    superiority: float | None


def effect(first: Measure, second: Measure) -> Effect:
    """Effect sizes of two measures with the same units in the same order."""
    ours_U, theirs_U = first.of_units(), second.of_units()
    both = np.isfinite(ours_U) & np.isfinite(theirs_U)
    count = int(both.sum())
    if not count:
        return Effect(0, None, None, None, None, None, None)
    ours, theirs = ours_U[both], theirs_U[both]
    means = _is_mean(first, ours) and _is_mean(second, theirs)
    ours, theirs = (
        np.where(one.nothing(one.sums_UK)[both], 0.0, values) for one, values in ((first, ours), (second, theirs))
    )
    d_z = _standardised(ours - theirs) if means else None
    step = SAME * float(max(np.abs(ours).max(), np.abs(theirs).max())) or 1.0
    ours_steps, theirs_steps = np.round(ours / step), np.round(theirs / step)  # rounding is no difference
    larger, smaller = int((ours_steps > theirs_steps).sum()), int((ours_steps < theirs_steps).sum())
    wins, losses = (larger, smaller) if first.better == "higher" else (smaller, larger)
    sided = first.better != "neither"
    return Effect(
        units=count,
        d_z=d_z,
        cliffs_delta=_cliffs_delta(ours_steps, theirs_steps),
        wins=wins if sided else None,
        ties=count - wins - losses if sided else None,
        losses=losses if sided else None,
        superiority=(wins + (count - wins - losses) / 2) / count if sided else None,
    )


def _is_mean(measure: Measure, values: np.ndarray) -> bool:
    return math.isclose(measure.value, float(values.mean()), rel_tol=1e-6, abs_tol=1e-12)


def _standardised(apart: np.ndarray) -> float | None:
    if len(apart) < 2:
        return None
    spread = float(apart.std(ddof=1))
    return float(apart.mean()) / spread if spread > SAME * float(np.abs(apart).max()) else None


def _cliffs_delta(ours: np.ndarray, theirs: np.ndarray) -> float:
    ordered = np.sort(theirs)
    smaller = np.searchsorted(ordered, ours, side="left").sum()
    larger = len(ordered) * len(ours) - np.searchsorted(ordered, ours, side="right").sum()
    return float(smaller - larger) / (len(ours) * len(theirs))


def corrected(p_values: Sequence[float | None], method: Correction) -> list[float | None]:
    """The p-values of one family, corrected and in the order given; None stays None and does not count.

    ``holm`` (Holm 1979) bounds the chance of even one false claim; ``bh`` (Benjamini & Hochberg 1995) bounds the
    expected share of false ones among the claims.
    """
    known = [place for place, p in enumerate(p_values) if p is not None]
    order = sorted(known, key=lambda place: p_values[place] or 0.0)
    count = len(order)
    found: list[float | None] = list(p_values)
    if method == "holm":
        highest = 0.0
        for rank, place in enumerate(order):
            highest = max(highest, min(1.0, (count - rank) * (p_values[place] or 0.0)))
            found[place] = highest
    elif method == "bh":
        lowest = 1.0
        for rank in range(count, 0, -1):
            place = order[rank - 1]
            lowest = min(lowest, (p_values[place] or 0.0) * count / rank)
            found[place] = lowest
    return found


def sign_test(wins: int, losses: int) -> float:
    """The exact two-sided p-value of wins against losses where neither is likelier; ties are left out."""
    count, fewer = wins + losses, min(wins, losses)
    term, tail = -count * math.log(2), 0.0  # log of the chance of no win
    for k in range(fewer + 1):
        tail += math.exp(term)
        term += math.log((count - k) / (k + 1)) if k < count else 0.0
    return min(1.0, 2 * tail)

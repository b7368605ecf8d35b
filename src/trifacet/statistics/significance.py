"""How sure a value or a difference is: bootstrap intervals and permutation tests, over the units of a ``Measure``.

Invariant: units are drawn, or swapped, as wholes and for all models alike; what is drawn depends on the seed and the
number of units only, so that leaving a metric or a model out changes no other number.
Shape letters: U units, K statistics of a unit, D draws, B draws of one block, P statistics of all measures together.

Sources: Efron 1987, "Better bootstrap confidence intervals" (BCa); Fisher's randomisation test for pairs, its p-value
from Monte Carlo by (b + 1) / (m + 1) as in Phipson & Smyth 2010.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from trifacet.statistics.measures import Array, Measure, in_order

RESAMPLES, LEVEL, SEED = 10_000, 0.95, 17  # where nobody says otherwise
RESAMPLE_BLOCK = 4_000_000  # weights at a time: 32 MB
DRAWN_AT_ONCE = 50_000  # units: what fits into a processor's cache
SAME = 1e-9  # relative: values nearer to each other than this differ by rounding only
FEWEST = 2  # units that an interval takes: one alone shows nothing of how units differ
_NORMAL = NormalDist()

Interval = tuple[float, float]


@dataclass(frozen=True)
class Chance:
    """A two-sided p-value; ``exact``: all ways to swap were gone through, not drawn. None: a value is not defined."""

    p: float | None
    exact: bool


def resampled(measures: Sequence[Measure], *, draws: int, seed: int) -> list[Array]:
    """The value of each measure on the same ``draws`` resampled sets, (D,) each: the paired bootstrap.

    Raises:
        ValueError: the measures have not the same units in the same order.
    """
    units = _same_units(measures)
    sums_UP, places = _beside_each_other([measure.sums_UK for measure in measures])
    rng = np.random.default_rng([seed, 0, units])
    values = [np.empty(draws) for _ in measures]
    for begin, end in _blocks(draws, max(units, sums_UP.shape[1])):
        sums_BP = _times_drawn(rng, end - begin, units) @ sums_UP
        for measure, place, found in zip(measures, places, values, strict=True):
            found[begin:end] = measure.formula(sums_BP[:, place])
    return values


def jackknifed(measure: Measure) -> Array:
    """The value without each unit in turn, (U,)."""
    return measure.formula(measure.sums_UK.sum(axis=0) - measure.sums_UK)


def interval(value: float, drawn_D: Array, level: float, jackknife_U: Array | None = None) -> Interval | None:
    """The confidence interval from resampled values: BCa where the jackknife is given, else that of percentiles.

    Draws in which the value is not defined are left out; None where that is more than half of them, or the value
    itself is not defined. The jackknife of a difference is the difference of the jackknives.
    """
    known = np.sort(drawn_D[np.isfinite(drawn_D)])
    if not np.isfinite(value) or len(known) * 2 < len(drawn_D) or not len(known):
        return None
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    if jackknife_U is not None and known[0] < known[-1]:
        tails = _bca_tails(value, known, tails, jackknife_U)
    low, high = np.quantile(known, tails).tolist()
    return low, high


def percentile_interval(measure: Measure, *, draws: int, level: float, seed: int) -> Interval | None:
    """The interval of percentiles of one measure; None as in ``interval``, and for fewer than two units."""
    if len(measure.units) < FEWEST:
        return None
    (drawn_D,) = resampled([measure], draws=draws, seed=seed)
    return interval(measure.value, drawn_D, level)


def bca_intervals(
    measures: Sequence[Measure], *, draws: int = RESAMPLES, level: float = LEVEL, seed: int = SEED
) -> list[Interval | None]:
    """The BCa interval of each measure, the same as a comparison's with these settings.

    None as in ``interval``, and for fewer than two units. The order of the units changes nothing.
    """
    ordered = [in_order(measure, sorted(measure.units)) for measure in measures]  # as comparisons align models
    places_of: dict[tuple[str, ...], list[int]] = {}
    for place, measure in enumerate(ordered):
        places_of.setdefault(measure.units, []).append(place)
    found: list[Interval | None] = [None] * len(measures)
    for units, places in places_of.items():
        if len(units) < FEWEST:
            continue
        drawn = resampled([ordered[place] for place in places], draws=draws, seed=seed)
        for place, drawn_D in zip(places, drawn, strict=True):
            measure = ordered[place]
            found[place] = interval(measure.value, drawn_D, level, jackknifed(measure))
    return found


def _bca_tails(value: float, known: Array, tails: Array, jackknife_U: Array) -> Array:
    """Where BCa reads the percentiles: moved by the bias z0 and stretched by the acceleration a (Efron 1987, eq. 2.3).

    Values that equal the observed one count half below it, which matters for metrics of few steps.
    """
    slack = SAME * max(abs(value), float(np.abs(known).max()))
    below = (np.searchsorted(known, value - slack) + np.searchsorted(known, value + slack)) / (2 * len(known))
    if not 0 < below < 1:  # all draws on one side: no bias can be told from them
        return tails
    bias = _NORMAL.inv_cdf(float(below))
    left_out = jackknife_U[np.isfinite(jackknife_U)]
    apart = left_out.mean() - left_out if len(left_out) else np.zeros(1)
    widest = float(np.abs(apart).max())
    apart = apart / widest if widest > 0 else apart  # NLTK's BLEU has 1e-153, whose powers vanish
    square = float((apart**2).sum())
    acceleration = float((apart**3).sum()) / (6 * square**1.5) if square > 0 else 0.0
    moved = []
    for tail in tails.tolist():
        z = bias + _NORMAL.inv_cdf(tail)
        room = 1 - acceleration * z
        moved.append(_NORMAL.cdf(bias + z / room) if room > 0 else tail)
    return np.array(moved)


def permutation_tests(pairs: Sequence[tuple[Measure, Measure]], *, draws: int, seed: int) -> list[Chance]:
    """For each pair of measures whether their difference may be chance: the models' labels are swapped unit by unit.

    Swapping a unit on which two models have the same sums changes nothing; where the others are so few that all ways
    to swap are no more than ``draws``, all are gone through. Two values that both stand for 0 (``Measure.nothing``) do
    not differ.

    Raises:
        ValueError: the measures have not the same units in the same order.
    """
    if not pairs:
        return []
    units = _same_units([measure for pair in pairs for measure in pair])
    tests: list[Chance | None] = [None] * len(pairs)
    drawn: list[int] = []
    for place, (first, second) in enumerate(pairs):
        differs_U = (first.sums_UK != second.sums_UK).any(axis=1)
        count = int(differs_U.sum())
        if not np.isfinite(first.value - second.value):
            tests[place] = Chance(None, False)
        elif all(one.nothing(one.sums_UK.sum(axis=0)) for one in (first, second)):
            tests[place] = Chance(1.0, True)
        elif 2**count <= draws:
            swaps_DU = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
            moved_DK = swaps_DU.astype(np.float64) @ (second.sums_UK - first.sums_UK)[differs_U]
            tests[place] = Chance(float(_as_far(first, second, moved_DK).mean()), True)
        else:
            drawn.append(place)
    if drawn:
        counts = _swapped_at_random([pairs[place] for place in drawn], units, draws, seed)
        for place, count in zip(drawn, counts, strict=True):
            tests[place] = Chance((count + 1) / (draws + 1), False)
    return [test for test in tests if test is not None]


def _swapped_at_random(pairs: Sequence[tuple[Measure, Measure]], units: int, draws: int, seed: int) -> list[int]:
    """For each pair how many of ``draws`` random swaps give a difference as large as the one observed."""
    sums_UP, places = _beside_each_other([second.sums_UK - first.sums_UK for first, second in pairs])
    rng = np.random.default_rng([seed, 1, units])
    counts = [0] * len(pairs)
    width = -(-units // 8)
    for begin, end in _blocks(draws, units):
        bits = np.frombuffer(rng.bytes((end - begin) * width), dtype=np.uint8).reshape(end - begin, width)
        moved_BP = np.unpackbits(bits, axis=1, count=units).astype(np.float64) @ sums_UP
        for index, ((first, second), place) in enumerate(zip(pairs, places, strict=True)):
            counts[index] += int(_as_far(first, second, moved_BP[:, place]).sum())
    return counts


def _as_far(first: Measure, second: Measure, moved_DK: Array) -> np.ndarray:
    """Whether the difference is at least as large as observed once the sums ``moved_DK`` changed sides, (D,).

    A swap that leaves a value undefined counts as such, which is the cautious side.
    """
    ours_DK = first.sums_UK.sum(axis=0) + moved_DK
    theirs_DK = second.sums_UK.sum(axis=0) - moved_DK
    difference_D = np.abs(first.formula(ours_DK) - second.formula(theirs_DK))
    slack = SAME * max(abs(first.value), abs(second.value))
    return ~(difference_D < abs(first.value - second.value) - slack)


def _times_drawn(rng: np.random.Generator, draws: int, units: int) -> Array:
    """How often each unit is among as many drawn with replacement, (D, U)."""
    weights_DU = np.empty((draws, units))
    rows = max(1, DRAWN_AT_ONCE // units)
    for begin in range(0, draws, rows):
        some_RU = weights_DU[begin : begin + rows]
        places_RU = rng.integers(0, units, some_RU.shape) + np.arange(len(some_RU))[:, None] * units
        some_RU[:] = np.bincount(places_RU.ravel(), minlength=some_RU.size).reshape(some_RU.shape)
    return weights_DU


def _same_units(measures: Sequence[Measure]) -> int:
    units = measures[0].units
    if any(measure.units != units for measure in measures[1:]):
        raise ValueError("the measures have not the same units in the same order")
    return len(units)


def _beside_each_other(sums: Sequence[Array]) -> tuple[Array, list[slice]]:
    """All statistics as one (U, P) array, and the columns of each."""
    ends = np.cumsum([array.shape[1] for array in sums]).tolist()
    return np.hstack(sums), [slice(end - array.shape[1], end) for end, array in zip(ends, sums, strict=True)]


def _blocks(draws: int, units: int) -> Iterator[tuple[int, int]]:
    step = max(1, RESAMPLE_BLOCK // max(units, 1))
    for begin in range(0, draws, step):
        yield begin, min(begin + step, draws)

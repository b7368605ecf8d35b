"""How sure a number is that was measured on several trainings: over seeds and over samples both.

The percentiles of a hierarchical bootstrap are no intervals for few seeds: where trainings differ they are too narrow
(resampled seeds spread by (S - 1) / S of what they should, and percentiles know nothing of degrees of freedom), where
only samples do too wide (the spread of seeds' means holds that of samples already). What is right for few clusters is
Student's t on one number per cluster (Ibragimov & Mueller 2010, "t-statistic based correlation and heterogeneity robust
inference"); bench/seed_intervals.py shows the coverage of both.

* Every seed has samples of its own (a world that is drawn anew): the seeds' numbers are independent, and their spread
  holds that of training and that of samples. t with S - 1 degrees of freedom.
* All seeds share their samples (files): that the samples are a draw too is the same for all seeds, and does not show in
  their spread. Two crossed random effects: Var = (MS_seeds + MS_samples - MS_rest) / (S U), degrees of freedom by
  Satterthwaite (1946). A metric that is no mean enters by its jackknife pseudo-values (Tukey).

Invariant: nothing is drawn, so that the same trainings give the same numbers. Shape letters: S seeds, U samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trifacet.statistics.measures import Array, Measure
from trifacet.statistics.significance import SAME, Interval, jackknifed

LEVEL, POWER = 0.95, 0.8
Over = Literal["seeds", "seeds and samples", "samples"]


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error and degrees of freedom; ``over`` says what the error is over.

    ``seeds``: so many trainings it is of. Of one training the error is over samples alone.
    """

    value: float
    error: float
    freedom: float
    seeds: int
    over: Over

    @property
    def _varies(self) -> bool:
        """Whether there is an error to hold a difference against; texts that are the same everywhere leave none."""
        return math.isfinite(self.error) and self.error > 0 and self.freedom > 0

    def interval(self, level: float = LEVEL) -> Interval | None:
        """The two-sided confidence interval; None where there is no error."""
        if not (math.isfinite(self.error) and self.freedom > 0):
            return None
        half = _t_quantile((1 + level) / 2, self.freedom) * self.error
        return self.value - half, self.value + half

    def p_above(self, margin: float) -> float | None:
        """One-sided p-value against "no more than ``margin``"; None where nothing varies, or there is no error."""
        from scipy.special import stdtr

        if not self._varies:
            return None
        return float(stdtr(self.freedom, (margin - self.value) / self.error))

    def p_below(self, margin: float) -> float | None:
        """One-sided p-value against "no less than ``margin``"."""
        return Estimate(-self.value, self.error, self.freedom, self.seeds, self.over).p_above(-margin)

    def smallest_found(self, alpha: float = 1 - LEVEL, power: float = POWER) -> float | None:
        """The smallest effect that a two-sided test at ``alpha`` finds with this power: the minimal detectable one."""
        if not self._varies:
            return None
        return effect_found(self.freedom, alpha, power) * self.error


def effect_found(freedom: float, alpha: float, power: float) -> float:
    """The effect, in standard errors, that a two-sided t-test at ``alpha`` finds with ``power`` (noncentral t)."""
    from scipy.special import nctdtrinc

    return float(nctdtrinc(freedom, 1 - power, _t_quantile(1 - alpha / 2, freedom)))


def pseudo_values(measure: Measure) -> Array:
    """What each unit adds to the metric, (U,): their mean is the metric, less its bias; of a mean the values."""
    units, value = len(measure.units), measure.value
    without_U = jackknifed(measure) if units > 1 else np.full(units, value)
    pseudo_U = units * value - (units - 1) * without_U
    return np.where(np.isfinite(pseudo_U), pseudo_U, value)


def over_seeds(values_S: Sequence[float], samples: Sequence[Array], *, crossed: bool) -> Estimate:
    """The mean of a number over trainings.

    Args:
        values_S: the number of each training, such as a difference of two models of one seed.
        samples: for each training the pseudo-values of its samples, (U,); in one order where they are shared.
        crossed: the trainings share their samples.

    Raises:
        ValueError: there is none; or shared samples that differ in number.
    """
    values = np.asarray(values_S, dtype=np.float64)
    seeds = len(values)
    if not seeds:
        raise ValueError("a mean of nothing")
    value = float(values.mean())
    if not np.isfinite(value):
        return Estimate(math.nan, math.nan, 0.0, seeds, "seeds")
    if seeds == 1:
        own = samples[0]
        error = float(own.std(ddof=1)) / math.sqrt(len(own)) if len(own) > 1 else math.nan
        return Estimate(value, error, float(len(own) - 1), 1, "samples")
    if crossed and len(samples[0]) > 1:
        return _crossed(value, np.stack(samples), seeds)
    spread = float(values.std(ddof=1))
    if spread > SAME * float(np.abs(values).max()):
        return Estimate(value, spread / math.sqrt(seeds), float(seeds - 1), seeds, "seeds")
    # seeds that agree to the digit, of a coarse metric: what samples alone leave open
    within = sum(float(own.var(ddof=1)) / len(own) for own in samples if len(own) > 1)
    return Estimate(value, math.sqrt(within) / seeds, float(seeds - 1), seeds, "seeds")


def _crossed(value: float, pseudo_SU: Array, seeds: int) -> Estimate:
    """Seeds and samples as crossed random effects, without replication: mean squares of the two-way table."""
    units = pseudo_SU.shape[1]
    of_seeds_S, of_samples_U, whole = pseudo_SU.mean(axis=1), pseudo_SU.mean(axis=0), pseudo_SU.mean()
    rest_SU = pseudo_SU - of_seeds_S[:, None] - of_samples_U[None, :] + whole
    squares = [
        (units * float(of_seeds_S.var(ddof=1)), seeds - 1.0),
        (seeds * float(of_samples_U.var(ddof=1)), units - 1.0),
        (-float((rest_SU**2).sum()) / ((seeds - 1) * (units - 1)), (seeds - 1.0) * (units - 1.0)),
    ]
    total = sum(square for square, _ in squares)
    (largest, its_freedom) = max(squares[:2])
    if total <= largest:  # a component below 0: the other one alone
        return Estimate(value, math.sqrt(largest / (seeds * units)), its_freedom, seeds, "seeds and samples")
    freedom = total**2 / sum(square**2 / own for square, own in squares)
    return Estimate(value, math.sqrt(total / (seeds * units)), max(freedom, seeds - 1.0), seeds, "seeds and samples")


def _t_quantile(share: float, freedom: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, share))

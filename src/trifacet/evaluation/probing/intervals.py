"""How far the value of a measure might move with other samples: the percentile bootstrap.

Invariant: the same measure and seed give the same interval, whatever was drawn before.
"""

from __future__ import annotations

import numpy as np

from trifacet.evaluation.measures import Measure
from trifacet.rejection.draws import generator

DRAWS = 2000
LEVEL = 0.95
VALUES_AT_ONCE = 2**24  # of the weights

Interval = tuple[float, float]


def interval(measure: Measure, *, seed: int, draws: int = DRAWS, level: float = LEVEL) -> Interval | None:
    """The middle ``level`` of the measure's values on resampled sets; None for fewer than two units or no value.

    Units are drawn with replacement, as many as there are.
    """
    units = len(measure.units)
    if units < 2:
        return None
    rng = generator("interval", measure.name, seed)
    values: list[float] = []
    while len(values) < draws:
        now = min(draws - len(values), max(VALUES_AT_ONCE // units, 1))
        weights_DU = rng.multinomial(units, np.full(units, 1 / units), size=now).astype(np.float64)
        values += measure.resampled(weights_DU).tolist()
    finite = np.array(values)[np.isfinite(values)]
    if not len(finite):
        return None
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)

"""How likely what a suggestion says is right, from how many of its samples say it too.

Invariant: a confidence is a share that was right where the curve was fitted: of the facts that texts of a demo's model
state about fresh posts, whose truth is known (``bench/alt_confidence.py``). It is no promise for other pictures or
models; a curve of one's own is fitted by the same function. The fit is Platt's (1999), over the share of samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from trifacet.generation.variation import Variation

Floats = NDArray[np.float64]
_STEPS = 50  # of Newton's method, which needs about ten
_RIDGE = 1e-3  # keeps weights finite where all is right


@dataclass(frozen=True)
class Calibration:
    """From the share of samples that say a word to the confidence that it is right: ``slope`` and ``bias``."""

    slope: float
    bias: float

    def of_share(self, share: float) -> float:
        """The confidence, from 0 to 1, of what this share of the samples says."""
        return float(_sigmoid(np.array([self.slope * share + self.bias]))[0])

    def of(self, variation: Variation) -> float:
        """The share of what a text says that is expected to be right; 0 of a text that says nothing."""
        return sum(map(self.of_share, variation.shares)) / len(variation.shares) if variation.shares else 0.0


# Of the demo's mcm-dpo model with five samples at temperature 0.7: printed by bench/alt_confidence.py.
DEMO = Calibration(slope=4.144, bias=-2.310)


@dataclass(frozen=True)
class Bin:
    """What has a confidence in one tenth: how much of it there is, the mean confidence, and the share that is right."""

    count: int
    confidence: float
    right: float


def fit(shares: Sequence[float], right: Sequence[bool]) -> Calibration:
    """The curve under which these outcomes are likeliest. Raises ValueError without any."""
    if not shares:
        raise ValueError("nothing to fit to")
    inputs_N2 = np.stack([np.asarray(shares, dtype=np.float64), np.ones(len(shares))], axis=1)
    right_N = np.asarray(right, dtype=np.float64)
    weights_2 = np.zeros(2)
    for _ in range(_STEPS):
        likely_N = _sigmoid(inputs_N2 @ weights_2)
        gradient_2 = inputs_N2.T @ (likely_N - right_N) + _RIDGE * weights_2
        curvature_22 = (inputs_N2 * (likely_N * (1 - likely_N))[:, None]).T @ inputs_N2 + _RIDGE * np.eye(2)
        weights_2 -= np.linalg.solve(curvature_22, gradient_2)
    return Calibration(*map(float, weights_2))


def reliability(confidences: Sequence[float], right: Sequence[float], bins: int = 10) -> list[Bin]:
    """What was said, or texts with the share of each that is right, by tenths of confidence; empty ones left out."""
    sure_N, right_N = np.asarray(confidences), np.asarray(right, dtype=np.float64)
    found = []
    for low, high in pairwise(np.linspace(0, 1, bins + 1)):
        inside_N = (sure_N >= low) & ((sure_N < high) | (high == 1.0))
        if inside_N.any():
            found.append(Bin(int(inside_N.sum()), float(sure_N[inside_N].mean()), float(right_N[inside_N].mean())))
    return found


def calibration_error(bins: Sequence[Bin]) -> float:
    """The expected calibration error (Guo et al. 2017): the mean gap of confidence and share right."""
    return sum(one.count * abs(one.confidence - one.right) for one in bins) / sum(one.count for one in bins)


def _sigmoid(values: Floats) -> Floats:
    return 1 / (1 + np.exp(-np.clip(values, -50, 50)))

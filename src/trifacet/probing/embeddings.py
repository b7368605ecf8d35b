"""How far a model's own texts lie from the reference texts in its last hidden state: Figure 7 of MCM-DPO, and numbers.

Invariant: distances are taken in the whole space, never in the plane that is drawn; equal texts have distance 0.
Memory holds no more than ``DISTANCES_AT_ONCE`` distances between points at a time.
Shape letters: S samples, N points, B points of a block, d width of the hidden state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trifacet.statistics.measures import Array, Measure, mean_measure, ratio

_Floats = NDArray[np.float64]
DistanceName = Literal["euclidean", "cosine", "centroids", "spread"]
DISTANCES_AT_ONCE = 2**22  # 32 MB


@dataclass(frozen=True)
class Plane:
    """Two directions through ``centre_d``; ``explained`` is the share of the points' variance along each."""

    centre_d: _Floats
    axes_2d: _Floats
    explained: tuple[float, float]

    def flat(self, points_Nd: _Floats) -> _Floats:
        """The points' coordinates, (N, 2)."""
        return (points_Nd - self.centre_d) @ self.axes_2d.T


def principal_plane(points_Nd: _Floats) -> Plane:
    """The plane of largest variance (PCA), by a singular value decomposition.

    Of each axis the largest coordinate counts as positive, so that the same points give the same picture everywhere.
    A direction along which nothing varies is a row of zeros.
    """
    centre_d = points_Nd.mean(axis=0)
    _, spread, axes = np.linalg.svd(points_Nd - centre_d, full_matrices=False)
    axes_2d, variance = np.zeros((2, points_Nd.shape[1])), np.zeros(2)
    kept = min(2, int((spread > 1e-12 * max(spread[0], 1e-300)).sum()))
    axes_2d[:kept], variance[:kept] = axes[:kept], spread[:kept] ** 2
    largest = np.abs(axes_2d).argmax(axis=1)
    axes_2d *= np.where(axes_2d[np.arange(2), largest] < 0, -1.0, 1.0)[:, None]
    total = float((spread**2).sum())
    shares = variance / total if total else variance
    return Plane(centre_d, axes_2d, (float(shares[0]), float(shares[1])))


def distance_measures(ids: Sequence[str], generated_Sd: _Floats, reference_Sd: _Floats) -> dict[DistanceName, Measure]:
    """Distances between the generated and the reference text of a sample, and between the two clouds.

    ``euclidean`` and ``cosine`` (1 - cosine): means over samples. ``centroids``: the Euclidean distance of the clouds'
    means. ``spread``: the root mean square distance of references from their mean, to see the others against. Resampled
    it stays about the mean of all: about a mean of its own nearly every resampled set is narrower than the whole.
    """
    lengths_S = np.linalg.norm(generated_Sd, axis=1) * np.linalg.norm(reference_Sd, axis=1)
    cosines_S = np.where(lengths_S > 0, (generated_Sd * reference_Sd).sum(axis=1) / np.maximum(lengths_S, 1e-300), 1.0)
    apart_S = np.linalg.norm(generated_Sd - reference_Sd, axis=1)
    cosine_S = np.where(apart_S == 0, 0.0, np.clip(1.0 - cosines_S, 0.0, 2.0))
    one_S1 = np.ones((len(ids), 1))
    squares_S1 = ((reference_Sd - reference_Sd.mean(axis=0)) ** 2).sum(axis=1, keepdims=True)
    return {
        "euclidean": _mean("euclidean", ids, apart_S),
        "cosine": _mean("cosine", ids, cosine_S),
        "centroids": Measure(
            "centroids", tuple(ids), np.hstack([generated_Sd - reference_Sd, one_S1]), _length_of_mean, "lower"
        ),
        "spread": Measure("spread", tuple(ids), np.hstack([squares_S1, one_S1]), _root, "neither"),
    }


def _mean(name: str, ids: Sequence[str], values_S: _Floats) -> Measure:
    return mean_measure(name, dict(zip(ids, values_S.tolist(), strict=True)), better="lower")


def _length_of_mean(sums: Array) -> Array:
    return np.linalg.norm(sums[..., :-1] / sums[..., -1:], axis=-1)


def _root(sums: Array) -> Array:
    return np.sqrt(ratio(sums))


def silhouette(generated_Sd: _Floats, reference_Sd: _Floats) -> float | None:
    """How well the two clouds are told apart, -1 to 1: the mean silhouette, by Euclidean distance.

    0: they lie in one another; 1: two tight clouds far apart. None with fewer than two samples.
    """
    count = len(generated_Sd)
    if count < 2:
        return None
    points_Nd = np.vstack([generated_Sd, reference_Sd])
    points_Nd = points_Nd - points_Nd.mean(axis=0)  # far from the origin the differences below would lose their digits
    squares_N = (points_Nd**2).sum(axis=1)
    values_N = np.empty(2 * count)
    size = max(DISTANCES_AT_ONCE // (2 * count), 1)
    for begin in range(0, 2 * count, size):
        at_B = np.arange(begin, min(begin + size, 2 * count))
        row = np.arange(len(at_B))
        squares_BN = squares_N[at_B, None] + squares_N - 2 * points_Nd[at_B] @ points_Nd.T
        apart_BN = np.sqrt(np.maximum(squares_BN, 0.0))
        apart_BN[row, at_B] = 0.0
        halves_B2 = apart_BN.reshape(-1, 2, count).sum(axis=2)
        own_B = at_B // count
        within_B, beside_B = halves_B2[row, own_B] / (count - 1), halves_B2[row, 1 - own_B] / count
        widest_B = np.maximum(within_B, beside_B)
        values_N[at_B] = np.where(widest_B > 0, (beside_B - within_B) / np.maximum(widest_B, 1e-300), 0.0)
    return float(values_N.mean())

"""Clusters of rows that pairs connect, and who of a cluster stays.

Invariant: two rows are in one cluster exactly when a chain of pairs leads from one to the other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_Ints = NDArray[np.int64]
_Floats = NDArray[np.float64]
METHODS = ("image", "text", "image embedding", "text embedding")


class Pairs(NamedTuple):
    """Pairs of places found alike: by which of ``METHODS``, and how similar."""

    first: _Ints
    second: _Ints
    by: _Ints
    similarity: _Floats

    @staticmethod
    def of(first: _Ints, second: _Ints, by: str, similarity: _Floats) -> Pairs:
        """Pairs that were all found by one method."""
        return Pairs(first, second, np.full(len(first), METHODS.index(by)), similarity)

    @staticmethod
    def all(parts: list[Pairs]) -> Pairs:
        """One after the other."""
        empty = Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
        return Pairs(*(np.concatenate([part[k] for part in [empty, *parts]]) for k in range(4)))


def clusters(first: _Ints, second: _Ints) -> tuple[_Ints, _Ints]:
    """The places that occur in pairs, sorted, and for each the smallest place of its cluster."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    members, ends = np.unique(np.concatenate([first, second]), return_inverse=True)
    if not len(members):
        return members, members
    one, other = ends.reshape(2, -1)
    graph = coo_array((np.ones(len(one), np.int8), (one, other)), shape=(len(members), len(members)))
    labels = connected_components(graph, directed=False)[1]
    smallest = np.full(labels.max() + 1, np.iinfo(np.int64).max)
    np.minimum.at(smallest, labels, members)
    return members, smallest[labels]


class Joined:
    """Which rows are known to be in one cluster, for all rows: four or eight bytes each."""

    def __init__(self, rows: int) -> None:
        self._label = np.arange(rows, dtype=np.int32 if rows < 2**31 else np.int64)

    def apart(self, first: _Ints, second: _Ints) -> NDArray[np.bool_]:
        """Which pairs are not yet in one cluster."""
        return np.asarray(self._label[first] != self._label[second])

    def join(self, first: _Ints, second: _Ints) -> None:
        """Note that these pairs are alike."""
        members, smallest = clusters(self._label[first].astype(np.int64), self._label[second].astype(np.int64))
        if len(members):
            renamed = np.arange(len(self._label), dtype=self._label.dtype)
            renamed[members] = smallest
            self._label = renamed[self._label]


def best(cluster: _Ints, *goods: _Floats | _Ints) -> _Ints:
    """[n]: for each row the index of its cluster's best: the largest first good, then the next; last the earliest."""
    order = np.lexsort((np.arange(len(cluster)), *(-good for good in reversed(goods)), cluster))
    starts = np.concatenate([[True], cluster[order][1:] != cluster[order][:-1]]) if len(cluster) else np.empty(0, bool)
    winners = order[starts]
    return np.asarray(winners[np.searchsorted(cluster[winners], cluster)])


def reasons(pairs: Pairs, members: _Ints, kept: _Ints) -> tuple[_Ints, _Ints, _Floats]:
    """For each member the pair that tells best why it is there: with the kept one, else the most similar.

    Returns:
        the other place of that pair, the method and the similarity, each [members].
    """
    asked, other = np.concatenate([pairs.first, pairs.second]), np.concatenate([pairs.second, pairs.first])
    by, similar = np.tile(pairs.by, 2), np.tile(pairs.similarity, 2)
    direct = kept[np.searchsorted(members, asked)] == other
    order = np.lexsort((other, by, -similar, ~direct, asked))
    first = order[np.searchsorted(asked[order], members)]
    return other[first], by[first], similar[first]

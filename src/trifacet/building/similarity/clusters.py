"""Which rows are near-duplicates of which, from pairs that were found alike: stars, and who of a star stays.

Invariant: a member of a cluster is itself like the row that stays; no chain of pairs leads into a cluster.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_Ints = NDArray[np.int64]
_Floats = NDArray[np.float64]
METHODS = ("image", "text", "image embedding", "text embedding")
ROUNDS = 4  # in which a centre is held against all that chains of pairs lead to; then against its own pairs only
ENOUGH = 8  # rows that a row was found to be like: no more are looked for


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


Alike = Callable[[_Ints, _Ints], Pairs]  # of these pairs of places those that are alike


class Partners:
    """What was found alike so far, so that it is not compared again: a byte for each row, eight for each pair."""

    def __init__(self, rows: int) -> None:
        self._rows, self._found, self._pairs = rows, np.zeros(rows, np.uint8), np.empty(0, np.int64)

    def wanted(self, first: _Ints, second: _Ints) -> tuple[_Ints, _Ints]:
        """Those of the pairs (first < second), each once, that may still tell something."""
        keys = np.unique(first * self._rows + second)
        keys = keys[~np.isin(keys, self._pairs, assume_unique=True)]
        first, second = keys // self._rows, keys % self._rows
        open_ = np.minimum(self._found[first], self._found[second]) < ENOUGH
        return first[open_], second[open_]

    def add(self, first: _Ints, second: _Ints) -> None:
        """Note that these pairs, which were wanted, are alike."""
        self._pairs = np.union1d(self._pairs, first * self._rows + second)
        rows, amounts = np.unique(np.concatenate([first, second]), return_counts=True)
        self._found[rows] = np.minimum(self._found[rows] + amounts, ENOUGH)


def clusters(first: _Ints, second: _Ints) -> tuple[_Ints, _Ints]:
    """The places that occur in pairs, sorted, and for each the smallest place that a chain of pairs leads to."""
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


def stars(pairs: Pairs, members: _Ints, rank: _Ints, alike: Alike) -> tuple[_Ints, Pairs]:
    """Who stays, for each member, and the pairs with those that were found on the way.

    The row with most partners is the centre of a star of all that are like it; the other rows go on among themselves.
    Of a star stays the best row if all others are like it too, else the centre.

    Args:
        pairs: places found alike.
        members: all places that occur in them, sorted.
        rank: of each member, from 0 for the best; no two are equal.
        alike: compares more pairs.

    Returns:
        for each member the index in ``members`` of the one that stays; all pairs known alike.
    """
    amount, known = len(members), [pairs]
    centre = np.full(amount, -1)
    edges = np.unique(np.searchsorted(members, np.sort(np.stack([pairs.first, pairs.second], 1), axis=1)), axis=0)

    def ask(one: _Ints, other: _Ints) -> NDArray[np.bool_]:
        """Which pairs of members are alike; what is known is not asked again."""
        nonlocal edges
        keys = np.minimum(one, other) * amount + np.maximum(one, other)
        there = np.isin(keys, edges[:, 0] * amount + edges[:, 1])
        if (~there).any():
            found = alike(members[one[~there]], members[other[~there]])
            known.append(found)
            more = np.searchsorted(members, np.sort(np.stack([found.first, found.second], 1), axis=1))
            edges = np.unique(np.concatenate([edges, more]), axis=0)
            there = np.isin(keys, edges[:, 0] * amount + edges[:, 1])
        return there

    for _ in range(ROUNDS):
        live = edges[(centre[edges] < 0).all(axis=1)]
        touched, label = clusters(live[:, 0], live[:, 1])
        if not len(touched):
            break
        degree = np.bincount(live.ravel(), minlength=amount)
        chosen = _first(label, -degree[touched], rank[touched])
        middle = touched[chosen[np.searchsorted(np.unique(label), label)]]
        asked = touched != middle
        centre[touched[~asked]] = touched[~asked]
        good = np.flatnonzero(asked)[ask(touched[asked], middle[asked])]
        centre[touched[good]] = middle[good]
    _settle(edges, centre, rank)
    centre = np.where(centre < 0, np.arange(amount), centre)
    return _kept(centre, rank, ask), Pairs.all(known)


def _settle(edges: _Ints, centre: _Ints, rank: _Ints) -> None:
    """Give a centre to those that have none, by the known pairs alone: whoever is best among its neighbours is one."""
    live = edges[(centre[edges] < 0).all(axis=1)]
    degree = np.bincount(live.ravel(), minlength=len(centre))
    in_order = np.lexsort((rank, -degree))
    order = np.empty_like(in_order)
    order[in_order] = np.arange(len(centre))
    while len(live):
        one, other = np.concatenate([live, live[:, ::-1]]).T
        best = np.full(len(centre), len(centre))
        np.minimum.at(best, one, order[other])
        middles = np.unique(live)
        middles = middles[order[middles] < best[middles]]
        centre[middles] = middles
        taken = np.isin(one, middles)
        nearest = np.full(len(centre), len(centre))
        np.minimum.at(nearest, other[taken], order[one[taken]])
        members = np.unique(other[taken])
        centre[members] = in_order[nearest[members]]
        live = live[(centre[live] < 0).all(axis=1)]


def _kept(centre: _Ints, rank: _Ints, ask: Callable[[_Ints, _Ints], NDArray[np.bool_]]) -> _Ints:
    """For each member the one that stays: the star's best where all are like it, else its centre."""
    everyone = np.arange(len(centre))
    best = _first(centre, rank)[np.searchsorted(np.unique(centre), centre)]
    asked = np.flatnonzero((best != centre) & (everyone != best))
    fails = asked[~ask(asked, best[asked])]
    return np.where(np.isin(centre, centre[fails]), centre, best)


def _first(group: _Ints, *by: _Ints) -> _Ints:
    """Of each group, in their order, the index of its member that is first by these."""
    order = np.lexsort((*reversed(by), group))
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    return np.asarray(order[starts])


def ranks(*goods: _Floats | _Ints) -> _Ints:
    """The place of each row from the best on: by the largest first good, then the next; last the earliest."""
    order = np.lexsort((np.arange(len(goods[0])), *(-good for good in reversed(goods))))
    result = np.empty(len(order), np.int64)
    result[order] = np.arange(len(order))
    return result


def reasons(pairs: Pairs, members: _Ints, kept: _Ints) -> tuple[_Ints, _Floats]:
    """By which method and how much each member is like the one that stays; 0 and 1 for those that stay themselves."""
    by, similarity = np.zeros(len(members), np.int64), np.ones(len(members))
    one, other = np.concatenate([pairs.first, pairs.second]), np.concatenate([pairs.second, pairs.first])
    methods, similar = np.tile(pairs.by, 2), np.tile(pairs.similarity, 2)
    at = np.searchsorted(members, one)
    direct = np.flatnonzero(members[kept[at]] == other)
    order = direct[np.lexsort((methods[direct], -similar[direct], at[direct]))][::-1]  # the best is written last
    by[at[order]], similarity[at[order]] = methods[order], similar[order]
    return by, similarity

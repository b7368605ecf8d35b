"""Pictures of rows held against each other: thumbnails first, and what is alike from afar once more by its details.

Invariant: what is said of a pair depends on its two pictures alone; which pairs are looked at, on the rows alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trifacet.building.similarity.alignment import similarity
from trifacet.building.similarity.candidates import Near
from trifacet.building.similarity.clusters import clusters
from trifacet.building.similarity.details import Details
from trifacet.building.similarity.pictures import THUMBNAIL, boxes
from trifacet.building.similarity.spool import BLOCK, Spool, rows_at
from trifacet.building.step import Signatures, Tools

_Ints = NDArray[np.int64]
_Floats = NDArray[np.float64]


class Pictures:
    """Compares the pictures at these sorted places; a context manager."""

    def __init__(self, signatures: Signatures, places: _Ints, least: float, tools: Tools) -> None:
        facts = rows_at(signatures, places, ["picture", "file"])
        there = facts.column("picture").is_valid().to_numpy()
        facts, self._places = facts.filter(pa.array(there)), places[there]
        self._codes = facts.column("picture").combine_chunks().to_numpy()
        self._files = facts.column("file").to_pylist()
        self._least, self._tools, self._details = least, tools, Details(tools)
        self._apart = set[frozenset[int]]()
        self._thumbnails = Spool(signatures, "thumbnail", np.uint8, tools.folder, self._places)
        self._crops = Spool(signatures, "crops", np.uint64, tools.folder, self._places)

    def __enter__(self) -> Pictures:
        return self

    def __exit__(self, *stop: object) -> None:
        self._thumbnails.__exit__()
        self._crops.__exit__()

    def of_near(self, near: Near) -> tuple[_Floats, NDArray[np.bool_]]:
        """[n] similarities of pairs found by their codes, and which of them are not alike even from afar.

        A pair that is there twice, either way round, is looked at closely once, the way that fits better; the other
        has similarity 0.
        """
        first, second = np.minimum(near.asked, near.found), np.maximum(near.asked, near.found)
        similar, cuts = self._from_afar(near.asked, near.found, boxes()[near.variant])
        order = np.lexsort((-similar, second, first))
        again = np.zeros(len(order), bool)
        again[order[1:]] = (first[order][1:] == first[order][:-1]) & (second[order][1:] == second[order][:-1])
        good = np.flatnonzero((similar >= self._least) & ~again)
        good = good[np.lexsort((second[good], first[good], near.distance[good]))]
        result = np.zeros(len(similar))
        while len(good):  # of every row one pair more; copies of one picture are soon known to hang together
            seen, now = set[int](), np.zeros(len(good), bool)
            for k, ends in enumerate(zip(first[good].tolist(), second[good].tolist(), strict=True)):
                now[k] = not seen.issuperset(ends)
                seen.update(ends)
            looked, good = good[now], good[~now]
            same = looked[self._same(near.asked[looked], near.found[looked], cuts[looked])]
            result[same] = similar[same]
            members, label = clusters(first[result > 0], second[result > 0])
            good = good[~_joined(members, label, first[good], second[good])]
        return result, (similar < self._least) & ~again

    def similarity(self, first: _Ints, second: _Ints) -> _Floats:
        """[n] similarities of any pairs; 0 where one has no picture, or where details tell them apart."""
        result = np.zeros(len(first))
        there = np.flatnonzero(np.isin(first, self._places) & np.isin(second, self._places))
        for block in _blocks(there):
            outer, inner, cuts = self._turned(first[block], second[block])
            similar, cuts = self._from_afar(outer, inner, cuts)
            good = np.flatnonzero(similar >= self._least)
            same = self._same(outer[good], inner[good], cuts[good])
            result[block[good[same]]] = similar[good[same]]
        return result

    def _turned(self, first: _Ints, second: _Ints) -> tuple[_Ints, _Ints, _Floats]:
        """Pairs as (outer, inner), and the cuts by whose code they are nearest."""
        nearest = []
        for outer, inner in ((first, second), (second, first)):
            own = self._codes[np.searchsorted(self._places, outer)][:, None]
            codes = np.hstack([own, self._crops.matrix(outer)])
            distance = np.bitwise_count(codes ^ self._codes[np.searchsorted(self._places, inner)][:, None])
            nearest.append((distance.argmin(axis=1), distance.min(axis=1)))
        swap = nearest[1][1] < nearest[0][1]
        variant = np.where(swap, nearest[1][0], nearest[0][0])
        return np.where(swap, second, first), np.where(swap, first, second), boxes()[variant]

    def _from_afar(self, outer: _Ints, inner: _Ints, cuts: _Floats) -> tuple[_Floats, _Floats]:
        similar, best = np.zeros(len(outer)), np.zeros_like(cuts)
        for block in _blocks(np.arange(len(outer))):
            one, other = (self._thumbnails.matrix(places[block]).reshape(-1, THUMBNAIL) for places in (outer, inner))
            similar[block], best[block] = similarity(one, other, cuts[block])
        return similar, best

    def _same(self, outer: _Ints, inner: _Ints, cuts: _Floats) -> NDArray[np.bool_]:
        """Which pairs are the same in their details too."""
        files = ([self._files[at] for at in np.searchsorted(self._places, places)] for places in (outer, inner))
        with ThreadPoolExecutor(self._tools.workers) as pool:
            same = np.fromiter(pool.map(self._details.same, *files, cuts), bool, len(outer))
        self._apart.update(map(frozenset, zip(outer[~same].tolist(), inner[~same].tolist(), strict=True)))
        return same

    def told_apart(self, first: _Ints, second: _Ints) -> NDArray[np.bool_]:
        """Which pairs were alike from afar and differ in their details."""
        pairs = zip(first.tolist(), second.tolist(), strict=True)
        return np.fromiter((frozenset(pair) in self._apart for pair in pairs), bool, len(first))


def _joined(members: _Ints, label: _Ints, first: _Ints, second: _Ints) -> NDArray[np.bool_]:
    """Which pairs are in one of the clusters."""
    one, other = (
        np.where(np.isin(ends, members), label[np.searchsorted(members, ends) % max(1, len(label))], ends)
        if len(members)
        else ends
        for ends in (first, second)
    )
    return np.asarray(one == other)


def _blocks(places: _Ints) -> Iterator[_Ints]:
    for start in range(0, len(places), BLOCK):
        yield places[start : start + BLOCK]

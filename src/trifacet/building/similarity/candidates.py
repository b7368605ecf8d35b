"""Pairs of rows worth comparing, found by sorting: of 64-bit codes a few bits apart, and of equal keys.

Invariant: no more than a fixed number of pairs comes from a row, however many rows share a key; memory is that of one
range of keys (``RANGE_ROWS`` rows) and of what is found, for any number of rows.

Where thousands of rows share a key, each is compared with the first of them and with its next ones in sorted order
only. What is equal throughout lies side by side and is still found; of what is merely similar some pairs may be
missed by one table and found by another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trifacet.building.similarity.spool import bytes_of
from trifacet.building.step import Signatures

RANGE_ROWS = 4_000_000  # rows sorted at a time
TABLES = 24  # sortings of the codes, each by other bits first
WINDOW = 6  # neighbours looked at before and after the place of a code
CLOSEST = 8  # pairs kept per row
NEXT = 4  # rows of equal key that follow a row and are compared with it

_Ints = NDArray[np.int64]
_Codes = NDArray[np.uint64]


class Near(NamedTuple):
    """Pairs of places (counted over all rows, from 0): ``asked``'s variant number ``variant`` is close to ``found``."""

    asked: _Ints
    found: _Ints
    variant: _Ints
    distance: _Ints


@dataclass(frozen=True)
class CodeColumns:
    """``own``: one code per row (null: the row takes no part). ``more``: bytes of as many further codes in each row."""

    own: str
    more: str | None = None


def near_codes(signatures: Signatures, columns: CodeColumns, max_distance: int) -> Near:
    """Pairs of different rows, one with a code at most ``max_distance`` bits from the other's own code.

    Tables of codes sorted by shuffled bits (M. Charikar, "Similarity Estimation Techniques from Rounding Algorithms",
    STOC 2002): near codes share their first bits in some table. Of each row the ``CLOSEST`` found rows stay.
    """
    best = Near(*(np.empty(0, np.int64) for _ in range(4)))
    amount = sum(len(code) - code.null_count for (code,) in _arrays(signatures, [columns.own]))
    ranges = max(1, ceil(amount / RANGE_ROWS))
    for table in range(TABLES):
        shuffle = _Shuffle(table)
        for number in range(ranges):
            codes, places = _table(signatures, columns.own, shuffle, number, ranges)
            found = [best]
            for asked, variants, queries in _queries(signatures, columns):
                shuffled = shuffle(queries)
                inside = in_range(shuffled, number, ranges)
                found.append(_around(codes, places, asked[inside], variants[inside], shuffled[inside], max_distance))
            best = _closest(found)
    return best


def equal_keys(signatures: Signatures, key: str, tie: str) -> Iterator[tuple[_Ints, _Ints]]:
    """Pairs of places (first < second) whose rows have the same ``key``, not null; neighbours are chosen by ``tie``.

    Every row is paired with the first of its key and with the ``NEXT`` that follow it in the order of (tie, place).
    """
    amount = sum(len(keys) - keys.null_count for (keys,) in _arrays(signatures, [key]))
    ranges = max(1, ceil(amount / RANGE_ROWS))
    for number in range(ranges):
        keys, ties, places = _sharing(signatures, key, tie, number, ranges)
        order = np.lexsort((places, ties, keys))
        keys, places = keys[order], places[order]
        del ties, order
        starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.empty(0, np.int64)
        lengths = np.diff(np.append(starts, len(keys)))
        lowest = np.minimum.reduceat(places, starts) if len(starts) else places
        shared = np.repeat(lengths > 1, lengths)
        first = np.repeat(lowest, lengths)[shared]
        yield _ordered(first, places[shared])
        for step in range(1, NEXT + 1):
            same = np.flatnonzero(keys[step:] == keys[:-step])
            yield _ordered(places[same], places[same + step])


class _Shuffle:
    """A fixed permutation of the bits of codes, by a table per byte."""

    def __init__(self, seed: int) -> None:
        targets = np.random.default_rng(seed).permutation(64).astype(np.uint64).reshape(8, 8)
        values = np.arange(256, dtype=np.uint64)
        self._tables = [
            np.bitwise_or.reduce([((values >> np.uint64(k)) & np.uint64(1)) << row[k] for k in range(8)])
            for row in targets
        ]

    def __call__(self, codes: _Codes) -> _Codes:
        result = np.zeros_like(codes)
        for number, table in enumerate(self._tables):
            result |= table[((codes >> np.uint64(8 * number)) & np.uint64(255)).astype(np.intp)]
        return result


def _arrays(signatures: Signatures, names: list[str]) -> Iterator[list[pa.Array]]:
    for part in signatures.parts(names):
        yield [part.column(name).combine_chunks() for name in names]


def in_range(keys: _Codes, number: int, ranges: int) -> NDArray[np.bool_]:
    """Which of the evenly spread 64-bit keys lie in this one of so many equal ranges."""
    if ranges == 1:
        return np.ones(len(keys), bool)
    return np.asarray((keys >> np.uint64(32)) * np.uint64(ranges) >> np.uint64(32) == number)


def _with_places(signatures: Signatures, names: list[str]) -> Iterator[tuple[list[pa.Array], _Ints]]:
    """Per part: its columns and places without the rows where the first column is null."""
    start = 0
    for arrays in _arrays(signatures, names):
        there = np.flatnonzero(arrays[0].is_valid().to_numpy(zero_copy_only=False))
        yield [array.take(pa.array(there)) for array in arrays], start + there
        start += len(arrays[0])


def _table(signatures: Signatures, own: str, shuffle: _Shuffle, number: int, ranges: int) -> tuple[_Codes, _Ints]:
    """Shuffled codes of one range in order, and the places they belong to."""
    parts = []
    for (array,), places in _with_places(signatures, [own]):
        codes = shuffle(array.to_numpy())
        inside = in_range(codes, number, ranges)
        parts.append((codes[inside], places[inside]))
    codes, places = np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    parts.clear()
    order = np.argsort(codes, kind="stable")
    codes = codes[order]
    return codes, places[order]


def _sharing(signatures: Signatures, key: str, tie: str, number: int, ranges: int) -> tuple[_Codes, _Codes, _Ints]:
    """Keys of one range that more than one row has, ties and places of these rows; first the keys alone are sorted."""
    every = [np.empty(0, np.uint64)]
    for (array,), _ in _with_places(signatures, [key]):
        values = array.to_numpy()
        every.append(values[in_range(values, number, ranges)])
    keys = np.concatenate(every)
    del every
    keys.sort()
    shared = np.unique(keys[1:][keys[1:] == keys[:-1]])
    del keys
    found = [(shared[:0], shared[:0], np.empty(0, np.int64))]
    for (array, ties), places in _with_places(signatures, [key, tie]):
        values = array.to_numpy()
        good = _among(values, shared)
        found.append((values[good], ties.to_numpy()[good], places[good]))
    codes, others, owners = (np.concatenate([part[k] for part in found]) for k in range(3))
    return codes, others, owners


def _among(values: _Codes, known: _Codes) -> NDArray[np.bool_]:
    """Which values are among the known ones, which are sorted."""
    if not len(known):
        return np.zeros(len(values), bool)
    at = np.minimum(np.searchsorted(known, values), len(known) - 1)
    return np.asarray(known[at] == values)


def _queries(signatures: Signatures, columns: CodeColumns) -> Iterator[tuple[_Ints, _Ints, _Codes]]:
    """Per part: places, numbers of variants (0: the own code) and codes to ask with."""
    names = [columns.own] + ([columns.more] if columns.more else [])
    for arrays, places in _with_places(signatures, names):
        codes = arrays[0].to_numpy()[:, None]
        if columns.more and len(places):
            codes = np.hstack([codes, bytes_of(arrays[1]).view(np.uint64).reshape(len(places), -1)])
        variants = codes.shape[1]
        yield np.repeat(places, variants), np.tile(np.arange(variants), len(places)), codes.ravel()


def _around(codes: _Codes, places: _Ints, asked: _Ints, variants: _Ints, queries: _Codes, max_distance: int) -> Near:
    """What lies around each query's place in the sorted codes and is near enough."""
    if not len(codes):
        return Near(asked[:0], asked[:0], variants[:0], asked[:0])
    middle = np.searchsorted(codes, queries)
    found = []
    for offset in range(-WINDOW, WINDOW):
        at = middle + offset
        distance = np.bitwise_count(codes[np.clip(at, 0, len(codes) - 1)] ^ queries)
        good = np.flatnonzero((distance <= max_distance) & (at >= 0) & (at < len(codes)))
        good = good[places[at[good]] != asked[good]]
        found.append((asked[good], places[at[good]], variants[good], distance[good].astype(np.int64)))
    return Near(*(np.concatenate([part[k] for part in found]) for k in range(4)))


def _closest(found: list[Near]) -> Near:
    """Each pair once with its closest variant, and of each asking row the closest found ones."""
    asked, other, variant, distance = (np.concatenate([part[k] for part in found]) for k in range(4))
    order = np.lexsort((variant, distance, other, asked))
    asked, other, variant, distance = asked[order], other[order], variant[order], distance[order]
    once = np.ones(len(asked), bool)
    once[1:] = (asked[1:] != asked[:-1]) | (other[1:] != other[:-1])
    asked, other, variant, distance = asked[once], other[once], variant[once], distance[once]
    order = np.lexsort((other, distance, asked))
    asked, other, variant, distance = asked[order], other[order], variant[order], distance[order]
    rank = np.arange(len(asked)) - np.searchsorted(asked, asked)
    few = rank < CLOSEST
    return Near(asked[few], other[few], variant[few], distance[few])


def _ordered(one: _Ints, other: _Ints) -> tuple[_Ints, _Ints]:
    differ = one != other
    return np.minimum(one, other)[differ], np.maximum(one, other)[differ]

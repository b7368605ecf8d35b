"""Which samples of a run are shown: a bounded number, chosen evenly over fates and origins by a seeded hash.

Invariant: who is picked depends on seed, round and rows alone; nobody chose them by what they look like.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from typing import Any

from trifacet.base.digests import text_digest
from trifacet.evolving.kept import PartRows
from trifacet.evolving.records import Answer, Fate

EXAMPLES = 36  # of a run
ANSWERS = 12  # of an example
_KEPT = 3  # candidates of each fate and origin
_FATES = ("pairs", "none accepted", "all accepted", "no pair", "refused")


class Picking:
    """Candidates of a round; ``add`` takes its parts, ``picked`` gives (part, sample id) of the chosen ones."""

    def __init__(self, seed: int, number: int) -> None:
        self._key = f"{seed} {number} "
        self._heaps: dict[tuple[str, str], list[tuple[int, str, int]]] = {}

    def add(self, part: PartRows) -> None:
        """Look at the samples of a part that are done."""
        for fate in part.fates:
            draw = -int(text_digest(self._key + fate.sample)[:15], 16)  # the heap loses its least
            for origin in _origins(fate):
                heap = self._heaps.setdefault((fate.what, origin), [])
                heapq.heappush(heap, (draw, fate.sample, part.number))
                if len(heap) > _KEPT:
                    heapq.heappop(heap)

    def picked(self, most: int) -> list[tuple[int, str]]:
        """At most so many, fates and then their origins taking turns."""
        by_fate: dict[str, list[list[tuple[int, str]]]] = {}
        for (what, _), heap in sorted(self._heaps.items(), key=lambda one: (_FATES.index(one[0][0]), one[0][1])):
            ranked = [(part, sample) for _, sample, part in sorted(heap, reverse=True)]
            by_fate.setdefault(what, []).append(ranked)
        turns = [list(_in_turn(origins)) for origins in by_fate.values()]
        return list(itertools.islice(dict.fromkeys(_in_turn(turns)), most))


def shown_answers(rows: PartRows) -> list[Answer]:
    """At most ``ANSWERS`` of a sample's answers: of every origin and outcome some, those with feedback first."""
    outcomes = {one.answer: one.outcome for one in rows.verdicts}
    told = {one.answer for one in rows.feedback} | {one.revised for one in rows.feedback}
    groups: dict[tuple[str, str], list[Answer]] = {}
    for answer in sorted(rows.answers, key=lambda one: (one.answer not in told, one.answer)):
        groups.setdefault((answer.origin, outcomes.get(answer.answer, "")), []).append(answer)
    chosen = list(itertools.islice(_in_turn(list(groups.values())), ANSWERS))
    return sorted(chosen, key=lambda one: one.answer)


def _origins(fate: Fate) -> list[str]:
    """The origins that a sample stands for: those that were accepted, else all."""
    return [name for name, count in fate.accepted.items() if count] or [*fate.answers] or [""]


def _in_turn(lists: Sequence[Sequence[Any]]) -> itertools.chain[Any]:
    """The first of each, then the second of each, and so on."""
    places = itertools.zip_longest(*lists)
    return itertools.chain.from_iterable([one for one in place if one is not None] for place in places)

"""In which order a judge meets the samples, and which of the two texts stands first.

Invariant: both depend on the store's seed, the judge and the sample alone, so that a reload, a restart and another
process show the same, and no judge's order tells anything of another's.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from trifacet.base.draws import generator

Side = Literal["A", "B"]
Choice = Literal["first", "second", "tie", "skip"]
ReviewOutcome = Literal["win", "tie", "lose"]


@lru_cache(maxsize=64)
def judges_order(seed: str, judge: str, count: int) -> tuple[int, ...]:
    """The samples' numbers (0-based, as in the data) in the order in which ``judge`` meets them."""
    return tuple(generator("review order", seed, judge).permutation(count).tolist())


def first_side(seed: str, judge: str, sample: str) -> Side:
    """Whose text ``judge`` sees as text 1 of ``sample``."""
    return "B" if generator("review side", seed, judge, sample).integers(2) else "A"


def outcome(first: Side, choice: Choice) -> ReviewOutcome | None:
    """What a vote says of A, given whose text stood first; None for a skipped sample."""
    match choice:
        case "skip":
            return None
        case "tie":
            return "tie"
        case _:
            return "win" if (choice == "first") == (first == "A") else "lose"

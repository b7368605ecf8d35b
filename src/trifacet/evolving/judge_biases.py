"""What a judge goes by that it should not: the place of a text, its length.

Invariant: every judgement of the round counts once; what could not be read is told and counts for nothing else.

``JudgeBiases.document`` (``measured.Number``; shares, not per cent):
    first: of the read answers for one side those for the text that was shown first; .5 without a bias
    consistent: of the comparisons whose both orders were read those in which both say the same
    unread: answers that could not be read
    longer: of the comparisons of texts of different lengths that one side wins those that the longer one does
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trifacet.base.journal import Journal
from trifacet.evolving.measured import SHARE, Number, Numbers, missing
from trifacet.evolving.parts import Part
from trifacet.evolving.records import Answer
from trifacet.llm.judging import Judgement

NAMES = ("first", "consistent", "unread", "longer")


class JudgeBiases:
    """The numbers of a round; ``add`` takes its parts in any order."""

    def __init__(self) -> None:
        self._numbers = Numbers()

    def add(self, answers: Sequence[Answer], part: Part) -> None:
        """Take up the judgements of a part, which are about these answers."""
        lengths = {(one.sample, one.answer): len(one.text) for one in answers}
        file = part.file("judgements")
        for row in Journal(file).rows if file.exists() else ():
            forth, back = row["choices"]
            self._count(
                row["sample"],
                Judgement((forth, back)),
                lengths[row["sample"], row["first"]] - lengths[row["sample"], row["second"]],
            )

    def _count(self, unit: str, one: Judgement, longer: int) -> None:
        add = self._numbers.add
        for choice in one.choices:
            add(SHARE, ("unread",), unit, choice is None, 1)
            if choice in ("A", "B"):
                add(SHARE, ("first",), unit, choice == "A", 1)
        if None not in one.choices:
            add(SHARE, ("consistent",), unit, one.consistent, 1)
        if one.outcome in ("win", "lose") and longer:
            add(SHARE, ("longer",), unit, (one.outcome == "win") == (longer > 0), 1)

    def document(self) -> dict[str, Number]:
        """The document that this module describes."""
        told: dict[Any, Number] = self._numbers.told()
        return {name: told.get((name,)) or missing() for name in NAMES}

"""Where a run's files lie on the disk.

    OUTPUT/evolve.json                     which run this is; gate.json, books.sqlite, report.html ... beside it
    OUTPUT/round-1/answers/00000.jsonl     one file per step and part, rows of ``records`` (``base.journal``)
    OUTPUT/round-1/pictures/...            spoilt pictures that are shown, named by content
    OUTPUT/round-1/round.json              what the round was made with and what came of it

Invariant: what a part holds depends on the recipe, the round, the samples of the part and the models; never on the
other parts, on who works on it, or on how often it was interrupted.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MARK, RECIPE, BOOKS = "evolve.json", "recipe.yaml", "books.sqlite"
REPORT, GATE, PAIRS = "report.html", "gate.json", "preference.jsonl"
ALIGNED, HELD_OUT = "aligned", "held-out"
OUTCOME = f"{HELD_OUT}/{ALIGNED}.json"  # what the alignment at the end came to on held-out samples


@dataclass(frozen=True)
class Part:
    """A part of a round.

    Attributes:
        folder: the round's.
        number: the part's, from 0.
        round: the round's, from 1.
    """

    folder: Path
    number: int
    round: int

    def file(self, step: str) -> Path:
        """The file of a step ("answers", "feedback", "verdicts" ...)."""
        return self.folder / step / f"{self.number:05d}.jsonl"

    @property
    def pictures(self) -> Path:
        """The folder of spoilt pictures, shared by the parts of the round."""
        return self.folder / "pictures"

"""The measures of rounds of ``trifacet evolve``, by their names.

    evolved/pairs[/round-N]          how many pairs, of all rounds or of one
    evolved/right                    test samples that the measured model answers rightly
    evolved/OTHER[/round-N]          of the answers and the pairs of a round (NAMES); without a round of round 1

Invariant: a mistyped name is told before hours go into runs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

EVOLVED = "evolved/"
RIGHT, PAIRS = "right", "pairs"
NAMES = {
    PAIRS: "pairs",
    "true-pairs": "of the pairs those whose chosen answer is right and whose rejected one is wrong",
    "false-pairs": "of the pairs those the other way round",
    "answers-right": "of the answers those that are right",
    "accepted": "of the answers that were judged those that the verifier accepts",
    "precision": "of the accepted answers those that are right",
    "recall": "of the right answers those that are accepted",
    "false-accepts": "of the wrong answers those that are accepted",
    "mended": "of the revisions of wrong answers those that are right",
    "spoilt": "of the revisions of right answers those that are wrong",
}
EVOLVED_NAME = re.compile(rf"{EVOLVED}({RIGHT}|(?:{'|'.join(NAMES)})(?:/round-([1-9][0-9]?))?)")


def refuse_unknown(measures: Sequence[str]) -> None:
    """Raise ValueError for a measure of rounds that there is not."""
    for name in measures:
        if name.startswith(EVOLVED) and not EVOLVED_NAME.fullmatch(name):
            known = ", ".join(f"{EVOLVED}{one}" for one in (RIGHT, *NAMES))
            raise ValueError(f"measures: no {name!r}; there are {known}, all but the first also with /round-N")

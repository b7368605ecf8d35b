"""Alt-texts that quote words which do not stand in their picture: the rows leave the build, or the claim is noted.

Invariant: a row is dropped only for words that a reader who could read all letters of its pictures did not find there.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trifacet.building.lettered import READ_FACT, any_holds, letterings_of
from trifacet.building.rows import RowBatch
from trifacet.building.step import MapStep, Tools
from trifacet.lettering.claims import claimed
from trifacet.settings.section import Section

CLAIMED = "words claimed that the picture does not hold"


class Parameters(Section):
    """What becomes of such a row."""

    do: Literal["drop", "note"] = Field("drop", description="rows whose alt-text claims words that are not there")


def apply(batch: RowBatch, parameters: Parameters, tools: Tools) -> None:
    """Hold what the alt-text says stands in the picture against what was read there."""
    for post in batch.posts():
        claims = claimed(post["alt"])
        if not claims:
            continue
        found = letterings_of(post)
        wrong = [claim.text for claim in claims if not any_holds(found, claim.text)]
        if not wrong:
            post.note("words claimed that the picture holds", claims=[claim.text for claim in claims])
        elif not found or any(one.unreadable for one in found):
            post.note("words claimed, and letters that cannot be read", field="alt", before=post["alt"], claims=wrong)
        else:
            tell = post.drop if parameters.do == "drop" else post.note
            tell(CLAIMED, field="alt", before=post["alt"], claims=wrong)


STEP = MapStep("lettering-claims", Parameters, apply, needs=lambda parameters: frozenset({READ_FACT}))

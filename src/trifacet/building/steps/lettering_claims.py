"""Alt-texts that quote words which do not stand in their picture: the rows leave the build, or the claim is noted.

Invariant: a row is dropped only for words that the reader found in none of its pictures, and never where there are
letters that it cannot read and that might be these words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from trifacet.building.lettered import READ_FACT, letterings_of
from trifacet.building.rows import RowBatch
from trifacet.building.step import MapStep, Tools
from trifacet.lettering.claims import Checked, checked
from trifacet.lettering.lines import Lettering
from trifacet.settings.section import Section

NOT_THERE = "words claimed that the picture does not hold"
THERE = "words claimed stand in the picture"


class Parameters(Section):
    """What becomes of rows whose alt-text claims words that are not there."""

    do: Literal["drop", "note"] = Field("drop", description='claims said in words: "a sign that reads", "titled"')
    quoted: Literal["drop", "note"] = Field(
        "note", description="words in quotation marks or capitals alone, which may be meant otherwise"
    )


def apply(batch: RowBatch, parameters: Parameters, tools: Tools) -> None:
    """Hold what the alt-text says stands in the picture against what was read there."""
    for post in batch.posts():
        found = letterings_of(post)
        claims = claims_held(found, post["alt"], post["context"])
        if claims is None:
            continue
        wrong = [one for one in claims if one.missing]
        told = {"field": "alt", "before": post["alt"], "claims": [one.claim.text for one in wrong]}
        told["missing"] = [word for one in wrong for word in one.missing]
        if any(parameters.do == "drop" if one.claim.led else parameters.quoted == "drop" for one in wrong):
            post.drop(NOT_THERE, **told)
        elif wrong:
            post.note(NOT_THERE, **told)
        elif claims:
            post.note(THERE, claims=[one.claim.text for one in claims])


def claims_held(found: Sequence[Lettering], alt: str, post: str) -> list[Checked] | None:
    """The claims of an alt-text, each with the words that stand in none of the pictures; None where that cannot be
    told, since nothing was read or a picture's letters cannot be.
    """
    if not found or any(one.status == "cannot read" for one in found):
        return None
    each = [checked(one, alt, post) for one in found]
    return [min(same, key=lambda one: len(one.missing)) for same in zip(*each, strict=True)]


STEP = MapStep("lettering-claims", Parameters, apply, needs=lambda parameters: frozenset({READ_FACT}))

"""The recipe's section ``regions``: which words matter, who finds them in the picture, and what counts as found."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trifacet.settings.section import Section


class GivenSettings(Section):
    """The regions are in the data; no model."""

    name: Literal["given"] = Field("given", description="boxes and masks of the data: extra.regions, or annotations")
    annotations: str | None = Field(
        None, description="a file of COCO annotations, relative to data.root (null: each row's extra.regions only)"
    )


class Regions(Section):
    """Where the words of the chosen response are in the picture; needed by strategies that change these regions."""

    locator: GivenSettings | None = Field(None, description="who finds the words in the picture (null: given)")
    union: Literal["all", "best"] = Field(
        "all", description="all: every region of a word counts; best: of each word the one with the highest score"
    )
    largest: float = Field(
        1.0,
        gt=0,
        le=1,
        description="a union of this share of the picture or more counts as the whole picture, which has global noise",
    )
    file: str | None = Field(
        None,
        description="folder that 'trifacet regions' wrote: use these regions instead of locating in the run; what the "
        "section says of words and locator has to be what they were located by",
    )

"""The recipe's section ``regions``: which words matter, who finds them in the picture, and what counts as found."""

from __future__ import annotations

from pydantic import Field

from trifacet.settings.section import Section


class Regions(Section):
    """Where the words of the chosen response are in the picture; needed by strategies that change these regions."""

    annotations: str | None = Field(
        None, description="locator given: a file of COCO annotations, relative to data.root (null: extra.regions only)"
    )
    largest: float = Field(
        1.0,
        gt=0,
        le=1,
        description="a union of this share of the picture or more counts as the whole picture, which has global noise",
    )
    file: str | None = Field(
        None,
        description="folder that 'trifacet regions' wrote: use its regions instead of locating in the run",
    )

"""The recipe's section ``regions``: which words matter, who finds them in the picture, and what counts as found."""

from __future__ import annotations

from pydantic import Field, model_validator

from trifacet.regions.keywords.settings import KeyWords
from trifacet.regions.locators.settings import LocatorSettings
from trifacet.settings.section import Section


class Regions(Section):
    """Where the words of the chosen response are in the picture; needed by strategies that change these regions."""

    words: KeyWords | None = Field(
        None,
        description="key words of the response (null: with locator given those by which the data name their regions, "
        "else as this section's own defaults say)",
    )
    locator: LocatorSettings = LocatorSettings()
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

    @model_validator(mode="after")
    def _of_given(self) -> Regions:
        if self.annotations is not None and self.locator.name != "given":
            raise ValueError("annotations are read by locator given; leave them out, or set locator: {name: given}")
        return self

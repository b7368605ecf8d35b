"""The recipe's section ``regions``: which words matter, who finds them in the picture, and what counts as found."""

from __future__ import annotations

from pydantic import Field

from trifacet.regions.keywords.settings import KeyWords
from trifacet.regions.locators.settings import LocatorSettings
from trifacet.settings.section import Section


class Regions(Section):
    """Where the words of the chosen response are in the picture; needed by strategies that change these regions."""

    words: KeyWords | None = Field(
        None,
        description="which words are looked for (null: with given all that the data name, with words all that stand in "
        "the picture, with lowest-similarity none, else by the defaults)",
    )
    locator: LocatorSettings | None = Field(None, description="what finds the words in the picture (null: given)")
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
        description="folder that 'trifacet regions' wrote: use its regions instead of locating in the run; what "
        "words and locator say has to be what it was located by",
    )

    @property
    def stated(self) -> tuple[str, ...]:
        """The keys that say by what regions are located."""
        return tuple(name for name in ("words", "locator") if getattr(self, name) is not None)

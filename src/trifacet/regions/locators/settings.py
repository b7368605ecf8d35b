"""The recipe section of a locator: which one, its model, thresholds, and what of the found is kept.

Invariant: read without torch; a value that is left out (null) is the locator's own, from one table.
"""

from __future__ import annotations

import difflib
from typing import Any, Literal, NamedTuple

from pydantic import Field, field_validator, model_validator

from trifacet.lettering.settings import Reading
from trifacet.settings.section import Section, Unit

MOST = 64  # regions of one word: a threshold of 0 gives hundreds of boxes


class Values(NamedTuple):
    """What decides on what is found, each from 0 to 1."""

    threshold: float
    text_threshold: float
    mask_threshold: float
    share: float


class Defaults(NamedTuple):
    """What a locator takes where the recipe says nothing, and what it is."""

    what: str
    threshold: float = 0.0
    text_threshold: float = 0.0
    mask_threshold: float = 0.5
    share: float = 0.0
    boxes: bool = False  # it finds boxes, which ``masks_by`` may refine


LOCATORS = {
    "given": Defaults("boxes or masks that come with the data"),
    "grounding-dino": Defaults("Grounding DINO: boxes of all words at once", 0.35, 0.25, boxes=True),
    "owlv2": Defaults("OWLv2: boxes, each word by itself", 0.1, boxes=True),
    "clipseg": Defaults("CLIPSeg: one mask per word", 0.5, mask_threshold=0.5),
    "sam3": Defaults("SAM 3 (also with its Lite text encoder): masks of every instance", 0.3, mask_threshold=0.5),
    "lowest-similarity": Defaults("the random mask that lowers the CLIP similarity most", share=0.09),
    "words": Defaults("the words of the response that stand in the picture, where they stand", 0.5),
    "attention": Defaults("where the policy itself looks, by attention or gradient", share=0.2),
}


class LocatorSettings(Section):
    """What finds the key words in the picture."""

    name: str = Field("given", description=f"one of {', '.join(LOCATORS)}")
    model: str | None = Field(
        None, description="folder or hub id of the locator's checkpoint (attention: of the policy; null: the run's own)"
    )
    masks_by: str | None = Field(
        None, description="folder or hub id of a SAM that turns boxes into masks (null: a box is its own mask)"
    )
    threshold: Unit | None = Field(None, description="least score of what counts as found (null: the locator's own)")
    text_threshold: Unit | None = Field(
        None, description="grounding-dino: least score of a word's own tokens (null: the locator's own)"
    )
    mask_threshold: Unit | None = Field(
        None, description="least probability of a pixel that is inside a mask (null: the locator's own)"
    )
    keep: Literal["all", "best", "top"] = Field(
        "all", description="what of a word's regions goes into the union: all, the best one, or the top best"
    )
    top: int = Field(3, ge=1, le=64, description="how many of a word's regions with keep: top")
    phrase: str = Field("{word}", max_length=200, description="what the locator is asked for; {word} is the key word")
    by: Literal["attention", "gradient"] = Field(
        "attention", description="attention: attention to the image, or the gradient of the word's log-prob by it"
    )
    draws: int = Field(30, ge=1, le=10_000, description="lowest-similarity: how many random masks are tried")
    share: Unit | None = Field(
        None, description="lowest-similarity and attention: share of the picture inside (null: the locator's own)"
    )
    margin: float = Field(
        0.1, ge=0, le=1, description="words: margin around words, of their height, so that no rest of a letter stays"
    )
    reading: Reading = Field(Reading(), description="words: how the pictures are read")
    device: str = Field("auto", description="where the locator computes: auto, cpu, cuda ...")
    dtype: Literal["float32", "bfloat16", "float16"] = Field("float32", description="type of the locator's weights")

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in LOCATORS:
            near = difflib.get_close_matches(name, LOCATORS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it is one of {', '.join(LOCATORS)}"
            raise ValueError(f"unknown locator {name!r}; {hint}")
        return name

    @field_validator("phrase")
    @classmethod
    def _with_word(cls, phrase: str) -> str:
        if "{word}" not in phrase:
            raise ValueError("the phrase holds {word}, where the key word goes")
        return phrase

    @model_validator(mode="after")
    def _boxes_only(self) -> LocatorSettings:
        if self.masks_by is not None and not LOCATORS[self.name].boxes:
            takers = " and ".join(name for name, own in LOCATORS.items() if own.boxes)
            raise ValueError(f"masks_by is for locators that find boxes ({takers}); {self.name} gives no boxes to SAM")
        return self

    def without_younger(self) -> dict[str, Any]:
        """The settings as JSON, without those that say nothing and that there were none of in the first runs."""
        values = self.model_dump(mode="json")
        for key in ("margin", "reading"):
            if getattr(self, key) == LocatorSettings.model_fields[key].default:
                del values[key]
        return values

    @property
    def values(self) -> Values:
        """Thresholds and share: those given, else the locator's own."""
        own = LOCATORS[self.name]
        return Values(
            *(getattr(own, name) if getattr(self, name) is None else getattr(self, name) for name in Values._fields)
        )


def kept_count(settings: LocatorSettings) -> int:
    """How many regions of a word are kept at most."""
    return {"all": MOST, "best": 1, "top": settings.top}[settings.keep]

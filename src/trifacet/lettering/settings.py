"""The settings of reading: which engine, which languages, how large a picture it is shown."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trifacet.settings.section import Section, Unit

COLUMN = "lettering"  # of ``extra``: what was read before, or what the user knows


class Reading(Section):
    """How the words in pictures are read."""

    engine: Literal["rapidocr", "tesseract", "given"] = Field(
        "rapidocr",
        description="rapidocr: Latin and Chinese letters, its models come with the package; tesseract: languages whose "
        "data are installed; given: the rows' own extra.lettering",
    )
    languages: tuple[str, ...] = Field(
        ("eng",),
        description="tesseract's codes of the languages that may occur; rapidocr refuses those of other letters",
    )
    longest_side: int = Field(
        2000, ge=64, le=10_000, description="larger pictures are reduced to this many pixels on their longer side"
    )
    least_confidence: Unit = Field(0.5, description="lines below it count as letters that cannot be read")

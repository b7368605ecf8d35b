"""Alt-text that is too short, or missing, leaves the build: MCM-DPO keeps what has at least five words."""

from __future__ import annotations

from pydantic import Field

from trifacet.building.rows import RowBatch
from trifacet.building.step import MapStep, Tools
from trifacet.settings.section import Section


class Parameters(Section):
    """How long is long enough."""

    min_words: int = Field(5, ge=1, le=10_000, description="fewest words, split at spaces")


def apply(batch: RowBatch, parameters: Parameters, tools: Tools) -> None:
    """Drop rows whose alt-text has fewer words; none at all is a reason of its own."""
    for place, alt in enumerate(batch.column("alt")):
        words = len(alt.split())
        if not words:
            batch.drop(place, "no alt-text")
        elif words < parameters.min_words:
            batch.drop(place, "alt-text too short", field="alt", before=alt, words=words)


STEP = MapStep("alt-length", Parameters, apply)

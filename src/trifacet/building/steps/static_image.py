"""Posts whose picture moves leave the build: an alt-text describes what a model would not see in one frame.

Invariant: what stays shows stills only. A JPEG with further pictures in it (MPO, as cameras write) is a still.
"""

from __future__ import annotations

from trifacet.base.images import image_facts
from trifacet.building.rows import RowBatch
from trifacet.building.step import MapStep, Tools
from trifacet.settings.section import Section


class Parameters(Section):
    """Nothing to choose."""


def apply(batch: RowBatch, parameters: Parameters, tools: Tools) -> None:
    """Drop rows with an animated GIF, WebP or PNG, or with a TIFF of several pages, be it a further image."""
    columns = (batch.column(name) for name in ("format", "frames", "more_files"))
    for place, (format, frames, more) in enumerate(zip(*columns, strict=True)):
        told = [(format, frames or 1)]
        for file in more or ():
            facts = image_facts(tools.path(file), max_pixels=tools.max_pixels)
            told.append((facts.format, facts.frames))
        moving = next(((name, count) for name, count in told if count > 1 and name != "MPO"), None)
        if moving:
            reason = "several pages" if moving[0] == "TIFF" else "animated image"
            batch.drop(place, reason, format=moving[0])


STEP = MapStep("static-image", Parameters, apply, needs=lambda parameters: frozenset({"files"}))

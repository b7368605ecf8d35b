"""The pictures that suggestions are about, as a browser gets them: decoded and encoded anew, drawings too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from trifacet.base.images import resolve_inside
from trifacet.describing.queue import Suggestion
from trifacet.describing.rasters import Rasters
from trifacet.review.pictures import Pictures


class PlacePictures(Pictures):
    """Pictures by their suggestions' ids.

    Args:
        rasters: what finds them.
        suggestion: gives one by its id.
    """

    def __init__(self, rasters: Rasters, suggestion: Callable[[str], Suggestion]) -> None:
        super().__init__(rasters.root)
        self._rasters, self._suggestion = rasters, suggestion

    def _source(self, name: str) -> Path | bytes:
        one = self._suggestion(name).proposal
        seen = self._rasters.seen(one.place.picture, resolve_inside(self.root, one.document))
        return resolve_inside(self.root, self._rasters.name(seen))

"""What locators share that give masks themselves. Invariant: an empty mask is no region."""

from __future__ import annotations

from collections.abc import Iterable

from trifacet.preferences.rejected.masks import Corners, Mask
from trifacet.regions.looking import Region


def best_regions(word: str, found: Iterable[tuple[float, Mask, Corners | None]], count: int) -> list[Region]:
    """The ``count`` best regions of a word, the best first, without those that hold no pixel."""
    regions = [Region(word, mask, score, box) for score, mask, box in found if mask.any()]
    return sorted(regions, key=lambda region: -region.score)[:count]

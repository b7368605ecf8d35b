"""From a locator's boxes to regions: cut to the picture, the best first, as masks by themselves or by SAM.

Invariant: a box that leaves here has an area and lies in the picture; a mask has the picture's size.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from PIL import Image

from trifacet.preferences.rejected.masks import Corners, box_mask
from trifacet.regions.locators.checkpoints import Checkpoint, identity
from trifacet.regions.locators.sam import Sam
from trifacet.regions.locators.settings import LocatorSettings, kept_count
from trifacet.regions.looking import Look, Region


class Box(NamedTuple):
    """What a detector found: how sure it is (0 to 1), and where, in pixels of the picture."""

    score: float
    corners: Corners


def asked_words(look: Look, settings: LocatorSettings) -> dict[str, str]:
    """Each key word once, in order, and the phrase that is asked for it."""
    return {word.text: settings.phrase.replace("{word}", word.text) for word in look.words}


def cut(corners: Sequence[float], size: tuple[int, int]) -> Corners | None:
    """The part of a box that lies in a picture of ``size`` (width, height); None where there is none."""
    width, height = size
    left, right = (min(max(float(corners[place]), 0.0), width) for place in (0, 2))
    upper, lower = (min(max(float(corners[place]), 0.0), height) for place in (1, 3))
    return (left, upper, right, lower) if left < right and upper < lower else None


def best_boxes(boxes: Sequence[Box], size: tuple[int, int], count: int) -> list[Box]:
    """The ``count`` best boxes of those that lie in the picture, cut to it; equal scores in the given order."""
    inside = [Box(box.score, corners) for box in boxes if (corners := cut(box.corners, size))]
    return sorted(inside, key=lambda box: -box.score)[:count]


class BoxLocator(ABC):
    """A locator whose model gives boxes; SAM, if the settings name one, makes masks of them."""

    name: str
    definition = 1  # changes when the same weights and settings give other regions
    checkpoint: Checkpoint

    def __init__(self, settings: LocatorSettings) -> None:
        self.settings = settings
        self.sam = Sam(settings.masks_by, settings) if settings.masks_by else None

    @abstractmethod
    def boxes(self, picture: Image.Image, phrases: Sequence[str]) -> list[list[Box]]:
        """For each phrase the boxes above the thresholds; they may reach beyond the picture."""

    def fingerprint(self) -> dict[str, Any]:
        """Weights and processors, thresholds, what is kept, and SAM's."""
        settings = self.settings
        return {
            **identity(self.name, self.definition, self.settings),
            "phrase": settings.phrase,
            "kept": kept_count(settings),
            **self.thresholds(),
            **self.checkpoint.fingerprint(),
            "masks_by": self.sam.fingerprint() if self.sam else None,
        }

    def thresholds(self) -> dict[str, float]:
        """The thresholds that this locator reads."""
        return {"threshold": self.settings.values.threshold}

    @torch.inference_mode()
    def locate(self, look: Look) -> list[Region]:
        """The regions of all words; their picture is encoded once, and once more by SAM if it is asked."""
        asked = asked_words(look, self.settings)
        if not asked:
            return []
        picture, count = look.picture.convert("RGB"), kept_count(self.settings)
        found = [
            (word, box)
            for word, boxes in zip(asked, self.boxes(picture, list(asked.values())), strict=True)
            for box in best_boxes(boxes, picture.size, count)
        ]
        plain = [box_mask(picture.size, box.corners) for _, box in found]
        masks = self.sam.masks(picture, [box.corners for _, box in found]) if self.sam and found else plain
        return [
            Region(word, mask if mask.any() else itself, box.score, box.corners)  # SAM may see nothing in a box
            for (word, box), mask, itself in zip(found, masks, plain, strict=True)
        ]

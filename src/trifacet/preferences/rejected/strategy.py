"""What a strategy for rejected images is: what it sees of a sample, where its randomness comes from, what it gives.

Invariant: a rejected image is a function of what the strategy sees and of its draw (seed, sample id, version, epoch),
so that policy and reference see the same one, and it has the chosen one's size and number of image tokens. ``epoch``
stays 0 unless rejected versions are drawn anew in each epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from PIL import Image

from trifacet.base.draws import generator
from trifacet.base.errors import DataError
from trifacet.preferences.rejected.masks import Lettered, Mask
from trifacet.preferences.rejected.pictures import Colour
from trifacet.preferences.rejected.pixels import abar

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Draw:
    """What randomness hangs on; ``version`` says which of the sample's rejected images, from 1."""

    seed: int
    sample_id: str
    version: int = 1
    epoch: int = 0

    def generator(self, strategy: str) -> np.random.Generator:
        """The random numbers of a strategy."""
        return generator(self.seed, self.sample_id, strategy, self.version, self.epoch)


@dataclass(frozen=True)
class Seen:
    """What a strategy sees of a sample.

    Args:
        picture: the chosen image, RGB.
        response: the chosen response.
        draw: what randomness hangs on.
        as_frames: a picture of the chosen one's size as the vision encoder reads it: normalised pixels
            (..., 3, height, width).
        mean: the processor's mean per channel, for channels in 0..1.
        std: the processor's standard deviation per channel.
        donor: opens another sample's image (RGB).
        mask: the pixels of the picture that show what the response speaks of; None where nothing was located.
        versions: how many rejected images the sample gets; ``draw.version`` is one of them.
        lettering: the words that stand in the picture within the mask, and where, for those who look at them.

    Raises:
        DataError: the mask is that of a picture of another size.
    """

    picture: Image.Image
    response: str
    draw: Draw
    as_frames: Callable[[Image.Image], Tensor]
    mean: Sequence[float]
    std: Sequence[float]
    donor: Callable[[], Image.Image]
    mask: Mask | None = None
    versions: int = 1
    lettering: tuple[Lettered, ...] = ()

    def __post_init__(self) -> None:
        if self.mask is not None and self.mask.shape != self.picture.size[::-1]:
            raise other_size(self.mask, self.picture.size)

    def frames(self) -> Tensor:
        """The chosen image as the vision encoder reads it: normalised pixels (..., 3, height, width)."""
        return self.as_frames(self.picture)

    @property
    def located(self) -> Mask | None:
        """The mask; None where it is empty too."""
        return self.mask if self.mask is not None and self.mask.any() else None

    @property
    def padding(self) -> Colour:
        """The colour with which LLaVA's processor pads a picture to a square."""
        red, green, blue = (int(channel * 255) for channel in self.mean)
        return red, green, blue


def other_size(mask: Mask, size: tuple[int, int]) -> DataError:
    """What is wrong with a mask that is not of a picture of ``size`` (width, height)."""
    return DataError(
        f"its regions are of a picture of {mask.shape[1]} x {mask.shape[0]} pixels, and its image has "
        f"{size[0]} x {size[1]}",
        fix="locate them anew, or give the picture that they are of",
    )


def no_lettering() -> DataError:
    """What is wrong with regions of which nobody says what stands there."""
    return DataError(
        "its regions are of no lettering, whose words could be replaced",
        fix="locate them with regions.locator.name: words (docs/locators.md), or take another strategy",
    )


class ImageStrategy:
    """A way to make a rejected image; ``t`` is the number of noise steps, for those that add noise.

    One of your own derives from this: it has a ``name`` of its own and ``reject``, and a new ``definition`` whenever it
    gives other images for the same draw, since cached log-probs are then stale.
    """

    name: ClassVar[str]
    definition: ClassVar[int] = 1
    default_t: ClassVar[int] = 700
    needs_donor: ClassVar[bool] = False  # the image is another sample's; within a batch it is shown as it is there
    sees_response: ClassVar[bool] = False  # the image is another one for another response
    sees_regions: ClassVar[bool] = False  # the image is another one for another ``Seen.mask``
    needs_regions: ClassVar[bool] = False  # and of no use where nobody has looked for regions
    needs_lettering: ClassVar[bool] = False  # and these have to be of lettering: ``Seen.lettering``

    def __init__(self, t: int | None = None) -> None:
        self.t = self.default_t if t is None else t
        abar(self.t)  # raises for a step that does not exist

    def describe(self) -> str:
        """For tables and captions."""
        return self.name

    def fingerprint(self) -> dict[str, str | int | float]:
        """What the images depend on besides what is seen and drawn."""
        return {"strategy": self.name, "definition": self.definition}

    def reject(self, seen: Seen) -> Image.Image | Tensor:
        """The rejected image: an RGB picture of the chosen one's size, or frames of the shape of ``seen.frames()``."""
        raise NotImplementedError

"""Rejected images: a strategy is an object that sees a sample and makes its rejected image.

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
from trifacet.base.errors import TrifacetError
from trifacet.base.extensions import load_extension
from trifacet.preferences.rejected.pictures import Box, Colour, crop, replace, rotate, small_crop
from trifacet.preferences.rejected.pixels import abar, blacken, diffuse, to_picture

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
        frames: the chosen image as the vision encoder reads it: normalised pixels (..., 3, height, width).
        mean: the processor's mean per channel, for channels in 0..1.
        std: the processor's standard deviation per channel.
        donor: opens another sample's image (RGB).
        regions: parts of the picture that the response speaks of, in its pixels; empty where nobody has located any.
    """

    picture: Image.Image
    response: str
    draw: Draw
    frames: Callable[[], Tensor]
    mean: Sequence[float]
    std: Sequence[float]
    donor: Callable[[], Image.Image]
    regions: Sequence[Box] = ()

    @property
    def padding(self) -> Colour:
        """The colour with which LLaVA's processor pads a picture to a square."""
        red, green, blue = (int(channel * 255) for channel in self.mean)
        return red, green, blue


class ImageStrategy:
    """A way to make a rejected image; ``t`` is the number of noise steps, for those that add noise.

    One of your own derives from this: it has a ``name`` of its own and ``reject``, and a new ``definition`` whenever it
    gives other images for the same draw, since cached log-probs are then stale.
    """

    name: ClassVar[str]
    definition: ClassVar[int] = 1
    needs_donor: ClassVar[bool] = False  # the image is another sample's; within a batch it is shown as it is there
    sees_response: ClassVar[bool] = False  # the image is another one for another response

    def __init__(self, t: int = 700) -> None:
        abar(t)  # raises for a step that does not exist
        self.t = t

    def describe(self) -> str:
        """For tables and captions."""
        return self.name

    def fingerprint(self) -> dict[str, str | int]:
        """What the images depend on besides what is seen and drawn."""
        return {"strategy": self.name, "definition": self.definition}

    def reject(self, seen: Seen) -> Image.Image | Tensor:
        """The rejected image: an RGB picture of the chosen one's size, or frames of the shape of ``seen.frames()``."""
        raise NotImplementedError


class Diffusion(ImageStrategy):
    """Noise on the encoder's pixels."""

    name = "diffusion"

    def describe(self) -> str:
        """With the number of steps."""
        return f"{self.name} (t = {self.t})"

    def fingerprint(self) -> dict[str, str | int]:
        """With the number of steps."""
        return {"strategy": self.name, "t": self.t, "definition": self.definition}

    def reject(self, seen: Seen) -> Tensor:
        """See ``diffuse``."""
        return diffuse(seen.frames(), self.t, seen.draw.generator(self.name))


class Blackness(ImageStrategy):
    """RGB zero on the encoder's pixels."""

    name = "blackness"

    def reject(self, seen: Seen) -> Tensor:
        """See ``blacken``."""
        return blacken(seen.frames(), seen.mean, seen.std)


class Crop(ImageStrategy):
    """A random window, enlarged."""

    name = "crop"

    def reject(self, seen: Seen) -> Image.Image:
        """See ``crop``."""
        return crop(seen.picture, seen.draw.generator(self.name), seen.padding)


class Rotation(ImageStrategy):
    """The picture turned."""

    name = "rotation"

    def reject(self, seen: Seen) -> Image.Image:
        """See ``rotate``."""
        return rotate(seen.picture, seen.draw.generator(self.name), seen.padding)


class Randomness(ImageStrategy):
    """Another sample's image."""

    name, needs_donor = "randomness", True

    def reject(self, seen: Seen) -> Image.Image:
        """See ``replace``."""
        return replace(seen.picture, seen.donor())


class SmallCrop(ImageStrategy):
    """mDPO's window of at most a fifth of the area."""

    name = "small-crop"

    def reject(self, seen: Seen) -> Image.Image:
        """See ``small_crop``."""
        return small_crop(seen.picture, seen.draw.generator(self.name))


STRATEGIES: dict[str, type[ImageStrategy]] = {
    one.name: one for one in (Diffusion, Blackness, Crop, Rotation, Randomness, SmallCrop)
}


def image_strategy(name: str, t: int = 700) -> ImageStrategy:
    """The strategy called ``name``: one of ``STRATEGIES``, or a class of your own (``package.module:Name``).

    Raises:
        TrifacetError: there is none, it is no strategy, or the step ``t`` does not exist.
    """
    if (known := STRATEGIES.get(name)) is not None:
        return known(t)
    try:
        found = load_extension(name, "strategy")
    except TrifacetError as error:
        if ":" in name:
            raise
        raise TrifacetError(f"{error}; known are {', '.join(STRATEGIES)}") from None
    if not (isinstance(found, type) and issubclass(found, ImageStrategy) and hasattr(found, "name")):
        raise TrifacetError(f"strategy {name!r} is no class with a name that derives from ImageStrategy")
    if found.name in STRATEGIES:
        raise TrifacetError(f"strategy {name!r}: its name {found.name!r} is taken; give it its own")
    return found(t)


def rejected_image(strategy: ImageStrategy, seen: Seen) -> Image.Image | Tensor:
    """What ``strategy`` makes of a sample, held to the invariant. Raises TrifacetError where it breaks it."""
    made = strategy.reject(seen)
    if isinstance(made, Image.Image):
        kept, expected = made.mode == "RGB" and made.size == seen.picture.size, f"RGB, {seen.picture.size}"
        given = f"{made.mode}, {made.size}"
    else:
        frames = seen.frames()
        kept, expected, given = made.shape == frames.shape, str(tuple(frames.shape)), str(tuple(made.shape))
    if not kept:
        raise TrifacetError(f"strategy {strategy.name!r} made {given} of {expected}; keep size and mode")
    return made


def shown(made: Image.Image | Tensor, seen: Seen) -> Image.Image:
    """A rejected image to look at; of frames what the encoder sees (its size, its padding), clamped to 0..255."""
    return made if isinstance(made, Image.Image) else to_picture(made, seen.mean, seen.std)

"""The strategies that there are for rejected images, and what one makes of a sample.

Invariant: see ``strategy``; ``rejected_image`` holds a strategy to size and mode.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, ClassVar

from PIL import Image

from trifacet.base.errors import TrifacetError
from trifacet.base.extensions import load_extension
from trifacet.preferences.rejected.fills import out_of_focus
from trifacet.preferences.rejected.pictures import between, crop, downscale, replace, rotate, small_crop
from trifacet.preferences.rejected.pixels import blacken, diffuse, to_picture
from trifacet.preferences.rejected.regions import (
    Graded,
    RandomRegion,
    RegionBlack,
    RegionBlur,
    RegionDiffusion,
    RegionInpaint,
    RegionMean,
    RegionOptions,
    RegionStrategy,
)
from trifacet.preferences.rejected.strategy import ImageStrategy, Seen
from trifacet.preferences.rejected.words import RegionWords

if TYPE_CHECKING:
    from torch import Tensor


class Diffusion(ImageStrategy):
    """Noise on the encoder's pixels."""

    name = "diffusion"

    def describe(self) -> str:
        """With the number of steps."""
        return f"{self.name} (t = {self.t})"

    def fingerprint(self) -> dict[str, str | int | float]:
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


class Blur(ImageStrategy):
    """The picture out of focus: Gaussian, its standard deviation drawn, evenly on a logarithmic scale.

    ``t`` counts steps of noise and does not enter.
    """

    name = "blur"
    deviations: ClassVar[tuple[float, float]] = (0.02, 0.1)  # of the shorter side; a pixel at least

    def reject(self, seen: Seen) -> Image.Image:
        """See ``out_of_focus``."""
        share = between(self.deviations, seen.draw.generator(self.name))
        return out_of_focus(seen.picture, max(share * min(seen.picture.size), 1.0))


class Downscale(ImageStrategy):
    """The picture at a lower resolution, which is drawn, and enlarged again. ``t`` does not enter."""

    name = "downscale"

    def reject(self, seen: Seen) -> Image.Image:
        """See ``downscale``."""
        return downscale(seen.picture, seen.draw.generator(self.name))


_WHOLE = (Diffusion, Blackness, Crop, Rotation, Randomness, SmallCrop, Blur, Downscale)
_REGIONS = (RegionDiffusion, RegionBlur, RegionMean, RegionBlack, RegionInpaint, RegionWords, RandomRegion, Graded)
STRATEGIES: dict[str, type[ImageStrategy]] = {one.name: one for one in (*_WHOLE, *_REGIONS)}


def image_strategy(name: str, t: int | None = None, regions: RegionOptions | None = None) -> ImageStrategy:
    """The strategy called ``name``: one of ``STRATEGIES``, or a class of your own (``package.module:Name``).

    Args:
        name: its name or place.
        t: noise steps; None for the strategy's own ``default_t``.
        regions: how regions are spoilt, for those that spoil regions.

    Raises:
        TrifacetError: there is none, it is no strategy, or the step ``t`` does not exist.
    """
    found = STRATEGIES.get(name) or _own(name)
    steps = found.default_t if t is None else t
    return found(steps, regions) if issubclass(found, RegionStrategy) else found(steps)


def _own(name: str) -> type[ImageStrategy]:
    """A class of the user's own."""
    try:
        found = load_extension(name, "strategy")
    except TrifacetError as error:
        if ":" in name:
            raise
        if near := difflib.get_close_matches(name, STRATEGIES, n=1):
            raise TrifacetError(f"unknown strategy {name!r}; did you mean {near[0]!r}?") from None
        raise TrifacetError(f"{error}; known are {', '.join(STRATEGIES)}") from None
    if not (isinstance(found, type) and issubclass(found, ImageStrategy) and hasattr(found, "name")):
        raise TrifacetError(f"strategy {name!r} is no class with a name that derives from ImageStrategy")
    if found.name in STRATEGIES:
        raise TrifacetError(f"strategy {name!r}: its name {found.name!r} is taken; give it its own")
    return found


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


def told(strategy: ImageStrategy, version: int, versions: int, *, located: bool) -> str:
    """How a rejected image was made, for its caption; ``located``: something was found in the sample's picture."""
    which = f", version {version} of {versions}" if versions > 1 else ""
    whole = ": nothing located, so all of it" if strategy.needs_regions and not located else ""
    return f"{strategy.describe()}{which}{whole}"

"""Rejected images that differ from the chosen one in a region only: key regions, or others of the same area.

Invariant: outside the region, its soft edge included, every pixel is the chosen one's to the bit: of the picture for
those that work on the picture, of the encoder's frames for noise. Where nothing is located the whole is spoilt alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from trifacet.preferences.rejected.fills import Weights, black, blurred, inpainted, mean_coloured, put_in, softened
from trifacet.preferences.rejected.masks import Mask, box_mask
from trifacet.preferences.rejected.pictures import window
from trifacet.preferences.rejected.pixels import diffuse
from trifacet.preferences.rejected.strategy import Draw, ImageStrategy, Seen

if TYPE_CHECKING:
    from torch import Tensor

NOISE = "diffusion"
_FILLS: dict[str, Callable[[Image.Image, Weights], Image.Image]] = {
    "blur": blurred,
    "mean": mean_coloured,
    "black": black,
    "inpaint": inpainted,
}
Perturbation = Literal["diffusion", "blur", "mean", "black", "inpaint"]


@dataclass(frozen=True)
class RegionOptions:
    """How regions are spoilt.

    Args:
        soft_edge: over which the spoilt part fades into the rest, outside the region: a share of the shorter side.
        share: of the picture that ``random-region`` spoils where nothing is located.
        perturbation: what ``random-region`` and ``graded`` do to a region.
    """

    soft_edge: float = 0.0
    share: float = 0.2
    perturbation: Perturbation = "diffusion"


class RegionStrategy(ImageStrategy):
    """A perturbation of the key regions alone; of the whole picture where nothing is located."""

    default_t = 500
    sees_regions = needs_regions = True
    perturbation: str  # of PERTURBATIONS

    def __init__(self, t: int | None = None, options: RegionOptions | None = None) -> None:
        super().__init__(t)
        self.options = options or RegionOptions()

    def describe(self) -> str:
        """With the number of steps, if there are any."""
        return f"{self.name} (t = {self.t})" if self.perturbation == NOISE else self.name

    def fingerprint(self) -> dict[str, str | int | float]:
        """With all that decides on what is spoilt, and how."""
        steps = {"t": self.t} if self.perturbation == NOISE else {}
        return {**super().fingerprint(), **steps, "soft_edge": self.options.soft_edge}

    def region(self, seen: Seen) -> Mask | None:
        """The pixels of the picture that are spoilt; None for the whole of it, padding included."""
        return seen.located

    def draw(self, seen: Seen) -> Draw:
        """What its randomness hangs on."""
        return seen.draw

    def reject(self, seen: Seen) -> Image.Image | Tensor:
        """The picture with its region filled, or the encoder's frames with noise there."""
        region = self.region(seen)
        if self.perturbation == NOISE:
            return _noisy(seen, region, self.options.soft_edge, self.t, self.draw(seen).generator(NOISE))
        inside = np.ones(seen.picture.size[::-1], np.bool_) if region is None else region
        weights = softened(inside, self.options.soft_edge)
        return put_in(seen.picture, _FILLS[self.perturbation](seen.picture, weights), weights)


class RegionDiffusion(RegionStrategy):
    """Noise on the encoder's pixels; the same noise as that of ``diffusion``."""

    name, perturbation = "region-diffusion", NOISE


class RegionBlur(RegionStrategy):
    """Out of focus; see ``blurred``."""

    name, perturbation = "region-blur", "blur"


class RegionMean(RegionStrategy):
    """The picture's mean colour."""

    name, perturbation = "region-mean", "mean"


class RegionBlack(RegionStrategy):
    """RGB zero."""

    name, perturbation = "region-black", "black"


class RegionInpaint(RegionStrategy):
    """What surrounds the region; see ``inpainted``."""

    name, perturbation = "region-inpaint", "inpaint"


class _Chosen(RegionStrategy):
    """One whose perturbation is an option."""

    def __init__(self, t: int | None = None, options: RegionOptions | None = None) -> None:
        super().__init__(t, options)
        self.perturbation = self.options.perturbation

    def describe(self) -> str:
        """With what it does."""
        steps = f", t = {self.t}" if self.perturbation == NOISE else ""
        return f"{self.name} ({self.perturbation}{steps})"

    def fingerprint(self) -> dict[str, str | int | float]:
        """With what it does."""
        return {**super().fingerprint(), "perturbation": self.perturbation}


class RandomRegion(_Chosen):
    """The control of an ablation: as much of the picture, somewhere.

    It is the located mask moved by a random step, what leaves on one side coming in on the other: of equal area and
    shape, so that the place alone differs. Where nothing is located, a box of a stated share.
    """

    name = "random-region"
    needs_regions = False

    def fingerprint(self) -> dict[str, str | int | float]:
        """With the share."""
        return {**super().fingerprint(), "share": self.options.share}

    def region(self, seen: Seen) -> Mask:
        """See the class."""
        rng, size = self.draw(seen).generator(self.name), seen.picture.size
        if seen.located is not None:
            down, right = (int(rng.integers(length)) for length in seen.located.shape)
            return np.roll(seen.located, (down, right), (0, 1))
        return box_mask(size, window(size, self.options.share, rng))


class Graded(_Chosen):
    """Versions of falling visibility, for terms that average or rank them, as in LPOI (arXiv 2505.21061).

    Of k versions the first has 1/k of the key regions spoilt and the last all of them; what one has spoilt, the next
    ones have too, alike. Which part goes first is drawn: the regions are uncovered along a random direction.
    """

    name = "graded"

    def region(self, seen: Seen) -> Mask | None:
        """See the class."""
        if seen.draw.version >= seen.versions:
            return seen.located
        whole = np.ones(seen.picture.size[::-1], np.bool_) if seen.located is None else seen.located
        angle = self.draw(seen).generator(self.name).uniform(0, 2 * np.pi)
        rows, columns = np.nonzero(whole)
        along = rows * np.sin(angle) + columns * np.cos(angle)
        last = max(round(len(along) * seen.draw.version / seen.versions), 1) - 1
        spoilt = along <= np.partition(along, last)[last]
        part = np.zeros_like(whole)
        part[rows[spoilt], columns[spoilt]] = True
        return part

    def draw(self, seen: Seen) -> Draw:
        """The same for all versions."""
        return replace(seen.draw, version=1)


def _noisy(seen: Seen, region: Mask | None, soft_edge: float, t: int, rng: np.random.Generator) -> Tensor:
    """The encoder's frames with noise in ``region`` (None: everywhere, padding included)."""
    import torch

    frames = seen.frames()
    noisy = diffuse(frames, t, rng)
    if region is None:
        return noisy
    weights = _on_frames(seen, softened(region, soft_edge), hard=soft_edge == 0)
    return torch.where(weights > 0, (1 - weights) * frames + weights * noisy, frames)


def _on_frames(seen: Seen, weights: Weights, *, hard: bool) -> Tensor:
    """Weights of the picture's pixels as those of the encoder's (..., 1, height, width), 0 to 1.

    They go the picture's own way through the processor, whatever it scales, crops, pads and cuts: what is white beside
    what is black. Where a region is smaller than the encoder's pixels, those that show most of it stand for it; where
    none shows any of it, all do.
    """
    size = seen.picture.size
    marked = seen.as_frames(Image.merge("RGB", [Image.fromarray(weights)] * 3))
    unmarked = seen.as_frames(Image.new("RGB", size))
    shares = ((marked - unmarked)[..., :1, :, :] * (seen.std[0] * 255)).round().clamp(0, 255) / 255  # bytes, scaled
    most = float(shares.max())
    return (shares >= min(most, 0.5)).to(shares.dtype) if hard or most < 0.5 else shares

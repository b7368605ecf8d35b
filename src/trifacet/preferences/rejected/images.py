"""Rejected images: one entry for every strategy.

Invariant: a rejected image is a function of (chosen image, strategy, seed, sample id, version, epoch) and nothing
else, so that policy and reference see the same one, and it has the chosen one's size and number of image tokens.
``epoch`` stays 0 unless rejected versions are drawn anew in each epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from PIL import Image

from trifacet.base.draws import generator
from trifacet.base.errors import TrifacetError
from trifacet.preferences.rejected.pictures import Colour, crop, replace, rotate, small_crop
from trifacet.preferences.rejected.pixels import abar, blacken, diffuse, to_picture

StrategyName = Literal["diffusion", "blackness", "crop", "rotation", "randomness", "small-crop"]
STRATEGIES: tuple[str, ...] = get_args(StrategyName)
ENCODER_SPACE = ("diffusion", "blackness")
DEFINITION = 1  # raised when a strategy gives other images for the same key: cached log-probs are then stale


@dataclass(frozen=True)
class ImageStrategy:
    """How a rejected image is made: the strategy's name and, for diffusion, the number ``t`` of noise steps."""

    name: StrategyName = "diffusion"
    t: int = 700

    def __post_init__(self) -> None:
        if self.name not in STRATEGIES:
            raise TrifacetError(f"unknown rejected-image strategy {self.name!r}; known are {', '.join(STRATEGIES)}")
        abar(self.t)  # raises for a step that does not exist

    @property
    def needs_donor(self) -> bool:
        """Whether another sample's image is needed."""
        return self.name == "randomness"

    def describe(self) -> str:
        """For tables and captions: the name, with its parameter where it has one."""
        return f"{self.name} (t = {self.t})" if self.name == "diffusion" else self.name

    def fingerprint(self) -> dict[str, str | int]:
        """What the images depend on besides seed, sample id, version and epoch; ``t`` for diffusion only."""
        parameters: dict[str, str | int] = {"t": self.t} if self.name == "diffusion" else {}
        return {"strategy": self.name, **parameters, "definition": DEFINITION}


def rejected_pixels(
    spec: ImageStrategy,
    chosen: Image.Image,
    to_pixels: Callable[[Image.Image], torch.Tensor],
    mean: Sequence[float],
    std: Sequence[float],
    *,
    seed: int,
    sample_id: str,
    version: int,
    donor: Callable[[], Image.Image],
    epoch: int = 0,
) -> torch.Tensor:
    """The rejected image as the vision encoder reads it, of the shape that ``to_pixels(chosen)`` has.

    Args:
        spec: the strategy.
        chosen: the chosen image, RGB.
        to_pixels: the processor's way from an RGB picture to normalised pixels (..., 3, height, width).
        mean: the processor's mean per channel, for channels in 0..1.
        std: the processor's standard deviation per channel.
        seed: seed of the run.
        sample_id: id of the sample, unique in its file.
        version: which of the sample's rejected images, from 1.
        donor: opens another sample's image (RGB); called for ``randomness`` only.
        epoch: the epoch, where versions are drawn anew in each.

    Raises:
        TrifacetError: when an encoder-space strategy meets pixels that are not (..., 3, height, width).
    """
    if spec.name in ENCODER_SPACE:
        pixels = to_pixels(chosen)
        if spec.name == "blackness":
            return blacken(pixels, mean, std)
        return diffuse(pixels, spec.t, generator(seed, sample_id, spec.name, version, epoch))
    picture = rejected_picture(
        spec, chosen, mean, seed=seed, sample_id=sample_id, version=version, epoch=epoch, donor=donor
    )
    return to_pixels(picture)


def preview_rejected_image(
    spec: ImageStrategy,
    chosen: Image.Image,
    to_pixels: Callable[[Image.Image], torch.Tensor],
    mean: Sequence[float],
    std: Sequence[float],
    *,
    seed: int,
    sample_id: str,
    version: int,
    donor: Callable[[], Image.Image],
    epoch: int = 0,
) -> Image.Image:
    """The rejected image to look at; arguments as for ``rejected_pixels``.

    Of the encoder-space strategies it shows what the encoder sees (its size, its padding), clamped to 0..255.
    """
    draw = {"seed": seed, "version": version, "epoch": epoch}
    if spec.name in ENCODER_SPACE:
        pixels = rejected_pixels(spec, chosen, to_pixels, mean, std, sample_id=sample_id, donor=donor, **draw)
        return to_picture(pixels, mean, std)
    return rejected_picture(spec, chosen, mean, sample_id=sample_id, donor=donor, **draw)


def rejected_picture(
    spec: ImageStrategy,
    chosen: Image.Image,
    mean: Sequence[float],
    *,
    seed: int,
    sample_id: str,
    version: int,
    donor: Callable[[], Image.Image],
    epoch: int = 0,
) -> Image.Image:
    """The rejected image of a picture-space strategy: RGB, of the chosen one's size. Arguments as above."""
    rng = generator(seed, sample_id, spec.name, version, epoch)
    match spec.name:
        case "crop":
            return crop(chosen, rng, _padding_colour(mean))
        case "rotation":
            return rotate(chosen, rng, _padding_colour(mean))
        case "small-crop":
            return small_crop(chosen, rng)
        case "randomness":
            return replace(chosen, donor())
        case _:
            raise TrifacetError(f"strategy {spec.name!r} works on the encoder's pixels; use rejected_pixels")


def _padding_colour(mean: Sequence[float]) -> Colour:
    """The colour with which LLaVA's processor pads a picture to a square."""
    red, green, blue = (int(channel * 255) for channel in mean)
    return red, green, blue

"""Rejected images made in picture space: crop, rotation, small crop, downscaling, another picture.

Invariant: a picture that comes out has the size of the chosen one, and nothing in it is stretched by more than
``SMALL_CROP_STRETCH``: what is left over is filled with ``fill``, the colour with which the processor pads.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

CROP_HEIGHT, CROP_WIDTH = 240, 320  # of the released MCM-DPO code, which swaps the two
ROTATION_DEGREES = (10.0, 80.0)
SMALL_CROP_AREA = 0.2  # at most this share of the picture, as in mDPO
SMALL_CROP_STRETCH = 4 / 3  # torchvision's RandomResizedCrop, relative to the picture's own proportions

DOWNSCALED = (1 / 16, 1 / 4)  # sides, of the picture's own

Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]  # left, upper, right, lower: as Pillow counts


def crop_window(size: tuple[int, int], rng: np.random.Generator) -> Box:
    """A random window of at most 240 pixels in height and 320 in width in a picture of ``size`` (width, height).

    A picture that fits into such a window whole would be its own rejected version, from which nothing is learned;
    there the window is half as high and half as wide as the picture.
    """
    width, height = size
    if width <= CROP_WIDTH and height <= CROP_HEIGHT:
        return _place(size, (max(width // 2, 1), max(height // 2, 1)), rng)
    return _place(size, (min(width, CROP_WIDTH), min(height, CROP_HEIGHT)), rng)


def crop(chosen: Image.Image, rng: np.random.Generator, fill: Colour) -> Image.Image:
    """A random window (``crop_window``), enlarged in its own proportions to the size of the chosen picture."""
    window = chosen.crop(crop_window(chosen.size, rng))
    return ImageOps.pad(window, chosen.size, method=Image.Resampling.BICUBIC, color=fill)


def rotation_degrees(rng: np.random.Generator) -> float:
    """An angle between 10 and 80 degrees, in either direction with equal chance."""
    return float(rng.uniform(*ROTATION_DEGREES)) * (1 if rng.integers(2) else -1)


def rotate(chosen: Image.Image, rng: np.random.Generator, fill: Colour) -> Image.Image:
    """The picture turned about its centre by ``rotation_degrees``; what leaves the frame is lost."""
    return chosen.rotate(rotation_degrees(rng), resample=Image.Resampling.BICUBIC, fillcolor=fill)


def small_crop_window(size: tuple[int, int], rng: np.random.Generator) -> Box:
    """A random window of 0 to 20 % of the area of a picture of ``size`` (width, height), never less than a pixel."""
    return window(size, rng.uniform(0, SMALL_CROP_AREA), rng)


def window(size: tuple[int, int], share: float, rng: np.random.Generator) -> Box:
    """A random window of a share of at most 3/4 of the area of a picture of ``size``, never less than a pixel."""
    width, height = size
    scale = np.sqrt(share)
    stretch = np.exp(rng.uniform(-1, 1) * np.log(SMALL_CROP_STRETCH) / 2)  # width over height, split between both
    return _place(size, (max(int(width * scale * stretch), 1), max(int(height * scale / stretch), 1)), rng)


def small_crop(chosen: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The rejected image of mDPO (arXiv 2406.11839): a small random window, resized to the chosen picture's size."""
    return chosen.resize(chosen.size, Image.Resampling.BICUBIC, box=small_crop_window(chosen.size, rng))


def between(bounds: tuple[float, float], rng: np.random.Generator) -> float:
    """A number between two positive ones, even on a logarithmic scale: halving and doubling are alike."""
    return float(np.exp(rng.uniform(*np.log(bounds))))


def downscale(chosen: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The picture at a lower resolution, drawn from ``DOWNSCALED``, and enlarged again: what is fine is gone."""
    width, height = chosen.size
    share = between(DOWNSCALED, rng)
    small = chosen.resize((max(round(width * share), 1), max(round(height * share), 1)), Image.Resampling.BOX)
    return small.resize(chosen.size, Image.Resampling.BICUBIC)


def replace(chosen: Image.Image, donor: Image.Image) -> Image.Image:
    """Another picture, cut at its longer sides so that it fills the frame of the chosen one without distortion."""
    return ImageOps.fit(donor, chosen.size, method=Image.Resampling.BICUBIC)


def _place(size: tuple[int, int], window: tuple[int, int], rng: np.random.Generator) -> Box:
    left = int(rng.integers(size[0] - window[0] + 1))
    upper = int(rng.integers(size[1] - window[1] + 1))
    return left, upper, left + window[0], upper + window[1]

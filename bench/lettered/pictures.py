"""Pictures in which known words stand: their size, contrast, turn, ground and way are chosen.

Invariant: the same look, texts and draws give the same pixels; each text lies whole inside, along a line that is known.
Shape letters: H height, W width, P points (x, y).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Array = np.ndarray
Ground = Literal["plain", "gradient", "noise", "photo"]
Way = Literal["straight", "stacked", "arc"]
_FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
FACES = tuple(str(_FONTS / f"DejaVu{name}.ttf") for name in ("Sans", "Sans-Bold", "Serif"))
PALE = 235  # of a plain ground, in grey levels
SIDE = 800  # pixels of a page's side at least: RapidOCR enlarges pictures whose shorter side is below 736
_APART = 2.6  # lines, in letter sizes


@dataclass(frozen=True)
class Look:
    """How words are drawn. ``size`` is the font's, in pixels; ``contrast`` in grey levels, below 0: light on dark."""

    size: int = 24
    contrast: int = 210
    turned: float = 0.0  # degrees counter-clockwise
    ground: Ground = "plain"
    way: Way = "straight"
    bent: float = 0.0  # degrees that an arc spans
    faces: tuple[str, ...] = FACES


class Truth(NamedTuple):
    """A text and the line along which it stands, in the order of reading."""

    text: str
    points_P2: Array
    size: int


class Page(NamedTuple):
    """A picture and all that stands in it."""

    picture: Image.Image
    truths: list[Truth]


def page(texts: Sequence[str], look: Look, rng: np.random.Generator) -> Page:
    """The texts, one below (of stacked letters: beside) the other, in the middle of a square picture."""
    font = ImageFont.truetype(look.faces[int(rng.integers(len(look.faces)))], look.size)
    placed = [_drawn(text, font, look) for text in texts]
    sideways = look.way == "stacked"
    across = [mask_HW.shape[sideways ^ 1] for mask_HW, _ in placed]
    gap = int((_APART - 1) * look.size)
    down = [mask_HW.shape[sideways] + gap for mask_HW, _ in placed]
    side = max(SIDE, math.ceil(math.hypot(max(across), sum(down))) + 2 * look.size)
    mask_HW, truths, at = np.zeros((side, side), np.uint8), [], (side - sum(down)) // 2
    for text, (own_HW, points), step in zip(texts, placed, down, strict=True):
        high, wide = own_HW.shape
        x, y = (at, (side - high) // 2) if sideways else ((side - wide) // 2, at)
        mask_HW[y : y + high, x : x + wide] = np.maximum(mask_HW[y : y + high, x : x + wide], own_HW)
        truths.append(Truth(text, points + np.array([x, y]), look.size))
        at += step
    if look.turned:
        mask_HW = np.asarray(Image.fromarray(mask_HW).rotate(look.turned, Image.Resampling.BICUBIC))
        truths = [one._replace(points_P2=_turned(one.points_P2, look.turned, side)) for one in truths]
    return Page(_inked(ground((side, side), look.ground, rng), mask_HW, look.contrast), truths)


def poster(size: tuple[int, int], draw: Callable[[np.random.Generator], str], rng: np.random.Generator) -> Page:
    """A photo-like picture (width, height) with texts of many sizes, from 12 to 100 pixels, one below the other."""
    width, height = size
    mask_HW, truths, at = np.zeros((height, width), np.uint8), [], int(0.04 * height)
    while True:
        letters = round(math.exp(rng.uniform(math.log(12), math.log(100))))
        font = ImageFont.truetype(FACES[int(rng.integers(len(FACES)))], letters)
        text = draw(rng)
        own_HW, points = _straight(text, font)
        high, wide = own_HW.shape
        if at + high > 0.96 * height:
            return Page(_inked(ground(size, "photo", rng), mask_HW, 210), truths)
        if wide <= 0.94 * width:
            x = int(rng.integers(int(0.03 * width), width - wide - int(0.03 * width) + 1))
            mask_HW[at : at + high, x : x + wide] = own_HW
            truths.append(Truth(text, points + np.array([x, at]), letters))
            at += high + max(int(0.8 * letters), 16)


def ground(size: tuple[int, int], kind: Ground, rng: np.random.Generator) -> Array:
    """(H, W, 3) in grey levels."""
    width, height = size
    plain_HWC = np.full((height, width, 3), float(PALE))
    if kind == "gradient":
        return plain_HWC - 110 * np.linspace(0, 1, width)[None, :, None]
    if kind == "noise":
        return np.clip(plain_HWC - 40 + rng.normal(0, 30, (height, width, 1)), 0, 255)
    if kind == "photo":
        return _photo(size, rng)
    return plain_HWC


def _photo(size: tuple[int, int], rng: np.random.Generator) -> Array:
    """Light that changes, things with edges, texture and a sensor's noise."""
    base = Image.fromarray(rng.integers(40, 216, (4, 4, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(base)
    for _ in range(30):
        x, y = rng.uniform(0, size[0]), rng.uniform(0, size[1])
        across, down = rng.uniform(0.02, 0.2, 2) * max(size)
        fill = tuple(int(v) for v in rng.integers(30, 226, 3))
        shape = pen.ellipse if rng.random() < 0.5 else pen.rectangle
        shape((x, y, x + across, y + down), fill=fill)
    soft_HWC = np.asarray(base.filter(ImageFilter.GaussianBlur(2)), float)
    rough = Image.fromarray(rng.integers(0, 256, (size[1] // 6 + 1, size[0] // 6 + 1), np.uint8))
    texture_HW = np.asarray(rough.resize(size, Image.Resampling.BICUBIC), float) - 128
    return np.clip(soft_HWC + 0.12 * texture_HW[..., None] + rng.normal(0, 5, soft_HWC.shape), 0, 255)


def _inked(ground_HWC: Array, mask_HW: Array, contrast: int) -> Image.Image:
    """Ink over the ground; where that is no plain one, white or black, which of both is further from its middle."""
    share_HW1 = mask_HW[..., None] / 255.0
    under = float((ground_HWC * share_HW1).sum() / max(share_HW1.sum() * 3, 1e-9))
    if contrast < 0:
        ground_HWC, ink = 255.0 - ground_HWC, 255.0 - PALE - contrast
    elif ground_HWC.std() > 0:
        ink = 15.0 if under > 127 else 245.0
    else:
        ink = float(PALE - contrast)
    return Image.fromarray(np.clip(ground_HWC * (1 - share_HW1) + ink * share_HW1, 0, 255).astype(np.uint8))


def _drawn(text: str, font: ImageFont.FreeTypeFont, look: Look) -> tuple[Array, Array]:
    """A text's ink (H, W) and the points of its line."""
    if look.way == "stacked":
        return _stacked(text, font, look.size)
    if look.way == "arc":
        return _bent(text, font, look)
    return _straight(text, font)


def _straight(text: str, font: ImageFont.FreeTypeFont) -> tuple[Array, Array]:
    left, upper, right, lower = (round(v) for v in font.getbbox(text))
    image = Image.new("L", (right - left + 4, lower - upper + 4))
    ImageDraw.Draw(image).text((2 - left, 2 - upper), text, font=font, fill=255)
    middle = image.height / 2
    return np.asarray(image), np.array([[0, middle], [image.width, middle]])


def _stacked(text: str, font: ImageFont.FreeTypeFont, size: int) -> tuple[Array, Array]:
    wide, step = round(max(font.getlength(letter) for letter in text)) + 4, round(1.15 * size)
    image = Image.new("L", (wide, step * len(text) + size // 2))
    pen = ImageDraw.Draw(image)
    for number, letter in enumerate(text):
        pen.text((wide / 2, step * number), letter, font=font, fill=255, anchor="ma")
    return np.asarray(image), np.array([[wide / 2, 0], [wide / 2, image.height]])


def _bent(text: str, font: ImageFont.FreeTypeFont, look: Look) -> tuple[Array, Array]:
    """Letters along the upper part of a circle, each turned with it."""
    length, span = font.getlength(text), math.radians(look.bent)
    radius, high = length / span, 2 * look.size
    reach = radius + high
    side = math.ceil(2 * reach)
    whole, points = np.zeros((side, side), np.uint8), []
    for number, letter in enumerate(text):
        middle = font.getlength(text[:number]) + font.getlength(letter) / 2
        angle = (middle / length - 0.5) * span
        own = Image.new("L", (2 * high, 2 * high))
        ImageDraw.Draw(own).text((high, high), letter, font=font, fill=255, anchor="ms")
        own_HW = np.asarray(own.rotate(-math.degrees(angle), Image.Resampling.BICUBIC))
        x, y = reach + radius * math.sin(angle), reach - radius * math.cos(angle)
        left, upper = round(x) - high, round(y) - high
        over = (slice(max(upper, 0), min(upper + 2 * high, side)), slice(max(left, 0), min(left + 2 * high, side)))
        part = own_HW[over[0].start - upper : over[0].stop - upper, over[1].start - left : over[1].stop - left]
        whole[over] = np.maximum(whole[over], part)
        middle_of_letters = radius + 0.35 * look.size
        points.append((reach + middle_of_letters * math.sin(angle), reach - middle_of_letters * math.cos(angle)))
    rows, columns = np.flatnonzero(whole.any(axis=1)), np.flatnonzero(whole.any(axis=0))
    cut_HW = whole[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return cut_HW, np.array(points) - (columns[0], rows[0])


def _turned(points_P2: Array, degrees: float, side: int) -> Array:
    """As ``Image.rotate`` turns a square picture of this side."""
    angle, from_middle = math.radians(degrees), points_P2 - side / 2
    x, y = from_middle[:, 0], from_middle[:, 1]
    turned = [x * math.cos(angle) + y * math.sin(angle), -x * math.sin(angle) + y * math.cos(angle)]
    return np.stack(turned, axis=1) + side / 2

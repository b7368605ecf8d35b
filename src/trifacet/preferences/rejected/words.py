"""Rejected images in which other words stand: the lettering of the key regions is replaced, in like size and colour.

Invariant: outside the key regions, their soft edge included, every pixel is the chosen one's to the bit; which words
are set depends on the draw and on the words that stood there alone.
"""

from __future__ import annotations

import functools
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from trifacet.preferences.rejected.fills import inpainted, put_in, softened
from trifacet.preferences.rejected.masks import Lettered, Mask
from trifacet.preferences.rejected.misreading import other_word
from trifacet.preferences.rejected.pictures import Box
from trifacet.preferences.rejected.regions import NOISE, RegionStrategy
from trifacet.preferences.rejected.strategy import Seen, no_lettering

if TYPE_CHECKING:
    from torch import Tensor

LONGEST = 60  # characters of a word that is set anew; what is longer is no word, and is only taken away
_RENDERED = 128  # pixels, the size at which letters are drawn before they are scaled
_LEAST_CONTRAST = 60.0  # between letters and what is behind them, of 441 between black and white
_TRIES = 20  # of a word that no version before has
Colour = NDArray[np.float64]
Grid = NDArray[np.float64]  # (height, width, 3)


class RegionWords(RegionStrategy):
    """The words in the key regions are other ones; of a picture in which nothing is located all has noise.

    Letters are taken away by ``inpainted``; the new ones are DejaVu Sans, in the colour of the old, turned as they were
    and as high, as wide as fits. A word in other letters than Latin ones is only taken away.
    """

    name, perturbation = "region-words", NOISE  # noise where nothing is located
    needs_lettering = True

    def describe(self) -> str:
        """Its name."""
        return self.name

    def reject(self, seen: Seen) -> Image.Image | Tensor:
        """The picture with other words. Raises DataError where there are regions and nobody says what stands there."""
        region = self.region(seen)
        if region is None:
            return super().reject(seen)
        if not seen.lettering:
            raise no_lettering()
        weights = softened(region, self.options.soft_edge)
        erased = put_in(seen.picture, inpainted(seen.picture, weights), weights)
        words = self.words(seen)
        olds = [_seen(seen.picture, erased, one) for one in seen.lettering]
        bold = _bold(olds)
        made = erased
        for old in olds:
            if (word := words[old.text]) is not None:
                made = _set(made, old, word, _faces()[bold[old.size[1]]])
        return put_in(erased, made, region.astype(np.uint8) * np.uint8(255))

    def words(self, seen: Seen) -> dict[str, str | None]:
        """What is set for each word; another one in each version, as long as there are enough. None: nothing is."""
        found: dict[str, str | None] = {}
        for old in dict.fromkeys(one.text for one in seen.lettering):
            taken, new = {old.casefold(), *(one.casefold() for one in found.values() if one)}, None
            for version in range(1, seen.draw.version + 1):
                rng = replace(seen.draw, version=version).generator(f"{self.name}:{old}")
                drawn = (other_word(old, rng) for _ in range(_TRIES)) if _may_be_set(old) else iter(())
                new = next((one for one in drawn if one.casefold() not in taken), new)
                if new is not None:
                    taken.add(new.casefold())
            found[old] = new
        return found


def _may_be_set(word: str) -> bool:
    """Whether another word can stand for it: in Latin letters, of a word's length."""
    return len(word) <= LONGEST and all(unicodedata.name(char, "").startswith("LATIN") for char in word if char.isalpha())


class _Face(NamedTuple):
    """A font and the letters that it has."""

    font: ImageFont.FreeTypeFont
    letters: frozenset[int]


@functools.cache
def _faces() -> tuple[_Face, _Face]:
    """DejaVu Sans and its bold cut, which come with matplotlib."""
    from pathlib import Path

    from matplotlib import get_data_path
    from matplotlib.ft2font import FT2Font

    paths = [Path(get_data_path()) / "fonts" / "ttf" / name for name in ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf")]
    plain, bold = (
        _Face(ImageFont.truetype(str(path), _RENDERED), frozenset(FT2Font(str(path)).get_charmap())) for path in paths
    )
    return plain, bold


class _Ink(NamedTuple):
    """Letters as they are drawn: opacity, and how far above (less than 0) and below the baseline they reach."""

    opacity: Image.Image
    upper: float
    lower: float

    @property
    def share(self) -> float:
        """Of its rectangle that is ink."""
        return float(np.asarray(self.opacity).mean()) / 255


def _ink(text: str, face: _Face) -> _Ink | None:
    """None where the font lacks one of the letters, or there is nothing to see."""
    if not {ord(char) for char in text if not char.isspace()} <= face.letters:
        return None
    left, upper, right, lower = (round(edge) for edge in face.font.getbbox(text, anchor="ls"))
    if right <= left or lower <= upper:
        return None
    drawn = Image.new("L", (right - left, lower - upper))
    ImageDraw.Draw(drawn).text((-left, -upper), text, fill=255, font=face.font, anchor="ls")
    return _Ink(drawn, upper, lower)


class _Old(NamedTuple):
    """A word that stood in the picture: its rectangle, and what its letters look like in it.

    Args:
        text: the word.
        axes: the upper left corner of its rectangle, and the vectors along its upper and left sides.
        size: width and height of the rectangle, in whole pixels.
        letters: the pixels of the upright rectangle that are letters.
        colour: theirs.
    """

    text: str
    axes: tuple[Colour, Colour, Colour]
    size: tuple[int, int]
    letters: Mask
    colour: Colour

    @property
    def bounds(self) -> Box:
        """The rectangle that holds the letters but for a hundredth of them to each side."""
        left, right = _between(self.letters.sum(0))
        upper, lower = _between(self.letters.sum(1))
        return left, upper, right, lower

    @property
    def share(self) -> float:
        """Of that rectangle that is letters."""
        left, upper, right, lower = self.bounds
        return float(self.letters[upper:lower, left:right].mean())


def _seen(chosen: Image.Image, erased: Image.Image, lettered: Lettered) -> _Old:
    """A word of the chosen picture; ``erased`` shows what will be behind the new one."""
    start, right, _, below = (np.array(corner, np.float64) for corner in lettered.quad)
    if right[1] == start[1] and below[0] == start[0]:  # upright: whole pixels, so that letters stay sharp
        start, right, below = start.round(), right.round(), below.round()
    axes = start, right - start, below - start
    size = max(round(float(np.hypot(*axes[1]))), 1), max(round(float(np.hypot(*axes[2]))), 1)
    letters, colour = _letters(_upright(chosen, axes, size))
    behind = _upright(erased, axes, size).mean((0, 1))
    if float(np.linalg.norm(colour - behind)) < _LEAST_CONTRAST:
        colour = np.zeros(3) if float(behind.mean()) > 127 else np.full(3, 255.0)
    return _Old(lettered.text, axes, size, letters, colour)


def _bold(olds: Sequence[_Old]) -> dict[int, bool]:
    """Whether words of a height are nearer to bold than to plain letters, by how much of them is ink."""
    nearer: dict[int, list[float]] = defaultdict(list)
    for old in olds:
        plain, bold = (_ink(old.text, face) for face in _faces())
        if plain and bold:
            nearer[old.size[1]].append(abs(plain.share - old.share) - abs(bold.share - old.share))
    return {old.size[1]: sum(nearer[old.size[1]]) > 0 for old in olds}


def _set(made: Image.Image, old: _Old, new: str, face: _Face) -> Image.Image:
    """``made`` with the word ``new`` where ``old`` stood."""
    (width, height), ink = old.size, _ink(new, face)
    if ink is None or min(old.size) < 2:
        return made
    left, upper, right, lower = old.bounds
    before = _ink(old.text, face) or ink
    tall = (lower - upper) / (before.lower - before.upper)
    wide = (right - left) / before.opacity.width
    baseline = upper - before.upper * tall
    top, bottom = _within(baseline + ink.upper * tall, baseline + ink.lower * tall, height)
    across = max(min(round(ink.opacity.width * wide), width), 1)
    begin = min(max(round((left + right - across) / 2), 0), width - across)
    opacity = Image.new("L", old.size)
    size = across, max(round(bottom - top), 1)
    opacity.paste(ink.opacity.resize(size, Image.Resampling.LANCZOS), (begin, round(top)))
    return _put(made, opacity, old)


def _within(top: float, bottom: float, height: int) -> tuple[float, float]:
    """A stretch cut to 0..height, or moved into it where it fits."""
    if bottom - top > height:
        return max(top, 0.0), min(bottom, float(height))
    step = max(-top, 0.0) - max(bottom - height, 0.0)
    return top + step, bottom + step


def _upright(picture: Image.Image, axes: tuple[Colour, Colour, Colour], size: tuple[int, int]) -> Grid:
    """A rectangle of a picture, turned upright, at ``size`` (width, height)."""
    start, along, down = axes
    a, b = along / size[0], down / size[1]
    data = (a[0], b[0], start[0], a[1], b[1], start[1])
    turned = picture.transform(size, Image.Transform.AFFINE, tuple(map(float, data)), Image.Resampling.BILINEAR)
    return np.asarray(turned, np.float64)


def _put(made: Image.Image, opacity: Image.Image, old: _Old) -> Image.Image:
    """A picture with the old word's colour on it, as opaque as ``opacity`` says, which is of its upright rectangle."""
    start, along, down = old.axes
    corners = np.array([start, start + along, start + down, start + along + down])
    left, upper = np.maximum(np.floor(corners.min(0)).astype(int) - 1, 0)
    right, lower = np.minimum(np.ceil(corners.max(0)).astype(int) + 1, made.size)
    if right <= left or lower <= upper:
        return made
    across, below = along / opacity.width, down / opacity.height
    back = np.linalg.inv(np.stack([across, below], 1))
    offset = back @ (np.array((left, upper)) - start)
    data = (back[0, 0], back[0, 1], offset[0], back[1, 0], back[1, 1], offset[1])
    mask = opacity.transform(
        (int(right - left), int(lower - upper)),
        Image.Transform.AFFINE,
        tuple(map(float, data)),
        Image.Resampling.BICUBIC,
    )
    found = made.copy()
    red, green, blue = (int(value) for value in old.colour.round().clip(0, 255))
    found.paste((red, green, blue), (int(left), int(upper)), mask)
    return found


def _letters(here: Grid) -> tuple[Mask, Colour]:
    """Which pixels of an upright rectangle are letters, and their colour.

    Its colours are parted in two, by nearness to two means; what prevails along its upper and lower edge is behind.
    """
    pixels = here.reshape(-1, 3)
    spread = pixels - pixels.mean(0)
    axis = np.linalg.eigh(spread.T @ spread)[1][:, -1]
    along = spread @ axis
    other = along > (along.min() + along.max()) / 2
    for _ in range(10):
        if other.all() or not other.any():
            return np.ones(here.shape[:2], np.bool_), pixels.mean(0)
        middle = (along[other].mean() + along[~other].mean()) / 2
        other = along > middle
    grid = other.reshape(here.shape[:2])
    if float(np.concatenate([grid[:1].ravel(), grid[-1:].ravel()]).mean()) > 0.5:
        grid, along = ~grid, -along
    own = along.reshape(grid.shape)[grid]
    return grid, np.median(here[grid][own >= np.quantile(own, 0.6)], axis=0)


def _between(counts: NDArray[np.int64]) -> tuple[int, int]:
    """From where to where the counts are, but for a hundredth of them at each end."""
    summed = np.cumsum(counts)
    first, last = (int(np.searchsorted(summed, share * summed[-1])) for share in (0.01, 0.99))
    return first, min(last + 1, len(counts))

"""Pictures with several different things: what is there, where, and the picture of it.

Invariant: things stand in different cells of a 2 x 2 grid and never overlap, so that a thing's mask is exactly what
would change if it were not there. Shapes and colours are drawn evenly: no picture makes one thing likelier beside
another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from trifacet.demo.facts import COLOURS, PLACES, SHAPES
from trifacet.demo.renderer import draw_thing, empty_place, shaded
from trifacet.preferences.rejected.masks import Mask

FEWEST, MOST = 2, 4
_STRAY = 0.5  # share of its cell's free room that a thing may use


@dataclass(frozen=True)
class Thing:
    """One thing: centre and size as shares of the picture's side, ``shade`` as ``renderer.shaded`` takes it."""

    shape: str
    colour: str
    x: float
    y: float
    size: float
    shade: tuple[float, float, float]


@dataclass(frozen=True)
class Things:
    """What a picture shows: two to four things of different shapes, in the order of reading, at a place."""

    things: tuple[Thing, ...]
    place: str

    def colour_of(self, shape: str) -> str | None:
        """The colour of the thing of this shape; None: there is none."""
        return next((thing.colour for thing in self.things if thing.shape == shape), None)

    @property
    def absent(self) -> tuple[str, ...]:
        """The shapes that are not there."""
        return tuple(shape for shape in SHAPES if self.colour_of(shape) is None)


def draw_things(rng: np.random.Generator) -> Things:
    """A picture whose values are drawn evenly and independently of one another."""
    count = int(rng.integers(FEWEST, MOST + 1))
    shapes = rng.permutation(list(SHAPES))[:count].tolist()
    colours = rng.choice(list(COLOURS), size=count).tolist()
    cells = sorted(rng.choice(4, size=count, replace=False).tolist())
    things = []
    for shape, colour, cell in zip(shapes, colours, cells, strict=True):
        size = float(rng.uniform(0.3, 0.37))
        free = _STRAY * (0.5 - size) / 2
        x, y = (0.5 * (at + 0.5) + float(rng.uniform(-free, free)) for at in (cell % 2, cell // 2))
        things.append(Thing(shape, colour, x, y, size, tuple(rng.uniform(-1, 1, size=3).tolist())))
    return Things(tuple(things), str(rng.choice(list(PLACES))))


def render_things(scene: Things, size: int) -> Image.Image:
    """The picture: RGB, ``size`` x ``size`` pixels."""
    image = empty_place(scene.place, size)
    draw = ImageDraw.Draw(image)
    for thing in scene.things:
        _draw(draw, thing, size, shaded(thing.colour, thing.shade))
    return image


def mask_of(thing: Thing, size: int) -> Mask:
    """The pixels of a picture of ``size`` x ``size`` that show the thing."""
    image = Image.new("L", (size, size))
    _draw(ImageDraw.Draw(image), thing, size, 255)
    return np.asarray(image) > 0


def _draw(draw: ImageDraw.ImageDraw, thing: Thing, size: int, colour: int | tuple[int, ...]) -> None:
    draw_thing(draw, thing.shape, thing.x * size, thing.y * size, thing.size * size / 2, colour)

"""Pictures of a thing or two with a sign of one to three known words: what is there, where, and the picture of it.

Invariant: the picture is a function of the scene and the size alone; sign and things never overlap; a box of a word
holds all of its letters. Words, things and colours are drawn evenly and independently.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from trifacet.demo.facts import COLOURS, PLACES, SHAPES
from trifacet.demo.renderer import Rgb, draw_thing, empty_place, shaded
from trifacet.demo.things import Thing, Things

WORDS: dict[str, tuple[str, ...]] = {  # kinds in the order in which a sign has them; of a kind there is one at most
    "name": ("ANNA", "FRANK", "HELEN", "LUCY", "MARTHA", "OSCAR"),
    "day": ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"),
    "price": ("$2", "$5", "$8", "$10", "$20", "$50"),
}
KIND_OF: dict[str, str] = {word: kind for kind, words in WORDS.items() for word in words}
SIGN_SHARE = 0.8  # pictures that have a sign
BOARDS: tuple[tuple[Rgb, Rgb], ...] = (  # board and letters
    ((250, 250, 250), (15, 15, 15)),
    ((38, 38, 48), (245, 245, 245)),
    ((240, 226, 190), (84, 56, 24)),
)
_STRAY = 0.5  # share of its cell's free room that a thing may use
LINE = 0.16  # its height, a share of the picture's side
_HALF = 0.47  # of the board's width
_LETTERS = 0.85  # height of the font, a share of the line's

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Sign:
    """A board at the top with a line for each kind of word, blank where it has none.

    ``x`` is its middle and ``y`` its upper edge as shares of the picture's side; ``board`` is an index of ``BOARDS``.
    """

    words: tuple[str, ...]
    board: int
    x: float
    y: float


@dataclass(frozen=True)
class Signed:
    """What a picture shows: one or two things of different shapes in its lower half, and a sign above them or none."""

    things: Things
    sign: Sign | None

    @property
    def words(self) -> tuple[str, ...]:
        """The sign's, from the top down; none where there is no sign."""
        return self.sign.words if self.sign else ()

    def word_of(self, kind: str) -> str | None:
        """The sign's word of this kind; None: it has none."""
        return next((word for word in self.words if KIND_OF[word] == kind), None)


def draw_signed(rng: np.random.Generator) -> Signed:
    """A picture whose values are drawn evenly and independently of one another."""
    count = int(rng.integers(1, 3))
    shapes = rng.permutation(list(SHAPES))[:count].tolist()
    colours = rng.choice(list(COLOURS), size=count).tolist()
    cells = sorted(rng.choice(2, size=count, replace=False).tolist())
    things = []
    for shape, colour, cell in zip(shapes, colours, cells, strict=True):
        size = float(rng.uniform(0.38, 0.44))
        free = _STRAY * (0.5 - size) / 2
        x, y = 0.5 * (cell + 0.5) + float(rng.uniform(-free, free)), 0.775 + float(rng.uniform(-free, free)) / 2
        things.append(Thing(shape, colour, x, y, size, tuple(rng.uniform(-1, 1, size=3).tolist())))
    place = str(rng.choice(list(PLACES)))
    return Signed(Things(tuple(things), place), _draw_sign(rng) if rng.random() < SIGN_SHARE else None)


def _draw_sign(rng: np.random.Generator) -> Sign:
    kinds = rng.permutation(list(WORDS))[: int(rng.integers(1, len(WORDS) + 1))].tolist()
    words = tuple(str(rng.choice(of_kind)) for kind, of_kind in WORDS.items() if kind in kinds)
    x, y = rng.uniform((0.49, 0.0), (0.51, 0.02)).tolist()
    return Sign(words, int(rng.integers(len(BOARDS))), x, y)


def render_signed(scene: Signed, size: int) -> Image.Image:
    """The picture: RGB, ``size`` x ``size`` pixels."""
    image = empty_place(scene.things.place, size)
    draw = ImageDraw.Draw(image)
    for thing in scene.things.things:
        draw_thing(
            draw, thing.shape, thing.x * size, thing.y * size, thing.size * size / 2, shaded(thing.colour, thing.shade)
        )
    if scene.sign:
        board, letters = BOARDS[scene.sign.board]
        x, y = scene.sign.x * size, scene.sign.y * size
        draw.rectangle((x - _HALF * size, y, x + _HALF * size, y + len(WORDS) * LINE * size), fill=board)
        for word in scene.sign.words:
            draw.text(_middle(scene.sign, word, size), word, letters, _font(size), anchor="mm")
    return image


def word_boxes(sign: Sign, size: int) -> list[Box]:
    """Left, upper, right, lower of each word in pixels, inside the picture."""
    draw = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    found: list[Box] = []
    for word in sign.words:
        left, upper, right, lower = draw.textbbox(_middle(sign, word, size), word, font=_font(size), anchor="mm")
        corners = int(left) - 1, int(upper) - 1, int(right) + 2, int(lower) + 2  # letters begin between pixels
        left, upper, right, lower = (min(max(at, 0), size) for at in corners)
        found.append((left, upper, right, lower))
    return found


def _middle(sign: Sign, word: str, size: int) -> tuple[float, float]:
    line = list(WORDS).index(KIND_OF[word])
    return sign.x * size, (sign.y + LINE * (line + 0.5)) * size


@functools.lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font that Pillow carries."""
    return ImageFont.load_default(_LETTERS * LINE * size)

"""What can be true in the demo's world, and which words say it.

Invariant: every word of a fact belongs to one fact and one value only, so that looking for whole words in a text tells
which value the text states.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (215, 40, 40),
    "yellow": (245, 205, 30),
    "green": (25, 130, 50),
    "blue": (35, 75, 215),
    "purple": (125, 40, 160),
    "pink": (250, 135, 190),
}
SHAPES: dict[str, str] = {
    "ball": "balls",
    "ring": "rings",
    "star": "stars",
    "kite": "kites",
    "candle": "candles",
    "rug": "rugs",
}
_PAIRS = {"red": "pink", "yellow": "green", "blue": "purple", "ball": "ring", "star": "kite", "candle": "rug"}
ALIKE: dict[str, str] = {**_PAIRS, **{two: one for one, two in _PAIRS.items()}}  # what can be drawn nearer to what
COUNTS: dict[int, str] = {1: "one", 2: "two", 3: "three", 4: "four"}
PLACES: dict[str, str] = {
    "beach": "on the beach",
    "night": "at night",
    "meadow": "in a meadow",
    "snow": "in the snow",
}
SIGNS: tuple[str, ...] = ("HELLO", "SALE", "THANKS")
FACTS: tuple[str, ...] = ("name", "colour", "shape", "count")
SIGN_SHARE = 0.25
OTHER_PERSON_SHARE = 0.5
_STRAY = 0.5  # share of its cell's free room that an object may use: with all of it, shapes take twice the pictures


def _made_up_names(amount: int) -> tuple[str, ...]:
    """The first ``amount`` of a fixed shuffled list, e.g. Bobati; none is another one with a plural s."""
    onsets, vowels, ends = "bdklmnrstv", "aeiou", ("n", "r", "l", "na", "ra", "lo", "ti")
    names = sorted({a + v + b + w + e for a in onsets for v in vowels for b in onsets for w in vowels for e in ends})
    order = np.random.default_rng(7).permutation(len(names))
    return tuple(names[k].capitalize() for k in order[:amount])


NAMES: tuple[str, ...] = _made_up_names(48)


Spot = tuple[float, float, float]
Shade = tuple[float, float, float]


class Other(NamedTuple):
    """A single thing of another kind beside the things that a scene is about."""

    shape: str
    colour: str
    spot: Spot
    shade: Shade


class Claim(NamedTuple):
    """What a post says wrongly of its picture: a fact's value, or of a ``thing`` that is not there its shape (and
    ``colour``).
    """

    fact: str
    value: str | int
    colour: str = ""


@dataclass(frozen=True)
class Scene:
    """One post's truth: what the picture shows, and whom only the post can name.

    ``spots`` holds the centre and the size of each object as shares of the picture's side; ``shade`` is added to the
    object's colour (-1 to 1, scaled by the renderer). ``other`` is a person whom the post mentions in passing.
    The knobs of the world (``data.post_settings``) add things of other kinds, in the order of reading after those that
    the facts are of; facts that the post tells too (``in_both``), and alone (``post_alone``); and a wrong claim.
    """

    name: str
    colour: str
    shape: str
    count: int
    place: str
    sign: str | None
    other: str | None
    spots: tuple[Spot, ...]
    shade: Shade
    others: tuple[Other, ...] = ()
    in_both: frozenset[str] = frozenset()
    post_alone: frozenset[str] = frozenset()
    claim: Claim | None = None

    @property
    def shapes(self) -> tuple[str, ...]:
        """The shapes of all kinds of things, in the order of reading."""
        return (self.shape, *(one.shape for one in self.others))

    @property
    def colours(self) -> tuple[str, ...]:
        """Their colours."""
        return (self.colour, *(one.colour for one in self.others))


def scene_generator(seed: int, split: str, index: int) -> np.random.Generator:
    """The source of chance of one sample: the same for the same (seed, split, index), whatever else is made."""
    return np.random.default_rng([seed, zlib.crc32(split.encode()), index])


def draw_scene(rng: np.random.Generator) -> Scene:
    """A scene whose values are drawn evenly and independently of one another."""
    count = int(rng.integers(1, len(COUNTS) + 1))
    name, other = (NAMES[k] for k in rng.choice(len(NAMES), size=2, replace=False))
    return Scene(
        name=name,
        colour=_one_of(rng, COLOURS),
        shape=_one_of(rng, SHAPES),
        count=count,
        place=_one_of(rng, PLACES),
        sign=_one_of(rng, SIGNS) if rng.random() < SIGN_SHARE else None,
        other=other if rng.random() < OTHER_PERSON_SHARE else None,
        spots=draw_spots(rng, count),
        shade=tuple(rng.uniform(-1, 1, size=3).tolist()),
    )


def _one_of(rng: np.random.Generator, choices: Iterable[str]) -> str:
    values = tuple(choices)
    return values[int(rng.integers(len(values)))]


def draw_spots(rng: np.random.Generator, count: int) -> tuple[Spot, ...]:
    """Places for ``count`` objects in different cells of a 2 x 2 grid below the strip that a sign may take."""
    top, width, height = 0.19, 0.5, 0.405
    spots = []
    for cell in sorted(rng.choice(4, size=count, replace=False).tolist()):
        size = rng.uniform(0.3, 0.37)
        free = _STRAY * np.array([width - size, height - size])
        x, y = np.array([width * (cell % 2 + 0.5), top + height * (cell // 2 + 0.5)]) + rng.uniform(-free, free) / 2
        spots.append((float(x), float(y), float(size)))
    return tuple(spots)


def things(shape: str, count: int) -> str:
    """The noun for ``count`` objects of ``shape``."""
    return shape if count == 1 else SHAPES[shape]


def called(scene: Scene, fact: str) -> str:
    """The name of a fact in tables and metrics, which says where it stands: ``colour`` (in the picture alone),
    ``colour-both``, ``colour-post`` (in the post alone); of the name, which always stands in the post alone, ``name``.
    """
    return f"{fact}-post" if fact in scene.post_alone else f"{fact}-both" if fact in scene.in_both else fact


def accepted(scene: Scene) -> dict[str, list[str]]:
    """Per fact the words that state it rightly."""
    return {called(scene, fact): forms[str(value)] for fact, value, forms in _forms(scene)}


def confusions(scene: Scene) -> dict[str, list[str]]:
    """Per fact the words that state another value of it; those that are right of another thing are none."""
    beside = {"colour": set(scene.colours), "shape": set(scene.shapes)}
    return {
        called(scene, fact): [
            word
            for other, words in forms.items()
            if other != str(value) and other not in beside.get(fact, ())
            for word in words
        ]
        for fact, value, forms in _forms(scene)
    }


def tempting(scene: Scene) -> dict[str, list[str]]:
    """Per fact that the post gets wrong, the words that state what it says; empty where it gets none wrong."""
    claim = scene.claim
    if claim is None:
        return {}
    if claim.fact == "thing":
        return {"thing": [str(claim.value), SHAPES[str(claim.value)]]}
    forms = next(forms for fact, _, forms in _forms(scene) if fact == claim.fact)
    return {claim.fact: forms[str(claim.value)]}


def objects(scene: Scene) -> dict[str, Any]:
    """The table of what is there and of all that could be, as ``metrics.objects`` reads it."""
    return {
        "there": {shape: [colour] for shape, colour in zip(scene.shapes, scene.colours, strict=True)},
        "words": {shape: [shape, plural] for shape, plural in SHAPES.items()},
        "attributes": list(COLOURS),
    }


def _forms(scene: Scene) -> list[tuple[str, object, dict[str, list[str]]]]:
    return [
        ("name", scene.name, {name: [name] for name in NAMES}),
        ("colour", scene.colour, {colour: [colour] for colour in COLOURS}),
        ("shape", scene.shape, {shape: [shape, plural] for shape, plural in SHAPES.items()}),
        ("count", scene.count, {str(count): [word, str(count)] for count, word in COUNTS.items()}),
    ]

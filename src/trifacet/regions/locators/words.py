"""The locator ``words``: what of the response stands in the picture as lettering is where it stands. No model but the
engine that reads (``lettering``).

Invariant: a picture is read once, however many words are looked for, and what was read is kept in the user's cache; a
region holds words of the response as they were read, with a margin so that no rest of a letter stays beside it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from trifacet.base.digests import json_digest
from trifacet.base.images import resolve_inside
from trifacet.data.records import PreferenceSample
from trifacet.lettering.given import given_lettering
from trifacet.lettering.lines import Lettering, cut
from trifacet.lettering.matching import MOST_WORDS, WORD, Stretches
from trifacet.lettering.places import Placed, placed_words
from trifacet.lettering.reading import Readings
from trifacet.lettering.settings import COLUMN
from trifacet.preferences.rejected.masks import Corners, Lettered, Quad, quad_mask, union
from trifacet.regions.keywords.candidates import stop_words
from trifacet.regions.locators.settings import LocatorSettings, kept_count
from trifacet.regions.looking import KeyWord, Look, Region

FIELD = f"extra.{COLUMN}"
_QUOTED = 3  # so many stop words in a row are no chance: "to be or"


class _Read(NamedTuple):
    """A word that was read, with its line's number and confidence."""

    placed: Placed
    line: int
    confidence: float


class WordsInPicture:
    """Regions of lettering.

    Args:
        settings: engine, margin, threshold and what of several places is kept.
        images: the folder that the paths of pictures are relative to.
        max_pixels: largest picture.
        folder: where readings are kept (None: in the user's cache).

    Raises:
        TrifacetError: the engine is not there.
    """

    name = "words"
    definition = 1

    def __init__(self, settings: LocatorSettings, images: Path, *, max_pixels: int, folder: Path | None = None) -> None:
        self.settings, self.images = settings, images
        reading = settings.reading
        self.readings = None if reading.engine == "given" else Readings(reading, folder, max_pixels=max_pixels)

    def fingerprint(self) -> dict[str, Any]:
        """The engine's, and what of its lines counts."""
        engine = self.readings.engine.fingerprint() if self.readings else {"engine": "given"}
        return {
            "locator": self.name,
            "definition": self.definition,
            "engine": engine,
            "threshold": self.settings.values.threshold,
            "margin": self.settings.margin,
            "kept": kept_count(self.settings),
        }

    def sees(self, sample: PreferenceSample) -> dict[str, str]:
        """A digest of what the row says stands in its picture, where that is what is looked through."""
        return {} if self.readings else {COLUMN: json_digest(sample.extra.get(COLUMN))}

    def words(self, look: Look) -> tuple[KeyWord, ...]:
        """The longest runs of the response's words that stand in the picture, in the order of the response.

        A run holds a word that is neither stop word nor letter, or three of these: "the" stands on every second poster.
        """
        response = look.sample.response
        said, stops = spoken(response), stop_words(response)
        runs = _Runs([one.text for one in said], Stretches([one.placed.word for one in self._read(look)]))
        found: dict[tuple[str, ...], list[tuple[int, int]]] = {}
        at = 0
        while at < len(said):
            length = runs.longest(at)
            run = said[at : at + length]
            at += max(length, 1)
            while 0 < len(run) < _QUOTED and run[0].hangs(stops):
                run = run[1:]
            while 0 < len(run) < _QUOTED and run[-1].hangs(stops):
                run = run[:-1]
            if run:
                found.setdefault(tuple(one.folded for one in run), []).append((run[0].span[0], run[-1].span[1]))
        return tuple(
            KeyWord(" ".join(response[slice(*spans[0])].split()), 1.0, tuple(spans)) for spans in found.values()
        )

    def locate(self, look: Look) -> list[Region]:
        """Each place of a word or phrase, those of whom the engine is surest first; one that is in no place as a whole
        is where its words are, if all of them but stop words stand in the picture.
        """
        read, stops, size = self._read(look), stop_words(look.sample.response), look.picture.size
        stretches = Stretches([one.placed.word for one in read])
        regions = []
        for word in dict.fromkeys(one.text for one in look.words):
            asked = spoken(word)
            places = list(_Runs([one.text for one in asked], stretches).whole())
            if not places:
                single = [list(_Runs([one.text], stretches).whole()) for one in asked if not one.hangs(stops)]
                places = list(itertools.chain(*single)) if all(single) else []
            found = [self._region(word, read[slice(*place)], size) for place in places]
            regions += sorted(found, key=lambda one: -one.score)[: kept_count(self.settings)]
        return regions

    def _read(self, look: Look) -> list[_Read]:
        lettering, least = self._lettering(look), self.settings.values.threshold
        lines = [line for line in lettering.lines if line.placed and line.confidence >= least]
        read = (_Read(one, number, line.confidence) for number, line in enumerate(lines) for one in placed_words(line))
        return list(itertools.islice(read, MOST_WORDS))

    def _lettering(self, look: Look) -> Lettering:
        sample = look.sample
        if self.readings is None:
            return given_lettering(sample.extra.get(COLUMN) or [], look.picture.size, FIELD)
        assert sample.image is not None  # there is a picture to look at
        return self.readings.of(resolve_inside(self.images, sample.image), sample.image)

    def _region(self, word: str, place: Sequence[_Read], size: tuple[int, int]) -> Region:
        stretches = itertools.groupby(place, lambda one: one.line)
        quads = [widened(_from_to([one.placed.quad for one in some]), self.settings.margin) for _, some in stretches]
        mask = union(quad_mask(size, quad) for quad in quads)
        assert mask is not None  # a place has words
        lettering = tuple(Lettered(one.placed.text, one.placed.quad) for one in place)
        score = min(one.confidence for one in place)
        return Region(word, mask, score, cut(_around(quads), size), lettering)


class Spoken(NamedTuple):
    """A word of a response, and where it stands (characters, end exclusive)."""

    text: str
    span: tuple[int, int]

    @property
    def folded(self) -> str:
        """Without case, as stop words are listed."""
        return self.text.casefold()

    def hangs(self, stops: frozenset[str]) -> bool:
        """Whether it tells nothing alone: a stop word, or a letter."""
        return self.folded in stops or (len(self.text) == 1 and self.text.isascii() and self.text.isalpha())


def spoken(text: str) -> list[Spoken]:
    """The words of a text, at hyphens in parts."""
    return [Spoken(one[0], one.span()) for one in itertools.islice(WORD.finditer(text), MOST_WORDS)]


class _Runs:
    """The words of a text in a row among those that were read.

    Args:
        asked: the words.
        stretches: of what was read.
    """

    def __init__(self, asked: Sequence[str], stretches: Stretches) -> None:
        self._next: list[dict[int, list[tuple[int, int]]]] = []
        for found in stretches.of(asked):
            self._next.append({})
            for many, first, end in found:
                self._next[-1].setdefault(first, []).append((many, end))

    def longest(self, place: int) -> int:
        """How many of the words from ``place`` on stand somewhere in a row."""
        if place >= len(self._next):
            return 0
        return max((self._from(place, first)[0] for first in self._next[place]), default=0)

    def whole(self) -> Iterator[tuple[int, int]]:
        """Where all of the words stand in a row (first, end), from the first place on; none overlaps another."""
        end = 0
        for first in sorted(self._next[0]) if self._next else ():
            many, last = self._from(0, first)
            if many == len(self._next) and first >= end:
                end = last
                yield first, last

    def _from(self, place: int, at: int) -> tuple[int, int]:
        """How many words stand in a row from ``place``, the first of them at ``at``, and where they end."""
        start = place
        while place < len(self._next) and (options := self._next[place].get(at)):
            many, at = max(options)
            place += many
        return place - start, at


def widened(quad: Quad, margin: float) -> Quad:
    """A rectangle with ``margin`` of its height more on all sides."""
    upper_left, upper_right, lower_right, lower_left = (np.array(corner) for corner in quad)
    down = (lower_left - upper_left) * margin
    length = float(np.hypot(*(upper_right - upper_left)))
    along = (upper_right - upper_left) / length * float(np.hypot(*down)) if length else np.zeros(2)
    corners = (
        upper_left - along - down,
        upper_right + along - down,
        lower_right + along + down,
        lower_left - along + down,
    )
    return tuple((float(x), float(y)) for x, y in corners)  # type: ignore[return-value]


def _from_to(quads: Sequence[Quad]) -> Quad:
    """The rectangle from the first word of a line to the last, with what is between them."""
    return quads[0][0], quads[-1][1], quads[-1][2], quads[0][3]


def _around(quads: Sequence[Quad]) -> Corners:
    across, down = zip(*itertools.chain(*quads), strict=True)
    return min(across), min(down), max(across), max(down)

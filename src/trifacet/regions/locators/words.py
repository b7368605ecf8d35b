"""The locator ``words``: what of the response stands in the picture as lettering is where it stands. No model but the
engine that reads (``lettering``).

Invariant: a picture is read once, however many words are looked for, and what was read is kept in the user's cache; a
region holds words of the response as they were read, with a margin so that no rest of a letter stays beside it.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from trifacet.base.digests import json_digest
from trifacet.base.images import resolve_inside
from trifacet.data.records import PreferenceSample
from trifacet.lettering.given import given_lettering
from trifacet.lettering.lines import Lettering, cut
from trifacet.lettering.places import Placed, placed_words
from trifacet.lettering.reading import Readings
from trifacet.lettering.settings import COLUMN
from trifacet.preferences.rejected.masks import Corners, Lettered, Quad, quad_mask, union
from trifacet.regions.keywords.candidates import stop_words
from trifacet.regions.keywords.tagging import tokens
from trifacet.regions.locators.settings import LocatorSettings, kept_count
from trifacet.regions.looking import KeyWord, Look, Region

FIELD = f"extra.{COLUMN}"
MOST_READ = 3_000  # words of a picture that are looked through
MOST_WORDS = 1_000  # of a response, as for key words
_QUOTED = 3  # so many stop words in a row are no chance: "to be or"


class _Read(NamedTuple):
    """A word that was read, plain, with its line's confidence."""

    plain: str
    placed: Placed
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

        A run holds a word that is no stop word, or three that are: "the" alone stands on every second poster.
        """
        read, response = self._read(look), look.sample.response
        said = spoken(response)
        stops = stop_words(response)
        found: dict[tuple[str, ...], list[tuple[int, int]]] = {}
        at = 0
        while at < len(said):
            length = longest_run(said[at:], read)
            run = said[at : at + length]
            at += max(length, 1)
            while 0 < len(run) < _QUOTED and run[0].plain in stops:
                run = run[1:]
            while 0 < len(run) < _QUOTED and run[-1].plain in stops:
                run = run[:-1]
            if run and (len(run) >= _QUOTED or any(one.plain not in stops for one in run)):
                found.setdefault(tuple(one.plain for one in run), []).append((run[0].span[0], run[-1].span[1]))
        return tuple(
            KeyWord(" ".join(response[slice(*spans[0])].split()), 1.0, tuple(spans)) for spans in found.values()
        )

    def locate(self, look: Look) -> list[Region]:
        """Each place of a word or phrase, those of whom the engine is surest first; one that is in no place as a whole
        is where its words are, if all of them but stop words stand in the picture.
        """
        read, stops, size = self._read(look), stop_words(look.sample.response), look.picture.size
        regions = []
        for word in dict.fromkeys(one.text for one in look.words):
            asked = [one.plain for one in spoken(word)]
            places = list(runs(asked, read))
            if asked and not places:
                single = {one: list(runs([one], read)) for one in asked if one not in stops}
                places = list(itertools.chain(*single.values())) if single and all(single.values()) else []
            found = [self._region(word, place, size) for place in places]
            regions += sorted(found, key=lambda one: -one.score)[: kept_count(self.settings)]
        return regions

    def _read(self, look: Look) -> list[_Read]:
        lettering, least = self._lettering(look), self.settings.values.threshold
        lines = [line for line in lettering.lines if line.placed and line.confidence >= least]
        read = (_Read(plain(one.word), one, line.confidence) for line in lines for one in placed_words(line))
        return list(itertools.islice((one for one in read if one.plain), MOST_READ))

    def _lettering(self, look: Look) -> Lettering:
        sample = look.sample
        if self.readings is None:
            return given_lettering(sample.extra.get(COLUMN) or [], look.picture.size, FIELD)
        assert sample.image is not None  # there is a picture to look at
        return self.readings.of(resolve_inside(self.images, sample.image), sample.image)

    def _region(self, word: str, place: Sequence[_Read], size: tuple[int, int]) -> Region:
        quads = [widened(one.placed.quad, self.settings.margin) for one in place]
        mask = union(quad_mask(size, quad) for quad in quads)
        assert mask is not None  # a place has words
        lettering = tuple(Lettered(one.placed.text, one.placed.quad) for one in place)
        score = min(one.confidence for one in place)
        return Region(word, mask, score, cut(_around(quads), size), lettering)


class Spoken(NamedTuple):
    """A word of a response, plain, and where it stands (characters, end exclusive)."""

    plain: str
    span: tuple[int, int]


def spoken(text: str) -> list[Spoken]:
    """The words of a text, at hyphens in parts."""
    found = []
    for token in tokens(text, MOST_WORDS):
        start = token.start
        for part in token.text.split("-"):
            if own := plain(part):
                found.append(Spoken(own, (start, start + len(part))))
            start += len(part) + 1
    return found


def runs(asked: Sequence[str], read: Sequence[_Read]) -> Iterator[Sequence[_Read]]:
    """The places in which all of ``asked`` stand in a row, in the order of reading; none overlaps another."""
    at = 0
    while asked and at < len(read):
        length = _matched(asked, read, at, whole=True)[1]
        if length:
            yield read[at : at + length]
        at += max(length, 1)


def longest_run(said: Sequence[Spoken], read: Sequence[_Read]) -> int:
    """How many words from the first on stand somewhere in a row."""
    words = [one.plain for one in said]
    return max((_matched(words, read, at, whole=False)[0] for at in range(len(read))), default=0)


def _matched(asked: Sequence[str], read: Sequence[_Read], at: int, *, whole: bool) -> tuple[int, int]:
    """How many of ``asked`` stand in a row from ``at`` on, and in how many read words; with ``whole`` all or none.

    Two words may have been read as one, or one as two.
    """
    one, other = 0, at
    while one < len(asked) and other < len(read):
        here, there = asked[one], read[other].plain
        if same(here, there):
            one, other = one + 1, other + 1
        elif one + 1 < len(asked) and here + asked[one + 1] == there:
            one, other = one + 2, other + 1
        elif other + 1 < len(read) and here == there + read[other + 1].plain:
            one, other = one + 1, other + 2
        else:
            break
    return (0, 0) if whole and one < len(asked) else (one, other - at)


def widened(quad: Quad, margin: float) -> Quad:
    """A rectangle with ``margin`` of its height more on all sides."""
    upper_left, upper_right, lower_right, lower_left = (np.array(corner) for corner in quad)
    down = (lower_left - upper_left) * margin
    length = float(np.hypot(*(upper_right - upper_left)))
    along = (upper_right - upper_left) / length * float(np.hypot(*down)) if length else np.zeros(2)
    corners = upper_left - along - down, upper_right + along - down, lower_right + along + down, lower_left - along + down
    return tuple((float(x), float(y)) for x, y in corners)  # type: ignore[return-value]


def _around(quads: Sequence[Quad]) -> Corners:
    across, down = zip(*itertools.chain(*quads), strict=True)
    return min(across), min(down), max(across), max(down)


def plain(word: str) -> str:
    """Letters and digits alone, without case and accents."""
    spread = unicodedata.normalize("NFKD", word.casefold())
    return "".join(char for char in spread if char.isalnum())


def same(one: str, other: str) -> bool:
    """Whether two plain words are the same but for an error of reading."""
    return one == other or (len(one) > 4 and len(one) == len(other) and sum(map(str.__ne__, one, other)) == 1)

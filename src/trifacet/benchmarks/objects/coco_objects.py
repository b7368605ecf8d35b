"""Which of COCO's 80 objects a text speaks of.

Invariant: the table of synonyms is the user's file; the rules here join and drop words, and name no object that the
table lacks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from trifacet.base.errors import DataError
from trifacet.benchmarks.objects.records import read_lines
from trifacet.benchmarks.objects.words import Sentences, noun_lemma, singular, word_splitter

Rules = Literal["chair", "object-halbench"]

# Pairs of words that CHAIR reads as one.
PAIRS = (
    *("motor bike", "motor cycle", "air plane", "traffic light", "street light", "traffic signal", "stop light"),
    *("fire hydrant", "stop sign", "parking meter", "suit case", "sports ball", "baseball bat", "baseball glove"),
    *("tennis racket", "wine glass", "hot dog", "cell phone", "mobile phone", "teddy bear", "hair drier"),
    *("potted plant", "bow tie", "laptop computer", "stove top oven", "home plate", "train track"),
)
ANIMALS = ("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "animal", "cub")
VEHICLES = ("jet", "train")
# "baby bear" is no person, "passenger train" neither; the singular of "glass" is "glas".
_QUALIFIED = {f"{age} {animal}": animal for age in ("baby", "adult") for animal in ANIMALS}
_QUALIFIED |= {f"passenger {vehicle}": vehicle for vehicle in VEHICLES}
_QUALIFIED |= {"bow tie": "tie", "toilet seat": "toilet", "wine glas": "wine glass"}


class Mention(NamedTuple):
    """A word of the text and the object that it names."""

    word: str
    object: str


@dataclass(frozen=True, eq=False)
class CocoObjects:
    """The table of synonyms (word -> object) and the pairs that are read as one word (pair -> word)."""

    names: Mapping[str, str]
    joins: Mapping[str, str]

    def join(self, words: Sequence[str]) -> list[str]:
        """The words, each pair that is read as one joined, from the left."""
        joined, at = [], 0
        while at < len(words):
            pair = " ".join(words[at : at + 2])
            joined.append(self.joins.get(pair, words[at]))
            at += 2 if pair in self.joins else 1
        return joined

    def joined_only(self, words: Sequence[str]) -> list[str]:
        """Only what joining makes of the words."""
        found, at = [], 0
        while at < len(words):
            pair = " ".join(words[at : at + 2])
            if pair in self.joins:
                found.append(self.joins[pair])
            at += 2 if pair in self.joins else 1
        return found

    def mentions(self, words: Iterable[str]) -> list[Mention]:
        """The words that name an object, in order and with repetition; beside a toilet, a seat is no chair."""
        words = list(words)
        if "toilet" in words and "seat" in words:
            words = [word for word in words if word != "seat"]
        return [Mention(word, self.names[word]) for word in words if word in self.names]


def read_synonyms(path: Path, rules: Rules = "chair") -> CocoObjects:
    """The table in ``path``: one object a line, its synonyms after it, separated by a comma and a space.

    CHAIR takes the entries as they stand, so that one after two spaces ("cake,  cheesecake") is never found; Object
    HalBench strips them, and joins each entry of two words.

    Raises:
        DataError: naming the line.
    """
    names: dict[str, str] = {}
    for number, line in enumerate(read_lines(path), start=1):
        entries = line.strip().split(", ")
        if rules == "object-halbench":
            entries = [entry.strip() for entry in entries]
        if not all(entry.strip() for entry in entries):
            raise DataError("has an empty name", fix="write 'object, synonym, synonym'", file=path, row=number)
        names |= dict.fromkeys(entries, entries[0])
    joins = {pair: pair for pair in PAIRS}
    if rules == "object-halbench":
        joins = {name: name for name in names if len(name.split(" ")) >= 2}
        joins |= {pair: pair for pair in ("home plate", "train track")}
    return CocoObjects(names, joins | _QUALIFIED)


class ObjectFinder:
    """Finds the objects in captions."""

    def __init__(self, objects: CocoObjects, rules: Rules = "chair", sentences: Sentences = "rule") -> None:
        self._objects = objects
        self._words = word_splitter(sentences)
        self._base = singular if rules == "chair" else noun_lemma()

    def find(self, caption: str) -> list[Mention]:
        """The objects that the caption mentions, in order and with repetition."""
        words = [self._base(word) for word in self._words(caption.lower())]
        return self._objects.mentions(self._objects.join(words))

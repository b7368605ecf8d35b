"""WordNet's synonym sets and base forms from the package's own file, for where no WordNet is installed.

Invariant: for every word NLTK's METEOR finds here the synonyms, and NLTK's lemmatiser the base forms, that it finds in
its own corpus WordNet 3.0. Only the order of the sets differs, and a set that stands there twice stands here once.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from nltk.corpus.reader.wordnet import WordNetCorpusReader

# Made by tools/wordnet_synonyms.py, which says what stands in it.
FILE = Path(__file__).parent / "data" / "wordnet.txt"


class SynonymReader(WordNetCorpusReader):
    """NLTK's own look-up and rules for base forms over ``FILE``: ``synsets`` and ``_morphy`` answer, the rest does not.

    A line of the file takes the place of a synonym set's offset.
    """

    def __init__(self) -> None:
        self._lemma_pos_offset_map = Index()
        self._exception_map = {}
        _, body = FILE.read_text(encoding="ascii").split("\n\n\n")
        parts = body.split("\n\n")
        for pos, sets, irregular in zip("nvar", parts[::2], parts[1::2], strict=True):
            self._lemma_pos_offset_map.add(pos, sets)
            forms = (line.split() for line in irregular.splitlines())
            self._exception_map[pos] = {form: bases for form, *bases in forms}

    def synset_from_pos_and_offset(self, pos: str, offset: str) -> Synset:
        return Synset(offset)


class Index:
    """The lines of each lemma by part of speech. They stay joined until one is asked for: half the time to load."""

    def __init__(self) -> None:
        self.joined: dict[str, dict[str, str]] = {}

    def add(self, pos: str, sets: str) -> None:
        joined = self.joined[pos] = {}
        for line, lower in zip(sets.splitlines(), sets.lower().splitlines(), strict=True):
            for lemma in lower.split():
                joined[lemma] = f"{joined[lemma]}\n{line}" if lemma in joined else line

    def __contains__(self, lemma: str) -> bool:
        return any(lemma in lines for lines in self.joined.values())

    def __getitem__(self, lemma: str) -> dict[str, list[str]]:
        return {pos: lines[lemma].splitlines() for pos, lines in self.joined.items() if lemma in lines}


class Synset(NamedTuple):
    """What METEOR asks of NLTK's synonym set: its lemmas."""

    words: str

    def lemmas(self) -> list[Lemma]:
        return [Lemma(word) for word in self.words.split()]


class Lemma(NamedTuple):
    """What METEOR asks of NLTK's lemma: its name."""

    text: str

    def name(self) -> str:
        return self.text

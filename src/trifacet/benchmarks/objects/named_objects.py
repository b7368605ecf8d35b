"""Objects that a language model listed, made comparable with COCO's.

Invariant: an object counts once per response and word, whatever the model repeats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from trifacet.benchmarks.objects.coco_objects import CocoObjects, Mention
from trifacet.benchmarks.objects.nouns import spacy_name
from trifacet.benchmarks.objects.words import noun_lemma, noun_model

OFFICIAL_LEMMAS = "spacy:en_core_web_trf"
ToWords = Callable[[str], list[str]]


def name_reader(lemmas: str, table: CocoObjects) -> ToWords:
    """What one listed name becomes: the pairs in it that are read as one word, or else its nouns.

    ``spacy:MODEL`` gives the nouns of "a NAME", those that follow each other joined; ``wordnet`` has no tags and gives
    the whole name, each word in its base form.

    Raises:
        TrifacetError: another name, or the tool is not there.
    """
    if lemmas == "wordnet":
        lemma = noun_lemma()

        def by_wordnet(name: str) -> list[str]:
            words = [lemma(word) for word in name.lower().split()]
            return table.joined_only(words) or ([" ".join(words)] if words else [])

        return by_wordnet
    nlp = noun_model(spacy_name(lemmas, "lemmas", "wordnet"))

    def by_spacy(name: str) -> list[str]:
        tokens = [(token.lemma_, token.tag_.startswith("NN")) for token in nlp(f"a {name}")]
        return table.joined_only([lemma for lemma, _ in tokens]) or _runs(tokens)

    return by_spacy


def mentions(names: Iterable[str], table: CocoObjects, words: ToWords) -> list[Mention]:
    """COCO's objects among the listed names, each word once, in order."""
    return table.mentions(dict.fromkeys(word for name in names for word in words(name)))


def _runs(tokens: list[tuple[str, bool]]) -> list[str]:
    runs: list[list[str]] = [[]]
    for lemma, noun in tokens:
        if noun:
            runs[-1].append(lemma)
        elif runs[-1]:
            runs.append([])
    return [" ".join(run) for run in runs if run]

"""AMBER's two tools: what finds the nouns of a response, and what says that two words are alike.

Invariant: a tool is the one that the user named; where it cannot run, that is an error and no other takes its place.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable

from trifacet.base.errors import TrifacetError
from trifacet.base.spacy_models import spacy_model
from trifacet.benchmarks.objects.words import noun_lemma, noun_model

Nouns = Callable[[str], list[str]]
Alike = Callable[[str, str], bool]

OFFICIAL_TAGGER = "nltk"
OFFICIAL_SIMILARITY = "spacy:en_core_web_lg"
THRESHOLD = 0.8  # two words are alike where their similarity is above it


def noun_tagger(name: str) -> Nouns:
    """``nltk``: NLTK's tags and WordNet's lemmas; ``spacy:MODEL``: a model's own; ``words``: each word is a noun.

    Raises:
        TrifacetError: another name, or the tool or its data are not there.
    """
    if name == "words":
        return str.split
    if name == "nltk":
        return _nltk_nouns()
    nlp = noun_model(spacy_name(name, "tagger", "nltk or words"))

    def nouns(text: str) -> list[str]:
        if len(text) > nlp.max_length:
            raise TrifacetError(f"a response has {len(text)} characters, and {name} takes {nlp.max_length} at most")
        return [token.lemma_ for token in nlp(text) if token.tag_.startswith("NN")]

    return nouns


def similarity(name: str) -> Alike:
    """``spacy:MODEL``: the cosine of the model's vectors is above ``THRESHOLD``; ``equal``: the words are the same.

    Raises:
        TrifacetError: another name, a model that is not there or has no vectors.
    """
    if name == "equal":
        return str.__eq__
    nlp = spacy_model(spacy_name(name, "similarity", "equal"))
    if not nlp.vocab.vectors_length:
        raise TrifacetError(
            f"spaCy model {name.removeprefix('spacy:')!r} has no word vectors; take en_core_web_lg or the like"
        )
    document = functools.lru_cache(maxsize=50_000)(nlp)

    @functools.lru_cache(maxsize=500_000)
    def alike(word: str, other: str) -> bool:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a word without a vector: the similarity is 0
            return bool(document(word).similarity(document(other)) > THRESHOLD)

    return alike


def _nltk_nouns() -> Nouns:
    import nltk

    lemma = noun_lemma()
    try:
        nltk.pos_tag(nltk.word_tokenize("A dog."))
    except (LookupError, OSError):
        raise TrifacetError(
            "NLTK's punkt or its tagger is not installed; run `python -m nltk.downloader punkt_tab "
            "averaged_perceptron_tagger_eng`, or set tagger=spacy:MODEL or tagger=words"
        ) from None

    def nouns(text: str) -> list[str]:
        return [lemma(word) for word, tag in nltk.pos_tag(nltk.word_tokenize(text)) if tag.startswith("NN")]

    return nouns


def spacy_name(name: str, option: str, others: str) -> str:
    """The model of an option's value ``spacy:MODEL``. Raises TrifacetError for another value."""
    if not name.startswith("spacy:") or not name.removeprefix("spacy:"):
        raise TrifacetError(f"{option}={name} is not known; set spacy:MODEL, {others}")
    return name.removeprefix("spacy:")

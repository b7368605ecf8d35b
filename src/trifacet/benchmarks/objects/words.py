"""Words of a caption, and their base forms, as the object benchmarks read them.

Invariant: what a word becomes depends on the word and the chosen tools only, never on what happens to be installed: a
tool that is missing is an error that says how to get it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, Literal

from trifacet.base.errors import TrifacetError
from trifacet.base.spacy_models import spacy_model
from trifacet.metrics.wordnet import find_wordnet

Sentences = Literal["rule", "punkt"]
Words = Callable[[str], list[str]]
BaseForm = Callable[[str], str]

# Where the rule ends a sentence: white space after . ! or ?, and line ends.
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")


def word_splitter(sentences: Sentences) -> Words:
    """NLTK's ``word_tokenize``, with sentences found by its corpus punkt or by a rule.

    Within a sentence a full stop stays with its word, so what ends one decides whether "dog." is a dog. Punkt also ends
    sentences before closing quotation marks, and not after abbreviations.

    Raises:
        TrifacetError: punkt is asked for and not installed.
    """
    from nltk.tokenize import word_tokenize

    if sentences == "rule":
        return lambda text: [
            word for sentence in _SENTENCE_END.split(text) for word in word_tokenize(sentence, preserve_line=True)
        ]
    try:
        word_tokenize("A sentence.")
    except (LookupError, OSError):
        raise TrifacetError(
            "NLTK's punkt is not installed; run `python -m nltk.downloader punkt_tab`, or set sentences=rule"
        ) from None
    return lambda text: list(word_tokenize(text))


@functools.lru_cache(maxsize=100_000)
def singular(word: str) -> str:
    """The singular form as pattern 2.6 makes it, which CHAIR was defined with; TextBlob keeps those rules.

    They take "bus" to "bu" and "ties" to "ty".
    """
    from textblob.en.inflect import singularize

    return str(singularize(word))


def noun_lemma() -> BaseForm:
    """WordNet's base form of a noun as NLTK's lemmatiser gives it: the shortest, or the word itself."""
    wordnet = find_wordnet().reader

    @functools.lru_cache(maxsize=100_000)
    def lemma(word: str) -> str:
        forms = wordnet._morphy(word, "n")  # as nltk.stem.WordNetLemmatizer, which can't be given a reader
        return str(min(forms, key=len)) if forms else word

    return lemma


@functools.lru_cache(maxsize=4)
def noun_model(name: str) -> Any:
    """The same, where it finds nouns and their base forms in English; one without a tagger would find none at all.

    Raises:
        TrifacetError: as ``spacy_model``; or it finds none where there is one.
    """
    nlp = spacy_model(name)
    if not any(token.tag_.startswith("NN") and token.lemma_ for token in nlp("two dogs")):
        raise TrifacetError(
            f"spaCy model {name!r} finds no noun in 'two dogs'; take an English one with a tagger and a lemmatizer, "
            "such as en_core_web_sm"
        )
    return nlp

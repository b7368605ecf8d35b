"""Words of a text, and which of them are nouns and adjectives.

Invariant: every word has its place in the text as it was given, and a part of a text is read in bounded time.

The small tagger looks words up in TextBlob's lexicon (Brill's, 94,000 words, which comes with the package) and puts
right by their neighbours what captions get wrong most. NLTK's and spaCy's taggers need a download.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import regex

from trifacet.base.errors import TrifacetError
from trifacet.base.spacy_models import spacy_model

Part = Literal["noun", "adjective", "other", "break"]
LONGEST = 64  # characters of a word; what is longer is none
_LETTER = r"[\p{L}\p{M}\p{N}_\u200c\u200d]"
_TOKEN = regex.compile(rf"{_LETTER}++(?:[-'’]{_LETTER}++)*+|[^\p{{Zs}}\t]")
_CONTRACTED = regex.compile(r"n['’]t$|['’](?:s|re|ve|ll|d|m)$", regex.IGNORECASE)
_ENDS = frozenset("\n.!?")
_ARTICLES = ("a", "an", "the")
_PARTS: dict[str, Part] = {"NOUN": "noun", "PROPN": "noun", "ADJ": "adjective"}  # Universal Dependencies'
_ENGLISH = 0.6  # share of a text's words that the lexicon knows; foreign sentences stay below


class Token(NamedTuple):
    """``text[start:end]`` of a text: a word, or a mark that is none (part "break")."""

    text: str
    start: int
    end: int
    part: Part


def tokens(text: str, words: int) -> list[Token]:
    """The first ``words`` words of a text and the marks between them, at most four times as many; parts open."""
    found: list[Token] = []
    count = 0
    for token in itertools.islice(_pieces(text), 4 * words):
        found.append(token)
        count += token.part == "other"
        if count == words:
            break
    return found


def is_english(found: list[Token]) -> bool:
    """Whether the lexicon knows most of the words; a text without words is English."""
    from textblob.en import lexicon

    words = {token.text.casefold() for token in found if token.text[0].isalpha()}
    return sum(word in lexicon for word in words) >= _ENGLISH * len(words)


def tagged(found: list[Token]) -> list[Token]:
    """English tokens with their parts, by the small tagger."""
    from textblob.en import parser

    result: list[Token] = []
    sentence: list[Token] = []
    for token in found:
        sentence.append(token)
        if token.text in _ENDS or token is found[-1]:
            shouted = " ".join(one.text for one in sentence).isupper()
            words = [one.text.lower() if shouted else _known_as(one.text) for one in sentence]
            tags = _by_neighbours(parser.find_tags(words))
            result += [
                one if one.part == "break" else one._replace(part=_part(tag))
                for one, tag in zip(sentence, tags, strict=True)
            ]
            sentence = []
    return result


def tagged_by(name: str, text: str, words: int) -> list[Token]:
    """The tokens of a text as the spaCy pipeline ``name`` finds and tags them.

    Raises:
        TrifacetError: spaCy is not installed, there is no such pipeline, or it does not tag.
    """
    read = tokens(text, words)
    document = spacy_model(name)(text[: read[-1].end] if read else "")
    if len(document) and not document.has_annotation("POS"):
        raise TrifacetError(
            f"spaCy model {name!r} does not say which words are nouns; take one with a tagger, such as en_core_web_sm"
        )
    return [_of_spacy(token) for token in document]


def _pieces(text: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(text):
        start, end = match.span()
        word = match[0]
        if len(word) > LONGEST or not any(map(str.isalnum, word)):
            yield Token(word, start, end, "break")
        elif cut := _CONTRACTED.search(word):
            middle = start + cut.start()
            if middle > start:
                yield Token(text[start:middle], start, middle, "other")
            yield Token(cut[0], middle, end, "break")
        else:
            yield Token(word, start, end, "other")


def _known_as(word: str) -> str:
    """Of a word with a hyphen that the lexicon lacks the last part, where that is a noun: a t-shirt is a shirt."""
    from textblob.en import lexicon

    last = word.rpartition("-")[2]
    return last if last != word and word not in lexicon and lexicon.get(last, "").startswith("NN") else word


def _by_neighbours(tags: Sequence[Sequence[str]]) -> list[str]:
    """Penn tags. Finite verbs where only a noun can stand are nouns (a sink, its turn, a teddy bear); a plural between
    a noun and an article is a verb (the image features a).
    """
    made = [tag for _, tag in tags]
    for at, (_, tag) in enumerate(tags):
        word_before, before = (tags[at - 1][0].lower(), made[at - 1]) if at else ("", "")
        after = made[at + 1] if at + 1 < len(made) else ""
        determined = word_before in _ARTICLES or before == "PRP$"
        if (tag in ("VB", "VBP", "VBZ") and determined) or (tag == "VB" and before in ("JJ", "NN")):
            made[at] = "NN"
        elif tag == "NNS" and before in ("NN", "NNP") and after in ("DT", "PRP$"):
            made[at] = "VBZ"
    return made


def _part(tag: str) -> Part:
    return "noun" if tag.startswith("NN") else "adjective" if tag.startswith("JJ") else "other"


def _of_spacy(token: Any) -> Token:
    word = str(token.text)
    part: Part = _PARTS.get(token.pos_, "other")
    if len(word) > LONGEST or not any(map(str.isalnum, word)):
        part = "break"
    return Token(word, token.idx, token.idx + len(word), part)


@functools.cache
def stemmer() -> Callable[[str], str]:
    """English stems, as Snowball makes them; of a word in another language little is cut off."""
    from nltk.stem.snowball import SnowballStemmer

    return functools.lru_cache(maxsize=50_000)(SnowballStemmer("english").stem)

"""One number, day, price or name exchanged for another of its kind, so that nothing but the lettering is wrong.

Invariant: what comes out differs from what went in in one place, keeps its form (digits for digits, capitals for
capitals), and depends on the text and the random numbers alone. The new word is clearly another one: no error of
reading makes it of the old one.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

import numpy as np
import regex

from trifacet.preferences.rejected.misreading_numbers import Number, number_words, numbers
from trifacet.preferences.rejected.misreading_words import BEFORE_DATES, GROUPS, PLAIN, UNSURE, Group, Part

Kind = Literal["number", "price", "time", "day", "month", "year", "name", "origin", "word"]

_WORD = regex.compile(r"(?<![\p{L}\p{M}\p{N}_@#/.\\])[\p{L}\p{M}]++(?![\p{N}_@/\\]|\.\p{L})")  # not of an address
_SHORTEST, _LONGEST = 3, 40  # letters of a word that can be exchanged
_ALIKE = 0.5  # of ``SequenceMatcher.ratio``: words above it may be readings of each other
_NEAR = 2  # letters that the new word may be longer or shorter, where there is one
_DAYS = 31  # of a month
_AT_LEAST = 5  # words to choose from, as long as there are as many
_PARTS: tuple[tuple[str, Part], ...] = (("NNS", "nouns"), ("NN", "noun"), ("JJ", "adjective"), ("VB", "verb"))
_FOLDED = str.maketrans("01l|!5$8", "oiiiissb")
_RANKS: dict[Kind, int] = {"name": 1, "origin": 2, "word": 3}  # and whatever else first


class Exchange(NamedTuple):
    """A text with one word of it exchanged: the word, what stands for it, where it stood (characters), its kind."""

    text: str
    before: str
    after: str
    span: tuple[int, int]
    kind: Kind


class Place(NamedTuple):
    """Where a word stands that can be exchanged (characters, end exclusive), and its kind."""

    start: int
    end: int
    kind: Kind


class _Candidate(NamedTuple):
    place: Place
    number: Number | None  # or
    others: tuple[str, ...]  # lower-case words


def misread(text: str, allowed: Sequence[tuple[int, int]], rng: np.random.Generator) -> Exchange | None:
    """Exchange one word of a text for another of its kind.

    Numbers, prices, times, days, months and years come first, then names, origins ("Italian"), and plain words; among
    those of the first of these that the text has, each has the same chance. Of a price or time the number is the word.

    Args:
        text: what is written.
        allowed: where words may be exchanged, in characters, end exclusive; a word must lie within one span, or within
            several that touch.
        rng: random numbers.

    Returns:
        The text with one word exchanged; None where no word there is of a known kind.
    """
    spans = _joined(allowed)
    found = [
        one for one in _candidates(text) if any(low <= one.place.start and one.place.end <= high for low, high in spans)
    ]
    for rank in sorted({_rank(one) for one in found}):
        ranked = [one for one in found if _rank(one) == rank]
        for at in rng.permutation(len(ranked)).tolist():
            if (exchange := _exchanged(text, ranked[at], rng)) is not None:
                return exchange
    return None


def places(text: str) -> tuple[Place, ...]:
    """The words of a text that can be exchanged: its numbers, then the others, each in the text's order."""
    return tuple(one.place for one in _candidates(text))


def other_word(word: str, rng: np.random.Generator) -> str:
    """Another word of the same kind, case and about the same length, for setting into a picture.

    A word of letters that is of no known kind ("the", or one in other letters) is exchanged for a plain word. What has
    neither letter nor digit comes back as it is.
    """
    exchange = misread(word, [(0, len(word))], rng)
    if exchange is not None:
        return exchange.text
    if any(map(str.isdecimal, word)):
        return "".join(str((int(one) + int(rng.integers(1, 9))) % 10) if one.isdecimal() else one for one in word)
    letters = [at for at, one in enumerate(word) if one.isalpha()]
    if not letters:
        return word
    start, end = letters[0], letters[-1] + 1
    others = _by_length(word[start:end], _all_plain(), word)
    return word[:start] + _as(word[start:end], others[int(rng.integers(len(others)))]) + word[end:]


def unlike(word: str, other: str) -> bool:
    """Whether two words are clearly other ones: neither is what an error of reading would make of the other."""
    one, two = _folded(word), _folded(other)
    return not (one in two or two in one) and SequenceMatcher(None, one, two, autojunk=False).ratio() <= _ALIKE


def _candidates(text: str) -> Iterator[_Candidate]:
    for number in numbers(text):
        yield _Candidate(Place(number.start, number.end, number.kind), number, ())
    for match in _WORD.finditer(text):
        if _SHORTEST <= len(match[0]) <= _LONGEST and (found := _of_kind(text, *match.span())) is not None:
            yield _Candidate(Place(match.start(), match.end(), found[0]), None, found[1])


def _rank(candidate: _Candidate) -> int:
    return _RANKS.get(candidate.place.kind, 0)


def _exchanged(text: str, candidate: _Candidate, rng: np.random.Generator) -> Exchange | None:
    """The text with the candidate exchanged; None where no other word is right there."""
    start, end, kind = candidate.place
    before = text[start:end]
    if candidate.number is not None:
        others = _other_numbers(text, candidate.number, rng)
    else:
        others = _by_length(before, candidate.others, text)
    article = regex.search(r"\b(an?)[\s\"'“‘(]+$", text[:start], regex.IGNORECASE)
    if article:  # its form must stay right
        others = tuple(other for other in others if _vowel(other) == (article[1].lower() == "an"))
    if not others:
        return None
    after = _as(before, others[int(rng.integers(len(others)))])
    return Exchange(text[:start] + after + text[end:], before, after, (start, end), kind)


def _other_numbers(text: str, number: Number, rng: np.random.Generator) -> tuple[str, ...]:
    """Others that the text does not have already; a day of a month where one stands."""
    known = {one.text for one in numbers(text)}
    others = tuple(other for other in number_words(number, rng) if other not in known)
    if number.kind == "number" and number.text.isdecimal() and _beside_date(text, number.start, number.end):
        return tuple(other for other in others if int(other) <= _DAYS) or others
    return others


def _of_kind(text: str, start: int, end: int) -> tuple[Kind, tuple[str, ...]] | None:
    """What kind of word stands at a place, and what it may be exchanged for."""
    word = text[start:end]
    lower = unicodedata.normalize("NFC", word).lower()
    capital = word[0] != word[0].lower()
    plain = _plain_part(lower)
    for group, stem in _groups(lower):
        if group.kind in ("name", "origin") and plain is not None and (not capital or word.isupper()):
            continue  # mark, rose, march
        if group.kind in ("day", "month") and stem in UNSURE and not _beside_date(text, start, end):
            continue
        suffix = lower[len(stem) :]
        return group.kind, tuple(other + suffix for other in _common(lower, group) if other != stem)
    if plain is not None:
        return "word", PLAIN[plain]
    if not (_unknown(lower) and _latin(lower)):
        return None
    if _tag(lower.capitalize()).startswith("NNP") or (capital and not word.isupper()):
        return "name", _all_names()
    if len(word) > _SHORTEST:
        return "word", PLAIN["noun"]
    return None


@functools.cache
def _by_word() -> dict[str, tuple[Group, ...]]:
    found: dict[str, tuple[Group, ...]] = {}
    for group in GROUPS:
        for word in group.words:
            found[word] = (*found.get(word, ()), group)
    return found


def _groups(lower: str) -> Iterator[tuple[Group, str]]:
    """The groups that a word is of, and its form there."""
    yield from ((group, lower) for group in _by_word().get(lower, ()))
    for stem in (lower[:-1],) if lower.endswith("s") else ():
        yield from ((group, stem) for group in _by_word().get(stem, ()) if group.plural)


def _common(lower: str, group: Group) -> tuple[str, ...]:
    """The words that stand in all groups of its kind that have this one (August is English and German)."""
    groups = [set(one.words) for one in _by_word().get(lower, ()) if one.kind == group.kind]
    shared = tuple(word for word in group.words if all(word in words for words in groups))
    return shared if len(shared) > 2 else group.words


def _beside_date(text: str, start: int, end: int) -> bool:
    """Whether a day or a month stands next to a number; next to a word also a number, or one of BEFORE_DATES."""
    before = regex.search(r"([\p{L}\p{N}]+)[^\p{L}\p{N}]{0,3}$", text[max(start - 24, 0) : start])
    after = regex.match(r"[^\p{L}\p{N}]{0,3}([\p{L}\p{N}]+)", text[end : end + 24])
    near = [one[1].lower() for one in (before, after) if one]
    if any(_dated(word) or (word[0].isdigit() and not text[start].isdigit()) for word in near):
        return True
    return before is not None and before[1].lower() in BEFORE_DATES and text[start] != text[start].lower()


def _dated(word: str) -> bool:
    return any(group.kind in ("day", "month") for group in _by_word().get(word, ()))


def _tag(word: str) -> str:
    from textblob.en import lexicon  # Brill's, which comes with the package

    return str(lexicon.get(word, ""))


def _plain_part(lower: str) -> Part | None:
    """The part of speech of a plain English word that may be exchanged; None for others ("with", "his", "ernest")."""
    tag = _tag(lower) or _tag(_bare(lower))
    return next((part for begin, part in _PARTS if tag.startswith(begin) and not tag.startswith("NNP")), None)


def _unknown(lower: str) -> bool:
    """Whether a word is in no list: neither English nor one of the small words of the other languages."""
    return not _tag(lower) and lower not in _small_words()


@functools.cache
def _small_words() -> frozenset[str]:
    from stopwordsiso import stopwords

    return frozenset(stopwords(["en", "de", "fr", "es"]))


@functools.cache
def _all_names() -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for group in GROUPS if group.kind == "name" for word in group.words))


@functools.cache
def _all_plain() -> tuple[str, ...]:
    return tuple(dict.fromkeys((*PLAIN["noun"], *PLAIN["adjective"])))


def _latin(word: str) -> bool:
    return regex.fullmatch(r"[\p{Latin}\p{M}]+", word) is not None


def _by_length(word: str, others: Sequence[str], text: str) -> tuple[str, ...]:
    """Those of the others that are clearly another word, stand nowhere in the text, and are nearest in length."""
    text = text.lower()
    near = sorted(others, key=lambda other: abs(len(other) - len(word)))
    found: list[str] = []
    for other in near:
        if len(found) >= _AT_LEAST and abs(len(other) - len(word)) > _NEAR:
            break
        if unlike(word, other) and other not in text:
            found.append(other)
    return tuple(found)


def _folded(word: str) -> str:
    """A word without case and marks, and with one sign for each of those that are easily taken for each other."""
    return _bare(word).translate(_FOLDED).replace("rn", "m").replace("vv", "w")


def _bare(word: str) -> str:
    letters = unicodedata.normalize("NFKD", word).casefold()
    return "".join(one for one in letters if not unicodedata.combining(one))


def _as(word: str, other: str) -> str:
    """``other`` in the capitals of ``word``."""
    if word.isupper() and (len(word) > 1 or len(other) == 1):
        return other.upper()
    return other[0].upper() + other[1:] if word[0] != word[0].lower() else other


def _vowel(word: str) -> bool:
    """Whether "an" stands before a word."""
    number = regex.match(r"\d+", word)
    if number:
        return number[0].startswith("8") or number[0] in ("11", "18")
    return word[0].lower() in "aeiou" and not word.lower().startswith(("eu", "one", "uk", "uni", "us"))


def _joined(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined

"""What may be a key word of a response: nouns with what describes them, or in other languages than English its words
that are no stop words.

Invariant: ``response[start:end]`` of each span is an occurrence of its candidate, spans do not overlap, and forms with
the same stems are one candidate.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import regex

from trifacet.regions.keywords.settings import KeyWords
from trifacet.regions.keywords.tagging import Token, is_english, stemmer, tagged, tagged_by, tokens

# Scripts that put no space between words.
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー]++")


class Candidate(NamedTuple):
    """A word or phrase: as it stands first, with single spaces; its stems; of each occurrence the number of its first
    word and its place in characters.
    """

    text: str
    stems: tuple[str, ...]
    positions: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]


class _Occurrence(NamedTuple):
    stems: tuple[str, ...]
    position: int
    span: tuple[int, int]


def find_candidates(response: str, settings: KeyWords) -> list[Candidate]:
    """The candidates of a response in the order of their first occurrences, the most frequent ones if there are many.

    Raises:
        TrifacetError: spaCy or the pipeline that the settings name is not there or does not tag.
    """
    if settings.tagger != "small":
        found = _noun_phrases(tagged_by(settings.tagger, response, settings.words), settings.phrase)
    else:
        read = tokens(response, settings.words)
        english = settings.language == "en" or (settings.language == "auto" and is_english(read))
        found = _noun_phrases(tagged(read), settings.phrase) if english else _content_words(read, settings.language)
    left_out = {_stem(word) for word in settings.leave_out}
    return _merged(response, [one for one in found if one.stems[-1] not in left_out], settings.candidates)


def stop_words(response: str, words: int = 1000) -> frozenset[str]:
    """The stop words, casefolded, of the language that a response seems to be in: of its first ``words`` words."""
    read = [token for token in tokens(response, words) if token.part != "break"]
    return _stop_words(read, "en" if is_english(read) else "auto")


def _noun_phrases(read: Sequence[Token], longest: int) -> list[_Occurrence]:
    """Longest runs of nouns and adjectives that end in a noun; of one that is too long, pieces from its end."""
    found: list[_Occurrence] = []
    run: list[tuple[int, Token]] = []

    def close() -> None:
        pieces = []
        while run:
            while run and run[-1][1].part != "noun":
                run.pop()
            if run:
                pieces.append(run[-longest:])
                del run[-longest:]
        for piece in reversed(pieces):
            words = [token for _, token in piece]
            span = words[0].start, words[-1].end
            found.append(_Occurrence(tuple(_stem(token.text) for token in words), piece[0][0], span))

    position = 0
    for token in read:
        if token.part in ("noun", "adjective"):
            run.append((position, token))
        else:
            close()
        position += token.part != "break"
    close()
    return found


def _content_words(read: Sequence[Token], language: str) -> list[_Occurrence]:
    """Words with letters that are no stop words; in scripts without spaces what stands between stop words."""
    words = [token for token in read if token.part != "break"]
    stops = _stop_words(words, language)
    pieces = (piece for word in words for piece in (_between(word, stops) if _UNSPACED.search(word.text) else [word]))
    found = []
    for position, piece in enumerate(pieces):
        text = piece.text.casefold()
        letters = sum(map(str.isalpha, text))
        if text not in stops and (letters > 1 or _UNSPACED.fullmatch(text)):
            found.append(_Occurrence((_stem(text),), position, (piece.start, piece.end)))
    return found


def _between(token: Token, stops: frozenset[str]) -> list[Token]:
    """A token of a script without spaces, cut at ``_gaps``."""
    pieces, start, text = [], 0, token.text
    for gap in _gaps(stops).finditer(text):
        pieces.append((start, gap.start()))
        start = gap.end()
    pieces.append((start, len(text)))
    return [Token(text[a:b], token.start + a, token.start + b, "other") for a, b in pieces if b > a]


@functools.lru_cache(maxsize=64)
def _gaps(stops: frozenset[str]) -> regex.Pattern[str]:
    """What parts words where no space does: stop words, the longest first, and hiragana."""
    return regex.compile(r"\p{Hiragana}++|\L<stops>", stops=_unspaced(stops))


@functools.lru_cache(maxsize=64)
def _unspaced(stops: frozenset[str]) -> list[str]:
    return [word for word in stops if _UNSPACED.fullmatch(word)]


def _stop_words(words: Sequence[Token], language: str) -> frozenset[str]:
    """Those of the language; by default of the one, or the several, whose stop words stand here most often."""
    lists = _lists()
    if language != "auto":
        return lists[language]
    here = Counter(word.text.casefold() for word in words)
    unspaced = "\n".join(word for word in here if _UNSPACED.search(word))
    hits = {code: sum(count for word, count in here.items() if word in stops) for code, stops in lists.items()}
    for code in lists if unspaced else ():
        hits[code] += sum(len(gap[0]) for gap in _gaps(lists[code]).finditer(unspaced)) if _unspaced(lists[code]) else 0
    most = max(hits.values())
    return frozenset().union(*(lists[code] for code, count in hits.items() if count == most)) if most else frozenset()


@functools.cache
def _lists() -> dict[str, frozenset[str]]:
    from stopwordsiso import langs, stopwords

    return {code: frozenset(map(str.casefold, stopwords(code))) for code in sorted(langs())}


def _stem(word: str) -> str:
    return stemmer()(word.casefold())


def _merged(response: str, found: Iterable[_Occurrence], most: int) -> list[Candidate]:
    """Occurrences with the same stems are one candidate; ``most`` of them are kept."""
    groups: dict[tuple[str, ...], list[_Occurrence]] = {}
    for one in found:
        groups.setdefault(one.stems, []).append(one)
    kept = sorted(groups.values(), key=lambda group: (-len(group), group[0].span))[:most]
    return [
        Candidate(
            " ".join(response[slice(*group[0].span)].split()),
            group[0].stems,
            tuple(one.position for one in group),
            tuple(one.span for one in group),
        )
        for group in sorted(kept, key=lambda group: group[0].span)
    ]

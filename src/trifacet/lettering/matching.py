"""Whether texts and lettering have the same words, tolerant of how letters are misread and set.

Two words are the same when one of these holds:

1. They are equal once folded: compatibility forms (NFKC), case, combining diacritical marks, strokes (ł, ø, đ),
   apostrophes and the 's of a possessive do not count; nor does exchanging letters that look alike: 0 and O; 1, l, I
   and |; rn and m; vv and w.
2. They are the same number: 4,000 = 4.000 = 4 000, 3,50 = 3.50, 5.00 = 5, 10:30 = 10.30, 09 = 9; in English one to
   twelve may be written out.
3. Neither holds a digit, and at most ``errors_allowed`` letters are put in, taken out or exchanged: none in words of up
   to four letters, one up to eight, two in longer ones.
4. One of them is up to four words of the other side, joined, by rule 1: SUNDAYBRUNCH and "sunday brunch",
   RESTAURANTSIN and "restaurants in", a word that is broken over two lines. Numbers join as groups of thousands only.

So an exchanged digit is always another number, and a weekday always another day; of two names of five letters and more
that differ in one letter (Maria, Mario) nobody can say which was lettered: they are the same here. Words that a
language hangs its others on ("the", "of") are not asked for where there are others.

Invariant: what is compared is bounded (``MOST_WORDS`` of each side), so time is linear in the length of what is given.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

import regex

from trifacet.lettering.lines import Lettering, Line

MOST_WORDS = 2_000  # of a text, or of a picture; what stands behind them is not compared
MOST_PHRASE = 100  # words of a phrase
_LONGEST = 40  # letters of a word: longer ones are compared as they are
_JOINED = 4  # words that may be one on the other side
_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]\p{M}*+"  # a word each
WORD = regex.compile(
    rf"{_UNSPACED}|(?:(?!{_UNSPACED})[\p{{L}}\p{{N}}]\p{{M}}*+|(?<=\p{{L}}\p{{M}}*)['’ʼ](?=\p{{L}})"
    r"|(?<=\p{Nd})[.,:'’](?=\p{Nd}))++"
)
_DIACRITICS = regex.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f'’ʼ]+")
_POSSESSIVE = regex.compile(r"(?<=\w)['’ʼ]s$")
_STROKES = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ı": "i", "ħ": "h", "ŧ": "t"})
_ALIKE = str.maketrans({"o": "0", "l": "1", "i": "1", "|": "1"})
_NUMBER = regex.compile(r"\p{Nd}++(?:[.,:'’]\p{Nd}++)*+")
_THOUSANDS = regex.compile(r"(\p{Nd}{1,3})(?:([.,'’])\p{Nd}{3})(?:\2\p{Nd}{3})*+([.,]\p{Nd}{1,2})?")
_SHORT, _GROUP = regex.compile(r"\p{Nd}{1,3}"), regex.compile(r"\p{Nd}{3}")
_DIGIT = regex.compile(r"\p{N}")
_CURRENCY = regex.compile(r"\p{Sc}")
_NAMES = regex.findall(r"\w+", "one two three four five six seven eight nine ten eleven twelve")
_WRITTEN = {name: str(number) for number, name in enumerate(_NAMES, start=1)}
_FUNCTION = frozenset(
    regex.findall(
        r"\w+", "a an the of in on at to for from by with and or as is are be it its this that your you my our we i me"
    )
)


def holds(lettering: Lettering, phrase: str) -> bool:
    """Whether the words of ``phrase`` stand in the picture in this order, but for errors of reading.

    A phrase begins anywhere, and goes on from the end of a line at the beginning of any other: columns, arcs and lines
    that the engine cut are in no one order. Function words may lack or be too many. A phrase without words is held.
    """
    if missing(lettering, phrase):
        return False
    asked = _words(phrase)[:MOST_PHRASE]
    return not asked or _runs(asked, [_words(line.text) for line in lettering.lines])


def missing(lettering: Lettering, phrase: str) -> tuple[str, ...]:
    """The words of ``phrase`` that stand nowhere in the picture, but for errors of reading; once each.

    A currency sign is missing where the picture has another one.
    """
    absent = _absent(_words(phrase)[:MOST_WORDS], _Said([lettering.text]), read=False)
    signs = set(_CURRENCY.findall(lettering.text))
    wrong = [sign for sign in _CURRENCY.findall(phrase) if signs and sign not in signs]
    return tuple(dict.fromkeys([*_distinct(absent), *wrong]))


def asked_words(lines: Sequence[Line]) -> tuple[str, ...]:
    """The words of lines that a text is asked for, as they are lettered, once each.

    No function words and no single letters, unless there are no others.
    """
    return tuple(_distinct(_telling(_words("\n".join(line.text for line in lines))[:MOST_WORDS], read=True)))


def left_out(lines: Sequence[Line], *texts: str) -> tuple[str, ...]:
    """Those of ``asked_words`` that stand in none of the texts, as they are lettered, once each.

    Here a word and its plural in s are the same too: a text need not quote.
    """
    asked = _words("\n".join(line.text for line in lines))[:MOST_WORDS]
    return tuple(_distinct(_absent(asked, _Said(texts), read=True)))


def share_held(lines: Sequence[Line], *texts: str) -> tuple[int, int]:
    """How many of ``asked_words`` stand in one of the texts, and how many there are."""
    asked = len(asked_words(lines))
    return asked - len(left_out(lines, *texts)), asked


def word_count(text: str) -> float:
    """How many words a text has; in scripts without spaces two characters count as a word."""
    words = _words(text)
    unspaced = sum(regex.fullmatch(_UNSPACED, word.folded) is not None for word in words)
    return len(words) - unspaced / 2


class Stretches:
    """Words that were read, and where others stand among them (rules 1 to 4).

    Args:
        read: the words, each with a letter or digit; ``MOST_WORDS`` of them at most.
    """

    def __init__(self, read: Sequence[str]) -> None:
        self._places = _Places([_Word(word, _folded(word)) for word in read[:MOST_WORDS]])

    def of(self, asked: Sequence[str]) -> list[list[tuple[int, int, int]]]:
        """For each of the words where stretches that begin with it stand: (how many of the words, first, end)."""
        words = [_Word(word, _folded(word)) for word in asked[:MOST_WORDS]]
        found = [[(1, *span) for span in self._places.of(word)] for word in words]
        for first, last, joined in _groups(words):
            found[first] += [(last - first, at, at + 1) for at in self._places.single.get(joined.key, ())]
        return found


def errors_allowed(letters: int) -> int:
    """How many letters of a word may be misread: an engine's errors are fewer, and names must stay apart."""
    return 0 if letters < 5 else 1 if letters < 9 else 2


@dataclass(frozen=True)
class _Word:
    """A word, or several joined, as written and folded."""

    spelled: str
    folded: str

    @cached_property
    def key(self) -> str:
        """The same for words that differ in letters that look alike only; of numbers the number."""
        if _NUMBER.fullmatch(self.folded):
            return _number(self.folded)
        return self.folded.replace("rn", "m").replace("vv", "w").translate(_ALIKE)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """``key``, and the number that the word names."""
        written = _WRITTEN.get(self.folded)
        return (self.key,) if written is None else (self.key, written)

    @cached_property
    def has_digit(self) -> bool:
        """Whether it must be right to the letter."""
        return _DIGIT.search(self.folded) is not None

    @property
    def is_function(self) -> bool:
        """Whether others hang on it."""
        return self.folded in _FUNCTION


def _words(text: str) -> list[_Word]:
    """The words of a text, of scripts without spaces the characters."""
    plain = unicodedata.normalize("NFKC", text).replace("\u2044", "/")
    return [_Word(spelled, folded) for spelled in WORD.findall(plain) if (folded := _folded(spelled))]


@lru_cache(maxsize=10_000)
def _folded(word: str) -> str:
    if _NUMBER.fullmatch(word):
        return word
    word = _POSSESSIVE.sub("", word.casefold())
    plain = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", word))
    return unicodedata.normalize("NFC", _DIACRITICS.sub("", plain)).translate(_STROKES)


def _number(text: str) -> str:
    """A number in one way of writing: no marks of thousands, "." before decimals and minutes, no ".00", no 09."""
    text = "".join(str(unicodedata.decimal(char)) if char.isdecimal() else char for char in text)
    if found := _THOUSANDS.fullmatch(text):
        end = found[3] or ""
        whole = "".join(char for char in text[: len(text) - len(end)] if char.isdigit())
        text = whole + end
    text = regex.sub("[,:'’]", ".", text)
    if len(text) == 2 or text[2:3] == ".":
        text = text[:1].replace("0", "") + text[1:]
    return text.removesuffix(".00")


def _joined(words: Sequence[_Word]) -> _Word | None:
    """Words as one; None where they can be none."""
    if len(words) == 1:
        return words[0]
    seams = [after for before, after in pairwise(words) if before.folded[-1].isdigit() and after.folded[0].isdigit()]
    thousands = _SHORT.fullmatch(words[0].folded) and all(_GROUP.fullmatch(after.folded) for after in seams)
    if seams and not thousands:
        return None
    folded = "".join(word.folded for word in words)
    return _Word(" ".join(word.spelled for word in words), folded) if len(folded) <= _LONGEST else None


def _groups(words: Sequence[_Word]) -> Iterator[tuple[int, int, _Word]]:
    """Two to ``_JOINED`` words that stand together, as one, with where they begin and end."""
    for first in range(len(words)):
        for last in range(first + 2, min(first + _JOINED, len(words)) + 1):
            if (joined := _joined(words[first:last])) is not None:
                yield first, last, joined


class _Said:
    """What texts say: their words, and these joined, to look words up in."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.single, self.joined = set[str](), set[str]()
        self.alike = _Alike()
        left = MOST_WORDS
        for text in texts:
            words = _words(text)[:left]
            left -= len(words)
            for word in words:
                self.single.update(word.keys)
                self.alike.add(word)
            self.joined.update(joined.key for _, _, joined in _groups(words))

    def has(self, word: _Word, *, plural: bool = False) -> bool:
        """Whether a word is said, as one or as several."""
        keys = word.keys
        if plural and len(word.key) > 2 and not word.has_digit:
            keys = (*keys, f"{word.key}s", word.key.removesuffix("s"))
        return any(key in self.single or key in self.joined for key in keys) or any(self.alike.to(word))


class _Alike:
    """Words without digits, to find those in that differ by errors of reading (rule 3)."""

    def __init__(self) -> None:
        self._by_length: dict[int, dict[str, int]] = {}

    def add(self, word: _Word) -> None:
        """Know another word."""
        if not word.has_digit and 4 <= len(word.key) <= _LONGEST:
            self._by_length.setdefault(len(word.key), {})[word.key] = _bits(word.key)

    def to(self, word: _Word) -> Iterator[str]:
        """The keys of the known words that may be this one, misread."""
        own, bits = word.key, _bits(word.key)
        if word.has_digit or len(own) > _LONGEST:
            return
        for length in range(len(own) - 2, len(own) + 3):
            allowed = errors_allowed(max(length, len(own)))
            if not allowed or abs(length - len(own)) > allowed:
                continue
            for other, its in self._by_length.get(length, {}).items():
                if (its ^ bits).bit_count() <= 2 * allowed and _close(own, other, allowed):
                    yield other


def _absent(asked: Sequence[_Word], said: _Said, *, read: bool) -> list[_Word]:
    """The telling words of ``asked`` that are not said, neither alone nor joined with their neighbours.

    ``read``: they are a picture's, of which a text says the plural as well, and single letters are scraps.
    """
    found = [said.has(word, plural=read) for word in asked]
    if not all(found):
        for first, last, joined in _groups(asked):
            if not all(found[first:last]) and joined.key in said.single:
                found[first:last] = [True] * (last - first)
    held = {word.key for word, there in zip(asked, found, strict=True) if there}
    return [word for word in _telling(asked, read=read) if word.key not in held]


def _telling(words: Sequence[_Word], *, read: bool) -> list[_Word]:
    """The words without function words, of a picture without single letters that are cut off something; else all."""
    return [word for word in words if not word.is_function and not (read and _is_scrap(word))] or list(words)


def _is_scrap(word: _Word) -> bool:
    return len(word.folded) == 1 and not word.has_digit and not regex.fullmatch(_UNSPACED, word.folded)


def _distinct(words: Iterable[_Word]) -> Iterator[str]:
    seen = set[str]()
    for word in words:
        if word.key not in seen:
            seen.add(word.key)
            yield word.spelled


def _runs(asked: Sequence[_Word], lines: Sequence[Sequence[_Word]]) -> bool:
    """Whether the words stand in the lines in their order."""
    counted = all(word.is_function for word in asked)
    words = [word for line in lines for word in line][:MOST_WORDS]
    starts, at = set[int](), 0
    for line in lines:
        starts.add(min(at, len(words)))
        at += len(line)
    ends = {*starts, len(words)} - {0}
    places = _Places(words)
    reached: list[set[int]] = [set() for _ in range(len(asked) + _JOINED + 1)]
    reached[0] = set(range(len(words)))
    for place, word in enumerate(asked):
        here, queue = reached[place], list(reached[place])
        while queue:
            at = queue.pop()
            onwards = starts - here if at in ends else set[int]()
            if at < len(words) and not counted and words[at].is_function:
                onwards = onwards | {at + 1} - here
            queue.extend(onwards)
            here |= onwards
        if word.is_function and not counted:
            reached[place + 1] |= here
        for start, end in places.of(word):
            if start in here:
                reached[place + 1].add(end)
        for many in range(2, min(_JOINED, len(asked) - place) + 1):
            if (joined := _joined(asked[place : place + many])) is not None:
                reached[place + many] |= {at + 1 for at in places.single.get(joined.key, ()) if at in here}
    return bool(reached[len(asked)])


class _Places:
    """Where words stand, alone and joined, as (first, behind the last)."""

    def __init__(self, words: Sequence[_Word]) -> None:
        self.single: dict[str, list[int]] = {}
        self._spans: dict[str, list[tuple[int, int]]] = {}
        self._alike = _Alike()
        self._known: dict[str, list[tuple[int, int]]] = {}
        for at, word in enumerate(words):
            self._alike.add(word)
            for key in word.keys:
                self.single.setdefault(key, []).append(at)
                self._spans.setdefault(key, []).append((at, at + 1))
        for first, last, joined in _groups(words):
            self._spans.setdefault(joined.key, []).append((first, last))

    def of(self, word: _Word) -> list[tuple[int, int]]:
        """Where the word stands, but for errors of reading."""
        if word.folded not in self._known:
            alike = [(at, at + 1) for key in self._alike.to(word) for at in self.single[key]]
            self._known[word.folded] = [*alike, *(span for key in word.keys for span in self._spans.get(key, ()))]
        return self._known[word.folded]


def _bits(text: str) -> int:
    bits = 0
    for char in text:
        bits |= 1 << (ord(char) & 63)
    return bits


def _close(one: str, other: str, allowed: int) -> bool:
    """Whether Levenshtein's distance is ``allowed`` at most; time (2 ``allowed`` + 1) times the length."""
    if not allowed or abs(len(one) - len(other)) > allowed:
        return one == other
    far = allowed + 1
    before = [min(place, far) for place in range(len(other) + 1)]
    for row, char in enumerate(one, start=1):
        low, high = max(1, row - allowed), min(len(other), row + allowed)
        now = [far] * (len(other) + 1)
        now[0] = min(row, far)
        for place in range(low, high + 1):
            now[place] = min(before[place - 1] + (char != other[place - 1]), before[place] + 1, now[place - 1] + 1)
        if min(now[low - 1 : high + 1]) > allowed:
            return False
        before = now
    return before[-1] <= allowed

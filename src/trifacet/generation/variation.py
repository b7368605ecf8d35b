"""What several texts about one picture agree on: which is the one to show, and which of its words the others lack.

Invariant: a word of the shown text counts as said by another text where the two have it at the same turn, but for one,
or where it stands beside the same word as here: in "a red car and a blue bike" and "a blue car and a red bike" the
colours are not agreed on. Time is bounded: of each text ``MOST_WORDS`` words are compared.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from trifacet.lettering.matching import spelled_words

MOST_WORDS = 400
# Words that carry nothing alone; what turns a statement round ("no", "without") is not among them.
_LIGHT = frozenset(
    re.findall(
        r"[\w&-]+",
        "a an the of in on at to for from by with and or as is are was be it its his her their this that there has "
        "have der die das ein eine einen einem einer und oder mit von im am auf zu ist sind le la les un une des de "
        "du et ou avec dans sur est sont el los las una y o con en es son il lo gli i e di da",
    )
)


@dataclass(frozen=True)
class Span:
    """A part of a text, ``text[start:end]``, and how many of the samples say it (the text's own included)."""

    start: int
    end: int
    said: int


@dataclass(frozen=True)
class Part:
    """A piece of a text; ``said``: how many samples say it, None where all do."""

    text: str
    said: int | None = None


@dataclass(frozen=True)
class Variation:
    """What came of comparing samples.

    Attributes:
        place: which sample is the one to show: the one that agrees most with the others.
        spans: its parts that not all of them say, in order, apart from each other.
        shares: of each of its words that carry something the share of the samples that say it, its own included.
    """

    place: int
    spans: tuple[Span, ...]
    shares: tuple[float, ...]


def vary(samples: Sequence[str], among: Sequence[int] | None = None) -> Variation:
    """Compare samples.

    Args:
        samples: one at least.
        among: the places of those that may be shown (None: all); the others are compared with all the same.
    """
    words = [_words(text) for text in samples]
    keys = [[key for key, _ in one] for one in words]
    said = {place: _said(keys, place) for place in (among if among is not None else range(len(samples)))}
    scores = {place: _agreement(keys[place], counts) for place, counts in said.items()}
    place = max(scores, key=lambda one: (scores[one], -one))
    shares = tuple(count / len(samples) for count in _telling(keys[place], said[place]))
    return Variation(place, _spans(words[place], said[place], len(samples)), shares)


def said_by(samples: Sequence[str], place: int, at: int) -> int:
    """How many of the samples say the word of the sample at ``place`` that holds character ``at``; 0: there is none."""
    words = [_words(text) for text in samples]
    counts = _said([[key for key, _ in one] for one in words], place)
    inside = (count for (_, (start, end)), count in zip(words[place], counts, strict=True) if start <= at < end)
    return next(inside, 0)


def marked(text: str, spans: Sequence[Span], samples: int) -> str:
    """``text`` with its disagreeing parts in brackets, each with how many samples say it: "a [blue: 3/5] car"."""
    return "".join(
        one.text if one.said is None else f"[{one.text}: {one.said}/{samples}]" for one in parts(text, spans)
    )


def parts(text: str, spans: Sequence[Span]) -> list[Part]:
    """A text cut at its spans; of spans that lie over another one, or outside, nothing is marked."""
    found, at = [], 0
    for span in spans:
        if at <= span.start < span.end <= len(text):
            found += [Part(text[at : span.start])] if span.start > at else []
            found.append(Part(text[span.start : span.end], span.said))
            at = span.end
    return [*found, Part(text[at:])] if at < len(text) else found


def _words(text: str) -> list[tuple[str, tuple[int, int]]]:
    return [(word.casefold(), span) for word, span in spelled_words(text)][:MOST_WORDS]


def _said(keys: Sequence[Sequence[str]], place: int) -> list[int]:
    """For each word of a sample how many samples say it."""
    own = keys[place]
    telling = [at for at, key in enumerate(own) if key not in _LIGHT]
    counts = [1] * len(own)
    for other, theirs in enumerate(keys):
        if other == place:
            continue
        heard = _heard([own[at] for at in telling], [key for key in theirs if key not in _LIGHT])
        agreed = {at for at, there in zip(telling, heard, strict=True) if there}
        for at in range(len(own)):
            if own[at] in _LIGHT:  # as the word that follows, which it belongs to
                after = next((one for one in telling if one > at), None)
                counts[at] += after is None or after in agreed
            else:
                counts[at] += at in agreed
    return counts


def _heard(own: Sequence[str], theirs: Sequence[str]) -> list[bool]:
    """Which words of a sample another one has beside the same word, or at the same turn but for one."""
    pairs, places = set(pairwise(theirs)), set(enumerate(theirs))
    heard = [any((at + shift, key) in places for shift in (-1, 0, 1)) for at, key in enumerate(own)]
    for at, pair in enumerate(pairwise(own)):
        if pair in pairs:
            heard[at] = heard[at + 1] = True
    return heard


def _agreement(keys: Sequence[str], counts: Sequence[int]) -> float:
    telling = _telling(keys, counts)
    return sum(telling) / len(telling) if telling else 0.0


def _telling(keys: Sequence[str], counts: Sequence[int]) -> list[int]:
    """The counts of the words that carry something; of all where none does."""
    return [count for key, count in zip(keys, counts, strict=True) if key not in _LIGHT] or list(counts)


def _spans(words: Sequence[tuple[str, tuple[int, int]]], counts: Sequence[int], samples: int) -> tuple[Span, ...]:
    spans: list[Span] = []
    last: tuple[int, str] | None = None  # the word before, where it is in a span
    for at, ((key, (start, end)), count) in enumerate(zip(words, counts, strict=True)):
        if count == samples or (key in _LIGHT and (last is None or last[0] != at - 1)):
            continue
        if spans and last is not None and last[0] == at - 1:
            spans[-1] = Span(spans[-1].start, end, min(spans[-1].said, count))
        else:
            spans.append(Span(start, end, count))
        last = at, key
    return tuple(spans)

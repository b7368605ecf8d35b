"""Texts that say the same, or surely something else, made of a text by rule.

Invariant: what comes out depends on the text and the random numbers alone; a text that no rule fits gives None.
English, but for digits, days, months and names, which ``preferences.rejected.misreading`` knows in other languages too.

WordNet's synonyms are not used: without the sense of a word they make "exposure" of "photo".
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from trifacet.preferences.rejected.misreading import misread, places

_COLOURS = ("red", "blue", "green", "yellow", "black", "white", "purple", "pink", "brown", "grey", "gray")  # take "a"
_PAIRS = (
    ("above", "below"), ("inside", "outside"), ("indoors", "outdoors"), ("upstairs", "downstairs"),
    ("north", "south"), ("northern", "southern"), ("leftmost", "rightmost"), ("topmost", "lowest"),
    ("left-hand", "right-hand"), ("clockwise", "counterclockwise"), ("upwards", "downwards"), ("uphill", "downhill"),
)  # fmt: skip
_OTHER_SIDE = {"left": "right", "top": "bottom", "upper": "lower", "front": "back", "in front of": "behind"}
_OTHER_SIDE |= {there: here for here, there in _OTHER_SIDE.items()} | dict(_PAIRS)
_OTHER_SIDE |= {there: here for here, there in _PAIRS}
_SIDE = re.compile(
    r"\b(?:(?<=on the )|(?<=to the )|(?<=at the )|(?<=on its )|(?<=on his )|(?<=on her )|(?<=to its )|(?<=upper )"
    r"|(?<=lower )|(?<=far ))(?:left|right|top|bottom|front|back)\b(?! (?:of (?:mind|course)))"
    r"|\b(?:left|right|upper|lower|top|bottom)"
    r"(?= (?:hand )?(?:side|half|corner|edge|row|hand|part|left|right)\b)"
    r"|\bin front of\b|\bbehind(?= (?:a|an|the|it|him|her|them|its|his|their)\b)"
    rf"|\b(?:{'|'.join(word for pair in _PAIRS for word in pair)})\b",
    re.IGNORECASE,
)
_NEGATED = re.compile(r"\b(is|are|was|were|does|do|did)(n['’]t| not)\b", re.IGNORECASE)
_STATED = re.compile(r"\b(is|are|was|were)\b(?! (?:not|no)\b)(?!n)", re.IGNORECASE)
_LEAD = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)
_COLOUR = re.compile(rf"\b(?:{'|'.join(_COLOURS)})\b", re.IGNORECASE)
_BOTH_WAYS = (
    ("photo", "photograph"), ("bike", "bicycle"), ("television", "TV"), ("sofa", "couch"), ("colour", "color"),
    ("airplane", "aeroplane"), ("beside", "next to"), ("kids", "children"), ("beneath", "underneath"),
    ("mobile phone", "cell phone"), ("rubbish bin", "trash can"), ("on top of", "atop"),
)  # fmt: skip
_ONE_WAY = {
    "there is": "there's", "is not": "isn't", "are not": "aren't", "does not": "doesn't", "do not": "don't",
    "cannot": "can't", "sidewalk": "pavement", "trousers": "pants", "has got": "has", "fridge": "refrigerator",
    "isn't": "is not", "aren't": "are not", "doesn't": "does not", "don't": "do not", "can't": "cannot",
}  # fmt: skip
_SAME = {here.lower(): there for pair in _BOTH_WAYS for here, there in (pair, pair[::-1])} | _ONE_WAY
_WORDING = re.compile(
    rf"(?<![\w'’-])(?:{'|'.join(sorted(_SAME, key=lambda one: (-len(one), one)))})(?![\w'’-])",
    re.IGNORECASE,
)
_BEGINNING = re.compile(r"[^\W\d_](?:(?![A-Z])[^\W\d_])+\b|[aA]\s")  # a word with no capital within
_QUOTE = re.compile(r"[\"“”„«»]|(?<!\w)['‘]")

Change = Callable[[str, np.random.Generator], str | None]


def surface(text: str) -> str | None:
    """Without the full stop at its end, or with one, and its first letter in the other case where it begins a word."""
    end = text[:-1] if text.endswith(".") and not text.endswith("..") else f"{text}." if text[-1:].isalnum() else text
    if _BEGINNING.match(end):
        end = end[0].swapcase() + end[1:]
    return end if end.strip() and end != text else None


def reworded(text: str, rng: np.random.Generator) -> str | None:
    """One word for another that means the same, or a contraction for what it stands for; what quotes stays as it is."""
    return None if _QUOTE.search(text) else _exchanged(text, _WORDING, lambda word: _SAME[word.lower()], rng)


def other_number(text: str, rng: np.random.Generator) -> str | None:
    """Another number, price, time, day, month or year."""
    return _misread(text, ("number", "price", "time", "day", "month", "year"), rng)


def other_name(text: str, rng: np.random.Generator) -> str | None:
    """Another name, or origin ("Italian")."""
    return _misread(text, ("name", "origin"), rng)


def other_colour(text: str, rng: np.random.Generator) -> str | None:
    """Another colour, which the text does not have."""
    known = {match[0].lower().replace("gray", "grey") for match in _COLOUR.finditer(text)} | {"gray"}
    others = [colour for colour in _COLOURS if colour not in known]
    return _exchanged(text, _COLOUR, lambda word: others[int(rng.integers(len(others)))], rng) if others else None


def other_side(text: str, rng: np.random.Generator) -> str | None:
    """The opposite direction or place."""
    return _exchanged(text, _SIDE, lambda word: _OTHER_SIDE[word.lower()], rng)


def negated(text: str, rng: np.random.Generator) -> str | None:
    """The opposite statement: "yes" for "no" at its beginning, else "not" taken out or put in."""
    if lead := _LEAD.match(text):
        return text[: lead.start(1)] + _as(lead[1], "no" if lead[1].lower() == "yes" else "yes") + text[lead.end(1) :]
    if found := _NEGATED.search(text):
        return text[: found.start()] + found[1] + text[found.end() :]
    if found := _STATED.search(text):
        return f"{text[: found.end()]} not{text[found.end() :]}"
    return None


CONTRADICTIONS: dict[str, Change] = {
    "number": other_number, "colour": other_colour, "direction": other_side, "negation": negated, "name": other_name,
}  # fmt: skip


def polarity(text: str) -> bool | None:
    """Whether a text begins with yes (True) or no (False)."""
    lead = _LEAD.match(text)
    return None if lead is None else lead[1].lower() == "yes"


def _misread(text: str, kinds: tuple[str, ...], rng: np.random.Generator) -> str | None:
    allowed = [(place.start, place.end) for place in places(text) if place.kind in kinds]
    for at in rng.permutation(len(allowed)).tolist():
        if (exchange := misread(text, [allowed[at]], rng)) is not None and exchange.kind in kinds:
            return exchange.text
    return None


def _exchanged(
    text: str, pattern: re.Pattern[str], other: Callable[[str], str], rng: np.random.Generator
) -> str | None:
    found = list(pattern.finditer(text))
    if not found:
        return None
    one = found[int(rng.integers(len(found)))]
    return text[: one.start()] + _as(one[0], other(one[0])) + text[one.end() :]


def _as(word: str, other: str) -> str:
    """``other`` in the capitals of ``word``."""
    if word.isupper() and len(word) > 1:
        return other.upper()
    return other[0].upper() + other[1:] if word[0].isupper() else other

"""The numbers of a text, what kind of number each is, and other numbers of the same form.

Invariant: another number has as many digits, the same grouping and decimals, the same round end, and differs in value
in at least half of the digits that are not a round end; a digit is never exchanged for one that it is easily taken for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
import regex

NumberKind = Literal["number", "price", "time", "year"]

_MONEY = r"\p{Sc}|\b(?:EUR|USD|GBP|CHF|CAD|AUD|INR|Rs\.?|kr\.?)"
_NUMBER = regex.compile(
    rf"""
    (?P<money>(?:{_MONEY})\p{{Zs}}?)?
    (?<![\p{{L}}\p{{M}}\p{{Nd}}_]|[0-9][.,:'’])
    (?P<core>
        (?P<time>[0-9]{{1,2}}(?::|h)[0-5][0-9](?![0-9]|:[0-9]))
      | [0-9]{{1,3}}(?:[.,'’\u00a0\u202f][0-9]{{3}})++(?:[.,][0-9]{{1,2}})?(?![0-9])
      | [0-9]++(?:[.,][0-9]++)?
    )
    (?![.,:'’]?[0-9]|/[0-9](?![0-9/]))  # nor what stands above a fraction's line
    (?P<after>
        (?P<half>\p{{Zs}}?[ap]\.?\p{{Zs}}?m\b\.?|\p{{Zs}}?Uhr\b|\p{{Zs}}?o['’]clock\b)
      | (?P<paid>\p{{Zs}}?(?:{_MONEY}|¢|\bcents?\b|\bdollars?\b|\beuros?\b|\bpounds\b))
      | (?P<ordinal>st|nd|rd|th)\b
      | (?P<decade>['’]?s)\b
    )?
    """,
    regex.VERBOSE | regex.IGNORECASE,
)
_TAKEN_FOR = {
    **{"0": "689", "1": "47", "2": "7", "3": "8", "4": "19", "5": "68"},
    **{"6": "0589", "7": "12", "8": "03569", "9": "0468"},
}
_YEARS = (1000, 2099)
_MOST = 15  # digits; what is longer is a code
_TRIES = 24


class Number(NamedTuple):
    """A number at ``start``:``end`` of a text; an ordinal with its ending."""

    start: int
    end: int
    text: str
    kind: NumberKind
    half: bool = False  # a time of half a day (am, pm)
    ordinal: bool = False
    decade: bool = False


def numbers(text: str) -> Iterator[Number]:
    """The numbers of a text, in its order. Digits within words, addresses and codes are none."""
    for match in _NUMBER.finditer(text):
        core, half = match["core"], match["half"] is not None
        ordinal, decade = match["ordinal"] is not None, match["decade"] is not None
        kind: NumberKind = "number"
        if match["time"] or half:
            kind = "time"
        elif match["money"] or match["paid"]:
            kind = "price"
        elif core.isdigit() and len(core) == 4 and _YEARS[0] <= int(core) <= _YEARS[1]:
            kind = "year"
        start, end = match.start("core"), match.end("ordinal" if ordinal else "core")
        noon = half and "m" in match["half"].lower()
        yield Number(start, end, text[start:end], kind, noon, ordinal, decade)


def number_words(number: Number, rng: np.random.Generator) -> tuple[str, ...]:
    """Other numbers of the same form, drawn at random; none where there is none, as for 00."""
    draw = {"time": _time, "year": _year}.get(number.kind, _digits)
    found = (draw(number, rng) for _ in range(_TRIES))
    return tuple(dict.fromkeys(one for one in found if one is not None))


def _digits(number: Number, rng: np.random.Generator) -> str | None:
    """Other digits in the places of the number's own; zeros in front and a round end stay."""
    core = number.text[:-2] if number.ordinal else number.text
    places = [at for at, one in enumerate(core) if one.isdigit()]
    digits = "".join(core[at] for at in places)
    first = len(digits) - len(digits.lstrip("0"))
    last = len(digits.rstrip("0"))
    if len(digits) > _MOST:
        return None
    if last == 0:  # zero alone
        if len(digits) > 1:
            return None
        first, last = 0, 1
    made = list(digits)
    for at in range(first, last):
        lowest = 1 if at in (first, last - 1) else 0  # as many digits, and an end as round
        if at == first and len(digits) == 1:
            lowest = 2  # beside "1" words stand in the singular
        choice = [one for one in range(lowest, 10) if str(one) != digits[at] and str(one) not in _TAKEN_FOR[digits[at]]]
        if at == first or rng.random() < 0.8:
            made[at] = str(choice[int(rng.integers(len(choice)))])
    if 2 * sum(one != two for one, two in zip(made, digits, strict=True)) < last - first:
        return None
    result = list(core)
    for at, digit in zip(places, made, strict=True):
        result[at] = digit
    text = "".join(result)
    return text + _ending(number.text, int(text)) if number.ordinal else text


def _ending(ordinal: str, value: int) -> str:
    """The ending of an ordinal, in the capitals of another's."""
    ending = "th" if value % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return ending.upper() if ordinal[-2:].isupper() else ending


def _year(number: Number, rng: np.random.Generator) -> str | None:
    """A year of the sixty before or behind; of a decade a decade."""
    value = int(number.text)
    other = value + int(rng.integers(3, 61)) * (1 if rng.random() < 0.5 else -1)
    if number.decade or (value % 10 == 0 and value % 100):
        other -= other % 10
    elif value % 100 == 0:
        other = value + 100 * int(rng.integers(1, 4)) * (1 if rng.random() < 0.5 else -1)
    told = str(other)
    clear = [one for one, two in zip(number.text, told, strict=True) if one != two and two not in _TAKEN_FOR[one]]
    wanted = 1 if value % 10 == 0 else 2
    return told if _YEARS[0] <= other <= _YEARS[1] and len(clear) >= wanted else None


def _time(number: Number, rng: np.random.Generator) -> str | None:
    """Another hour with as many digits; minutes that are a quarter of an hour stay one."""
    match = regex.fullmatch(r"([0-9]{1,2})(?:([^0-9])([0-9]+))?", number.text)
    if match is None:
        return None
    hour, mark, minute = match[1], match[2] or "", match[3] or ""
    latest = 12 if number.half else 23
    if int(hour) > latest:
        latest = 99  # a score or a verse
    low, high = (2, 9) if len(hour) == 1 else (10, latest)
    if hour.startswith("0"):
        low, high = 1, min(latest, 9)
    other = str(int(rng.integers(low, high + 1))).zfill(len(hour))
    if len(minute) == 2 and int(minute) % 15 == 0:
        minute = ("00", "15", "30", "45")[int(rng.integers(4))]
    elif len(minute) == 2:
        minute = f"{int(rng.integers(1, 60)):02d}"
    clear = [one for one, two in zip(hour, other, strict=True) if one != two and two not in _TAKEN_FOR[one]]
    return other + mark + minute if clear else None

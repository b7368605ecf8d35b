"""Things that a text names and the picture does not show, held against a table of what is there.

As CHAIR (Rohrbach et al., EMNLP 2018) counts them, on a table in the data instead of COCO's annotations; and what CHAIR
alone does not see: how much of the picture a text tells (a model that says less hallucinates less), and attributes.
Invariant: mentions are counted, as whole words in any case; a text that names nothing hallucinates nothing and covers
nothing. A thing that is denied ("no kite") counts as named: for captions.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trifacet.base.errors import DataError
from trifacet.metrics.target import Target
from trifacet.statistics.measures import Array, Measure, grouped_measure, mean_measure, ratio, share_measure

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Truth:
    """``extra["objects"]`` of a sample: what is there, with its attributes, and all words that could be said.

    {"there": {"kite": ["red"]}, "words": {"kite": ["kite", "kites"], "ring": ["ring"]}, "attributes": ["red", "blue"]}
    """

    there: Mapping[str, frozenset[str]]
    words: tuple[tuple[str, str], ...]  # word in one case -> its object
    attributes: frozenset[str]


@dataclass(frozen=True)
class Named:
    """Counts of one text: mentions of objects, of absent ones, objects there that it names, objects there, and mentions
    of objects that are there with an attribute, right or wrong, before them.
    """

    mentions: int
    absent: int
    found: int
    there: int
    described: int
    wrongly: int


@dataclass(frozen=True)
class Mention:
    """``text[start:end]`` names the object ``name``; ``attribute``: the word before it, at ``before``, if it is one."""

    start: int
    end: int
    name: str
    attribute: str | None
    before: tuple[int, int]


def truth_of(extra: Mapping[str, Any]) -> Truth | None:
    """The table of a sample; None where it has none.

    Raises:
        DataError: it is no such table, or an object that is there has no word.
    """
    given = extra.get("objects")
    if given is None:
        return None
    shape = 'write {"there": {object: [attribute]}, "words": {object: [word]}, "attributes": [attribute]}'
    try:
        there = {str(name): frozenset(map(_word, values)) for name, values in given["there"].items()}
        words = tuple((_word(word), str(name)) for name, forms in given["words"].items() for word in forms)
        attributes = frozenset(map(_word, given.get("attributes", ())))
    except (KeyError, TypeError, AttributeError, ValueError):
        raise DataError("is not a table of objects", fix=shape, field="extra.objects") from None
    if wordless := there.keys() - {name for _, name in words}:
        raise DataError(f"has no word for {min(wordless)!r}", fix="list one under 'words'", field="extra.objects")
    if len({word for word, _ in words}) < len(words):
        raise DataError("gives a word to two objects", fix="list it once", field="extra.objects")
    return Truth(there, words, attributes)


def mentions(text: str, truth: Truth) -> Iterator[Mention]:
    """Where ``text`` names objects of ``truth``, there or not."""
    objects = dict(truth.words)
    for match in _pattern(tuple(objects)).finditer(text):
        words = list(_WORD.finditer(text, 0, match.start()))
        word = words[-1][0].casefold() if words else ""
        attribute, before = (word, words[-1].span()) if word in truth.attributes else (None, (0, 0))
        yield Mention(*match.span(), objects[_word(match[0])], attribute, before)


def count_named(text: str, truth: Truth) -> Named:
    """What ``text`` says of the objects of ``truth``."""
    found = list(mentions(text, truth))
    names = [one.name for one in found]
    described = [one for one in found if one.name in truth.there and one.attribute]
    return Named(
        mentions=len(names),
        absent=sum(name not in truth.there for name in names),
        found=len(truth.there.keys() & set(names)),
        there=len(truth.there),
        described=len(described),
        wrongly=sum(one.attribute not in truth.there[one.name] for one in described),
    )


def object_measures(written: Sequence[str], samples: Sequence[Target]) -> dict[str, Measure]:
    """The measures of the samples that have a table, in per cent; none where no sample has.

    ``objects/chair_s``: texts that name an absent object. ``objects/chair_i``: mentions that are of absent ones.
    ``objects/coverage``: objects there that are named. ``objects/f1``: of mentions that are right, and coverage.
    ``objects/attributes``: described objects whose attribute is wrong. ``yes_bias``: of questions whose one right
    answer is yes or no (``extra["facts"]["answer"]``), the share answered with yes less that of which it is right.

    Raises:
        DataError: naming the sample, for a malformed table.
    """
    counts: dict[str, Named] = {}
    biases: dict[str, float] = {}
    for text, sample in zip(written, samples, strict=True):
        try:
            truth = truth_of(sample.extra)
        except DataError as error:
            raise DataError(f"sample {sample.id!r}: {error}") from None
        if truth is not None:
            counts[sample.id] = count_named(text, truth)
        if (right := _right_answer(sample.extra)) is not None:
            first = _WORD.match(text.strip())
            biases[sample.id] = 100.0 * ((first is not None and first[0].casefold() == "yes") - (right == "yes"))
    found: dict[str, Measure] = {}
    if counts:
        ids, rows = list(counts), list(counts.values())
        found["objects/chair_s"] = mean_measure(
            "objects/chair_s", {name: 100.0 * bool(one.absent) for name, one in counts.items()}, better="lower"
        )
        found["objects/chair_i"] = share_measure(
            "objects/chair_i", ids, [one.absent for one in rows], [one.mentions for one in rows], better="lower"
        )
        found["objects/coverage"] = share_measure(
            "objects/coverage", ids, [one.found for one in rows], [one.there for one in rows]
        )
        sums_N4 = [[one.mentions - one.absent, one.mentions, one.found, one.there] for one in rows]
        found["objects/f1"] = grouped_measure("objects/f1", ids, sums_N4, _f1)
        found["objects/attributes"] = share_measure(
            "objects/attributes", ids, [one.wrongly for one in rows], [one.described for one in rows], better="lower"
        )
    if biases:
        found["yes_bias"] = mean_measure("yes_bias", biases, better="neither")
    return found


def _f1(sums: Array) -> Array:
    """Of the share of mentions that are right and of coverage; 0 where nothing that is there is named."""
    right, covered = np.nan_to_num(ratio(sums[..., :2])), ratio(sums[..., 2:])
    both = right + covered
    return np.asarray(np.where(both == 0, 0.0, 200.0 * right * covered / np.where(both == 0, 1.0, both)))


def _right_answer(extra: Mapping[str, Any]) -> str | None:
    facts = extra.get("facts")
    forms = facts.get("answer") if isinstance(facts, Mapping) else None
    if isinstance(forms, list | tuple) and len(forms) == 1 and forms[0] in ("yes", "no"):
        return str(forms[0])
    return None


def _word(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(value)
    return " ".join(value.casefold().split())


@functools.lru_cache(maxsize=1024)
def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    either = "|".join(r"\s+".join(map(re.escape, word.split())) for word in sorted(words, key=lambda one: -len(one)))
    return re.compile(rf"(?<!\w)(?:{either})(?!\w)", re.IGNORECASE)

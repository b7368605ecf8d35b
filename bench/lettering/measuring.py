"""What captions of pictures with signs say of the sign, held against the truth: no reader is asked.

Invariant: a word is one of the sign's or it is not: the truth is known and no letter of it was read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from trifacet.data.records import TestSample
from trifacet.demo.signs import KIND_OF, WORDS
from trifacet.demo.signs_files import COLUMN
from trifacet.statistics.measures import Measure, mean_measure, share_measure

RECALL, INVENTED, INVENTED_S, EXACT = "signs/recall", "signs/invented", "signs/invented_s", "signs/exact"
_QUOTED = re.compile(r'"([^"]*)"?')
_WORD = re.compile(r"\$?\w+")


def sign_measures(texts: Mapping[str, str], samples: Sequence[TestSample]) -> dict[str, Measure]:
    """The measures of the captions among the samples (those with ``extra["objects"]``), in per cent.

    ``signs/recall``: words of signs that the caption says anywhere. ``signs/invented``: quoted words that are not on
    the sign; ``signs/invented_s``: captions with such a word. ``signs/exact``: captions whose quoted words are the
    sign's, in its order; where there is no sign those without any.
    """
    captions = {one.id: one for one in samples if "objects" in one.extra}
    ids = list(captions)
    signs = {key: tuple(map(str.casefold, words_of(one.extra))) for key, one in captions.items()}
    quoted = {key: _words(" ".join(_QUOTED.findall(texts[key]))) for key in ids}
    said = {key: set(_words(texts[key])) for key in ids}
    with_sign = [key for key in ids if signs[key]]
    invented = {key: sum(word not in signs[key] for word in quoted[key]) for key in ids}
    return {
        RECALL: share_measure(
            RECALL,
            with_sign,
            [sum(word in said[key] for word in signs[key]) for key in with_sign],
            [len(signs[key]) for key in with_sign],
        ),
        INVENTED: share_measure(
            INVENTED, ids, [invented[key] for key in ids], [len(quoted[key]) for key in ids], better="lower"
        ),
        INVENTED_S: mean_measure(INVENTED_S, {key: 100.0 * (invented[key] > 0) for key in ids}, better="lower"),
        EXACT: mean_measure(EXACT, {key: 100.0 * (quoted[key] == signs[key]) for key in ids}),
    }


def said_by_post(texts: Mapping[str, str], samples: Sequence[TestSample]) -> dict[str, Counter[str]]:
    """Words of signs by what the post has of their kind ("silent", "right", "wrong"): how many, said, and "copied",
    where the caption says the post's wrong word.
    """
    counts = {what: Counter[str]() for what in ("silent", "right", "wrong")}
    for sample in samples:
        if "objects" not in sample.extra:
            continue
        said, post = set(_words(texts[sample.id])), set(_words(sample.context))
        for word in words_of(sample.extra):
            told = [other.casefold() for other in WORDS[KIND_OF[word]] if other.casefold() in post]
            what = "silent" if not told else "right" if told == [word.casefold()] else "wrong"
            found = {"words": 1, "said": int(word.casefold() in said)}
            counts[what].update(found | ({"copied": int(told[0] in said)} if what == "wrong" else {}))
    return counts


def words_of(extra: Mapping[str, object]) -> list[str]:
    """The words of the sign, in the order of reading."""
    sign: Mapping[str, Iterable[Mapping[str, str]]] = extra[COLUMN]  # type: ignore[assignment]
    return [word["text"] for word in sign["words"]]


def _words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(text.casefold()))

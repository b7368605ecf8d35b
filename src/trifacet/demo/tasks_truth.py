"""Whether an answer is right: judged by the facts that a sample of the world of tasks carries; no model is asked.

Invariant: a reference is right, and whatever says something else of what is asked is not; an answer that says nothing
of it is not right either.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from trifacet.demo.facts import COLOURS, SHAPES
from trifacet.demo.signs import KIND_OF
from trifacet.demo.tasks_texts import MORE

TRUTH = "truth"  # of ``extra``
NUMBER_WORDS: dict[int, tuple[str, ...]] = {
    0: ("no", "none", "zero", "0"), 1: ("one", "1"), 2: ("two", "2"), 3: ("three", "3"), 4: ("four", "4"),
}  # fmt: skip
_WORD = re.compile(r"\$?\w+")
_NUMBER_OF = {word: number for number, words in NUMBER_WORDS.items() for word in words}
_SHAPE_OF = {word: shape for shape, plural in SHAPES.items() for word in (shape, plural)}
_LETTERED = {word.casefold(): word for word in KIND_OF}


def is_right(extra: Mapping[str, Any], answer: str) -> bool | None:
    """Whether ``answer`` is right by ``extra["task"]`` and ``extra["truth"]``.

    None: the sample has no known truth.
    """
    truth, task = extra.get(TRUTH), extra.get("task")
    words = _WORD.findall(answer.casefold())
    judge = _JUDGES.get(str(task))
    return judge(truth, words) if judge and isinstance(truth, Mapping) else None


def _described(truth: Mapping[str, Any], words: list[str]) -> bool:
    """Every thing in its colour, no other one, and the words of the sign in their order."""
    named = {
        (_SHAPE_OF[word], before if before in COLOURS else None)
        for before, word in pairwise(["", *words])
        if word in _SHAPE_OF
    }
    lettered = [_LETTERED[word] for word in words if word in _LETTERED]
    return named == set(truth["things"].items()) and lettered == list(truth["words"])


def _counted(truth: Mapping[str, Any], words: list[str]) -> bool:
    return {_NUMBER_OF[word] for word in words if word in _NUMBER_OF} == {truth["count"]}


def _compared(truth: Mapping[str, Any], words: list[str]) -> bool:
    return _more(words) == {truth["more"]} if "more" in truth else _beside(truth["left"], truth["right"], words)


def _beside(left: str, right: str, words: list[str]) -> bool:
    """The first thing that is named is said to be on the left, unless the answer says right."""
    named = [_SHAPE_OF[word] for word in words if word in _SHAPE_OF]
    if not named or not set(named) <= {left, right}:
        return False
    sides = [word for word in words if word in ("left", "right")]
    if len(set(named)) == 2 and len(sides) != 1:
        return False
    return named[0] == (right if sides and sides[0] == "right" else left)


def _more(words: list[str]) -> set[str]:
    text = " ".join(words)
    said = {what: (form,) for what, form in MORE.items()} | {"same": (MORE["same"], "equally many", "same")}
    return {what for what, forms in said.items() if any(form in text for form in forms)}


def _word(truth: Mapping[str, Any], words: list[str]) -> bool:
    right = truth["word"]
    said = {_LETTERED[word] for word in words if word in _LETTERED}
    return said == {right} if right else not said and any(word in ("no", "none", "nothing") for word in words)


def _yes_or_no(truth: Mapping[str, Any], words: list[str]) -> bool:
    """It begins with the right one of yes and no, and whatever it says of the thing is so."""
    shape, asked, colour = truth["shape"], truth["asked"], truth["colour"]
    is_so = colour is not None and asked in (None, colour)
    if not words or words[0] != ("yes" if is_so else "no"):
        return False
    named = {_SHAPE_OF[word] for word in words if word in _SHAPE_OF}
    told = {word for word in words if word in COLOURS}
    if not named <= {shape}:
        return False
    denied = "there is no" in " ".join(words)
    if denied:
        return colour is None or (asked is not None and told == {asked})
    return told <= {colour}


_JUDGES: dict[str, Callable[[Mapping[str, Any], list[str]], bool]] = {
    "describe": _described, "count": _counted, "compare": _compared, "read": _word, "yes-no": _yes_or_no, "post": _word,
}  # fmt: skip

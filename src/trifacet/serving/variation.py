"""What several samples for one picture agree on.

Invariant: the words of the text come back whole and in order; only how many samples share them is added. Showing where
generations differ lets readers find claims that are not reliable (arXiv:2507.15692).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

_WORD = re.compile(r"\S+\s*")
_EDGE = re.compile(r"^\W+|\W+$")


class Part(NamedTuple):
    """Words of a text, with the blanks behind them, and how many of the samples have them."""

    words: str
    shared: int


def parts(text: str, samples: Sequence[str]) -> list[Part]:
    """A text cut where the number of samples that share its words changes.

    A sample shares a word where the longest common sequence of words holds it, without case and punctuation.
    """
    words = _WORD.findall(text.lstrip())
    shared = [0] * len(words)
    for sample in samples:
        matcher = SequenceMatcher(None, _plain(words), _plain(_WORD.findall(sample)), autojunk=False)
        for block in matcher.get_matching_blocks():
            for at in range(block.a, block.a + block.size):
                shared[at] += 1
    found: list[Part] = []
    for word, count in zip(words, shared, strict=True):
        if found and found[-1].shared == count:
            found[-1] = Part(found[-1].words + word, count)
        else:
            found.append(Part(word, count))
    return found


def _plain(words: Sequence[str]) -> list[str]:
    return [_EDGE.sub("", word.strip()).casefold() or word.strip() for word in words]

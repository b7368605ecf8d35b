"""Texts that say again what was said: what the post says, or what they said themselves.

Invariant: linear in the text's length; a loop shows within the first thousands of words.
"""

from __future__ import annotations

from trifacet.lint.rule import UNSPACED, Case

_PERIODS = 25  # words of what comes again, at most
_LOOKED_AT = 5_000  # words


def repeats_post(case: Case) -> str | None:
    """The same words, or one within the other: four words at least, and most of the alt-text."""
    own, post = case.words, case.post
    if not own or not post:
        return None
    if own == post:
        return ""
    within = f" {' '.join(own)} " in f" {' '.join(post)} "
    around = len(post) >= 0.8 * len(own) and f" {' '.join(post)} " in f" {' '.join(own)} "
    return "" if min(len(own), len(post)) >= 4 and (within or around) else None


def repeats_itself(case: Case) -> str | None:
    """What comes again and again, as models write that have lost their way: a word four times, more words three."""
    said = [part for word in case.words[:_LOOKED_AT] for part in _parts(word)][:_LOOKED_AT]
    letters = 2 if UNSPACED.search(case.plain) else 1  # where characters count, as many again: 哈哈哈 is a word
    for period in range(1, _PERIODS + 1):
        needed, run = letters * max(3, 2 * period), 0
        for place in range(period, len(said)):
            run = run + 1 if said[place] == said[place - period] else 0
            if run == needed and not all(word.isnumeric() for word in said[place - period + 1 : place + 1]):
                return " ".join(said[place - period + 1 : place + 1])[:80]
    return None


def _parts(word: str) -> list[str]:
    """A word; in scripts without spaces its characters."""
    return list(word) if UNSPACED.search(word) else [word]

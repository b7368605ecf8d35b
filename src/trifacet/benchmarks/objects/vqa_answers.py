"""Short answers beside those of ten people: how they are made alike, and what an answer is worth.

Invariant: person and model go through the same function, so that only what it leaves different counts as different.
The rules are those of the VQA challenge in the form of Facebook's M4C (mmf, pythia/tasks/processors.py), by which
TextVQA is scored; its oddities are kept, each said where it is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

PEOPLE = 10  # answers to a question
ENOUGH = 3  # of the others who say the same make an answer wholly right
ARTICLES = ("a", "an", "the")
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NUMBERS = {word: str(number) for number, word in enumerate(_DIGITS)} | {"none": "0"}
_MARKS = ';/[]"{}()=+\\_-><@`!'  # commas and question marks have gone before
_PERIODS = 32  # so many are taken away at most: a flag of the original stands where its count belongs
_PERIOD = re.compile(r"\.(?!\d)")
# Written without one of its apostrophes a word gets it back. "He's" is not among what comes out: 's was split off.
_CONTRACTIONS = """
    ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd he'd've
    he's how'd how'll how's isn't it'd it'd've it'll ma'am might've mightn't mightn't've must've mustn't needn't
    not've o'clock oughtn't 'ow's'at shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll
    somebody's someone'd someone'd've someone'll someone's something'd something'd've something'll that's there'd
    there'd've there're there's they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll
    what're what's what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's
    won't would've wouldn't wouldn't've y'all y'all'd've y'all'll you'd you'd've you'll you're you've
"""
CONTRACTIONS = {
    word[:at] + word[at + 1 :]: word for word in _CONTRACTIONS.split() for at, sign in enumerate(word) if sign == "'"
} | {"somebody'd": "somebodyd"}  # the one that the original has the wrong way round


def alike(answer: str) -> str:
    """An answer as it is compared: lower case, without articles and most marks, numbers to ten as digits.

    A mark beside a space anywhere in the answer is taken away, else a space stands for it; a full stop goes unless a
    digit follows. "'s" is split off its word.
    """
    text = answer.lower().replace(",", "").replace("?", "").replace("'s", " 's").strip()
    text = given = text.replace("\n", " ").replace("\t", " ").strip()
    for mark in _MARKS:
        beside_space = f"{mark} " in given or f" {mark}" in given
        text = text.replace(mark, "" if beside_space else " ")
    words = (NUMBERS.get(word, word) for word in _PERIOD.sub("", text, count=_PERIODS).split())
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)


def worth(answer: str, people: Sequence[str]) -> float:
    """From 0 to 1: the mean over the people, each left out in turn, of min(1, others who say the same / 3).

    One of ten who says so makes 0.3, two 0.6, three 0.9, four or more 1.
    """
    same = Counter(map(alike, people))[alike(answer)]
    of_those, of_others = min(1.0, (same - 1) / ENOUGH), min(1.0, same / ENOUGH)
    return (same * of_those + (len(people) - same) * of_others) / len(people) if same else 0.0

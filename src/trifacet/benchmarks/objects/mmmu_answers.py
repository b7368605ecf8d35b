"""What MMMU's program reads off an answer: an option's letter, or texts and numbers of a free answer.

Invariant: the same answer is read the same way whatever stands before it; what cannot be read is None, and whoever asks
decides what that is worth. The rules, oddities too, are those of MMMU-Benchmark/MMMU, eval/eval_utils.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

LONGEST = 10_000  # characters of an answer that are read: a search for numbers grows with their square
_ENDS = ",.!?;:'"  # taken off an answer's ends, each once and in this order
_FEW = 5  # words: a shorter answer is not searched for what an option says
_LEADS = ("could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ")  # an answer may follow
_IN_THE_LAST_LINE = "="
_MARKS = (":", ",", ".", "!", "?", ";", "'")  # no answer by themselves
_GROUPED = re.compile(r"-?\b\d{1,3}(?:,\d{3})+\b")  # 12,000
_POWERS = re.compile(r"-?\d+(?:\.\d+)?[eE][+-]?\d+")  # 1.2e-3
_PLAIN = re.compile(r"-?(?:\d+\.\d+|\.\d+|\d+\b)(?![eE][+-]?\d+)(?![,\d])")  # 12, 0.5, .5

Read = str | float


def chosen(answer: str, options: Mapping[str, str]) -> str | None:
    """The letter of the option that an answer names; None where it names none.

    Looked for are, until one is found: letters in brackets, letters between spaces, and, in an answer of more than five
    words, what the options say. Of several the last in the answer counts; a letter's case does, that of words does not.

    Args:
        answer: what the model said.
        options: what each option says, by its letter.
    """
    text = answer[:LONGEST]
    for mark in _ENDS:
        text = text.strip(mark)
    text = f" {text} "
    for before, after in (("(", ")"), (" ", " ")):
        places = {letter: text.rfind(f"{before}{letter}{after}") for letter in options}
        if (found := _last(places)) is not None:
            return found
    if len(text.split()) <= _FEW:
        return None
    return _last({letter: text.lower().rfind(said.lower()) for letter, said in options.items()})


def _last(places: Mapping[str, int]) -> str | None:
    """The letter that is found farthest behind, of equals the first; None where none is."""
    found = [letter for letter, place in places.items() if place >= 0]
    return max(found, key=lambda letter: places[letter]) if found else None


def free_readings(answer: str) -> list[Read]:
    """The texts and numbers that an answer to an open question may be: ends of its lines, and numbers in them."""
    ends = _ends(answer[:LONGEST])
    numbers = [number for end in ends for kind in (_GROUPED, _POWERS, _PLAIN) for number in kind.findall(end)]
    return [one for text in (*ends, *numbers) for one in plain(text)]


def plain(text: str) -> list[Read]:
    """A number rounded to two decimals, else the text in lower case; of one character that with a space on a side."""
    text = text.strip()
    try:
        return [round(float(text.replace(",", "")), 2)]
    except ValueError:
        lower = text.lower()
    return [f" {lower}", f"{lower} "] if len(lower) == 1 else [lower]


def agrees(readings: Sequence[Read], right: Sequence[str]) -> bool:
    """Whether a right text is a part of one that was read, or a right number equals one."""
    wanted = [one for text in right for one in plain(text)]
    texts = [one for one in wanted if isinstance(one, str)]
    numbers = [one for one in wanted if not isinstance(one, str)]
    return any(any(text in read for text in texts) if isinstance(read, str) else read in numbers for read in readings)


def _ends(answer: str) -> list[str]:
    """Of each line with a word such as "is" what follows it, the shortest of them; without any the whole answer."""
    text = answer.strip().strip(".").lower()
    lines = text.split("\n")
    found = []
    for number, line in enumerate(lines, start=1):
        end = ""
        for lead in (*_LEADS, _IN_THE_LAST_LINE) if number == len(lines) else _LEADS:
            if lead in line:
                tail = line.rsplit(lead, 1)[1].strip()
                end = tail if not end or len(tail) < len(end) else end
        if end and end not in _MARKS:
            found.append(end)
    return found or [text]

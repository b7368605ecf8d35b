"""Names as words: what two spellings of one are compared by, and which names are words of the language too.

Invariant: folding changes neither which words a text has nor their order.
"""

from __future__ import annotations

import unicodedata

_APOSTROPHES = "\u2018\u2019\u201b\u02bc\u02b9\u00b4`\u2032"
HYPHENS = "\u2010\u2011\u2012\u2013\u2212\ufe63"
_SAME = str.maketrans(dict.fromkeys(_APOSTROPHES, "'") | dict.fromkeys(HYPHENS, "-"))
# Given and family names that are words too: a part of a name that is one of them is not looked for by itself.
_SUCH = (
    "amber april art ash autumn baker bill black brown chase christian daisy dawn dean drew earl faith forest frank "
    "glen grace grant gray green grey hall heath hill holly hope hunter iris ivy jack jade jasmine joy june king lake "
    "lane lily long mark may miles moon nick noble olive page pat paris pearl penny pepper price prince queen ray rich "
    "river rob rock rose ruby rusty sandy sky skip sterling stone storm sue summer sunny victoria violet wade west "
    "white will winter wood wolf young "
    "van von der den del della dos das bin ibn mac ten ter zur"  # parts of names that are nobody's
)
WORDS_TOO = frozenset(_SUCH.split())


def folded(text: str) -> str:
    """Without case, form of Unicode, and kind of apostrophe and hyphen."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).translate(_SAME)


def name_key(name: str) -> str:
    """What names are compared by."""
    return " ".join(folded(name).split())

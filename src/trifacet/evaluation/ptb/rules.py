"""The kinds of token, each a pattern.

**Invariant:** no pattern scans further than a constant beyond what it can match, save those named in ``RUNS``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from trifacet.evaluation.ptb.abbreviations import ALWAYS, NOT_IN_CAPITALS, WITH_CAPITAL
from trifacet.evaluation.ptb.characters import DIGITS, LETTERS, MARKS, SYMBOLS

LETTER = f"[A-Za-z{LETTERS}]"
WORD_START = f"[A-Za-z{LETTERS}{MARKS}\\xad]"
WORD_CHARACTER = f"[A-Za-z0-9{LETTERS}{MARKS}{DIGITS}\\xad]"
ALNUM = f"[A-Za-z0-9{LETTERS}{DIGITS}\\xad]"
DIGIT = f"[0-9{DIGITS}]"
HYPHEN = "[-\u058a\u2010\u2011]"
APOSTROPHE = "['\u2019\x92]"
WORD = f"{WORD_START}{WORD_CHARACTER}*+"
END = f"(?!{LETTER})"


@dataclass(frozen=True)
class Rule:
    """A kind of token: ``pattern``'s group 1 is the token where it has one, and what follows is only looked at.

    ``run`` are the characters that the pattern must get past before it can match at all.
    """

    start: re.Pattern[str]
    pattern: re.Pattern[str]


def rule(start: str, pattern: str, flags: int = 0) -> Rule:
    return Rule(re.compile(start), re.compile(pattern, flags))


I = re.IGNORECASE


def _either(words: frozenset[str]) -> str:
    return "|".join(sorted(words, key=lambda word: (-len(word), word)))


RULES: tuple[Rule, ...] = (
    # words that are two
    rule("[cCgGlLwWmM]", f"(can)not|(gon)na|(got)ta|(lem)me|(gim)me|(wan)na|(more)'n", I),
    rule("'", f"('t)(?:is|was){END}", I),
    rule(LETTER, f"({WORD_START}*?[^n\\W])n{APOSTROPHE}t", I),
    rule("[nN]", f"n{APOSTROPHE}t", I),
    rule("['\u2019\x92]", f"({APOSTROPHE}(?:s|m|d|ll|re|ve)){END}", I),
    rule("['\u2019\x92]", f"{APOSTROPHE}(?:cause|em|till?|n{APOSTROPHE}?|[0-9]0s)", I),
    rule(WORD_START, WORD),
    rule(LETTER, f"[nodlNODL]{APOSTROPHE}{LETTER}{{2,}}+"),
    rule(LETTER, f"{LETTER}*?[aeiouy]{APOSTROPHE}[aeiou]{LETTER}*+", I),
    rule("[a-zA-Z]", f"(?:li'l|ev'ry|s'mores|c'mon|cap'n|nat'l|e'er|o'o|o'clock|[a-z]*-o'clock)", I),
    rule("[jdlJDL]", f"[jdl]{APOSTROPHE}|ol{APOSTROPHE}", I),
    rule("[yY]", f"(y{APOSTROPHE}){LETTER}", I),
    rule("[oO]", f"ol{APOSTROPHE}", I),
    rule(ALNUM, f"{ALNUM}++(?:[-_]{ALNUM}++)*+"),
    rule('["\\x93\\x94\\xab\\xbb\u201c-\u201d]', '["\\x93\\x94\\xab\\xbb\u201c-\u201d]'),
    rule(LETTER, f"({LETTER}++\\.),"),
    rule(LETTER, f"{LETTER}{WORD_CHARACTER}*+(?:[.!?]{LETTER}{WORD_CHARACTER}*+)++"),
    rule("[A-Za-z0-9]", "[A-Za-z0-9]++(?:-[A-Za-z]++)?(?:/[A-Za-z0-9@]++(?:-[A-Za-z]++)?)++"),
    rule("[A-Za-z]", "[A-Za-z](?:\\.[A-Za-z])*+\\.(?![A-Za-z0-9])"),
    rule("[A-Za-z]", "[A-Za-z](?:\\.[A-Za-z])*+\\.(?=[0-9])"),
    rule("[A-Z]", "[A-Z]++(?:[&+][A-Z]++)++"),
    rule("[A-Z]", "(?:US|HK|A|C|NZ)\\$"),
    rule("[A-Za-z]", f"(?:{_either(ALWAYS)})\\.", I),
    rule("[A-Z]", f"(?:{_either(frozenset(map(str.capitalize, WITH_CAPITAL)) | frozenset(map(str.upper, WITH_CAPITAL)))})\\."),
    rule("[A-Za-z]", f"(?:{_either(NOT_IN_CAPITALS | frozenset(map(str.capitalize, NOT_IN_CAPITALS)))})\\."),
    rule("[A-Za-z]", "(?:ph\\.d|c\\+\\+|[cf]#|w/o|a\\.k\\.a\\.)", I),
    # numbers
    rule("[-+.,:0-9" + DIGITS + "]", f"[-+]?{DIGIT}*+(?:[.,:]{DIGIT}++)++|[-+]?{DIGIT}++"),
    rule("[0-9]", "(?:[0-9]+[- \xa0])?[0-9]+/[0-9]+"),
    rule("[0-9]", "[0-9]{3}[- .][0-9]{4}|[0-9]-[0-9]{3}-[0-9]{3}-[0-9]{4}|[0-9]{3}-[0-9]{3}-[0-9]{4}"),
    # addresses
    rule("[hH]", "https?://[^ \t\n\f\r<>|\"()]+\\.[^ \t\n\f\r<>|\"()]*[^ \t\n\f\r<>|\"().,!?;:'-]", I),
    rule("[wW]", "www\\.[^ \t\n\f\r<>|\"(),]+\\.[a-z]{2,4}(?:/[^ \t\n\f\r<>|\"()]*)?", I),
    rule("[A-Za-z0-9]", "[A-Za-z0-9._%+-]+@[A-Za-z0-9'/_-]+(?:\\.[A-Za-z0-9]+)*"),
    rule("@", "@[A-Za-z_][A-Za-z0-9_]*+|@+"),
    rule("#", f"#{LETTER}++|#+"),
    rule("<", "</?[A-Za-z][A-Za-z0-9_:./-]*(?:\\s+[a-z]+=(?:\"[^\"<>]*\"|'[^'<>]*'))*\\s*/?>|<!--[^<>]*-->|<+"),
    rule(">", ">+"),
    # smileys
    rule("[<>:;=]", "[<>]?[:;=][-o*']?[()DPdpO@{|\\[\\]\\\\]"),
    rule("['<=>^x~-]", "['<=>^x~-]_['<=>^x~-]"),
    rule("&", "&(?:amp|lt|gt|quot|nbsp|apos);", I),
    rule("[!?]", "[!?]++"),
    rule("\\*", "\\*++"),
    rule("_", "_++"),
    rule("-", "-++"),
    rule("[\\x21-\\x7e]", "[\\x21-\\x7e]"),
    rule("[\\xb2\\xb3\\xb9\u2070\u2074-\u2079\u2080-\u2089]", "[\\xb2\\xb3\\xb9\u2070\u2074-\u2079]++|[\u2080-\u2089]++"),
    rule(f"[{SYMBOLS}]", f"[{SYMBOLS}]"),
    rule("[\\xa2\\xa3\\xa4\\x80\u20a0\u20ac\xbc\xbd\xbe\u2153\u2154]", "."),
)

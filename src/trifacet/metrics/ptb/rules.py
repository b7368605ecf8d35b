"""The kinds of token that are recognised by a pattern; addresses and dotted compounds are in ``runs.py``.

A text is followed by an end of line and the next text, or by nothing where the file ends: a pattern that asks what
follows finds it there. **Invariant:** no pattern looks further than a constant beyond the token that is taken in its
place at worst, and no token holds an end of line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from trifacet.metrics.ptb import abbreviations
from trifacet.metrics.ptb.characters import DIGITS, LETTERS, PUNCTUATION_MARKS, SYMBOLS

LETTER = f"[A-Za-z{LETTERS}]"
WORD_START = f"[A-Za-z{LETTERS}{PUNCTUATION_MARKS}\xad]"
WORD_CHARACTER = f"[A-Za-z0-9{LETTERS}{PUNCTUATION_MARKS}{DIGITS}\xad]"
ALNUM = f"[A-Za-z0-9{LETTERS}{DIGITS}]"
DIGIT = f"[0-9{DIGITS}]"
NUMBER_MARK = "[.,:\u066b\u066c]"
HYPHEN = "[-\u058a\u2010\u2011]"
QUOTE = "(?:['\u2019\x92]|&apos;)"  # what can stand for the apostrophe of 's, 'll, 'n, '90s
ANY_QUOTE = "(?:['\u2018\u2019\u201b`\x91\x92]|&apos;)"  # what can stand for the apostrophe of n't and O'Neil
CONTRACTED = "(?:'(?:[smd]|ll|re|ve)(?![A-Za-z])|(?:[\u2019\x92]|&apos;)(?:[smd]|ll|re|ve))"
WORD = f"{WORD_START}{WORD_CHARACTER}*+"
PART = f"{ALNUM}++(?:\xad++{ALNUM}++)*+"  # of a word with hyphens
NAME_PART = f"(?:[dDoOlL]{ANY_QUOTE}{ALNUM}{PART}|{PART})"
SLASHED = "[A-Za-z0-9]++(?:-[A-Za-z]++){0,2}+"
TAG_NAME = "[A-Za-z][A-Za-z0-9_:.-]*+"
LONGEST_TAG = 2000  # longer ones are no tags, so that what begins as one is not searched for its end again and again
TAG = (
    f"(?:<[!?][A-Za-z-][^>\n]{{0,{LONGEST_TAG}}}+>|</{TAG_NAME} *+>"
    f"|<{TAG_NAME}(?: ++{TAG_NAME}(?: *+=(?> *+(?:'[^'\n]*'|\"[^\"\n]*\")))?+)* *+/? *+>)"
)
QUOTES = "`\x91-\x94\xab\xbb\u2018-\u201f\u2039\u203a"  # one or two of them are a token


@dataclass(frozen=True)
class TokenRule:
    """A kind of token, tried where ``start`` matches.

    Group 1 of ``pattern`` is the token where there is one, and the rest is only looked at: but all that is matched
    counts when the longest match is sought.
    """

    start: re.Pattern[str]
    pattern: re.Pattern[str]


def _rule(start: str, pattern: str, flags: int = 0) -> TokenRule:
    return TokenRule(re.compile(start, re.DOTALL), re.compile(pattern, flags))


def _either(words: frozenset[str]) -> str:
    return "|".join(sorted(words, key=lambda word: (-len(word), word)))


def _not_in_capitals(words: frozenset[str]) -> str:
    return _either(words | {word.capitalize() for word in words})


def _with_capital(words: frozenset[str]) -> str:
    return _either(frozenset(f"{word[0].upper()}(?i:{word[1:]})" for word in words))


_ENDING = (
    f"(?i:{_either(abbreviations.ENDINGS)}|ph\\.d)|{_not_in_capitals(abbreviations.ENDINGS_NOT_IN_CAPITALS)}"
    f"|{_with_capital(abbreviations.ENDINGS_WITH_CAPITAL)}"
)
_TITLE = f"(?i:{_either(abbreviations.TITLES)})|{_not_in_capitals(abbreviations.TITLES_NOT_IN_CAPITALS)}"
_BEGINNINGS = _either(
    frozenset(form for word in abbreviations.BEGINNINGS for form in (word.capitalize(), word.upper()))
).replace(".", "\\.")
_ANY_CASE = re.IGNORECASE

WORDS = (
    # words that are two or that end in a contraction
    _rule("[cCgGlLwWmM]", f"(can)not|(gon)na|(got)ta|(lem)me|(gim)me|(wan)na|(more){QUOTE}n(?![A-Za-z])", _ANY_CASE),
    _rule("[A-Za-z]", f"([A-Za-z]*?[a-mo-z])n{ANY_QUOTE}t", _ANY_CASE),
    _rule("[nN]", f"n{ANY_QUOTE}t", _ANY_CASE),
    _rule(WORD_START, f"({WORD}){CONTRACTED}", _ANY_CASE),
    _rule("['\u2019\x92&]", CONTRACTED, _ANY_CASE),
    _rule("['&]", "((?:'|&apos;)t)(?:is|was)", _ANY_CASE),
    _rule("['\u2019\x92&]", f"{QUOTE}(?:cause|em|till?|n{QUOTE}|[2-9]0s|[0-9]{{2}}(?=\\s)|n(?!\\S))", _ANY_CASE),
    _rule("[\u2019\x92&]", "(?:[\u2019\x92]|&apos;)n", _ANY_CASE),
    # words with a period
    _rule("[A-Za-z]", f"((?:{_ENDING})\\.)-?{ALNUM}?"),
    _rule("[A-Za-z]", f"(?:{_TITLE})\\."),
    _rule("[A-Za-z]", f"((?:{_either(abbreviations.BEFORE_A_NUMBER)})\\.)\\s?[0-9]", _ANY_CASE),
    _rule("[A-Za-z]", f"([A-Za-z])\\.\\s++(?:{_BEGINNINGS}|{TAG})(?=\\s)"),
    _rule("[A-Za-z]", "[A-Za-z]\\.(?:[A-Za-z]\\.)*+"),
    _rule(WORD_START, f"({WORD}(?:[.!?]{WORD})*+\\.)[,;:]"),
    _rule(ALNUM, f"({NAME_PART}(?:[-_\u058a\u2010\u2011]\xad*{NAME_PART})*+\\.)[,;:]"),
    # words
    _rule(WORD_START, WORD),
    _rule("[nodlA-HJ-XZ]", f"[nodlA-HJ-XZ]{ANY_QUOTE}{LETTER}{{2}}{LETTER}*+"),
    _rule(LETTER, f"{LETTER}{LETTER}*?[aeiouyAEIOUY]{ANY_QUOTE}[aeiouA-Z]{LETTER}*+"),
    _rule("[A-Za-z]", f"(?:li'l|ev'ry|s'mores|c'mon|nat'l|o'o|e'er|cap{QUOTE}n)", _ANY_CASE),
    _rule("[jdlJDL]", f"[jdl]{QUOTE}", _ANY_CASE),
    _rule("[oO]", f"ol{QUOTE}", _ANY_CASE),
    _rule("[yY]", f"(y{QUOTE}){LETTER}", _ANY_CASE),
    _rule(ALNUM, f"{NAME_PART}(?:[-_\u058a\u2010\u2011]\xad*{NAME_PART})*+"),
    _rule(ALNUM, f"(?:{PART}{HYPHEN})+(?:[A-Za-z]\\.){{2,}}+"),
    _rule(WORD_START, f"{WORD}(?:[.!?]{WORD})++"),
    _rule("[A-Za-z0-9]", f"{SLASHED}(?:\\\\?/{SLASHED}){{1,2}}+"),
    _rule("[A-Z]", "[A-Z]++(?:(?:\\+|&(?:amp;|AMP;)?)[A-Z]++)++"),
    _rule("[A-Z]", "[A-Z]++\\$"),
    _rule("[cCfF]", "c\\+\\+|[cf]#", _ANY_CASE),
    _rule("[wWcCbBaA]", "[wcba]/[oc](?![A-Za-z])", _ANY_CASE),
)
NUMBERS = (
    _rule(f"[-+.,:\u066b\u066c0-9{DIGITS}]", f"[-+]?{DIGIT}*+(?:{NUMBER_MARK}\xad*{DIGIT}++)++|[-+]?\xad*{DIGIT}++"),
    _rule("[0-9]", "(?:[0-9]{1,4}[- \xa0])?[0-9]{1,4}(?:\\\\?/|\u2044)[0-9]{1,4}"),
    _rule("[0-9]", "[0-9]{1,2}(?:-|\\\\?/)[0-9]{1,2}(?:-|\\\\?/)[0-9]{2,4}"),
    _rule(
        "[(+0-9]",
        "(?:\\([0-9]{2,3}\\)[ \xa0]?|\\+{0,2}(?:[0-9]{2,4}[- \xa0])?[0-9]{2,4}[- \xa0])[0-9]{3,4}[- \xa0]?[0-9]{3,5}",
    ),
    _rule("[\xbc-\xbe\u2153\u2154]", "."),
)
MARKUP = (
    _rule("<", TAG),
    _rule("&", "&(?:amp|lt|gt|quot|nbsp|apos|mdash|ndash);|&(?i:amp|lt|gt|quot|md);"),
    _rule("&", "&(?:#[0-9]+|(?:[aeiou](?i:acute|grave|uml)|HT|TL|UR|LR|QC|QL|QR|odq|cdq|QUOT));", _ANY_CASE),
    _rule("@", "@[A-Za-z_][A-Za-z0-9_]*+"),
    _rule("#", f"#[A-Za-z{LETTERS}{PUNCTUATION_MARKS}\xad]++"),
)
MARKS_AND_SYMBOLS = (
    _rule("[<>:;=]", "[<>]?[:;=][-o*']?[()DPdpO@{|\\[\\]\\\\](?=[^A-Za-z0-9])"),
    _rule("['<=>^x~-]", "['<=>^x~-]_['<=>^x~-]"),
    _rule("\\(", "\\((?:['<=>^x~-][_.]?['<=>^x~-]|['<=>^x~]-['<=>^x~])\\)"),
    _rule("-", "-(?i:lrb|rrb|lsb|rsb|lcb|rcb)-|-++"),
    _rule("[!?]", "[!?]++"),
    _rule("\\.", "\\.{3,5}|\\.(?: \\.){2,4}"),
    _rule("<", "<<"),
    _rule(">", ">>"),
    _rule("\\\\", "(?:\\\\\\*)++"),
    _rule("[*_@#]", "\\*++|_++|@++|#++"),
    _rule("[\xb2\xb3\xb9\u2070\u2074-\u2079\u2080-\u2089]", "[\xb2\xb3\xb9\u2070\u2074-\u2079]++|[\u2080-\u2089]++"),
    _rule(f"['{QUOTES}]", f"''|[{QUOTES}]{{1,2}}"),
    _rule(f"[\\x21-\\x7e{SYMBOLS}]", f"[\\x21-\\x7e{SYMBOLS}]"),
    _rule("[\xa2-\xa4\x80\u20a0\u20ac]", "."),
)
TOKEN_RULES = WORDS + NUMBERS + MARKUP + MARKS_AND_SYMBOLS

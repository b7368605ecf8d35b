"""Text to tokens: at each place the longest match of any rule, and the earlier rule among equals.

**Invariant:** one text in, one list out, whatever the text holds; the time is linear in its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from trifacet.metrics.ptb import abbreviations
from trifacet.metrics.ptb.rules import ANY_QUOTE, QUOTE, TOKEN_RULES, TokenRule
from trifacet.metrics.ptb.runs import Reaches

# Source: PUNCTUATIONS of pycocoevalcap 1.2, tokenizer/ptbtokenizer.py. The brackets of a text become
# "-lrb-" in lower case, which is not in this list: so they stay.
PUNCTUATION = frozenset(
    ("''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--", "...", ";")
)
_QUOTES = (
    dict.fromkeys("\x91\u2018\u201b\u2039", "`")
    | dict.fromkeys("\x92\u2019\u203a", "'")
    | dict.fromkeys("\x93\u201c\xab", "``")
    | dict.fromkeys("\x94\u201d\xbb", "''")
)
_QUOTED = {*_QUOTES, *"`\u201a\u201e\u201f"}
# Tokens that are written otherwise; "" are those that the list of punctuation takes away.
_WRITTEN = (
    dict.fromkeys(PUNCTUATION, "")
    | dict.fromkeys(
        ("---", "----", "....", ".....", ". . .", ". . . .", ". . . . .", "&quot;", "&nbsp;", "&apos;", '"'), ""
    )
    | dict.fromkeys(("\x85", "\u2026", "\xad", "&mdash;", "&ndash;", "&md;"), "")
    | {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
    | {"&amp;": "&", "&lt;": "<", "&gt;": ">", "\xa2": "cents", "\xa3": "#"}
    | dict.fromkeys("\xa4\x80\u20a0\u20ac", "$")
    | {"\xbc": "1/4", "\xbd": "1/2", "\xbe": "3/4", "\u2153": "1/3", "\u2154": "2/3"}
)
_LINE_ENDS = re.compile("[\n\r\v\f\u2028\u2029]")
_CONTRACTION = re.compile(f"(?:n(?={ANY_QUOTE}t\\Z))?{ANY_QUOTE}(?:t|[smd]|ll|re|ve)", re.IGNORECASE)
_LEFT_QUOTES = re.compile("[\u2018\u201b\x91]")
_RIGHT_QUOTES = re.compile(QUOTE)
_BRACKETS_WITHIN = re.compile("[<>]?[:;=][-o*']?[()]|\\(.", re.DOTALL)
# A word, or words joined by hyphens, that nothing can change: what follows is a space, a comma or a sentence's end.
_PLAIN = re.compile(r"[ \t]*+([A-Za-z]++(?:-[A-Za-z]++)*+)(?:,?+(?=[ \t]|\Z)|(\.)(?=[ \t]|\Z))")
_TWO_WORDS = frozenset(("cannot", "gonna", "gotta", "lemme", "gimme", "wanna"))
_ADDRESS_OR_TAG = frozenset("<@/.")
_LONGEST_TAG = 2000

_rules_by_character: dict[str, tuple[TokenRule, ...]] = {}


def tokenize(text: str) -> list[str]:
    """The tokens of one text, in lower case and without punctuation, as the COCO caption toolkit has them.

    Any ``str`` will do, lone surrogates and control characters included; an end of line is a space. A token can
    hold no-break spaces (a fraction after a number, a tag with attributes): the toolkit's metrics split there.
    """
    text = _LINE_ENDS.sub(" ", text)
    tokens: list[str] = []
    reaches: Reaches | None = None
    plain, position, length = _PLAIN.match, 0, len(text)
    while position < length:
        if (match := plain(text, position)) and (word := _plain(match)):
            tokens.append(word)
            position = match.end()
            continue
        character = text[position]
        if character == " ":
            position += 1
            continue
        if reaches is None:
            reaches = Reaches(text)
        end, after = _longest(text, position, character, reaches)
        if end > position and (token := _as_written(text[position:end])):
            tokens.append(token)
        position = after
    return tokens


def plain_token(word: str) -> str | None:
    """The token of a word that stands between spaces, where no neighbour can change it; None: not so plain.

    A text of such words alone has exactly their tokens. They are of ASCII letters and hyphens, perhaps with a comma or
    a full stop behind.
    """
    match = _PLAIN.fullmatch(word)
    return _plain(match) if match else None


def _plain(match: re.Match[str]) -> str | None:
    word = match[1].lower()
    if word in _TWO_WORDS or (match[2] and (len(word) == 1 or word in abbreviations.ALL)):
        return None
    return word


def tokenize_all(texts: Iterable[str]) -> list[list[str]]:
    """``tokenize`` of each: always one list per text."""
    return [tokenize(text) for text in texts]


def _longest(text: str, position: int, character: str, reaches: Reaches) -> tuple[int, int]:
    """Where the token at ``position`` ends, ``position`` if there is none, and where to go on."""
    rules = _rules_by_character.get(character)
    if rules is None:
        rules = tuple(rule for rule in TOKEN_RULES if rule.start.match(character))
        if len(_rules_by_character) < 10_000:
            _rules_by_character[character] = rules
    end = total = position
    limit = position + _LONGEST_TAG if character == "<" else len(text)
    for rule in rules:
        match = rule.pattern.match(text, position, limit)
        if match and match.end() > total:
            total, end = match.end(), match.end(match.lastindex or 0)
    if (reach := reaches.end(position)) > total:
        end = reach
    return end, max(end, position + 1)


def _as_written(token: str) -> str:
    """The token as the output has it; empty if it is punctuation."""
    token = token.lower()
    if (written := _WRITTEN.get(token)) is not None:
        return written
    if len(token) < 3 and token[-1] in _QUOTED and token[0] in _QUOTED:
        token = "".join(_QUOTES.get(character, character) for character in token)
        return "" if token in PUNCTUATION else token
    if len(token) < 9 and _CONTRACTION.fullmatch(token):
        return _LEFT_QUOTES.sub("`", _RIGHT_QUOTES.sub("'", token))
    if _BRACKETS_WITHIN.match(token):
        for bracket in "()":
            token = token.replace(bracket, _WRITTEN[bracket])
    elif "&amp;" in token and not (_ADDRESS_OR_TAG & set(token)):
        token = token.replace("&amp;", "&")
    token = token.replace(" ", "\xa0").replace("\xad", "")
    return "" if token in PUNCTUATION else token  # it may have been wrapped in soft hyphens

"""Texts to tokens: at each place the longest match of any rule, and the earlier rule among equals.

**Invariant:** one text in, one list out, whatever the text holds; the time is linear in its length.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from trifacet.metrics.ptb import abbreviations
from trifacet.metrics.ptb.rules import ANY_QUOTE, LONGEST_TAG, QUOTE, TOKEN_RULES, TokenRule
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
_PLAIN = re.compile(r"[ \t]*+([A-Za-z]++(?:-[A-Za-z]++)*+)(?:,?+(?=[ \t\n]|\Z)|(\.)(?=[ \t\n]|\Z))")
_TWO_WORDS = frozenset(("cannot", "gonna", "gotta", "lemme", "gimme", "wanna"))
_ADDRESS_OR_TAG = frozenset("<@/.")
_AHEAD = LONGEST_TAG + 100  # characters of the next text: more are never looked at

_rules_by_character: dict[str, tuple[TokenRule, ...]] = {}


def tokenize(text: str, after: str = "\n") -> list[str]:
    """The tokens of one text, in lower case and without punctuation, as the COCO caption toolkit has them.

    Any ``str`` will do, lone surrogates and control characters included; an end of line is a space. A token can
    hold no-break spaces (a fraction after a number, a tag with attributes): all metrics but ROUGE-L split there.

    Args:
        text: what is split.
        after: what stands behind it in a file of texts, which may decide about its end: an end of line and the next
            text, or nothing.
    """
    whole = _LINE_ENDS.sub(" ", text) + after
    tokens: list[str] = []
    reaches: Reaches | None = None
    plain, position, length = _PLAIN.match, 0, len(text)
    while position < length:
        if (match := plain(whole, position)) and (word := _plain(match)) and match.end() <= length:
            tokens.append(word)
            position = match.end()
            continue
        character = whole[position]
        if character == " ":
            position += 1
            continue
        if reaches is None:
            reaches = Reaches(whole[:length])
        end, position_after = _longest(whole, position, character, reaches)
        if end > position:
            tokens.append(_as_written(whole[position:end]))
        position = position_after
    if tokens:  # the toolkit strips the line, of no-break spaces too, before it takes punctuation away
        tokens[-1] = tokens[-1].rstrip()
    return list(filter(None, tokens))


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


def tokenize_all(texts: Sequence[str]) -> list[list[str]]:
    """The tokens of each text of a file with one a line: those of ``tokenize``, always one list per text.

    The words behind a line's end may decide about the token before it, as in the toolkit, which reads all texts as one
    file: "on the Wii U." ends in "u" where the next text is "A dog", and else in "u.".
    """
    known = _Plain()
    found: list[list[str]] = []
    after = ""
    for text in reversed(texts):
        try:
            tokens = list(map(known.__getitem__, text.strip(" ").split(" ")))
        except LookupError:
            tokens = tokenize(text, after)
        found.append(tokens)
        start = _LINE_ENDS.sub(" ", text[:_AHEAD])
        if not start.isspace() and start:
            after = f"\n{start}{after[:1]}"
        elif not after.startswith("\n\n"):
            after = f"\n{after}"
    return found[::-1]


class _Plain(dict[str, str]):
    """The token of each plain word met so far. Raises LookupError for one that its neighbours might change."""

    def __missing__(self, word: str) -> str:
        token = plain_token(word)
        if token is None:
            raise LookupError(word)
        self[word] = token
        return token


def _longest(text: str, position: int, character: str, reaches: Reaches) -> tuple[int, int]:
    """Where the token at ``position`` ends, ``position`` if there is none, and where to go on."""
    rules = _rules_by_character.get(character)
    if rules is None:
        rules = tuple(rule for rule in TOKEN_RULES if rule.start.match(character))
        if len(_rules_by_character) < 10_000:
            _rules_by_character[character] = rules
    end = total = position
    limit = position + LONGEST_TAG if character == "<" else len(text)
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

"""Text to tokens: at each place the longest match of any rule, the earlier rule among equals.

**Invariant:** one text in, one list out, whatever the text holds; the time is linear in its length.
"""

from __future__ import annotations

import re

from trifacet.evaluation.ptb.abbreviations import ALWAYS, NOT_IN_CAPITALS, WITH_CAPITAL
from trifacet.evaluation.ptb.rules import RULES, Rule

PUNCTUATION = frozenset(["''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--", "...", ";"])  # fmt: skip
WRITTEN = {
    "(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-", "\xa2": "cents", "\xa3": "#",
    "\xa4": "$", "\x80": "$", "\u20a0": "$", "\u20ac": "$", "\xbc": "1/4", "\xbd": "1/2", "\xbe": "3/4", "\u2153": "1/3",
    "\u2154": "2/3", "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": "''", '"': "''", "&nbsp;": "", "&apos;": "'",
}  # fmt: skip
# A word between spaces, or at the end before one period.
_PLAIN = re.compile(r"[ \t]*+([A-Za-z]++)(?=[ \t]|,[ \t]|\.?\Z)")
_SPECIAL = frozenset("cannot gonna gotta lemme gimme wanna".split()) | ALWAYS | NOT_IN_CAPITALS | WITH_CAPITAL

_rules_of: dict[str, tuple[Rule, ...]] = {}


def _rules_at(character: str) -> tuple[Rule, ...]:
    if character not in _rules_of:
        _rules_of[character] = tuple(rule for rule in RULES if rule.start.match(character))
    return _rules_of[character]


def tokenize(text: str) -> list[str]:
    """The tokens of one text, in lower case and without punctuation."""
    tokens: list[str] = []
    position, length = 0, len(text)
    plain = _PLAIN.match
    while position < length:
        if match := plain(text, position):
            word = match[1].lower()
            if word not in _SPECIAL:
                tokens.append(word)
                position = match.end()
                continue
        best, end, total = "", position, position
        for rule in _rules_at(text[position]):
            if (match := rule.pattern.match(text, position)) and match.end() > total:
                total = match.end()
                end = match.end(match.lastindex or 0)
                best = text[position:end]
        position = max(end, position + 1)
        if best:
            for token in _written(best):
                if token not in PUNCTUATION:
                    tokens.append(token)
    return tokens


def _written(token: str) -> list[str]:
    if token in WRITTEN:
        return [WRITTEN[token]]
    token = token.lower().replace("\xad", "").replace(" ", "\xa0").replace("\u2019", "'").replace("\x92", "'")
    if token in '\x93\x94\xab\xbb\u201c\u201d':
        return []
    if token.startswith("--"):
        return ["--"]
    if len(token) < 8:
        token = token.replace("(", "-lrb-").replace(")", "-rrb-")
    return [token] if token else []

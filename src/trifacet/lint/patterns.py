"""What posts are strewn with: links, hashtags, mentions, emoji, control characters.

Invariant: every pattern is linear in the text's length, whatever the text: runs are taken possessively, and a run can
begin in one place only.
"""

from __future__ import annotations

import regex  # \p{...}, \X, possessive runs, (*SKIP): not in the standard library's re

_WORD = r"[\p{L}\p{M}\p{N}_\u200c\u200d]"
_HOST = r"(?<![\p{L}\p{M}\p{N}_.@/-])(?:[\p{L}\p{N}_-]++\.)++"
_LINK = (
    r"(?:https?://|www\.)[^\s<>\"]++"  # as it is typed
    rf"|{_HOST}(?:com|org|net|edu|gov|info|io|co|me|ly|gl|gd|be|tv|app|dev|uk|de|fr)/[^\s<>\"]*+"  # without a scheme
)
# As on the platforms a hashtag has a letter ("#1" has none) and does not follow a letter ("C#"), "&" (&#39;) or "/".
# A colour is none: 3, 6 or 8 hexadecimal digits of which one is a number, or of one letter (#fff).
_COLOUR = r"(?i:(?=[a-f]*+[0-9])(?:[0-9a-f]{3}|[0-9a-f]{6}|[0-9a-f]{8})|(?:aaa|bbb|ccc|ddd|eee|fff){1,2})"
_TAG = rf"[#＃]++(?!{_COLOUR}(?!{_WORD}))(?=[\p{{M}}\p{{N}}_]*+\p{{L}}){_WORD}++"
_TAGS = rf"(?<![\p{{L}}\p{{M}}\p{{N}}_&/=@#＃]){_TAG}(?:[\s|•·]*+{_TAG})*+"

# Hashtags in a row, with nothing but spaces, bars or dots between them. Links are stepped over as a whole.
HASHTAGS = regex.compile(rf"(?:{_LINK})(*SKIP)(*FAIL)|{_TAGS}")
URL = regex.compile(rf"{_LINK}|{_HOST}(?:com|org|net|edu|gov|info)(?![\p{{L}}\p{{N}}_@])")
MENTION = regex.compile(r"(?<![\p{L}\p{N}_.])@[\p{L}\p{N}_]++(?:[.@-][\p{L}\p{N}_]++)*+")
EMOJI = regex.compile(r"[\p{Extended_Pictographic}\p{Emoji_Modifier}\p{RI}\ufe0f\u20e3]")
_UNSEEN = regex.compile(r"[\p{Cc}\p{Z}]++")  # not \p{Cf}: it holds the joiners that Persian, Hindi and emoji need
_EMPTY = regex.compile(r"[\p{Cc}\p{Cf}\p{Z}\p{Cs}\u2800\u3164\ufe0f]*+")  # nothing that a reader would see or hear


def plain(text: str) -> str:
    """The text on one line, without control characters, with single spaces."""
    return str(_UNSEEN.sub(" ", text)).strip()


def is_empty(text: str) -> bool:
    """Whether nothing in the text can be seen: spaces, control and format characters only."""
    return _EMPTY.fullmatch(text) is not None


def words_only(text: str) -> str:
    """The text without links, mentions, hashtags and emoji: what says in which language it is."""
    for pattern in (URL, HASHTAGS, MENTION, EMOJI):
        text = pattern.sub(" ", text)
    return plain(text)


def graphemes(text: str) -> int:
    """How many characters a reader sees: a flag, or a hand with a skin tone, is one (UAX 29)."""
    return sum(1 for _ in regex.finditer(r"\X", text))

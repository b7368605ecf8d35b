"""The verdicts of the npm package @double-great/alt-text 3.2.1, for those who move from it: same rules, same names.

Invariant: written from what that linter says about texts, not from its code, and equal to it on all 3,370 texts of a
recorded run; what those texts do not show is not known here. It has no levels: all are warnings but a text that is
none.
"""

from __future__ import annotations

from collections.abc import Callable

import regex

from trifacet.lint.rule import Case, Rule

_EMOJI = regex.compile(r"[\p{Extended_Pictographic}\p{Emoji_Modifier}\p{RI}]|[0-9#*]\ufe0f?\u20e3")
_OF = regex.compile(r"\b(?:image|photo|photograph|picture|screenshot) of\b", regex.IGNORECASE)
_STARTS = regex.compile(r"(?:image|photo|picture|graphic|screenshot|spacer)", regex.IGNORECASE)
_ENDS = regex.compile(r"(?:image|graphic|\.(?:jpe?g|png|gif))\Z", regex.IGNORECASE)
_UNHELPFUL = frozenset({"image", "graphic", "logo", "*"})


def _units(text: str) -> int:
    """UTF-16 units, as JavaScript counts a string's length: an emoji is two."""
    return len(text) + sum(character > "\uffff" for character in text)


def _when(test: Callable[[str], object]) -> Callable[[Case], str | None]:
    return lambda case: "" if test(case.text) else None


COMPAT: tuple[Rule, ...] = (
    Rule(
        "image-is-decorative",
        "warning",
        "an empty text says that the image is decorative",
        "describe it if it is not",
        "",
        _when(lambda text: text == ""),
        detail="the empty text",
    ),
    Rule(
        "empty-alt-text",
        "error",
        "a text of one space",
        "describe the image",
        " ",
        _when(lambda text: text == " "),
        detail="one space; two are a text that ends without a full stop",
    ),
    Rule(
        "avoid-emoji",
        "warning",
        "emoji",
        "say it in words",
        "An orange 🐈.",
        _when(_EMOJI.search),
        detail="emoji, keycaps and signs such as ©",
    ),
    Rule(
        "contains-unhelpful-word",
        "warning",
        "says that it is an image",
        "leave 'image of' out",
        "An image of a train.",
        _when(_OF.search),
        detail='"image of", "photo of", "picture of", "photograph of", "screenshot of", anywhere',
    ),
    Rule(
        "character-length",
        "warning",
        "125 characters or more",
        "shorten it",
        "x" * 124 + ".",
        _when(lambda text: _units(text) >= 125),
        detail="125 UTF-16 units and more",
    ),
    Rule(
        "end-with-punctuation",
        "warning",
        "does not end with a full stop, question or exclamation mark",
        "end it with one, and with no space after it",
        "a red fire hydrant in a field",
        _when(lambda text: _units(text) > 1 and text[-1] not in ".?!"),
        detail="two characters and more of which the last is none of .?!; white space counts as one",
    ),
    Rule(
        "should-not-end-with",
        "warning",
        "ends with 'image' or as a file name",
        "leave that out",
        "A nice graphic",
        _when(_ENDS.search),
        detail='"image", "graphic", or an image file\'s ending',
    ),
    Rule(
        "is-unhelpful",
        "error",
        "a placeholder instead of a text",
        "describe the image",
        "logo",
        _when(lambda text: text.lower() in _UNHELPFUL),
        detail='"image", "graphic", "logo", "*"',
    ),
    Rule(
        "should-not-start-with",
        "warning",
        "starts with 'image' or the like",
        "leave that out",
        "Picture this!",
        _when(_STARTS.match),
        detail='words that begin with "image", "photo", "picture", "graphic", "screenshot", "spacer"',
    ),
)

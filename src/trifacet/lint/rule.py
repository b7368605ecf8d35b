"""A rule about alt-texts, and what a rule may look at.

Invariant: a rule finds its own kind of trouble only; whether another rule spoke before does not matter to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import regex

from trifacet.lettering.lines import Lettering
from trifacet.lettering.prominent import Prominence
from trifacet.lint.patterns import URL, graphemes, plain

Level = Literal["error", "warning"]
# The longest alt-text that each takes; Bluesky counts graphemes, the others characters.
PLATFORMS = {"x": 1000, "instagram": 1000, "pinterest": 500, "mastodon": 1500, "bluesky": 2000}
UNSPACED = regex.compile(  # words without spaces
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
)
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}]++(?:['’-][\p{L}\p{M}\p{N}]++)*+")


@dataclass(frozen=True)
class LetteringLimits:
    """When the words that stand in a picture are a finding.

    Args:
        least_told: share of the prominent words that the text, or what stands beside it, must have: with half of them
            a reader knows what is written there; whoever asks for all finds fault with every shortened title.
        most_repeated: share of the text's words, when these stand in the picture and beside it, from which it says
            nothing else; one word in five may be "poster" or "says".
        prominence: which lettering is asked for.
    """

    least_told: float = 0.5
    most_repeated: float = 0.8
    prominence: Prominence = field(default_factory=Prominence)


@dataclass(frozen=True)
class Case:
    """One alt-text with what is known about it.

    ``images``: how many images have the same text, this one included; ``image``: the address of this one. ``read``
    gives what stands in its picture, None where that is not known; it is called once at most, and by few rules.
    """

    text: str
    context: str | None = None
    platform: str | None = None
    max_chars: int | None = None
    min_words: int = 3
    images: int = 1
    max_images: int = 4
    image: str = ""
    read: Callable[[], Lettering | None] | None = None
    limits: LetteringLimits = field(default_factory=LetteringLimits)

    @cached_property
    def lettering(self) -> Lettering | None:
        """What stands in the picture; None where it is not known."""
        return self.read() if self.read is not None else None

    @cached_property
    def plain(self) -> str:
        """The text on one line with single spaces."""
        return plain(self.text)

    @cached_property
    def words(self) -> list[str]:
        """The words in lower case, without punctuation."""
        return words(self.plain)

    @cached_property
    def post(self) -> list[str]:
        """The words of the post, without its links and the marks of its hashtags."""
        return words(URL.sub(" ", self.context or ""))

    def characters(self) -> int:
        """The length as the platform counts it: white space around the text is cut off by all of them."""
        text = self.text.strip()
        if self.platform == "bluesky" and len(text) > PLATFORMS["bluesky"]:  # there are never more graphemes
            return graphemes(text)
        return len(text)


@dataclass(frozen=True)
class Rule:
    """One check. ``find`` gives None, or what it found: a piece of the text or a figure, empty where nothing is to add.

    ``example`` is a text that the rule finds fault with, where ``given`` is known about it. ``last``: no further rule
    need be asked then, since the text is none.
    """

    name: str
    level: Level
    message: str
    cure: str
    example: str
    find: Callable[[Case], str | None]
    last: bool = False
    given: Mapping[str, Any] = field(default_factory=dict)
    detail: str = ""  # what exactly it looks for, as docs/lint.md has it
    reads: bool = False  # it looks at what stands in the picture


def words(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation; "don't" and "light-blue" are one each."""
    return [word.casefold() for word in _WORD.findall(text)]


def matching(pattern: regex.Pattern[str]) -> Callable[[Case], str | None]:
    """A rule that looks for a pattern in the text as one line."""

    def find(case: Case) -> str | None:
        found = pattern.search(case.plain)
        return found.group()[:80] if found else None

    return find

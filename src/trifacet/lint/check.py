"""Asking the rules about one text.

Invariant: the same text with the same things known about it gives the same findings, in the rules' order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from trifacet.base.errors import TrifacetError
from trifacet.lettering.lines import Lettering
from trifacet.lint.compat import COMPAT
from trifacet.lint.rule import PLATFORMS, Case, LetteringLimits, Level, Rule
from trifacet.lint.rules import RULES


@dataclass(frozen=True)
class LintFinding:
    """What one rule found in one text. ``found`` is a piece of the text (hostile!) or a figure; it may be empty."""

    rule: str
    level: Level
    message: str
    cure: str
    found: str

    @property
    def cause(self) -> str:
        """Message and what was found, in one line."""
        return f"{self.message}: {self.found}" if self.found else self.message


def lint_text(
    text: str,
    *,
    context: str | None = None,
    platform: str | None = None,
    max_chars: int | None = None,
    min_words: int = 3,
    images: int = 1,
    max_images: int = 4,
    ignore: Collection[str] = (),
    rules: Sequence[Rule] = RULES,
    image: str = "",
    lettering: Lettering | Callable[[], Lettering | None] | None = None,
    limits: LetteringLimits | None = None,
) -> list[LintFinding]:
    """What the rules find in an alt-text, in their order; an empty list for a clean one.

    Args:
        text: the alt-text, of any length and kind.
        context: the post that the image stands in, for "repeats the post".
        platform: one of ``PLATFORMS``, for its limit.
        max_chars: longest text before "longer than asked for" warns; no number is right for all, so none by default.
        min_words: fewest words before "very short" warns.
        images: how many different images have this text, this one included.
        max_images: how many may.
        ignore: names of rules not to ask.
        rules: ``RULES`` or ``COMPAT``.
        image: the image's address, for texts that are its file name.
        lettering: what stands in the picture, or what gives it (None: not known), for the rules about its words; it is
            called only where what a rule finds hangs on it.
        limits: when lettering is a finding (None: as documented).

    Raises:
        TrifacetError: an unknown platform or rule.
    """
    check_names(platform, ignore, rules)
    read = (lambda: lettering) if isinstance(lettering, Lettering) else lettering
    limits = limits or LetteringLimits()
    case = Case(text, context, platform, max_chars, min_words, images, max_images, image, read, limits)
    findings = []
    for rule in rules:
        found = None if rule.name in ignore else rule.find(case)
        if found is not None:
            findings.append(LintFinding(rule.name, rule.level, rule.message, rule.cure, found))
            if rule.last:
                break
    return findings


def check_names(platform: str | None, ignore: Collection[str], rules: Sequence[Rule] = RULES) -> None:
    """Raise TrifacetError for a platform or a rule that does not exist."""
    if platform is not None and platform not in PLATFORMS:
        raise TrifacetError(f"unknown platform {platform!r}; known are {', '.join(PLATFORMS)}")
    known = {rule.name for rule in rules}
    if unknown := sorted(set(ignore) - known):
        other = (
            " (it is one of the other rule set's)" if unknown[0] in {rule.name for rule in (*RULES, *COMPAT)} else ""
        )
        raise TrifacetError(f"unknown rule {unknown[0]!r}{other}; known are {', '.join(sorted(known))}")

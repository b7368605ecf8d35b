"""What the alt-text checks say of a place.

Invariant: the rules and their limits are those of ``trifacet lint`` without options, but for the same text on many
images, which no document knows alone.
"""

from __future__ import annotations

from functools import cache

from trifacet.describing.place import Place
from trifacet.lint.check import LintFinding
from trifacet.lint.documents import MAX_TEXT, AltText
from trifacet.lint.linting import LintSettings, asked
from trifacet.lint.rule import Rule
from trifacet.lint.rules import RULES

MISSING = RULES[0]


@cache
def _settings() -> tuple[LintSettings, tuple[Rule, ...]]:
    settings = LintSettings()
    return settings, settings.rules


def findings_of(alt: AltText) -> tuple[LintFinding, ...]:
    """The findings about a text as ``lint``'s readers give it; none about one that is too long to be any."""
    if len(alt.text or "") > MAX_TEXT:
        return ()
    settings, rules = _settings()
    return tuple(asked(alt, settings, rules, 1, None))


def is_missing(place: Place) -> bool:
    """Whether the picture needs a text and has none."""
    return any(finding.rule == MISSING.name for finding in place.findings)


def has_text(place: Place) -> bool:
    """Whether what stands there, be it a text or that none is needed, is to be kept."""
    return place.state != "missing" and not is_missing(place)


def is_weak(place: Place) -> bool:
    """Whether there is a text that the checks find fault with."""
    return bool(place.findings) and not is_missing(place)

"""The alt-text checks as a filter of what a model writes: of several candidates the best that passes, or none.

Invariant: the rules are those of ``evaluation.lint`` with their defaults, asked about one text and its post; a text
that does not pass is never given out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from trifacet.lint import lint_text

Filter = Literal["errors", "warnings"]
DRAWS = 4  # texts drawn for one, where there is a temperature; else there is one for each beam


def broken_rules(text: str, context: str, level: Filter) -> tuple[str, ...]:
    """The rules for which the filter refuses a text: those that are errors, or all."""
    found = lint_text(text, context=context)
    return tuple(finding.rule for finding in found if level == "warnings" or finding.level == "error")


def first_passing(texts: Sequence[str], context: str, level: Filter) -> tuple[int | None, tuple[str, ...]]:
    """The place of the first text that passes, or None with the rules that the very first one breaks."""
    first: tuple[str, ...] = ()
    for place, text in enumerate(texts):
        broken = broken_rules(text, context, level)
        if not broken:
            return place, ()
        first = first or broken
    return None, first

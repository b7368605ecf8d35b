"""Checks of alt-texts: one set of rules for the build step, the command, the metric and the filter.

Invariant: what a rule says depends on the text and on what was given with it, never on other texts: that a text stands
on many images is counted by the caller and given as a number.
"""

from __future__ import annotations

from trifacet.lint.check import LintFinding, lint_text
from trifacet.lint.compat import COMPAT
from trifacet.lint.rule import PLATFORMS, Level, Rule
from trifacet.lint.rules import RULES

__all__ = ["COMPAT", "PLATFORMS", "RULES", "Level", "LintFinding", "Rule", "lint_text"]

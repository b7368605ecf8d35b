"""What lint says of the situations in the W3C's ACT rules about images, beside the outcome that each rule gives.

The situations are written for this project after what the examples of each rule show, a file per rule: none of the
rules' own pages is copied or fetched. A row counts what lint finds among those of one outcome.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from parity.row import Row
from trifacet.lint.linting import LintCounts, LintSettings, lint_documents
from trifacet.lint.pages import read_html
from trifacet.lint.sources import Document

SITUATIONS = Path(__file__).parents[2] / "tests" / "lint" / "act"
_NAMELESS = ("missing",)
# By rule: what lint finds where the rule fails. None: what is marked as decorative is exposed all the same.
RULES: dict[str, tuple[str, ...] | None] = {
    "23a2a8": _NAMELESS,  # image has a name
    "59796f": _NAMELESS,  # image button
    "7d6734": _NAMELESS,  # SVG with a role
    "8fc3b6": _NAMELESS,  # object
    "c487ae": _NAMELESS,  # link, of those with images
    "9eb3f6": ("file-name", "placeholder"),  # the name is no file's name
    "qt1vmo": ("file-name", "placeholder"),  # the name describes the image
    "46ca7f": None,  # what is marked as decorative is not exposed
}


class Situation(NamedTuple):
    """A piece of a page, and whether the rule fails it, passes it or does not look at it."""

    rule: str
    outcome: str
    name: str
    html: str


def situations() -> Iterator[Situation]:
    """All of them; in the files a comment with the outcome and a name stands before each."""
    for rule in RULES:
        parts = re.split(
            r"<!-- (passed|failed|inapplicable): (.*?) -->", (SITUATIONS / f"{rule}.html").read_text("utf-8")
        )
        for outcome, name, html in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
            yield Situation(rule, outcome, name, html)


def found(situation: Situation) -> bool:
    """Whether lint finds what the rule fails."""
    wanted, data = RULES[situation.rule], situation.html.encode()
    if wanted is None:
        return any(alt.unasked != "decorative" for alt in read_html(data, Path("page.html")))
    told = lint_documents([Document(Path("page.html"), "html", data)], LintSettings(), LintCounts(), _refuse)
    return any(one.finding.rule in wanted for one in told)


def _refuse(problem: Exception) -> None:
    raise problem


def rows(data: Path) -> Iterator[Row]:
    every = [(situation, found(situation)) for situation in situations()]
    for rule in RULES:
        for outcome in ("failed", "passed", "inapplicable"):
            mine = [(one, hit) for one, hit in every if (one.rule, one.outcome) == (rule, outcome)]
            expected = len(mine) if outcome == "failed" else 0
            other = [one.name for one, hit in mine if hit != (outcome == "failed")]
            note = f" ({'; '.join(other)})" if other else ""
            yield Row(f"found, of {len(mine)} {outcome}{note}", f"ACT {rule}", sum(hit for _, hit in mine), expected)

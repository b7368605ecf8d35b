"""The words of a piece of HTML, for contexts. Invariant: a bounded number of elements is looked at."""

from __future__ import annotations

from justhtml import JustHTML

from trifacet.lint.names import LONGEST_CONTEXT, Names

_LONGEST = 200_000  # characters that are parsed


def words_of_html(html: str) -> str:
    """The words in one line, as much of them as a context needs."""
    if "<" not in html and "&" not in html:
        return " ".join(html.split())[:LONGEST_CONTEXT]
    return Names(()).words(JustHTML(html[:_LONGEST], sanitize=False).root)

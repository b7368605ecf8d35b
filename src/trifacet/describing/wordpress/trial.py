"""What WordPress would keep of a text, found out in a draft before the post itself is touched.

WordPress filters what it saves: HTML of accounts without ``unfiltered_html``, links with a target, whatever plugins
filter. What it takes out of a post can't be given back by the same account, since that is filtered too. Invariant: a
post is written only where a draft of the same title, content and excerpt came back as it was sent; the draft is of
this account, is never published, and is removed at the end, also one that a kill left.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress

from trifacet.base.errors import TrifacetError
from trifacet.describing.wordpress.answers import RefusedError
from trifacet.describing.wordpress.connection import PassingError
from trifacet.describing.wordpress.site import Item, Site

TITLE = "Trifacet tries what is kept: this draft may be deleted"
_KIND = "post"
_PARTS = ("title", "content", "excerpt")
_PLAIN = re.compile(r"[^<>&\[\]\\%]*")
_AROUND = 30  # characters that are shown of a difference


class Trial:
    """The draft of one run. Made when it is needed first."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._draft: Item | None = None

    def problem(self, item: Item, texts: Mapping[str, str]) -> str:
        """Why a post with these texts would not be saved as they are; "" where it would.

        Raises:
            TrifacetError: it can't be found out.
        """
        parts = {name: texts.get(name, "") for name in _PARTS}
        if all(_PLAIN.fullmatch(part) and part == part.strip() for part in parts.values()):
            return ""
        sent = parts | {"title": f"{TITLE} {parts['title']}" if parts["title"] else TITLE}
        kept = self._saved(sent)
        for name in _PARTS:
            if kept.texts.get(name, "") != sent[name]:
                return f"{why(item)}: {difference(sent[name], kept.texts.get(name, ''))} in the {name}"
        return ""

    def sweep(self) -> None:
        """Remove the draft, also one that an earlier run left."""
        with suppress(RefusedError):  # an account that has no drafts
            if _KIND in self._site.types:
                self._draft = self._draft or self._left()
        self.close()

    def close(self) -> None:
        """Remove the draft of this run."""
        if self._draft is not None:
            route = self._site.route(_KIND, self._draft.id)
            with suppress(TrifacetError):  # the next run removes it
                self._site.connection.ask("DELETE", self._site.url(route, force="true"))
            self._draft = None

    def _saved(self, sent: Mapping[str, str]) -> Item:
        connection = self._site.connection
        for attempt in range(1, connection.tries + 1):
            try:
                self._draft = self._draft or self._left()
                if self._draft is None:
                    url = self._site.url(self._site.route(_KIND), context="edit")
                    told, _ = connection.ask("POST", url, {"status": "draft", **sent})
                    number = told.get("id") if isinstance(told, dict) else None
                    self._draft = self._site.item(_KIND, number if isinstance(number, int) else 0, told)
                    return self._draft
                return self._site.write(self._draft, sent)
            except PassingError as error:
                connection.rest(error, attempt)
        raise AssertionError("unreachable")

    def _left(self) -> Item | None:
        """A draft of an earlier run, or of a request whose answer was lost."""
        how: dict[str, str | int] = {"status": "draft", "author": self._site.me, "search": TITLE}
        for row in self._site.pages(self._site.route(_KIND), context="edit", **how):
            draft = self._site.item(_KIND, row["id"], row) if isinstance(row.get("id"), int) else None
            if draft is not None and draft.texts.get("title", "").startswith(TITLE):
                return draft
        return None


def why(item: Item) -> str:
    """Why a site does not save what it is sent."""
    if item.unfiltered:
        return "WordPress, or a plugin, would change more as it saves this"
    return "WordPress filters the HTML of this account, which has no unfiltered_html (Editors have it)"


def difference(sent: str, kept: str) -> str:
    """The first difference of two texts, for people."""
    at = next((n for n, (one, other) in enumerate(zip(sent, kept, strict=False)) if one != other), None)
    at = min(len(sent), len(kept)) if at is None else at
    start = max(at - 10, 0)
    return f"{sent[start : at + _AROUND]!r} becomes {kept[start : at + _AROUND]!r}"

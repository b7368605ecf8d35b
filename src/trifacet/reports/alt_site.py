"""The page on a site's alt-texts: each picture with its text before and after, what was withheld and why, and which
parts of a suggestion are right and wrong where the truth is known.

Invariant: the page holds only our own markup, escaped text, and images that were decoded and encoded anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from trifacet.base.files import write_atomically
from trifacet.reports.gallery import cut
from trifacet.reports.run.posts import Segment
from trifacet.web.page import render_page
from trifacet.web.pictures import Picture

MOST = 1_000  # places on the page
Verdict = Literal["right", "wrong", ""]


@dataclass(frozen=True)
class SitePlace:
    """A place of the site.

    Attributes:
        where: document and line.
        role: what the picture is for, with the ``reason``.
        picture: the picture.
        post: the words around it.
        before: its text before; None: it had none.
        suggested: what the model wrote, in parts that are right or wrong by the truth.
        verdict: on all of it; "" where it states nothing.
        confidence: as a text, "" for none.
        withheld: why it was withheld; "" where it was not.
        decided: what a person did.
        after: its text after; None: it has none.
    """

    where: str
    role: str
    reason: str
    picture: Picture
    post: str
    before: str | None
    suggested: Sequence[Segment] = field(default_factory=tuple)
    verdict: Verdict = ""
    confidence: str = ""
    withheld: str = ""
    decided: str = ""
    after: str | None = None


def write_site_page(output: Path, places: Sequence[SitePlace], facts: Sequence[tuple[str, str]], lead: str) -> None:
    """Write the page.

    Args:
        output: the page.
        places: of the site; the first ``MOST`` are shown.
        facts: what counts of the whole say, by what they are called.
        lead: the sentence under the title.

    Raises:
        TrifacetError: it cannot be written.
    """
    page = render_page(
        __name__,
        "alt_site.html.jinja",
        {"cut": cut},
        places=places[:MOST],
        more=max(len(places) - MOST, 0),
        facts=facts,
        lead=lead,
        withheld=[one for one in places if one.withheld][:MOST],
    )
    write_atomically(output, page)

"""What the page shows of a suggestion.

Invariant: everything is bounded, whatever the queue's file holds; what a form's box holds is what would be stored.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from trifacet.base.bidi import isolated
from trifacet.base.words import CONTROL, without_sequences
from trifacet.describing.place import Place
from trifacet.describing.queue import LONGEST_TEXT, Event, Suggestion
from trifacet.generation.variation import Part, parts
from trifacet.lint.check import LintFinding

_MOST_PARTS, _MOST_SAMPLES, _MOST_FINDINGS, _MOST_EVENTS, _MOST_HEADINGS = 200, 20, 30, 50, 8
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,4}")
_LONGEST_WORDS, _LONGEST_LINE = 3000, 300  # characters of a paragraph around the picture, of a line


@dataclass(frozen=True)
class Shown:
    """A suggestion on its page. ``box``, ``long_box``: what its form begins with; ``address``: of its page;
    ``language``: of its words, None where that is none.
    """

    one: Suggestion
    place: Place
    address: str
    picture: str
    document: str
    present: str
    parts: Sequence[Part]
    samples: Sequence[str]
    findings: Sequence[LintFinding]
    confidence: str
    long: str
    box: str
    long_box: str
    facts: Sequence[tuple[str, str]]
    before: str
    after: str
    events: Sequence[Event]
    language: str | None
    open: bool
    decided: bool

    @property
    def called(self) -> str:
        """How messages call it."""
        line = "" if self.place.line is None else f", line {self.place.line}"
        return f"{isolated(self.document)}{line}"

    @property
    def marked(self) -> bool:
        """Whether samples disagree on a part."""
        return any(part.said is not None for part in self.parts)

    @property
    def withheld(self) -> str:
        """Why a model's text was withheld."""
        return cut(self.one.proposal.withheld, 2 * _LONGEST_LINE)

    @property
    def note(self) -> str:
        """What was said at the last event."""
        return cut(self.one.note, 2 * _LONGEST_LINE)


def shown(one: Suggestion, events: Sequence[Event] = ()) -> Shown:
    """A suggestion for its page."""
    proposal, place = one.proposal, one.proposal.place
    share = proposal.confidence
    return Shown(
        one=one,
        place=place,
        address=f"/text/{_quoted(one)}",
        picture=f"/picture/{_quoted(one)}",
        document=cut(proposal.document, _LONGEST_LINE),
        present=cut(place.alt or "", LONGEST_TEXT),
        parts=parts(cut(proposal.text, LONGEST_TEXT), proposal.spans[:_MOST_PARTS]),
        samples=[cut(text, _LONGEST_WORDS) for text in proposal.samples[:_MOST_SAMPLES]],
        findings=proposal.findings[:_MOST_FINDINGS],
        confidence="" if share is None else f"{100 * min(max(share, 0.0), 1.0):.0f} %",
        long=cut(proposal.long, LONGEST_TEXT),
        box=plain(one.text),
        long_box=plain(one.long),
        facts=_facts(place),
        before=cut(place.around.before, _LONGEST_WORDS),
        after=cut(place.around.after, _LONGEST_WORDS),
        events=events[-_MOST_EVENTS:],
        language=place.around.language if _LANGUAGE.fullmatch(place.around.language) else None,
        open=one.state in ("suggested", "withheld"),
        decided=one.state in ("accepted", "edited", "refused"),
    )


def _quoted(one: Suggestion) -> str:
    return quote(one.id, safe="", errors="replace")


def _facts(place: Place) -> list[tuple[str, str]]:
    """What is short around a picture, by what it is called."""
    around = place.around
    headings = " › ".join(cut(one, _LONGEST_LINE) for one in around.headings[-_MOST_HEADINGS:])
    address = place.picture.file or (place.picture.address if place.picture.source == "remote" else "")
    all_of_them = [
        ("Page", around.page), ("Headings", headings), ("Caption", around.caption), ("Link goes to", around.link),
        ("Words of the link", around.link_text), ("Title", around.title), ("Language", around.language),
        ("Picture", address or around.file_name or _KINDS.get(place.picture.source, "")),
    ]  # fmt: skip
    return [(name, cut(text, 2 * _LONGEST_LINE)) for name, text in all_of_them if text.strip()]


_KINDS = {"svg": "a drawing (SVG) in the page", "data": "in the page itself", "css": "a background of the page's style"}


def plain(text: str) -> str:
    """A text as a form's box can hold it, and the queue keeps it."""
    return CONTROL.sub("", without_sequences(text[:LONGEST_TEXT])).replace("\r\n", "\n").replace("\r", "\n").strip()


def cut(text: str, longest: int) -> str:
    """At most so many characters of a text, without ANSI sequences."""
    text = without_sequences(text[: 2 * longest])
    return text if len(text) <= longest else f"{text[:longest]}…"

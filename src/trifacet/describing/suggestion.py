"""A suggestion: what a model proposed for a place, how it stands, and what became of it.

Invariant: what is kept as JSON reads back the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from trifacet.base.digests import json_digest
from trifacet.describing.place import Around, Picture, Place
from trifacet.generation.variation import Span
from trifacet.lint.check import LintFinding

QueueState = Literal["suggested", "withheld", "accepted", "edited", "refused", "applied", "stale"]
QUEUE_STATES: tuple[QueueState, ...] = get_args(QueueState)
DECISIONS: tuple[QueueState, ...] = ("accepted", "edited", "refused")
OPEN: tuple[QueueState, ...] = ("suggested", "withheld")


@dataclass(frozen=True)
class Proposal:
    """What was suggested for a place, and what that rests on.

    Attributes:
        document, digest: its path below the root with "/", and the SHA-256 of its bytes.
        format: name of its format; "": goes by its ending.
        place: the place as it was found.
        picture, context: SHA-256 of the picture's bytes, and of the words around it that were asked with.
        text, long: the suggestion; a long description beside it, of complex pictures.
        withheld: why it is not to be put in place; "" where nothing speaks against it.
        findings: of the checks of the suggestion, names that were invented among them.
        samples: all that was drawn.
        spans: the parts of ``text`` that not all samples say.
        confidence: how likely it is right (``confidence``); None where nothing was drawn.
        provenance: model, weights, settings, request, date.
    """

    document: str
    digest: str
    place: Place
    picture: str
    context: str
    text: str
    long: str = ""
    withheld: str = ""
    findings: tuple[LintFinding, ...] = ()
    samples: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()
    confidence: float | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    format: str = ""

    @property
    def id(self) -> str:
        """The same for the same picture in the same context at the same place of the same document."""
        return f"alt-{json_digest([self.document, self.place.key, self.picture, self.context])[:16]}"

    @property
    def state(self) -> QueueState:
        """In which it comes into the queue."""
        return "withheld" if self.withheld else "suggested"


@dataclass(frozen=True)
class Suggestion:
    """A suggestion as it stands: ``text`` and ``long`` as last decided, ``proposal`` as suggested.

    ``event`` is the number of its last event, by which a decision says what was seen; ``who``, ``when`` (UTC) and
    ``note`` are that event's.
    """

    id: str
    event: int
    state: QueueState
    text: str
    long: str
    who: str
    when: str
    note: str
    proposal: Proposal


@dataclass(frozen=True)
class Event:
    """One change of a suggestion. ``made``: it came with what a model suggested; ``undoes``: the event taken back."""

    number: int
    state: QueueState
    text: str
    long: str
    who: str
    note: str
    when: str
    made: bool
    undoes: int | None


def event_of(row: Sequence[Any]) -> Event:
    """From a row of the events."""
    number, state, text, long, who, note, when, made, undoes = row
    return Event(number, state, text, long, who, note, when, bool(made), undoes)


def as_json(proposal: Proposal) -> str:
    """What is kept of it."""
    return json.dumps(asdict(proposal), ensure_ascii=True)  # halves of surrogate pairs stay as they are


def suggestion_of(row: Sequence[Any]) -> Suggestion:
    """From (event, id, state, text, long, who, note, when, JSON). Raises KeyError, TypeError or ValueError."""
    number, name, state, text, long, who, note, time, content = row
    return Suggestion(name, number, state, text, long, who, time, note, _proposal(json.loads(content)))


def _proposal(content: dict[str, Any]) -> Proposal:
    place = content["place"]
    return Proposal(
        **content
        | {
            "place": place_of(place),
            "findings": tuple(LintFinding(**one) for one in content["findings"]),
            "samples": tuple(content["samples"]),
            "spans": tuple(Span(**one) for one in content["spans"]),
        }
    )


def place_of(content: Mapping[str, Any]) -> Place:
    """A place from ``dataclasses.asdict`` of it. Raises KeyError or TypeError for what is none."""
    around = content["around"]
    return Place(
        **dict(content)
        | {
            "picture": Picture(**content["picture"]),
            "around": Around(**around | {"headings": tuple(around["headings"])}),
            "findings": tuple(LintFinding(**one) for one in content["findings"]),
        }
    )

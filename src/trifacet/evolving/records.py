"""What one round leaves of a sample: answers, feedback, verdicts, and what became of it.

Invariant: a record is written as a JSON object and read again as an equal one; ``sample`` and ``answer`` together name
an answer in its round. Nothing here was trusted to be true: texts are a model's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter

NORMAL, REVISED, DROPOUT, GIVEN = "normal", "revised", "dropout-ntp", "given"
"""Origins of answers, beside the names of strategies for rejected images: sampled from the picture; written anew from
feedback; an answer's first half continued without the picture; another model's."""

Outcome = Literal["accepted", "refused", "malformed"]
What = Literal["pairs", "all accepted", "none accepted", "no pair", "refused"]


@dataclass(frozen=True)
class Answer:
    """A text that was written for a sample.

    Attributes:
        sample: id of the sample.
        answer: its number among those of the sample in this round.
        origin: ``NORMAL`` and so on, or the strategy of the picture that was shown in the sample's place.
        text: stripped.
        parent: the number of the answer that it revises or continues.
        problem: why it is no candidate: "empty", "cut off", "looping", "duplicate", "too long" (the question, for an
            answer to fit), "no picture", "refused" or what else an endpoint said.
    """

    sample: str
    answer: int
    origin: str
    text: str
    parent: int | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Feedback:
    """What the reviser said of an answer, and which answer was written from it.

    Attributes:
        sample: id of the sample.
        answer: number of the answer that it is about.
        text: the deficiencies it names.
        saw_reference: whether the reviser was shown the reference.
        revised: number of the answer that was written from it; None where there is none.
        draw: which of the answer's feedbacks.
    """

    sample: str
    answer: int
    text: str
    saw_reference: bool
    revised: int | None = None
    draw: int = 0


@dataclass(frozen=True)
class Verdict:
    """What the verifier said of an answer.

    Attributes:
        sample: id of the sample.
        answer: the answer's number.
        outcome: "malformed" is a class of its own: no vote could be read.
        accepted: votes that accept.
        votes: votes that could be read.
        conditions: of the conditions how many votes hold it; empty where one question asks for all.
        reasons: what the first readable vote says of each condition.
        raw: what the first vote said where it could not be read.
    """

    sample: str
    answer: int
    outcome: Outcome
    accepted: int
    votes: int
    conditions: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    raw: str = ""


@dataclass(frozen=True)
class Fate:
    """What became of a sample in a round.

    Attributes:
        sample: its id.
        what: of the kinds there is one; "no pair": some were accepted and some refused, and the rules made no pair.
        why: the reason, for "no pair" and "refused".
        answers: answers by origin.
        accepted: accepted ones by origin.
        malformed: answers without a verdict that could be read.
        pairs: pairs of answers that it gave.
        feedback_pairs: pairs of feedback texts.
    """

    sample: str
    what: What
    why: str = ""
    answers: Mapping[str, int] = field(default_factory=dict)
    accepted: Mapping[str, int] = field(default_factory=dict)
    malformed: int = 0
    pairs: int = 0
    feedback_pairs: int = 0


Record = TypeVar("Record", Answer, Feedback, Verdict, Fate)


def as_row(record: Answer | Feedback | Verdict | Fate) -> dict[str, Any]:
    """The record as a JSON object."""
    return dict(vars(record))


def from_row(kind: type[Record], row: Mapping[str, Any]) -> Record:
    """The record of a JSON object; raises pydantic's ValidationError where it is none."""
    record: Record = _ADAPTERS[kind].validate_python(dict(row))
    return record


_ADAPTERS: dict[type, TypeAdapter[Any]] = {kind: TypeAdapter(kind) for kind in (Answer, Feedback, Verdict, Fate)}

"""Samples of a run as its page shows them: picture, instruction, reference, and every answer with its verdict.

Invariant: texts are clipped, pictures small and limited in number, so that a page has a bound whatever the run holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trifacet.base.words import without_folders
from trifacet.web.pictures import Picture, picture

SIDE = 320  # pixels, the longest side of a picture
LONGEST = 1200  # characters of a text
REASON = 300  # characters of a reason
_PAIRS = 8  # of an example
_FEEDBACK = 4  # of an answer
_MARKS = {"accepted": "✓", "refused": "✗", "malformed": "?"}
_HELD, _FAILED = "held", "failed"


@dataclass(frozen=True)
class Condition:
    """What the verifier said of one condition. ``told``: "held", "failed" or "" where only its reason is known."""

    name: str
    told: str
    votes: str
    reason: str


@dataclass(frozen=True)
class ShownAnswer:
    """An answer with its verdict. ``outcome``: as verdicts have it, "no candidate" or "waiting"; ``votes`` in words."""

    number: int
    origin: str
    text: str
    outcome: str
    mark: str
    why: str
    votes: str
    conditions: Sequence[Condition]
    raw: str
    pairs: str


@dataclass(frozen=True)
class Revision:
    """One feedback text and the answer that was written from it, None where there is none or it is not shown."""

    feedback: str
    saw_reference: bool
    revised: ShownAnswer | None


@dataclass(frozen=True)
class Chain:
    """An answer and what was made of it."""

    answer: ShownAnswer
    revisions: Sequence[Revision]


@dataclass(frozen=True)
class Example:
    """A sample in one round. ``feedback_pairs``: (preferred, other) texts."""

    round: int
    number: int
    id: str
    picture: Picture | None
    prompt: str
    context: str
    references: Sequence[str]
    what: str
    why: str
    chains: Sequence[Chain]
    more: int
    pairs: int
    feedback_pairs: Sequence[tuple[str, str]]


def clipped(text: Any, longest: int = LONGEST) -> str:
    """The text, or its beginning and how much is left out."""
    said = str(text)
    return said if len(said) <= longest else f"{said[:longest]} … ({len(said) - longest:,} more characters)"


def shown(document: Mapping[str, Any]) -> list[Example]:
    """The examples of a run's document."""
    root, known = Path(document["images_root"]), dict[str, Picture]()

    def small(name: str) -> Picture:
        if name not in known:
            found = picture(root, name, side=SIDE, max_pixels=document["max_pixels"])
            known[name] = replace(found, problem=clipped(without_folders(found.problem), REASON))
        return known[name]

    return [_example(number, one, small) for number, one in enumerate(document["examples"], start=1)]


def _example(number: int, told: Mapping[str, Any], small: Any) -> Example:
    sample = told["sample"]
    fate = told["fate"] or {}
    places = _places(told["pairs"])
    answers = {one["answer"]: _answer(one, places.get(one["answer"], [])) for one in told["answers"]}
    revised = {said["revised"] for one in told["answers"] for said in one["feedback"][:_FEEDBACK]}
    chains = [
        Chain(
            answers[one["answer"]],
            [
                Revision(clipped(said["text"]), bool(said["saw_reference"]), answers.get(said["revised"]))
                for said in one["feedback"][:_FEEDBACK]
            ],
        )
        for one in told["answers"]
        if one["answer"] not in revised
    ]
    return Example(
        round=told["round"],
        number=number,
        id=clipped(told["id"], REASON),
        picture=small(sample["image"]) if sample and sample["image"] else None,
        prompt=clipped(sample["prompt"]) if sample else "",
        context=clipped(sample["context"]) if sample else "",
        references=[clipped(one) for one in sample["references"][:3]] if sample else [],
        what=fate.get("what", "not yet"),
        why=clipped(fate.get("why", ""), REASON),
        chains=sorted(chains, key=lambda chain: not chain.revisions),
        more=told["more"],
        pairs=len(told["pairs"]),
        feedback_pairs=[
            (clipped(one["chosen"]), clipped((one["rejected"] or [""])[0])) for one in told["feedback_pairs"][:_PAIRS]
        ],
    )


def _answer(told: Mapping[str, Any], pairs: Sequence[str]) -> ShownAnswer:
    verdict = told["verdict"]
    outcome = verdict["outcome"] if verdict else "no candidate" if told["problem"] else "waiting"
    return ShownAnswer(
        number=told["answer"],
        origin=clipped(told["origin"], 60),
        text=clipped(told["text"]),
        outcome=outcome,
        mark=_MARKS.get(outcome, "–"),
        why=clipped(told["problem"] or "", REASON),
        votes=_votes(verdict),
        conditions=_conditions(verdict) if verdict else [],
        raw=clipped(verdict["raw"], REASON) if verdict and outcome == "malformed" else "",
        pairs=", ".join(pairs[:_PAIRS]),
    )


def _votes(verdict: Mapping[str, Any] | None) -> str:
    if not verdict or verdict["votes"] <= 1:
        return ""
    return f"{verdict['accepted']} of {verdict['votes']} votes accept"


def _conditions(verdict: Mapping[str, Any]) -> list[Condition]:
    votes, held, reasons = verdict["votes"], dict(verdict["conditions"]), dict(verdict["reasons"])
    return [
        Condition(
            name=clipped(name, 60),
            told="" if name not in held else _HELD if 2 * held[name] > votes else _FAILED,
            votes=f"{held[name]} of {votes}" if votes > 1 and name in held else "",
            reason=clipped(reasons.get(name, ""), REASON),
        )
        for name in list(dict.fromkeys([*held, *reasons]))[:8]
    ]


def _places(pairs: Sequence[Mapping[str, Any]]) -> dict[int, list[str]]:
    """Of each answer in which pairs it is, as (number of the pair, side)."""
    found: dict[int, list[str]] = {}
    for number, pair in enumerate(pairs, start=1):
        answers = pair["extra"].get("answers")
        for answer, side in zip(answers if isinstance(answers, list) else (), ("chosen", "rejected"), strict=False):
            if isinstance(answer, int):
                found.setdefault(answer, []).append(f"{side} in pair {number}")
    return found

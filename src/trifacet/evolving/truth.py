"""What rounds of ``trifacet evolve`` made, held against the truth of the world of tasks: no model is asked.

Invariant: an answer is right by ``demo.tasks_truth.is_right`` or it is not; a share is given with what it is of, and
is nan of nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Any, NamedTuple

from trifacet.base.opening import opened
from trifacet.data.records import TestSample
from trifacet.demo.tasks_truth import is_right
from trifacet.evolving.parts import PAIRS, Part
from trifacet.evolving.records import REVISED, Answer, Feedback
from trifacet.evolving.rounds import read_index, read_samples, rows_of

ALL = "all"


class Share(NamedTuple):
    """``part`` of ``whole``."""

    part: int
    whole: int

    @property
    def value(self) -> float:
        """In per cent; nan of nothing."""
        return 100.0 * self.part / self.whole if self.whole else nan


@dataclass(frozen=True)
class Judged:
    """An answer with the truth about it and what the verifier made of it ("": it was not asked)."""

    sample: str
    number: int
    task: str
    origin: str
    right: bool
    outcome: str
    parent: int | None


@dataclass(frozen=True)
class RoundRows:
    """What a round left: samples by id, answers, feedback, and pairs as rows of preference data."""

    samples: Mapping[str, TestSample]
    answers: Sequence[Judged]
    feedback: Sequence[Feedback]
    pairs: Sequence[Mapping[str, Any]]


def read_round(folder: Path) -> RoundRows:
    """The files of a finished round; its folder's name ends in its number."""
    number = int(folder.name.rpartition("-")[2])
    samples: dict[str, TestSample] = {}
    answers: list[Judged] = []
    feedback: list[Feedback] = []
    for at in range(read_index(folder)["parts"]):
        part = Part(folder, at, number)
        samples |= {one.id: one for one in read_samples(part)}
        written, said, verdicts, _ = rows_of(part)
        outcomes = {(one.sample, one.answer): one.outcome for one in verdicts}
        answers += [_judged(one, samples[one.sample], outcomes) for one in written if one.problem is None]
        feedback += said
    with opened(folder / PAIRS) as file:
        pairs = [json.loads(line) for line in file]
    return RoundRows(samples, answers, feedback, pairs)


def _judged(one: Answer, sample: TestSample, outcomes: Mapping[tuple[str, int], str]) -> Judged:
    task, right = str(sample.extra.get("task")), bool(is_right(sample.extra, one.text))
    return Judged(
        one.sample, one.answer, task, one.origin, right, outcomes.get((one.sample, one.answer), ""), one.parent
    )


def accuracy(answers: Iterable[Judged], by: Callable[[Judged], str]) -> dict[str, Share]:
    """Right ones of the answers, by group and of all."""
    return _shares(answers, by, lambda one: one.right)


def verifier(answers: Sequence[Judged], by: Callable[[Judged], str]) -> dict[str, dict[str, Share]]:
    """precision, recall, false_accepts (of wrong answers), malformed (of all asked), by group and of all."""
    asked = [one for one in answers if one.outcome]
    read = [one for one in asked if one.outcome != "malformed"]
    return {
        "precision": _shares([one for one in read if one.outcome == "accepted"], by, lambda one: one.right),
        "recall": _shares([one for one in read if one.right], by, _accepted),
        "false_accepts": _shares([one for one in read if not one.right], by, _accepted),
        "malformed": _shares(asked, by, lambda one: one.outcome == "malformed"),
    }


def revisions(answers: Sequence[Judged]) -> dict[str, Share]:
    """mended: right ones of the revisions of wrong answers; spoilt: wrong ones of the revisions of right answers."""
    known = {(one.sample, one.number): one for one in answers}
    revised = [
        (known[one.sample, one.parent], one) for one in answers if one.origin == REVISED and one.parent is not None
    ]
    wrong, right = ([pair for pair in revised if pair[0].right == how] for how in (False, True))
    return {
        "mended": Share(sum(new.right for _, new in wrong), len(wrong)),
        "spoilt": Share(sum(not new.right for _, new in right), len(right)),
    }


def pairs_told(pairs: Sequence[Mapping[str, Any]]) -> dict[str, Share]:
    """true: chosen right and rejected wrong; false: chosen wrong and rejected right, which teach what is not so."""
    sides = [
        (is_right(row["extra"], row["response"]), is_right(row["extra"], row["rejected_responses"][0])) for row in pairs
    ]
    return {
        "true": Share(sum(chosen is True and rejected is False for chosen, rejected in sides), len(sides)),
        "false": Share(sum(chosen is False and rejected is True for chosen, rejected in sides), len(sides)),
    }


def texts_right(file: Path, samples: Mapping[str, TestSample]) -> dict[str, float]:
    """Of each text of a file of generations whether it is right: 100 or 0 by the sample's id."""
    with opened(file) as lines:
        rows = [json.loads(line) for line in lines]
    return {row["id"]: 100.0 * bool(is_right(samples[row["id"]].extra, row["text"])) for row in rows}


def _accepted(one: Judged) -> bool:
    return one.outcome == "accepted"


def _shares(
    answers: Iterable[Judged], by: Callable[[Judged], str], counts: Callable[[Judged], bool]
) -> dict[str, Share]:
    found: dict[str, list[int]] = {ALL: [0, 0]}
    for one in answers:
        for group in (ALL, by(one)):
            sums = found.setdefault(group, [0, 0])
            sums[0] += counts(one)
            sums[1] += 1
    return {group: Share(*sums) for group, sums in found.items()}

"""What a round's rows add up to: answers by origin, verdicts, fates, pairs.

Invariant: of each origin answers = accepted + refused + malformed + no candidates + waiting; nothing but counts is
kept, and of free texts (reasons, problems) a bounded number of kinds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from trifacet.evolving.kept import FATES, PartRows
from trifacet.evolving.lengths import is_left_out
from trifacet.evolving.records import Answer, Feedback, Verdict
from trifacet.evolving.settings import CONDITIONS

KINDS = 30  # of problems and reasons that are told apart
OTHER = "others"


@dataclass
class Origin:
    """The answers of one origin. ``problems``: why an answer is no candidate, so that nobody judged it."""

    answers: int = 0
    accepted: int = 0
    refused: int = 0
    malformed: int = 0
    waiting: int = 0
    characters: int = 0
    problems: Counter[str] = field(default_factory=Counter)


class RoundCounts:
    """The counts of a round; ``add`` takes its parts in any order.

    Args:
        lengths: how the lengths of its pairs were balanced (``lengths.balanced``); {} where they were not yet.
    """

    def __init__(self, lengths: Mapping[str, Any] = MappingProxyType({})) -> None:
        self._lengths, self.left_out = lengths, 0
        self.parts = self.samples = self.finished_samples = 0
        self.origins: dict[str, Origin] = {}
        self.feedback: Counter[str] = Counter()
        self.fates: Counter[str] = Counter()
        self.reasons: dict[str, Counter[str]] = {}
        self.conditions = {name: Counter[str]() for name in CONDITIONS}
        self.pairs: Counter[tuple[str, str]] = Counter()
        self.pair_count = self.feedback_pairs = 0

    def add(self, part: PartRows) -> None:
        """Count a part."""
        self.parts += 1
        verdicts = {(one.sample, one.answer): one for one in part.verdicts}
        self.samples += len({one.sample for one in part.fates} | {one.sample for one in part.answers})
        self.finished_samples += len(part.fates)
        for answer in part.answers:
            self._answer(answer, verdicts.get((answer.sample, answer.answer)))
        for said in part.feedback:
            self._feedback(said, verdicts)
        for fate in part.fates:
            self.fates[fate.what] += 1
            if fate.why:
                _count(self.reasons.setdefault(fate.what, Counter()), fate.why)
        if FATES in part.steps:  # pairs are written before, and again where that was stopped
            kept = [pair for pair in part.pairs if not is_left_out(pair, self._lengths)]
            self.pairs.update(map(_origins, kept))
            self.pair_count += len(kept)
            self.left_out += len(part.pairs) - len(kept)
            self.feedback_pairs += len(part.feedback_pairs)

    def _answer(self, answer: Answer, verdict: Verdict | None) -> None:
        origin = self.origins.setdefault(answer.origin, Origin())
        origin.answers += 1
        origin.characters += len(answer.text)
        if verdict is not None:
            setattr(origin, verdict.outcome, getattr(origin, verdict.outcome) + 1)
            for name, held in verdict.conditions.items() if verdict.outcome == "refused" else ():
                if name in self.conditions:
                    self.conditions[name]["held" if 2 * held > verdict.votes else "failed"] += 1
        elif answer.problem is not None:
            _count(origin.problems, answer.problem)
        else:
            origin.waiting += 1

    def _feedback(self, said: Feedback, verdicts: Mapping[tuple[str, int], Verdict]) -> None:
        self.feedback["texts"] += 1
        self.feedback["saw the reference"] += said.saw_reference
        if said.revised is None:
            return
        self.feedback["revisions"] += 1
        before, after = (verdicts.get((said.sample, one)) for one in (said.answer, said.revised))
        if before is not None and after is not None:
            self.feedback[f"{before.outcome} before, {after.outcome} after"] += 1

    def document(self) -> dict[str, Any]:
        """The counts as a JSON object."""
        total = Origin()
        for one in self.origins.values():
            for name in ("answers", "accepted", "refused", "malformed", "waiting", "characters"):
                setattr(total, name, getattr(total, name) + getattr(one, name))
            total.problems.update(one.problems)
        return {
            "parts": self.parts,
            "samples": self.samples,
            "finished": self.finished_samples,
            "total": _origin(total),
            "origins": {name: _origin(one) for name, one in self.origins.items()},
            "conditions": {name: dict(count) for name, count in self.conditions.items() if count},
            "feedback": dict(self.feedback),
            "fates": dict(self.fates),
            "why": {what: dict(count.most_common()) for what, count in self.reasons.items()},
            "pairs": self.pair_count,
            "left_out": self.left_out,
            "feedback_pairs": self.feedback_pairs,
            "pair_origins": [
                {"chosen": chosen, "rejected": rejected, "pairs": count}
                for (chosen, rejected), count in sorted(self.pairs.items(), key=lambda one: (-one[1], one[0]))
            ],
        }


def _origin(one: Origin) -> dict[str, Any]:
    judged = one.accepted + one.refused
    return {
        "answers": one.answers,
        "problems": dict(one.problems.most_common()),
        "no_candidates": sum(one.problems.values()),
        "verdicts": judged + one.malformed,
        "accepted": one.accepted,
        "refused": one.refused,
        "malformed": one.malformed,
        "waiting": one.waiting,
        "accept_rate": one.accepted / judged if judged else None,
        "characters": one.characters / one.answers if one.answers else None,
    }


def _origins(pair: dict[str, Any]) -> tuple[str, str]:
    extra = pair.get("extra")
    known = extra if isinstance(extra, dict) else {}
    return str(known.get("chosen_origin", "")), str(known.get("rejected_origin", ""))


def _count(counter: Counter[str], kind: str) -> None:
    """Count a kind, or as one of the others where there are too many."""
    counter[kind if kind in counter or len(counter) < KINDS else OTHER] += 1

"""HallusionBench's numbers from a judgement per question.

Invariant: questions that have no judgement are left out, and with them the groups and figures that they belong to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trifacet.benchmarks.objects.yes_no import YesNo
from trifacet.statistics.measures import Array, Better, Measure, grouped_measure, ratio, share_measure

Grade = Literal["correct", "incorrect", "unclear"]
Cause = Literal["language", "vision", "mixed"]  # LH, VI and Mixed of the original
CAUSES: tuple[Cause, ...] = ("language", "vision", "mixed")
_OUTCOMES: dict[str, Better] = {"correct": "higher", "inconsistent": "lower", "wrong": "lower"}  # of a figure


@dataclass(frozen=True)
class HallusionQuestion:
    """Where a question stands: category VD or VS, subcategory, set, figure and number.

    ``visual`` is "0" for a question without a picture, "1" with the original one, "2" with an edited one. ``label`` is
    the right answer.
    """

    category: str
    subcategory: str
    set: str
    figure: str
    number: str
    visual: str
    label: YesNo

    @property
    def unit(self) -> str:
        """The set: what is resampled as a whole."""
        return f"{self.category}_{self.subcategory}_{self.set}"

    @property
    def group(self) -> str:
        """The same question about all figures of a set (a "question pair" of the original)."""
        return f"{self.unit}_{self.number}"

    @property
    def figure_name(self) -> str:
        """The figure, within its set."""
        return f"{self.unit}_{self.figure}"


@dataclass(frozen=True)
class JudgedQuestion:
    """A question with the judge's grade (None: it could not be read), and whether the answer says the same as the one
    to the same question about figure 0 (None: nobody was asked, and it follows from labels and grades).
    """

    question: HallusionQuestion
    grade: Grade | None
    same: bool | None = None

    @property
    def right(self) -> bool:
        """Whether it counts as right; where a VS question comes without its picture, "unclear" does too."""
        if self.grade == "unclear":
            return self.question.category == "VS" and self.question.figure == "0"
        return self.grade == "correct"

    @property
    def says_yes(self) -> bool:
        """What the program takes for the model's answer: the label where it is right, else the opposite."""
        return self.right == (self.question.label == "yes")


def cause(judged: JudgedQuestion, original: JudgedQuestion | None) -> Cause | None:
    """Why an answer is wrong, by the original's rules; None where it is right, or where the original lacks a grade.

    ``original`` is the same question about figure 0.
    """
    question, wrong = judged.question, judged.grade == "incorrect"
    if judged.grade is None or judged.right or original is None or original.grade is None:
        return None
    if question.figure == "0":
        return "vision" if question.category == "VD" else "language"
    same = wrong and (judged.same if judged.same is not None else judged.says_yes == original.says_yes)
    if question.category == "VD":
        return "mixed" if same and original.grade == "correct" else "vision"
    if original.grade == "incorrect":
        return "language" if same else "mixed"
    # without the picture the model knew, or knew that it did not: an edited picture was overridden, or misread
    return "language" if same and original.grade == "correct" and question.visual == "2" else "vision"


def hallusion_measures(
    judged: Sequence[JudgedQuestion], why: str, why_cause: str
) -> tuple[list[Measure], dict[str, int]]:
    """The leaderboard's numbers and the counts behind them; no number where no question has a judgement.

    Args:
        judged: one per question.
        why: why no number is official.
        why_cause: why those of the causes are not, where nobody was asked whether answers say the same.
    """
    read = [one for one in judged if one.grade is not None]
    groups = {
        "question": _all_right(judged, lambda question: question.group),
        "figure": _figures(judged),
        "easy": _all_right([one for one in judged if one.question.visual != "2"], lambda question: question.group),
        "hard": _all_right([one for one in judged if one.question.visual == "2"], lambda question: question.group),
    }
    units, outcomes = [unit for unit, _, _ in groups["figure"]], [_outcome(*row) for row in groups["figure"]]
    measures = [
        _share(f"{name}_accuracy", [unit for unit, _, _ in rows], [right == all_ for _, right, all_ in rows], why)
        for name, rows in groups.items()
    ]
    measures += _of_questions(read, why)
    measures += [
        _share(f"consistency_{name}", units, [one == name for one in outcomes], why, better)
        for name, better in _OUTCOMES.items()
    ]
    originals = {one.question.group: one for one in judged if one.question.figure == "0"}
    causes = [cause(one, originals.get(one.question.group)) for one in read]
    measures += _of_causes(read, causes, "; ".join(filter(None, (why, why_cause))))
    counts = {
        "questions": len(read),
        "easy_questions": sum(one.question.visual != "2" for one in read),
        "hard_questions": sum(one.question.visual == "2" for one in read),
        "correct": sum(one.right for one in read),
        "groups": len(groups["question"]),
        "groups_correct": sum(right == all_ for _, right, all_ in groups["question"]),
        "easy_groups": len(groups["easy"]),
        "hard_groups": len(groups["hard"]),
        "figures": len(outcomes),
        **{f"figures_{name}": outcomes.count(name) for name in _OUTCOMES},
        **{f"errors_{name}": causes.count(name) for name in CAUSES},
        "without_judgement": len(judged) - len(read),
    }
    return measures if read else [], counts


def _of_questions(read: Sequence[JudgedQuestion], why: str) -> list[Measure]:
    units = [one.question.unit for one in read]
    says = np.array([(one.says_yes, one.question.label == "yes", 1) for one in read]).reshape(-1, 3)
    errors = np.array([(not one.right and one.question.label == "no", not one.right) for one in read]).reshape(-1, 2)
    return [
        _share("accuracy", units, [one.right for one in read], why),
        grouped_measure("yes_bias", units, says, _difference, better="neither", unofficial=why),
        grouped_measure("yes_share_of_errors", units, errors, ratio, better="neither", unofficial=why),
    ]


def _of_causes(read: Sequence[JudgedQuestion], causes: Sequence[Cause | None], why: str) -> list[Measure]:
    units, known = [one.question.unit for one in read], [one is not None for one in causes]
    return [
        share_measure(f"errors_{name}", units, [one == name for one in causes], known, better="neither", unofficial=why)
        for name in CAUSES
    ]


def _share(name: str, units: Sequence[str], flags: Sequence[bool], why: str, better: Better = "higher") -> Measure:
    return share_measure(name, units, flags, [1] * len(flags), better=better, unofficial=why)


def _all_right(judged: Sequence[JudgedQuestion], key: Callable[[HallusionQuestion], str]) -> list[tuple[str, int, int]]:
    """(unit, questions answered rightly, questions) of each group whose questions all have a grade."""
    groups: dict[str, list[JudgedQuestion]] = {}
    for one in judged:
        groups.setdefault(key(one.question), []).append(one)
    return [
        (group[0].question.unit, sum(one.right for one in group), len(group))
        for group in groups.values()
        if all(one.grade is not None for one in group)
    ]


def _figures(judged: Sequence[JudgedQuestion]) -> list[tuple[str, int, int]]:
    """The same per figure; figure 0 of VS is none."""
    shown = [one for one in judged if not (one.question.category == "VS" and one.question.figure == "0")]
    return _all_right(shown, lambda question: question.figure_name)


def _outcome(unit: str, right: int, questions: int) -> str:
    return "correct" if right == questions else "inconsistent" if right else "wrong"


def _difference(sums: Array) -> Array:
    """(What the first counts - what the second counts) / the third."""
    return ratio(np.stack([sums[..., 0] - sums[..., 1], sums[..., 2]], axis=-1))

"""HallusionBench's numbers from a judgement per question.

Invariant: questions that have no judgement are left out, and with them the groups and figures that they belong to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trifacet.evaluation.hallucination.yes_no import YesNo
from trifacet.evaluation.measures import Array, Measure, grouped_measure, ratio, share_measure

Grade = Literal["correct", "incorrect", "unclear"]
Cause = Literal["language", "vision", "mixed"]  # LH, VI and Mixed of the original


@dataclass(frozen=True)
class Question:
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
class Judged:
    """A question with the judge's grade (None: it could not be read), and whether the answer says the same as the one
    to the same question about figure 0 (None: nobody was asked, and it follows from labels and grades).
    """

    question: Question
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


def cause(judged: Judged, original: Judged | None) -> Cause | None:
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


def measures_of(judged: Sequence[Judged], why: str, why_cause: str) -> tuple[list[Measure], dict[str, int]]:
    """The leaderboard's numbers and the counts behind them.

    Args:
        judged: one per question.
        why: why no number is official.
        why_cause: why those of the causes are not, where nobody was asked whether answers say the same.
    """
    read = [one for one in judged if one.grade is not None]
    groups = _all_right(judged, lambda question: question.group)
    figures = _figures(judged)
    easy = _all_right([one for one in judged if one.question.visual != "2"], lambda question: question.group)
    hard = _all_right([one for one in judged if one.question.visual == "2"], lambda question: question.group)
    originals = {one.question.group: one for one in judged if one.question.figure == "0"}
    causes = [cause(one, originals.get(one.question.group)) for one in read]
    units = [one.question.unit for one in read]
    outcomes = [_outcome(right, all_) for _, right, all_ in figures]

    def share(name: str, named: Sequence[str], flags: Sequence[bool], better: Literal["higher", "lower"]) -> Measure:
        return share_measure(name, named, flags, [1] * len(flags), better=better, unofficial=why)

    def share_of_groups(name: str, rows: Sequence[tuple[str, int, int]]) -> Measure:
        return share(name, [unit for unit, _, _ in rows], [right == all_ for _, right, all_ in rows], "higher")

    figure_units = [unit for unit, _, _ in figures]
    measures = [
        share_of_groups("question_accuracy", groups),
        share_of_groups("figure_accuracy", figures),
        share_of_groups("easy_accuracy", easy),
        share_of_groups("hard_accuracy", hard),
        share("accuracy", units, [one.right for one in read], "higher"),
        grouped_measure(
            "yes_bias",
            units,
            [(one.says_yes, one.question.label == "yes", 1) for one in read],
            _difference,
            better="neither",
            unofficial=why,
        ),
        grouped_measure(
            "yes_share_of_errors",
            units,
            [(not one.right and one.question.label == "no", not one.right) for one in read],
            ratio,
            better="neither",
            unofficial=why,
        ),
        share("consistency_correct", figure_units, [outcome == "correct" for outcome in outcomes], "higher"),
        share("consistency_inconsistent", figure_units, [outcome == "inconsistent" for outcome in outcomes], "lower"),
        share("consistency_wrong", figure_units, [outcome == "wrong" for outcome in outcomes], "lower"),
    ]
    why_causes = "; ".join(filter(None, (why, why_cause)))
    for name in ("language", "vision", "mixed"):
        flags = [one == name for one in causes]
        known = [one is not None for one in causes]
        measures.append(share_measure(f"errors_{name}", units, flags, known, better="neither", unofficial=why_causes))
    counts = {
        "questions": len(read),
        "correct": sum(one.right for one in read),
        "groups": len(groups),
        "groups_correct": sum(right == all_ for _, right, all_ in groups),
        "figures": len(figures),
        **{f"figures_{name}": outcomes.count(name) for name in ("correct", "inconsistent", "wrong")},
        "easy_groups": len(easy),
        "hard_groups": len(hard),
        **{f"errors_{name}": causes.count(name) for name in ("language", "vision", "mixed")},
        "without_judgement": len(judged) - len(read),
    }
    return measures, counts


def _all_right(judged: Sequence[Judged], key: Callable[[Question], str]) -> list[tuple[str, int, int]]:
    """(unit, questions answered rightly, questions) of each group whose questions all have a grade."""
    groups: dict[str, list[Judged]] = {}
    for one in judged:
        groups.setdefault(key(one.question), []).append(one)
    return [
        (group[0].question.unit, sum(one.right for one in group), len(group))
        for group in groups.values()
        if all(one.grade is not None for one in group)
    ]


def _figures(judged: Sequence[Judged]) -> list[tuple[str, int, int]]:
    """The same per figure; figure 0 of VS is none."""
    shown = [one for one in judged if not (one.question.category == "VS" and one.question.figure == "0")]
    return _all_right(shown, lambda question: question.figure_name)


def _outcome(right: int, questions: int) -> str:
    return "correct" if right == questions else "inconsistent" if right else "wrong"


def _difference(sums: Array) -> Array:
    """(What the first counts - what the second counts) / the third."""
    return ratio(np.stack([sums[..., 0] - sums[..., 1], sums[..., 2]], axis=-1))

"""HallusionBench: questions in sets about a picture and its edited versions (Guan et al., 2023).

Invariant: a question's grade is the judge's, or with matching=words is read off the answer; the two are never mixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from trifacet.base.errors import DataError
from trifacet.benchmarks.benchmark import Answered, Benchmark, Item, Judge, Need, Outcome
from trifacet.benchmarks.objects.hallusion import Grade, HallusionQuestion, JudgedQuestion, hallusion_measures
from trifacet.benchmarks.objects.records import check_answers, choice_of, number_of, once, read_benchmark_rows, text_of
from trifacet.benchmarks.objects.yes_no import first_word
from trifacet.data.rows import Row
from trifacet.llm.parsing import parse_object
from trifacet.settings.section import Section

FILE = "HallusionBench.json"
GRADES: tuple[Grade, ...] = ("correct", "incorrect", "unclear")
_OUR_PROMPT = "the judge is asked in our words, not in the original's"
_BY_WORDS = "yes or no is read off the answer; the original asks GPT-4 whether it is right"
_DERIVED = "whether two answers say the same follows from labels and grades; the original asks GPT-4"


class Options(Section):
    """Who grades the answers."""

    matching: Literal["judge", "words"] = Field(
        "judge", description="judge: a language model grades; words: the answer's first word, yes or no, is compared"
    )


def read(folder: Path) -> list[Item]:
    """The questions in the file's order; ids are category_subcategory_set_figure_question."""
    path = folder / FILE
    items: dict[str, Item] = {}
    for row in read_benchmark_rows(path):
        question = _question(row, path)
        item = Item(
            f"{question.figure_name}_{question.number}",
            text_of(row, "question", path),
            _image(row, question, path),
            {
                "question": question,
                "reference": text_of(row, "gt_answer_details", path),
                "category": question.category,
                "subcategory": question.subcategory,
                "set_id": question.set,
                "figure_id": question.figure,
                "question_id": question.number,
            },
        )
        items[item.id] = once(item, items, path, row.number, "question_id")
    return list(items.values())


def aliases(item: Item) -> list[str]:
    """VLMEvalKit's name, category_subcategory_visual_set_figure_question."""
    question: HallusionQuestion = item.extra["question"]
    place = (question.set, question.figure, question.number)
    return ["_".join((question.category, question.subcategory, question.visual, *place))]


def fields(item: Item, answer: str) -> dict[str, str] | None:
    """What the judge is shown; None for an empty answer, which is unclear."""
    if not answer.strip():
        return None
    return {"question": item.question, "reference": item.extra["reference"], "answer": answer}


def parse(text: str) -> dict[str, str]:
    """The judge's answer {"grade": "correct" | "incorrect" | "unclear"}; anything else raises UnparsedError."""
    return {"grade": parse_object(text, {"grade": GRADES})["grade"]}


def score(answered: Sequence[Answered], options: Options | None = None) -> Outcome:
    """All numbers of the leaderboard, in per cent but for yes_bias and yes_share_of_errors (0 to 1).

    What is resampled is the set with all its figures and questions. A verdict is {"grade": ...}, which may have a key
    "same": whether the answer says the same as the one about figure 0.
    """
    options = options or Options()
    check_answers(answered)
    by_words = options.matching == "words"
    judged = [_by_words(one) if by_words else _by_judge(one) for one in answered]
    unread = sum(one.grade is None for one in judged)
    why = _BY_WORDS if by_words else _OUR_PROMPT
    notes = ["an empty answer is unclear, which is right only where a VS question comes without its picture"]
    if unread:
        notes.append(f"{unread} questions without a judgement are left out, with the groups and figures they belong to")
    derived = _DERIVED if any(one.same is None and one.question.figure != "0" for one in judged) else ""
    of_items = {
        one.item.id: {"correct": float(graded.right)}
        for one, graded in zip(answered, judged, strict=True)
        if graded.grade is not None
    }
    return Outcome(*hallusion_measures(judged, why, derived), notes, of_items)


def _by_judge(one: Answered) -> JudgedQuestion:
    verdict: Any = one.verdict
    if verdict is None:
        return JudgedQuestion(one.item.extra["question"], None)
    if not isinstance(verdict, dict) or verdict.get("grade") not in GRADES:
        raise DataError(f"the verdict on {one.item.id!r} is no grade", fix=f"give one of {', '.join(GRADES)}")
    return JudgedQuestion(one.item.extra["question"], verdict["grade"], verdict.get("same"))


def _by_words(one: Answered) -> JudgedQuestion:
    question: HallusionQuestion = one.item.extra["question"]
    said = first_word(one.answer)
    return JudgedQuestion(question, "unclear" if said is None else "correct" if said == question.label else "incorrect")


def _question(row: Row, path: Path) -> HallusionQuestion:
    subcategory = text_of(row, "subcategory", path)
    return HallusionQuestion(
        category=choice_of(row, "category", path, ("VD", "VS")),
        subcategory=subcategory,
        set=str(number_of(row, "set_id", path)),
        figure=str(number_of(row, "figure_id", path)),
        number=str(number_of(row, "question_id", path)),
        visual=choice_of(row, "visual_input", path, ("0", "1", "2")),
        label="yes" if choice_of(row, "gt_answer", path, ("0", "1")) == "1" else "no",
    )


def _image(row: Row, question: HallusionQuestion, path: Path) -> str | None:
    if question.visual == "0":
        return None
    return text_of(row, "filename", path).removeprefix("./")


BENCHMARK = Benchmark(
    name="hallusionbench",
    title="HallusionBench",
    paper="Guan et al., HallusionBench: An Advanced Diagnostic Suite for Entangled Language Hallucination and Visual "
    "Illusion in Large Vision-Language Models, 2023 (arXiv:2310.14566)",
    licence="BSD-3-Clause",
    needs=[
        Need(
            FILE,
            "1,129 questions in sets",
            "github.com/tianyi-lab/HallusionBench",
            {"ca6e0fb677dd56e5fb0e2700d06c58d01f8a6ae66e0f1773b2ac48c0a095d051": "tianyi-lab/HallusionBench 744007c"},
        )
    ],
    images="hallusion_bench.zip (linked in its README), unpacked so that VD/ and VS/ lie in the folder",
    read=read,
    score=score,
    judge=Judge(
        "hallusionbench",
        fields,
        parse,
        otherwise=lambda item, answer: {"grade": "unclear"},
        official="gpt-4",
        needed=lambda options: options.matching == "judge",
    ),
    options=Options,
    aliases=aliases,
    expected=lambda item: f"{item.extra['question'].label}: {item.extra['reference']}",
)

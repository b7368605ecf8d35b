"""LLaVA-Bench (in the wild): a judge grades an answer beside GPT-4's, and the ratio of the grades is the score.

Invariant: as in the original the reference answer stands first and the model's second, and the score is the ratio of
the mean grades, not the mean of ratios. A review that cannot be read is a class of its own; the original counts -1.

Source: Liu et al., "Visual Instruction Tuning", arXiv 2304.08485; the release of LLaVA-1.5.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trifacet.base.errors import DataError
from trifacet.benchmarks.benchmark import Answered, Benchmark, Item, Judge, Need, NoOptions, Outcome
from trifacet.benchmarks.objects.records import once, read_benchmark_rows, text_of
from trifacet.data.rows import Row, iter_rows
from trifacet.llm.parsing import UnparsedError, parse_object
from trifacet.statistics.measures import share_measure

CATEGORIES = ("conv", "detail", "complex")
LOWEST, HIGHEST = 1, 10
OURS = "the prompt is our own"


def read(folder: Path) -> list[Item]:
    """The questions with the picture's description and GPT-4's answer; raises DataError naming file, row and field."""
    contexts = {text_of(row, "image", folder / "context.jsonl"): _caption(row, folder / "context.jsonl") for row in
                iter_rows(folder / "context.jsonl")}  # fmt: skip
    answers_file = folder / "answers_gpt4.jsonl"
    references = {
        _id(row, answers_file): text_of(row, "text", answers_file, empty=True) for row in iter_rows(answers_file)
    }
    path = folder / "questions.jsonl"
    items: dict[str, Item] = {}
    for row in read_benchmark_rows(path):
        name, image, category = _id(row, path), text_of(row, "image", path), text_of(row, "category", path)
        if category not in CATEGORIES:
            raise DataError(
                f"{category!r} is no category", fix=f"one of {', '.join(CATEGORIES)}", file=path, row=row.number
            )
        if image not in contexts:
            raise DataError(f"context.jsonl does not describe {image!r}", fix="take both of one release", file=path,
                            row=row.number, field="image")  # fmt: skip
        if name not in references:
            raise DataError(f"answers_gpt4.jsonl does not answer {name!r}", fix="take both of one release", file=path,
                            row=row.number, field="question_id")  # fmt: skip
        extra = {"category": category, "description": contexts[image], "reference": references[name]}
        item = Item(name, text_of(row, "text", path), image, extra)
        items[name] = once(item, items, path, row.number, "question_id")
    return list(items.values())


def _id(row: Row, path: Path) -> str:
    value = row.values.get("question_id")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise DataError(
            "is missing or no number", fix="give each row its number", file=path, row=row.number, field="question_id"
        )
    return str(value)


def _caption(row: Row, path: Path) -> str:
    value = row.values.get("caption")
    lines = [value] if isinstance(value, str) else value
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise DataError(
            "is no text or list of texts", fix="give the description", file=path, row=row.number, field="caption"
        )
    return "\n".join(lines)


def fields(item: Item, answer: str) -> Mapping[str, str]:
    """What the judge is shown; the reference first, as in the original."""
    return {
        "description": item.extra["description"],
        "question": item.question,
        "first": item.extra["reference"],
        "second": answer,
    }


def parse_grades(text: str) -> list[float]:
    """[grade of the first, grade of the second], each 1 to 10; anything else raises UnparsedError."""
    grades: dict[str, Any] = parse_object(text, {"first": float, "second": float})
    both = [grades["first"], grades["second"]]
    if not all(LOWEST <= grade <= HIGHEST for grade in both):  # before it is a float: a whole number may be too large
        raise UnparsedError(f"a grade is not from {LOWEST} to {HIGHEST}")
    return [float(grade) for grade in both]


def score(answered: Sequence[Answered], options: NoOptions) -> Outcome:
    """100 x mean grade of the answers over that of GPT-4's, of all questions and by category."""
    graded = [(one.item, *one.verdict) for one in answered if one.verdict is not None]
    measures = []
    for name in ("all", *CATEGORIES):
        mine = [one for one in graded if name in ("all", one[0].extra["category"])]
        if mine:
            ids = [item.id for item, _, _ in mine]
            theirs, ours = [first for _, first, _ in mine], [second for _, _, second in mine]
            measures.append(share_measure(f"relative/{name}", ids, ours, theirs, unofficial=OURS))
    problems = Counter(one.problem or "not judged" for one in answered if one.verdict is None)
    notes = [f"{count} answers have no grade: {problem}" for problem, count in sorted(problems.items())]
    return Outcome(measures, {"graded": len(graded), **{f"no grade/{k}": n for k, n in problems.items()}}, notes)


_RELEASE = "huggingface.co/datasets/liuhaotian/llava-bench-in-the-wild"
BENCHMARK = Benchmark(
    name="llava-bench",
    title="LLaVA-Bench (in the wild): open questions, graded beside GPT-4's answers",
    paper="arXiv 2304.08485",
    licence="see the release",
    needs=(
        Need("questions.jsonl", "60 questions", _RELEASE),
        Need("context.jsonl", "a description of each picture, for the judge", _RELEASE),
        Need("answers_gpt4.jsonl", "GPT-4's answers", _RELEASE),
    ),
    images="the folder images of the release (001.jpg ...)",
    read=read,
    score=score,
    judge=Judge("llava-bench", fields, parse_grades, official="gpt-4-0314"),
    expected=lambda item: item.extra["reference"],
)
